//! One side of an upgraded connection: RecordIO of messages, both ways.

use std::io;

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use muster_api::limits;
use muster_proto::recordio::{Decoder, InvalidRecord};
use prost::Message;
use tokio::io::{AsyncReadExt, ReadHalf, WriteHalf};

/// Why a stream has ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamError {
    /// The peer has closed it.
    #[error("the connection was closed")]
    Closed,
    /// The network failed.
    #[error("the connection failed")]
    Io(#[from] io::Error),
    /// It holds no records.
    #[error("the framing is damaged")]
    Framing(#[from] InvalidRecord),
    /// A record holds no message.
    #[error("a message is damaged")]
    Message(#[from] prost::DecodeError),
}

/// The receiving side.
pub(crate) struct Messages {
    io: ReadHalf<TokioIo<Upgraded>>,
    decoder: Decoder,
    buffer: Vec<u8>,
}

/// The sending side.
pub(crate) type Writer = WriteHalf<TokioIo<Upgraded>>;

/// Splits an upgraded connection.
pub(crate) fn split(upgraded: Upgraded) -> (Messages, Writer) {
    let (io, writer) = tokio::io::split(TokioIo::new(upgraded));
    let decoder = Decoder::new(limits::RECORD_BYTES);
    (Messages { io, decoder, buffer: vec![0; 64 * 1024] }, writer)
}

impl Messages {
    /// The next message. Nothing is lost when this is dropped before it is ready.
    pub(crate) async fn next<M: Message + Default>(&mut self) -> Result<M, StreamError> {
        loop {
            if let Some(record) = self.decoder.next_record()? {
                return Ok(M::decode(record)?);
            }
            let length = self.io.read(&mut self.buffer).await?;
            if length == 0 {
                return Err(StreamError::Closed);
            }
            self.decoder.feed(&self.buffer[..length]);
        }
    }
}

//! One agent's connection, from its hello to its end.

use muster_proto::{
    agent::{AgentBody, FromAgent, MasterBody, Unsupported},
    recordio::{Decoder, InvalidRecord},
};
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
};

use super::{connections::Connections, handshake::Greeted, outbox::Outbox};
use crate::core::{Connection, Event};

/// Bytes that one read takes at most.
const READ_BYTES: usize = 64 * 1024;

/// How a connection ended.
#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    #[error("the connection broke")]
    Io(#[from] std::io::Error),
    #[error("its framing is damaged")]
    Framing(#[from] InvalidRecord),
    #[error("a message cannot be decoded")]
    Undecodable(#[from] prost::DecodeError),
    #[error("a message is for a master of term {theirs}; this one is of term {ours}")]
    Term { theirs: u64, ours: u64 },
    #[error("it does not read what is sent")]
    NotReading,
    #[error("the master is stopping")]
    Stopping,
}

/// Serves an agent that has proved itself, and tells the core of its beginning and its end.
pub(super) async fn attend(
    stream: TcpStream,
    greeted: Greeted,
    term: u64,
    connections: &Connections,
    events: mpsc::Sender<Event>,
) {
    let (entry, outbox) = connections.open(term, greeted.proof);
    let connection = entry.connection;
    if events.send(Event::Hello { connection, hello: greeted.hello }).await.is_err() {
        return;
    }
    let (read, write) = stream.into_split();
    let reader = Reader {
        connection,
        term,
        decoder: greeted.decoder,
        connections: connections.clone(),
        events: events.clone(),
    };
    let end = tokio::select! {
        end = reader.run(read) => end,
        end = send(write, &outbox) => end,
        () = outbox.expired() => Err(ConnectionError::NotReading),
    };
    match end {
        Ok(()) => tracing::debug!(connection = connection.0, "agent connection ended"),
        Err(error) => tracing::warn!(
            connection = connection.0,
            error = &error as &dyn std::error::Error,
            "agent connection ended"
        ),
    }
    // Nothing may be sent to it any more once the core hears of its end.
    drop(entry);
    drop(events.send(Event::Disconnected { connection }).await);
}

async fn send(mut half: OwnedWriteHalf, outbox: &Outbox) -> Result<(), ConnectionError> {
    while let Some(bytes) = outbox.next().await {
        half.write_all(&bytes).await?;
    }
    half.shutdown().await?;
    Ok(())
}

struct Reader {
    connection: Connection,
    term: u64,
    decoder: Decoder,
    connections: Connections,
    events: mpsc::Sender<Event>,
}

impl Reader {
    /// Reads until the agent ends the stream. While the core cannot keep up nothing is read.
    async fn run(mut self, mut half: OwnedReadHalf) -> Result<(), ConnectionError> {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            while let Some(record) = self.decoder.next_record()? {
                let message = FromAgent::decode(record)?;
                self.take(message).await?;
            }
            let count = half.read(&mut buffer).await?;
            if count == 0 {
                return Ok(());
            }
            self.decoder.feed(&buffer[..count]);
        }
    }

    async fn take(&self, message: FromAgent) -> Result<(), ConnectionError> {
        if message.term != self.term {
            return Err(ConnectionError::Term { theirs: message.term, ours: self.term });
        }
        let connection = self.connection;
        match message.body {
            None => self.connections.send(connection, MasterBody::Unsupported(Unsupported {})),
            Some(AgentBody::LogData(data)) => self.connections.complete(connection, data),
            Some(body) => {
                let event = Event::FromAgent { connection, body };
                self.events.send(event).await.map_err(|_| ConnectionError::Stopping)?;
            }
        }
        Ok(())
    }
}

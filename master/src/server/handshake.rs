//! Who may come in: both sides prove that they know the join token, which is never sent.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use muster_api::limits;
use muster_proto::{
    agent::{self, AgentBody, Challenge, FromAgent, FromMaster, Hello, MasterBody, Refused},
    recordio::{Decoder, InvalidRecord, encode_message},
};
use prost::Message;
use sha2::Sha256;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
};

/// Bytes of the nonce of either side.
const NONCE_BYTES: usize = 32;

/// What a handshake needs to know.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) token: String,
    pub(super) term: u64,
    /// Held while a large hello is read, for its peer is not proved before it is whole.
    pub(super) large: Arc<Semaphore>,
}

/// An agent that has proved itself.
#[derive(Debug)]
pub(super) struct Greeted {
    pub(super) hello: Hello,
    /// The proof that its welcome must carry.
    pub(super) proof: Vec<u8>,
    /// What was read beyond the hello.
    pub(super) decoder: Decoder,
}

/// Why a peer was not let in.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    #[error("there is no randomness for a nonce")]
    Random(#[source] getrandom::Error),
    #[error("the connection broke")]
    Io(#[from] std::io::Error),
    #[error("its framing is damaged")]
    Framing(#[from] InvalidRecord),
    #[error("its first message cannot be decoded")]
    Undecodable(#[from] prost::DecodeError),
    #[error("its first message is no hello")]
    NoHello,
    #[error("it was refused: {message}")]
    Refused { message: String },
}

impl Gate {
    /// Challenges a peer and judges its hello. `early` is what was read before the stream began.
    pub(super) async fn greet(
        &self,
        stream: &mut TcpStream,
        early: &[u8],
    ) -> Result<Greeted, HandshakeError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(HandshakeError::Random)?;
        let challenge = Challenge {
            nonce: nonce.to_vec(),
            oldest_version: agent::OLDEST_VERSION,
            version: agent::VERSION,
        };
        self.send(stream, MasterBody::Challenge(challenge)).await?;
        let mut decoder = Decoder::new(limits::RECORD_BYTES);
        decoder.feed(early);
        let message = self.first_message(stream, &mut decoder, early.len()).await?;
        let Some(AgentBody::Hello(hello)) = message.body else {
            return Err(HandshakeError::NoHello);
        };
        if let Some((message, retry)) = self.objection(message.term, &hello, &nonce) {
            let refused = Refused { message: message.clone(), retry, ..Refused::default() };
            self.send(stream, MasterBody::Refused(refused)).await?;
            stream.shutdown().await?;
            return Err(HandshakeError::Refused { message });
        }
        let proof = self.proof(&agent::master_proof_input(&nonce, &hello.nonce));
        Ok(Greeted { hello, proof, decoder })
    }

    /// Why an agent is not let in, and whether dialling again can help.
    fn objection(&self, term: u64, hello: &Hello, nonce: &[u8]) -> Option<(String, bool)> {
        let (oldest, newest) = (agent::OLDEST_VERSION, agent::VERSION);
        if !(oldest..=newest).contains(&hello.version) {
            let spoken = hello.version;
            let message = format!(
                "the agent speaks version {spoken} of the agent protocol, this master {oldest} to \
                 {newest}; bring both to the same release"
            );
            return Some((message, false));
        }
        let proved = hello.nonce.len() == NONCE_BYTES
            && self
                .mac(&agent::agent_proof_input(nonce, &hello.nonce))
                .verify_slice(&hello.proof)
                .is_ok();
        if !proved {
            let message = "the join token is not the one of this master; copy `join.token` from \
                           the master's data folder";
            return Some((message.to_owned(), false));
        }
        if term > self.term {
            let message = format!(
                "the agent has seen a master of term {term}, and this one is of term {}",
                self.term
            );
            return Some((message, true));
        }
        None
    }

    async fn first_message(
        &self,
        stream: &mut TcpStream,
        decoder: &mut Decoder,
        mut read: usize,
    ) -> Result<FromAgent, HandshakeError> {
        let mut permit = None;
        let mut buffer = vec![0; 16 * 1024];
        loop {
            if let Some(record) = decoder.next_record()? {
                return Ok(FromAgent::decode(record)?);
            }
            if read > limits::HELLO_SMALL_BYTES && permit.is_none() {
                permit = self.large.acquire().await.ok();
            }
            let count = stream.read(&mut buffer).await?;
            if count == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
            }
            decoder.feed(&buffer[..count]);
            read += count;
        }
    }

    async fn send(&self, stream: &mut TcpStream, body: MasterBody) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        encode_message(&FromMaster { term: self.term, body: Some(body) }, &mut bytes);
        stream.write_all(&bytes).await
    }

    fn proof(&self, input: &[u8]) -> Vec<u8> {
        self.mac(input).finalize().into_bytes().to_vec()
    }

    fn mac(&self, input: &[u8]) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(self.token.as_bytes());
        mac.expect("HMAC takes keys of any length").chain_update(input)
    }
}

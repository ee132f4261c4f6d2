//! The connection to the master: dialled, proven on both sides, dialled again.

use std::{io, net::IpAddr, time::Duration};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::Empty;
use hyper::{Request, StatusCode, header, upgrade::Upgraded};
use hyper_util::rt::TokioIo;
use muster_api::{AgentId, limits};
use muster_proto::{
    agent::{self, AgentBody, FromAgent, FromMaster, Hello, MasterBody, OLDEST_VERSION, VERSION},
    recordio,
};
use sha2::Sha256;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};

use crate::{
    core::{Connection, Event},
    entropy,
    outbox::Outbox,
    run::Input,
    stream::{self, Messages, StreamError, Writer},
    wire,
};

/// Between two dials: from this, doubling ...
const REDIAL_FIRST: Duration = Duration::from_millis(100);
/// ... to this. Never slower, whatever happened: leases run.
const REDIAL_MAX: Duration = Duration::from_secs(1);

/// Why a connection to the master was not made, or has ended.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error("{UNREACHABLE}")]
    Dial(#[source] io::Error),
    #[error("the master does not speak HTTP as expected")]
    Http(#[from] hyper::Error),
    #[error("the master answered {status} to the request for a stream")]
    NotSwitched { status: StatusCode },
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error("the master does not read what this agent says")]
    NotRead,
    #[error("the master took too long to register this agent")]
    Slow,
    #[error("the master said something out of its turn")]
    OutOfTurn,
    #[error("the master speaks versions {oldest} to {newest} of the agent protocol")]
    Version { oldest: u32, newest: u32 },
    #[error("the agent does not register with this master now")]
    Unwanted,
    #[error("the master does not know the join token")]
    FalseMaster,
    #[error("the master gave an id that is not valid")]
    InvalidId,
    #[error("cannot get entropy")]
    Entropy(#[source] io::Error),
    #[error("the master refuses this agent: {message}")]
    Refused { message: String, retry: bool },
    #[error("the master refuses this agent for what it was: {message}")]
    Disowned { term: u64, message: String },
}

const UNREACHABLE: &str = "cannot reach the master";

/// Where the master is, and how it is known.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) master: String,
    pub(crate) join_token: String,
}

/// A registered connection, before its first message.
struct Open {
    messages: Messages,
    writer: Writer,
    term: u64,
    agent: AgentId,
}

impl Link {
    /// Keeps a connection to the master, without end.
    pub(crate) async fn keep(self, inputs: mpsc::Sender<Input>) {
        let mut wait = REDIAL_FIRST;
        let mut last_words = String::new();
        for number in 1.. {
            let connection = Connection(number);
            match self.open(connection, &inputs).await {
                Ok(open) => {
                    wait = REDIAL_FIRST;
                    last_words.clear();
                    let error = hold(open, connection, &inputs).await;
                    if let LinkError::Stream(StreamError::Closed) = error {
                        tracing::info!(master = self.master, "master is away, dialling again");
                        // That it cannot be reached meanwhile is no news.
                        last_words = UNREACHABLE.to_owned();
                    } else {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, "master lost, dialling again");
                    }
                }
                Err(LinkError::Refused { message, retry: false }) => {
                    // The agent ends with these words; there is nothing to try again.
                    let refused = Event::Refused { connection, message, retry: false };
                    let _ = inputs.send(Input::Core(refused)).await;
                    return;
                }
                Err(LinkError::Disowned { term, message }) => {
                    let disowned = Event::Disowned { connection, term, message };
                    if inputs.send(Input::Core(disowned)).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    // The same trouble is not logged again each second.
                    let words = error.to_string();
                    if words != last_words {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(master = self.master, error, "cannot register; retrying");
                        last_words = words;
                    }
                }
            }
            let ended = Input::Core(Event::Disconnected { connection });
            if inputs.send(ended).await.is_err() {
                return;
            }
            sleep(wait).await;
            wait = (wait * 2).min(REDIAL_MAX);
        }
    }

    async fn open(
        &self,
        connection: Connection,
        inputs: &mpsc::Sender<Input>,
    ) -> Result<Open, LinkError> {
        let (upgraded, here) =
            timeout(limits::HANDSHAKE, self.dial()).await.map_err(|_| LinkError::Slow)??;
        let greeted = self.greet(upgraded, here, connection, inputs);
        let greeted = timeout(limits::HANDSHAKE, greeted).await;
        greeted.map_err(|_| LinkError::Slow)?
    }

    /// Connects, and tells by which address of this host.
    async fn dial(&self) -> Result<(Upgraded, IpAddr), LinkError> {
        let socket = TcpStream::connect(&self.master).await.map_err(LinkError::Dial)?;
        let here = socket.local_addr().map_err(LinkError::Dial)?.ip();
        socket.set_nodelay(true).map_err(LinkError::Dial)?;
        let (mut sender, driver) =
            hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
        let driver = tokio::spawn(driver.with_upgrades());
        let request = Request::post(agent::STREAM_PATH)
            .header(header::HOST, &self.master)
            .header(header::CONNECTION, "upgrade")
            .header(header::UPGRADE, agent::STREAM_UPGRADE)
            .body(Empty::<Bytes>::new())
            .map_err(|error| LinkError::Dial(io::Error::other(error)))?;
        let answer = sender.send_request(request).await?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            driver.abort();
            return Err(LinkError::NotSwitched { status: answer.status() });
        }
        Ok((hyper::upgrade::on(answer).await?, here))
    }

    /// Says hello and proves both sides (`muster_proto::agent`).
    async fn greet(
        &self,
        upgraded: Upgraded,
        here: IpAddr,
        connection: Connection,
        inputs: &mpsc::Sender<Input>,
    ) -> Result<Open, LinkError> {
        let (mut messages, mut writer) = stream::split(upgraded);
        let FromMaster { term, body } = messages.next().await?;
        let Some(MasterBody::Challenge(challenge)) = body else {
            return Err(LinkError::OutOfTurn);
        };
        if challenge.version < OLDEST_VERSION || challenge.oldest_version > VERSION {
            let (oldest, newest) = (challenge.oldest_version, challenge.version);
            return Err(LinkError::Version { oldest, newest });
        }
        let version = VERSION.min(challenge.version);
        let (hello, told) = oneshot::channel();
        let challenged = Input::Challenged { connection, term, version, hello };
        inputs.send(challenged).await.map_err(|_| LinkError::Unwanted)?;
        let hello = told.await.map_err(|_| LinkError::Unwanted)?;
        let nonce = entropy::bytes::<32>().map_err(LinkError::Entropy)?.to_vec();
        let proof = agent::agent_proof_input(&challenge.nonce, &nonce);
        let proof = self.hmac(&proof).finalize().into_bytes().to_vec();
        let url = hello.url.clone().map(|url| wire::reachable(url, here));
        let hello = Hello { version, nonce: nonce.clone(), proof, url, ..hello };
        let mut bytes = Vec::new();
        let hello = FromAgent { term, body: Some(AgentBody::Hello(hello)) };
        recordio::encode_message(&hello, &mut bytes);
        writer.write_all(&bytes).await.map_err(StreamError::Io)?;
        writer.flush().await.map_err(StreamError::Io)?;
        let FromMaster { term, body } = messages.next().await?;
        match body {
            Some(MasterBody::Welcome(welcome)) => {
                self.verify(&challenge.nonce, &nonce, &welcome.proof)?;
                let agent = welcome.agent_id.unwrap_or_default().value.parse();
                let agent = agent.map_err(|_| LinkError::InvalidId)?;
                Ok(Open { messages, writer, term, agent })
            }
            // All that this agent runs is ended at that word, so it must be the master's own.
            Some(MasterBody::Refused(refused)) if refused.gone => {
                self.verify(&challenge.nonce, &nonce, &refused.proof)?;
                Err(LinkError::Disowned { term, message: refused.message })
            }
            Some(MasterBody::Refused(refused)) => {
                Err(LinkError::Refused { message: refused.message, retry: refused.retry })
            }
            _ => Err(LinkError::OutOfTurn),
        }
    }

    /// Whether the master knows the join token.
    fn verify(&self, theirs: &[u8], ours: &[u8], proof: &[u8]) -> Result<(), LinkError> {
        let expected = agent::master_proof_input(theirs, ours);
        self.hmac(&expected).verify_slice(proof).map_err(|_| LinkError::FalseMaster)
    }

    fn hmac(&self, input: &[u8]) -> Hmac<Sha256> {
        let key = self.join_token.as_bytes();
        let mut hmac = Hmac::new_from_slice(key).expect("HMAC takes keys of any length");
        hmac.update(input);
        hmac
    }
}

/// Carries messages both ways until one side ends the connection.
async fn hold(open: Open, connection: Connection, inputs: &mpsc::Sender<Input>) -> LinkError {
    let Open { mut messages, mut writer, term, agent } = open;
    let outbox = Outbox::default();
    let welcomed = Input::Welcomed { connection, term, agent, outbox: outbox.clone() };
    if inputs.send(welcomed).await.is_err() {
        return LinkError::Unwanted;
    }
    let reading = async {
        loop {
            let FromMaster { term, body } = match messages.next().await {
                Ok(message) => message,
                Err(error) => break error,
            };
            let said = Input::Core(Event::FromMaster { connection, term, body });
            if inputs.send(said).await.is_err() {
                break StreamError::Closed;
            }
        }
    };
    let error = tokio::select! {
        biased;
        error = reading => error.into(),
        written = outbox.write_to(&mut writer) => match written {
            Ok(()) => LinkError::Unwanted,
            Err(error) => StreamError::Io(error).into(),
        },
        () = outbox.cut_off() => LinkError::NotRead,
    };
    outbox.close();
    error
}

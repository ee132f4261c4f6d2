//! The agents' socket, over a real connection to 127.0.0.1.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{future::Future, net::SocketAddr, time::Duration};

use hmac::{Hmac, KeyInit, Mac};
use muster_api::{AgentId, Mono, Now, Timestamp, limits, step::Records};
use muster_master::{
    core::{Connection, Effect, Event, Master},
    server::{Bounds, Connections, ReadLogError, ReadLogRequest, ServerConfig, bind, serve_within},
};
use muster_proto::{
    AgentInfo, Resource,
    agent::{
        self, AgentBody, FromAgent, FromMaster, Heartbeat, HeartbeatAnswer, Hello, LogData,
        MasterBody, Refused, Unsupported, Welcome,
    },
    recordio::{Decoder, encode, encode_message},
};
use prost::Message;
use sha2::Sha256;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{mpsc, oneshot},
    time::timeout,
};

const TOKEN: &str = "the join token";
const TERM: u64 = 7;

/// Runs a test with a deadline.
fn within<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        timeout(Duration::from_secs(30), test).await.expect("the test has come to its end");
    });
}

/// A server whose events the test reads.
struct Served {
    address: SocketAddr,
    events: mpsc::Receiver<Event>,
    connections: Connections,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<()>,
}

impl Served {
    async fn new() -> Self {
        Self::within(Bounds::default()).await
    }

    async fn within(bounds: Bounds) -> Self {
        let config = ServerConfig { join_token: TOKEN.into(), term: TERM };
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, events) = mpsc::channel(4);
        let connections = Connections::new();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move { drop(stopped.await) };
        let server = serve_within(bounds, listener, config, sender, connections.clone(), shutdown);
        let ended = tokio::spawn(server);
        Self { address, events, connections, stop, ended }
    }

    /// An agent that has been welcomed as `id`.
    async fn welcomed(&mut self, id: &str) -> (Client, Connection) {
        let mut client = Client::dial(self.address).await;
        client.hello(TOKEN).await;
        let Some(Event::Hello { connection, .. }) = self.events.recv().await else { panic!() };
        let agent_id = Some(muster_proto::AgentId::new(id));
        let welcome = Welcome { agent_id, proof: vec![] };
        self.connections.send(connection, MasterBody::Welcome(welcome));
        let Some(MasterBody::Welcome(_)) = client.receive().await else { panic!() };
        (client, connection)
    }
}

struct Client {
    stream: TcpStream,
    decoder: Decoder,
    master_nonce: Vec<u8>,
}

impl Client {
    /// Opens the stream and takes the challenge.
    async fn dial(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let decoder = Decoder::new(limits::RECORD_BYTES);
        let mut client = Self { stream, decoder, master_nonce: vec![] };
        let request = format!(
            "POST {} HTTP/1.1\r\nHost: master\r\nConnection: Upgrade\r\nUpgrade: {}\r\n\r\n",
            agent::STREAM_PATH,
            agent::STREAM_UPGRADE
        );
        client.stream.write_all(request.as_bytes()).await.unwrap();
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let Some(MasterBody::Challenge(challenge)) = client.receive().await else { panic!() };
        assert_eq!((challenge.nonce.len(), challenge.version), (32, agent::VERSION));
        client.master_nonce = challenge.nonce;
        client
    }

    /// The head of the answer; what follows it goes to the decoder.
    async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    fn new_hello(&self, token: &str) -> Hello {
        let nonce = vec![9; 32];
        Hello {
            version: agent::VERSION,
            proof: mac(token, &agent::agent_proof_input(&self.master_nonce, &nonce)),
            nonce,
            info: Some(AgentInfo {
                hostname: "h1".into(),
                resources: vec![Resource::scalar("cpus", 4.0)],
                ..AgentInfo::default()
            }),
            boot_id: "boot".into(),
            ..Hello::default()
        }
    }

    async fn hello(&mut self, token: &str) {
        let hello = self.new_hello(token);
        self.send(TERM, Some(AgentBody::Hello(hello))).await;
    }

    async fn send(&mut self, term: u64, body: Option<AgentBody>) {
        let mut bytes = Vec::new();
        encode_message(&FromAgent { term, body }, &mut bytes);
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// The next message, or `None` at the end of the stream.
    async fn receive(&mut self) -> Option<MasterBody> {
        let mut buffer = [0; 1000];
        loop {
            if let Some(record) = self.decoder.next_record().unwrap() {
                let message = FromMaster::decode(record).unwrap();
                assert_eq!(message.term, TERM);
                return message.body;
            }
            match self.stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.decoder.feed(&buffer[..count]),
            }
        }
    }

    async fn refused(&mut self) -> Refused {
        let Some(MasterBody::Refused(refused)) = self.receive().await else { panic!() };
        assert_eq!(self.receive().await, None, "the connection ends");
        refused
    }
}

fn mac(token: &str, input: &[u8]) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).unwrap();
    mac.chain_update(input).finalize().into_bytes().to_vec()
}

fn beat(number: u64) -> Option<AgentBody> {
    Some(AgentBody::Heartbeat(Heartbeat { number }))
}

#[test]
fn an_agent_registers_with_the_real_core_and_each_proves_itself_to_the_other() {
    within(async {
        let mut served = Served::new().await;
        let connections = served.connections.clone();
        let mut client = Client::dial(served.address).await;
        client.hello(TOKEN).await;
        client.send(TERM, beat(1)).await;
        let now = Now { wall: Timestamp::from_millis(0), mono: Mono::from_millis(0) };
        let (mut master, _) = Master::restore(1, &Records::new(), now).unwrap();
        for _ in 0..2 {
            let event = served.events.recv().await.unwrap();
            for effect in master.step(now, event).effects {
                if let Effect::ToAgent { connection, body } = effect {
                    connections.send(connection, body);
                }
            }
        }
        let Some(MasterBody::Welcome(welcome)) = client.receive().await else { panic!() };
        let input = agent::master_proof_input(&client.master_nonce, &[9; 32]);
        assert_eq!(welcome.proof, mac(TOKEN, &input));
        assert_eq!(welcome.agent_id.unwrap().value, master.agents(now)[0].id.as_str());
        let answer = MasterBody::HeartbeatAnswer(HeartbeatAnswer { number: 1 });
        assert_eq!(client.receive().await, Some(answer));

        drop(client);
        assert!(matches!(served.events.recv().await, Some(Event::Disconnected { .. })));
    });
}

#[test]
fn a_wrong_token_a_tampered_proof_and_a_short_nonce_are_refused_before_the_core_hears_of_them() {
    within(async {
        let mut served = Served::new().await;
        let mut client = Client::dial(served.address).await;
        client.hello("another token").await;
        let refused = client.refused().await;
        assert!(refused.message.contains("join token") && !refused.retry);

        for tamper in [
            (|hello| hello.proof[0] ^= 1) as fn(&mut Hello),
            |hello| hello.nonce[31] ^= 1,
            |hello| hello.proof.truncate(31),
            |hello| hello.proof.clear(),
        ] {
            let mut client = Client::dial(served.address).await;
            let mut hello = client.new_hello(TOKEN);
            tamper(&mut hello);
            client.send(0, Some(AgentBody::Hello(hello))).await;
            client.refused().await;
        }
        let mut client = Client::dial(served.address).await;
        let mut hello = client.new_hello(TOKEN);
        hello.nonce.clear();
        hello.proof = mac(TOKEN, &agent::agent_proof_input(&client.master_nonce, &[]));
        client.send(0, Some(AgentBody::Hello(hello))).await;
        client.refused().await;
        assert!(served.events.try_recv().is_err());
    });
}

#[test]
fn an_unknown_version_and_a_newer_term_are_refused_with_a_reason() {
    within(async {
        let served = Served::new().await;
        let mut client = Client::dial(served.address).await;
        let hello = Hello { version: 99, ..client.new_hello(TOKEN) };
        client.send(TERM, Some(AgentBody::Hello(hello))).await;
        let refused = client.refused().await;
        assert!(refused.message.contains("version 99") && !refused.retry, "{}", refused.message);

        let mut client = Client::dial(served.address).await;
        let hello = client.new_hello(TOKEN);
        client.send(TERM + 1, Some(AgentBody::Hello(hello))).await;
        let refused = client.refused().await;
        assert!(refused.message.contains("term 8") && refused.retry, "{}", refused.message);
    });
}

#[test]
fn slow_and_silent_handshakes_are_cut() {
    within(async {
        let handshake = Duration::from_millis(50);
        let mut served = Served::within(Bounds { handshake, ..Bounds::default() }).await;
        let mut silent = TcpStream::connect(served.address).await.unwrap();
        assert_eq!(silent.read(&mut [0; 10]).await.unwrap_or(0), 0);
        let mut client = Client::dial(served.address).await;
        client.stream.write_all(b"1000\nonly a part").await.unwrap();
        assert_eq!(client.receive().await, None);
        assert!(served.events.try_recv().is_err());
    });
}

#[test]
fn connections_that_are_not_proved_are_bounded() {
    within(async {
        let mut served = Served::within(Bounds { unproved: 1, ..Bounds::default() }).await;
        let mut first = Client::dial(served.address).await;
        let mut second = TcpStream::connect(served.address).await.unwrap();
        assert_eq!(second.read(&mut [0; 10]).await.unwrap_or(0), 0, "it is closed at once");
        first.hello(TOKEN).await;
        assert!(matches!(served.events.recv().await, Some(Event::Hello { .. })));
        Client::dial(served.address).await;
    });
}

#[test]
fn damage_ends_its_own_connection_only() {
    within(async {
        let mut served = Served::new().await;
        let (mut good, _) = served.welcomed("good").await;
        let mut undecodable = Vec::new();
        encode(&[0xff; 20], &mut undecodable);
        let mut wrong_term = Vec::new();
        encode_message(&FromAgent { term: TERM - 1, body: beat(1) }, &mut wrong_term);
        for damage in [b"no number\n".to_vec(), b"99999999999\n".to_vec(), undecodable, wrong_term]
        {
            let (mut bad, connection) = served.welcomed("bad").await;
            bad.stream.write_all(&damage).await.unwrap();
            assert_eq!(served.events.recv().await, Some(Event::Disconnected { connection }));
            assert_eq!(bad.receive().await, None);
        }
        good.send(TERM, beat(1)).await;
        assert!(matches!(served.events.recv().await, Some(Event::FromAgent { .. })));
    });
}

#[test]
fn a_message_of_an_unknown_kind_is_answered_unsupported() {
    within(async {
        let mut served = Served::new().await;
        let (mut client, _) = served.welcomed("a").await;
        client.send(TERM, None).await;
        let unsupported = MasterBody::Unsupported(Unsupported {});
        assert_eq!(client.receive().await, Some(unsupported));
    });
}

#[test]
fn nothing_is_lost_or_reordered_when_the_core_is_slow() {
    within(async {
        let mut served = Served::new().await;
        let (mut client, connection) = served.welcomed("a").await;
        let count = 20_000;
        let sender = tokio::spawn(async move {
            for number in 1..=count {
                client.send(TERM, beat(number)).await;
            }
        });
        for number in 1..=count {
            let body = beat(number).unwrap();
            assert_eq!(served.events.recv().await, Some(Event::FromAgent { connection, body }));
        }
        sender.await.unwrap();
        assert_eq!(served.events.recv().await, Some(Event::Disconnected { connection }));
    });
}

#[test]
fn what_was_sent_before_a_close_arrives() {
    within(async {
        let mut served = Served::new().await;
        let (mut client, connection) = served.welcomed("a").await;
        let refused = Refused { message: "go away".into(), retry: true, ..Refused::default() };
        served.connections.send(connection, MasterBody::Refused(refused.clone()));
        served.connections.close(connection);
        assert_eq!(client.refused().await, refused);
        assert_eq!(served.events.recv().await, Some(Event::Disconnected { connection }));
    });
}

/// Who hears that it is gone ends all that it runs, so only the master may say that.
#[test]
fn a_refusal_of_a_gone_agent_has_the_masters_proof() {
    within(async {
        let mut served = Served::new().await;
        let (mut client, connection) = served.welcomed("a").await;
        let refused = Refused { message: "you are gone".into(), gone: true, ..Refused::default() };
        served.connections.send(connection, MasterBody::Refused(refused));
        served.connections.close(connection);
        let input = agent::master_proof_input(&client.master_nonce, &[9; 32]);
        assert_eq!(client.refused().await.proof, mac(TOKEN, &input));
    });
}

fn request() -> ReadLogRequest {
    ReadLogRequest {
        task: "t1".into(),
        executor: "e1".into(),
        stream: "stdout".into(),
        offset: 5,
        limit: u32::MAX,
        wait: Duration::ZERO,
    }
}

#[test]
fn a_log_is_read_past_the_core() {
    within(async {
        let mut served = Served::new().await;
        let agent: AgentId = "a".parse().unwrap();
        let lost = Err(ReadLogError::NotConnected { agent: agent.clone() });
        assert_eq!(served.connections.read_log(&agent, request()).await, lost);

        let (mut client, _) = served.welcomed("a").await;
        let ask = |connections: Connections, agent: AgentId| {
            tokio::spawn(async move { connections.read_log(&agent, request()).await })
        };
        let answer = async |client: &mut Client, data: LogData| {
            let asked = ask(served.connections.clone(), agent.clone());
            let Some(MasterBody::ReadLog(read)) = client.receive().await else { panic!() };
            assert_eq!((read.offset, read.limit), (5, limits::LOG_CHUNK_BYTES));
            let data = LogData { request: read.request, ..data };
            client.send(TERM, Some(AgentBody::LogData(data))).await;
            asked.await.unwrap()
        };
        let data = LogData { data: b"output".to_vec(), size: 11, ..LogData::default() };
        let got = answer(&mut client, data.clone()).await.unwrap();
        assert_eq!((got.data, got.size), (data.data, 11));
        let data = LogData { error: "no such task".into(), ..LogData::default() };
        let message = "no such task".into();
        let error = ReadLogError::Agent { agent: agent.clone(), message };
        assert_eq!(answer(&mut client, data).await, Err(error));

        let asked = ask(served.connections.clone(), agent.clone());
        assert!(matches!(client.receive().await, Some(MasterBody::ReadLog(_))));
        drop(client);
        assert_eq!(asked.await.unwrap(), lost, "the agent is lost before it answers");
        assert!(matches!(served.events.recv().await, Some(Event::Disconnected { .. })));
    });
}

#[test]
fn health_is_answered_and_nothing_else() {
    within(async {
        let served = Served::new().await;
        for (request, status) in [
            ("GET /health", "200"),
            ("GET /", "404"),
            ("POST /health", "404"),
            ("POST /muster/v1/agent", "404"),
            ("GET /muster/v1/agent", "404"),
        ] {
            let mut stream = TcpStream::connect(served.address).await.unwrap();
            let request = format!("{request} HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
        }
    });
}

#[test]
fn shutdown_ends_the_connections() {
    within(async {
        let mut served = Served::new().await;
        let (mut client, _) = served.welcomed("a").await;
        served.stop.send(()).unwrap();
        served.ended.await.unwrap();
        assert_eq!(client.receive().await, None);
    });
}

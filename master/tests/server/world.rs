//! A server whose core is the test, and an agent to speak with it.

use std::{future::Future, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use hmac::{Hmac, KeyInit, Mac};
use muster_api::{Resources, limits, views::ClusterView};
use muster_master::{
    core::{Answer, Connection, Event, Foreign, Stream, StreamName},
    server::{
        Bounds, Cluster, Connections, Credentials, Events, ServerConfig, Streams, bind,
        serve_within,
    },
};
use muster_proto::{
    AgentInfo, Resource,
    agent::{
        self, AgentBody, FromAgent, FromMaster, Heartbeat, Hello, MasterBody, Refused, Welcome,
    },
    recordio::{Decoder, encode_message},
};
use prost::Message;
use serde_json::json;
use sha2::Sha256;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{mpsc, oneshot},
    time::timeout,
};

pub(crate) const TOKEN: &str = "the join token";
pub(crate) const TERM: u64 = 7;

/// Runs a test with a deadline.
pub(crate) fn within<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        timeout(Duration::from_secs(30), test).await.expect("the test has come to its end");
    });
}

/// A cluster of one host and one framework.
#[derive(Debug)]
struct OneHost;

impl Cluster for OneHost {
    fn look(&self) -> Pin<Box<dyn Future<Output = Option<ClusterView>> + Send + '_>> {
        let resources: Resources = "cpus:4;mem:1024".parse().unwrap();
        let used: Resources = "cpus:1;mem:24".parse().unwrap();
        let agent = json!({
            "id": "a", "hostname": "h", "state": "active", "resources": resources,
            "used": used, "attributes": {"rack": "r1"}, "tasks": 1, "executors": 1,
        });
        let framework = json!({
            "id": "f", "name": "n", "user": "u", "state": "active", "embedded": false,
            "roles": ["*"], "suppressed": [], "capabilities": ["MULTI_ROLE"],
            "checkpoint": true, "failover_timeout": "1m", "used": used,
            "offered": resources, "offers": 1, "tasks": 1, "executors": 1,
        });
        let task = json!({
            "id": "t", "framework": "f", "agent": "a", "role": "*", "state": "TASK_RUNNING",
            "resources": used,
        });
        let view = ClusterView {
            agents: vec![serde_json::from_value(agent).unwrap()],
            frameworks: vec![serde_json::from_value(framework).unwrap()],
            offers: vec![],
            tasks: vec![serde_json::from_value(task).unwrap()],
        };
        Box::pin(async move { Some(view) })
    }
}

/// A server whose core is the test: it reads the events and gives the answers.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    /// What agents say.
    pub(crate) events: mpsc::Receiver<Event>,
    /// What frameworks ask.
    pub(crate) calls: mpsc::Receiver<Event>,
    pub(crate) connections: Connections,
    pub(crate) streams: Streams,
    pub(crate) credentials: Credentials,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) ended: tokio::task::JoinHandle<()>,
}

impl Served {
    pub(crate) async fn new() -> Self {
        Self::within(Bounds::default()).await
    }

    /// One where frameworks need no credentials.
    pub(crate) async fn within(bounds: Bounds) -> Self {
        Self::start(bounds, true).await
    }

    pub(crate) async fn start(bounds: Bounds, anonymous_frameworks: bool) -> Self {
        let credentials = Credentials::new();
        let config = ServerConfig {
            join_token: TOKEN.into(),
            term: TERM,
            anonymous_frameworks,
            credentials: credentials.clone(),
            cluster: Arc::new(OneHost),
        };
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (agents, events) = mpsc::channel(4);
        let (frameworks, calls) = mpsc::channel(4);
        let (connections, streams) = (Connections::new(), Streams::new());
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move { drop(stopped.await) };
        let server = serve_within(
            bounds,
            listener,
            config,
            Events { agents, frameworks },
            connections.clone(),
            streams.clone(),
            shutdown,
        );
        let ended = tokio::spawn(server);
        Self { address, events, calls, connections, streams, credentials, stop, ended }
    }

    /// The next SUBSCRIBE, which is let in.
    pub(crate) async fn let_in(&mut self) -> Stream {
        let Some(Event::Subscribe { by, stream }) = self.calls.recv().await else { panic!() };
        self.streams.answer(by.request, Answer::Streaming);
        stream
    }

    /// The next call but SUBSCRIBE, which is answered so.
    pub(crate) async fn answer(&mut self, answer: Answer) -> (Foreign, StreamName) {
        let Some(Event::Foreign { by, named }) = self.calls.recv().await else { panic!() };
        self.streams.answer(by.request, answer);
        (by, named)
    }

    /// An agent that has been welcomed as `id`.
    pub(crate) async fn welcomed(&mut self, id: &str) -> (Client, Connection) {
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

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    decoder: Decoder,
    pub(crate) master_nonce: Vec<u8>,
}

impl Client {
    /// Opens the stream and takes the challenge.
    pub(crate) async fn dial(address: SocketAddr) -> Self {
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
    pub(crate) async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    pub(crate) fn new_hello(&self, token: &str) -> Hello {
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

    pub(crate) async fn hello(&mut self, token: &str) {
        let hello = self.new_hello(token);
        self.send(TERM, Some(AgentBody::Hello(hello))).await;
    }

    pub(crate) async fn send(&mut self, term: u64, body: Option<AgentBody>) {
        let mut bytes = Vec::new();
        encode_message(&FromAgent { term, body }, &mut bytes);
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// The next message, or `None` at the end of the stream.
    pub(crate) async fn receive(&mut self) -> Option<MasterBody> {
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

    pub(crate) async fn refused(&mut self) -> Refused {
        let Some(MasterBody::Refused(refused)) = self.receive().await else { panic!() };
        assert_eq!(self.receive().await, None, "the connection ends");
        refused
    }
}

pub(crate) fn mac(token: &str, input: &[u8]) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).unwrap();
    mac.chain_update(input).finalize().into_bytes().to_vec()
}

pub(crate) fn beat(number: u64) -> Option<AgentBody> {
    Some(AgentBody::Heartbeat(Heartbeat { number }))
}

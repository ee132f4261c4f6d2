//! An agent of Mesos that a test plays by hand, over real HTTP as it was recorded from one.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use muster_executor::Environment;
use muster_proto::{
    ExecutorId, FrameworkId,
    executor::{Call, CallType, Event, EventType, Subscribe, Subscribed},
    recordio,
};
use prost::Message;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use crate::conversation::within;

/// Mesos says of no message that its framework has it.
pub(crate) const TAKES_MESSAGES: bool = false;

/// How a call that is no subscription is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is accepted.
    Accepted,
    /// It is not, with this status line; the test does not hear of it.
    Status(&'static str),
    /// The connection ends without any answer.
    HangUp,
}

/// Where executors connect to.
pub(crate) struct FakeAgent {
    address: SocketAddr,
    subscriptions: tokio::sync::Mutex<mpsc::UnboundedReceiver<Subscription>>,
    shared: Arc<Shared>,
}

/// What all connections have in common.
#[derive(Default)]
struct Shared {
    /// The stream whose test hears of calls.
    calls: Mutex<Option<mpsc::UnboundedSender<Call>>>,
    /// The answers to the next calls; beyond them all are accepted.
    answers: Mutex<VecDeque<Answer>>,
    /// The requests whose calls were accepted, by their connection.
    requests: Mutex<Vec<(SocketAddr, Request)>>,
}

/// A request for a subscription, which the test answers.
struct Subscription {
    socket: TcpStream,
    request: Request,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The request line and the headers.
    pub(crate) head: String,
    /// The headers by their names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl FakeAgent {
    pub(crate) async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, subscriptions) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::default());
        let connections = Arc::clone(&shared);
        tokio::spawn(async move {
            loop {
                let (socket, peer) = listener.accept().await.unwrap();
                tokio::spawn(serve(socket, peer, Arc::clone(&connections), sender.clone()));
            }
        });
        Self { address, subscriptions: subscriptions.into(), shared }
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// The environment of an executor of this agent, for a framework that keeps checkpoints.
    pub(crate) fn environment(&self, sandbox: &Path) -> Environment {
        Environment {
            agent: self.address(),
            framework: FrameworkId::new("framework"),
            executor: ExecutorId::new("executor"),
            sandbox: sandbox.to_owned(),
            token: Some("secret".to_owned()),
            shutdown_grace: Duration::from_secs(5),
            recovery: Some(Duration::from_secs(900)),
            backoff_max: Duration::from_secs(1),
        }
    }

    /// How the next calls are answered that are no subscriptions.
    pub(crate) fn answer_calls(&self, answers: &[Answer]) {
        lock(&self.shared.answers).extend(answers);
    }

    /// The requests whose calls were accepted, each with the connection on which it came.
    pub(crate) fn requests(&self) -> Vec<(SocketAddr, Request)> {
        lock(&self.shared.requests).clone()
    }

    /// Whether a subscription is waiting for its answer.
    pub(crate) fn is_asked(&self) -> bool {
        !self.subscriptions.try_lock().unwrap().is_empty()
    }

    /// The next subscription, answered by `status`.
    pub(crate) async fn answer(&self, status: &str) -> (Stream, Request) {
        let next = async { self.subscriptions.lock().await.recv().await.unwrap() };
        let Subscription { mut socket, request } = within("subscription", next).await;
        let rest = if status.starts_with("200") {
            "Transfer-Encoding: chunked\r\nContent-Type: application/x-protobuf\r\n"
        } else {
            "Content-Length: 0\r\n"
        };
        let date = "Date: Sun, 22 Nov 2026 08:42:43 GMT\r\n";
        let head = format!("HTTP/1.1 {status}\r\n{date}{rest}\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        let (sender, calls) = mpsc::unbounded_channel();
        *lock(&self.shared.calls) = Some(sender);
        (Stream { socket, calls }, request)
    }

    /// The next connection, subscribed, and what its subscription said.
    pub(crate) async fn subscribed(&self) -> (Stream, Subscribe) {
        let (mut stream, request) = self.answer("200 OK").await;
        let call = Call::decode(request.body.as_slice()).unwrap();
        let subscribed = Some(Subscribed::default());
        stream.send(EventType::Subscribed, Event { subscribed, ..Event::default() }).await;
        (stream, call.subscribe.expect("a subscription has its body"))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

/// Answers the requests of one connection, until one is a subscription.
async fn serve(
    socket: TcpStream,
    peer: SocketAddr,
    shared: Arc<Shared>,
    subscriptions: mpsc::UnboundedSender<Subscription>,
) {
    let mut socket = BufReader::new(socket);
    while let Some(request) = read(&mut socket).await {
        if !request.head.starts_with("POST /api/v1/executor HTTP/1.1\r\n") {
            let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
            socket.write_all(answer).await.unwrap();
            continue;
        }
        let call = Call::decode(request.body.as_slice()).unwrap();
        if call.r#type() == CallType::Subscribe {
            let subscription = Subscription { socket: socket.into_inner(), request };
            // The test may be over.
            let _ = subscriptions.send(subscription);
            return;
        }
        let answer = lock(&shared.answers).pop_front().unwrap_or(Answer::Accepted);
        let status = match answer {
            Answer::Accepted => "202 Accepted",
            Answer::Status(status) => status,
            Answer::HangUp => return,
        };
        if answer == Answer::Accepted {
            lock(&shared.requests).push((peer, request));
            let stream = lock(&shared.calls).clone();
            let _ = stream.expect("calls follow a subscription").send(call);
        }
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        socket.write_all(answer.as_bytes()).await.unwrap();
    }
}

/// The next request of a connection; none at its end.
async fn read(socket: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if socket.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    let headers: BTreeMap<_, _> =
        headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await.ok()?;
    Some(Request { head, headers, body })
}

/// One subscription of an executor.
pub(crate) struct Stream {
    socket: TcpStream,
    calls: mpsc::UnboundedReceiver<Call>,
}

impl Stream {
    /// The next call.
    pub(crate) async fn call(&mut self) -> Call {
        within("call", self.calls.recv()).await.unwrap()
    }

    pub(crate) async fn send(&mut self, kind: EventType, mut event: Event) {
        event.set_type(kind);
        let mut bytes = Vec::new();
        recordio::encode_message(&event, &mut bytes);
        self.send_bytes(&bytes).await;
    }

    /// Bytes of the stream, as one chunk.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        let chunk = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
        self.socket.write_all(&chunk).await.unwrap();
    }

    /// The end of the stream, as the answer to a request ends.
    pub(crate) async fn finish(&mut self) {
        self.socket.write_all(b"0\r\n\r\n").await.unwrap();
    }
}

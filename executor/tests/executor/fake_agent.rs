//! An agent of ours that a test plays by hand.

use std::{path::Path, time::Duration};

use muster_executor::Environment;
use muster_proto::{
    ExecutorId, FrameworkId,
    executor::{Call, Event, EventType, Subscribe, Subscribed},
    recordio,
};
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::conversation::within;

/// Whether messages of executors are answered once their framework has them.
pub(crate) const TAKES_MESSAGES: bool = true;

/// Where executors connect to.
pub(crate) struct FakeAgent {
    listener: TcpListener,
}

impl FakeAgent {
    pub(crate) async fn bind() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    pub(crate) fn address(&self) -> String {
        self.listener.local_addr().unwrap().to_string()
    }

    /// The environment of an executor of this agent.
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

    /// The next connection, with its request answered by `status`.
    pub(crate) async fn answer(&self, status: &str) -> (Stream, String) {
        let (mut socket, _) = within("connection", self.listener.accept()).await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(within("request", socket.read_u8()).await.unwrap());
        }
        let upgrade = "connection: upgrade\r\nupgrade: muster-executor/1\r\n";
        let rest = if status.starts_with("101") { upgrade } else { "content-length: 0\r\n" };
        let answer = format!("HTTP/1.1 {status}\r\n{rest}\r\n");
        socket.write_all(answer.as_bytes()).await.unwrap();
        let decoder = recordio::Decoder::new(1 << 20);
        (Stream { socket, decoder }, String::from_utf8(request).unwrap())
    }

    /// The next connection, subscribed, and what its subscription said.
    pub(crate) async fn subscribed(&self) -> (Stream, Subscribe) {
        self.subscribed_to(Subscribed::default()).await
    }

    /// The same, answered with this.
    pub(crate) async fn subscribed_to(&self, subscribed: Subscribed) -> (Stream, Subscribe) {
        let (mut stream, _) = self.answer("101 Switching Protocols").await;
        let subscribe = stream.call().await.subscribe.expect("the first call is SUBSCRIBE");
        let subscribed = Some(subscribed);
        stream.send(EventType::Subscribed, Event { subscribed, ..Event::default() }).await;
        (stream, subscribe)
    }
}

/// One connection of an executor.
pub(crate) struct Stream {
    socket: TcpStream,
    decoder: recordio::Decoder,
}

impl Stream {
    /// The next call; fails the test when the connection ends.
    pub(crate) async fn call(&mut self) -> Call {
        loop {
            if let Some(record) = self.decoder.next_record().unwrap() {
                return Call::decode(record).unwrap();
            }
            let mut bytes = vec![0; 4096];
            let length = within("call", self.socket.read(&mut bytes)).await.unwrap();
            assert!(length > 0, "the executor closed the connection");
            self.decoder.feed(&bytes[..length]);
        }
    }

    pub(crate) async fn send(&mut self, kind: EventType, mut event: Event) {
        event.set_type(kind);
        let mut bytes = Vec::new();
        recordio::encode_message(&event, &mut bytes);
        self.socket.write_all(&bytes).await.unwrap();
    }

    /// Bytes that are no record.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }
}

//! A reader of streams of events, which shows what is on the wire.

use std::{net::SocketAddr, time::Duration};

use http_body_util::{BodyExt, Empty};
use hyper::{
    Request, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    net::TcpStream,
    task::JoinHandle,
    time::{Instant, timeout_at},
};

/// Nothing that is awaited takes longer.
const DEADLINE: Duration = Duration::from_secs(30);

/// A stream that is open.
pub(crate) struct EventStream {
    pub(crate) status: StatusCode,
    body: Incoming,
    text: String,
    connection: JoinHandle<()>,
    /// What a browser would send to go on.
    pub(crate) last_id: String,
}

/// One thing of a stream: the kind of the event and what it says.
pub(crate) type Told = (String, Value);

impl EventStream {
    /// Opens a stream; behind an event if that is named.
    pub(crate) async fn open(
        (address, token): (SocketAddr, &str),
        query: &str,
        last_id: Option<&str>,
    ) -> Self {
        let mut request = Request::get(format!("/v1/events/stream{query}"))
            .header("host", "test")
            .header("authorization", format!("Bearer {token}"));
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(async move {
            let _ = connection.await;
        });
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        let (status, text) = (head.status, String::new());
        Self { status, body, text, connection, last_id: String::new() }
    }

    /// The next event; nothing when the stream has ended, and whether it did so well.
    pub(crate) async fn next(&mut self) -> Result<Told, bool> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some((frame, rest)) = self.text.split_once("\n\n") {
                let frame = frame.to_owned();
                self.text = rest.to_owned();
                let field = |name: &str| {
                    frame.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
                };
                if let Some(id) = field("id: ") {
                    self.last_id = id;
                }
                if let Some(data) = field("data: ") {
                    let kind = field("event: ").unwrap();
                    return Ok((kind, serde_json::from_str(&data).unwrap()));
                }
                continue;
            }
            match timeout_at(deadline, self.body.frame()).await.expect("something is told") {
                Some(Ok(frame)) => {
                    self.text += str::from_utf8(frame.data_ref().unwrap()).unwrap();
                }
                Some(Err(_)) => return Err(false),
                None => return Err(true),
            }
        }
    }

    /// Waits until the stream says where it is, with nothing told before.
    pub(crate) async fn begin(&mut self) {
        while !self.text.contains("\n\n") {
            let frame = self.body.frame().await.unwrap().unwrap();
            self.text += str::from_utf8(frame.data_ref().unwrap()).unwrap();
        }
        let (frame, rest) = self.text.split_once("\n\n").unwrap();
        let id = frame.strip_prefix(": events\nid: ").expect("it says where it begins");
        self.last_id = id.to_owned();
        self.text = rest.to_owned();
    }

    /// So many events.
    pub(crate) async fn take(&mut self, events: usize) -> Vec<Told> {
        let mut told = Vec::new();
        while told.len() < events {
            told.push(self.next().await.expect("the stream goes on"));
        }
        told
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

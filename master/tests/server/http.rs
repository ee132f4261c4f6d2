//! A client of HTTP that shows what really goes over the wire.

use std::net::SocketAddr;

use muster_proto::{
    json,
    recordio::Decoder,
    scheduler::{self, EventType},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

pub(crate) const JSON: &str = "application/json";
pub(crate) const PROTOBUF: &str = "application/x-protobuf";
pub(crate) const SCHEDULER: &str = "/api/v1/scheduler";

/// The answer to a request; without the body where that is a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// As they came.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn is(&self, status: u16, body: &str) -> bool {
        (self.status, self.body.as_str()) == (status, body)
    }
}

/// A connection.
pub(crate) struct Http {
    pub(crate) stream: BufReader<TcpStream>,
}

impl Http {
    pub(crate) async fn dial(address: SocketAddr) -> Self {
        Self { stream: BufReader::new(TcpStream::connect(address).await.unwrap()) }
    }

    pub(crate) async fn send(
        &mut self,
        line: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) {
        let body = body.as_ref();
        let mut bytes = format!("{line} HTTP/1.1\r\nHost: master\r\n").into_bytes();
        for (name, value) in headers {
            bytes.extend(format!("{name}: {value}\r\n").into_bytes());
        }
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
            bytes.extend(format!("Content-Length: {}\r\n", body.len()).into_bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(body);
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// Sends a call in JSON.
    pub(crate) async fn call(&mut self, stream: Option<&str>, body: &str) {
        let mut headers = vec![("Content-Type", JSON), ("Accept", JSON)];
        headers.extend(stream.map(|name| ("Mesos-Stream-Id", name)));
        self.send(&format!("POST {SCHEDULER}"), &headers, body).await;
    }

    pub(crate) async fn reply(&mut self) -> Reply {
        let (status, headers) = self.head().await;
        let mut reply = Reply { status, headers, body: String::new() };
        if let Some(length) = reply.header("content-length") {
            let mut body = vec![0; length.parse().unwrap()];
            self.stream.read_exact(&mut body).await.unwrap();
            reply.body = String::from_utf8(body).unwrap();
        }
        reply
    }

    async fn head(&mut self) -> (u16, Vec<(String, String)>) {
        let line = self.line().await;
        let status = line.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line().await;
            let Some((name, value)) = line.split_once(": ") else { return (status, headers) };
            headers.push((name.to_owned(), value.to_owned()));
        }
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).await.unwrap();
        line.strip_suffix("\r\n").unwrap().to_owned()
    }

    /// The next chunk; nothing after the last one.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        let length = usize::from_str_radix(&self.line().await, 16).unwrap();
        let mut chunk = vec![0; length + 2];
        self.stream.read_exact(&mut chunk).await.unwrap();
        assert!(chunk.ends_with(b"\r\n"));
        chunk.truncate(length);
        (length > 0).then_some(chunk)
    }

    /// The next chunk of a stream that may break off anywhere.
    pub(crate) async fn chunk_or_end(&mut self) -> Option<()> {
        let mut bytes = [0; 64 * 1024];
        let count = self.stream.read(&mut bytes).await.unwrap_or(0);
        (count > 0).then_some(())
    }

    /// The next record, which is a chunk by itself; nothing at the end of the stream.
    pub(crate) async fn record(&mut self) -> Option<Vec<u8>> {
        let mut decoder = Decoder::new(1_000_000);
        decoder.feed(&self.chunk().await?);
        let record = decoder.next_record().unwrap().expect("a chunk holds a record").to_vec();
        assert!(decoder.is_between_records(), "a chunk holds no more than a record");
        Some(record)
    }

    /// The next event of a stream in JSON.
    pub(crate) async fn event(&mut self) -> Option<scheduler::Event> {
        Some(json::from_slice(&self.record().await?, 1_000_000).unwrap())
    }

    /// Whether the peer ends the connection, without another byte.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.stream.read(&mut [0; 10]).await.unwrap_or(0) == 0
    }
}

/// Sends one request on a connection of its own.
pub(crate) async fn ask(
    address: SocketAddr,
    line: &str,
    headers: &[(&str, &str)],
    body: impl AsRef<[u8]>,
) -> Reply {
    let mut http = Http::dial(address).await;
    http.send(line, headers, body).await;
    http.reply().await
}

pub(crate) const SUBSCRIBE: &str =
    r#"{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"u","name":"n"}}}"#;

pub(crate) fn event(kind: EventType) -> scheduler::Event {
    scheduler::Event { r#type: Some(kind as i32), ..scheduler::Event::default() }
}

pub(crate) fn subscribed(id: &str) -> scheduler::Event {
    let framework_id = Some(muster_proto::FrameworkId::new(id));
    let subscribed = scheduler::Subscribed { framework_id, ..scheduler::Subscribed::default() };
    scheduler::Event { subscribed: Some(subscribed), ..event(EventType::Subscribed) }
}

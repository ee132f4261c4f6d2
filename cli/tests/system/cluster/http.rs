//! A small client for REST, which shows answers as they are.

use std::{io, ops::RangeInclusive, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};

use super::Namespace;

/// A scheduler that has not answered until then does not answer.
const ANSWER_MAX: Duration = Duration::from_secs(40);

/// A scheduler's REST API.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    address: String,
    token: Option<String>,
    namespace: Option<Namespace>,
}

/// What the scheduler answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// The body, if it is JSON.
    pub(crate) body: Value,
    /// The body as it came.
    pub(crate) text: String,
}

impl Answer {
    /// Checks the status.
    #[track_caller]
    pub(crate) fn expect(self, statuses: RangeInclusive<u16>) -> Self {
        assert!(statuses.contains(&self.status), "{}: {}", self.status, self.text);
        self
    }

    /// Checks that it is a problem of this kind.
    #[track_caller]
    pub(crate) fn expect_problem(self, status: u16, code: &str) -> Self {
        assert_eq!(
            (self.status, &self.body["code"]),
            (status, &Value::from(code)),
            "{}",
            self.text
        );
        self
    }
}

impl Api {
    /// The API at `address`, with this token.
    pub(crate) fn new(address: &str, token: Option<&str>) -> Self {
        Self { address: address.to_owned(), token: token.map(str::to_owned), namespace: None }
    }

    /// The same from within a network namespace.
    pub(crate) fn within(self, namespace: Option<Namespace>) -> Self {
        Self { namespace, ..self }
    }

    /// Gets something.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None).unwrap()
    }

    /// Puts a document.
    pub(crate) fn put(&self, path: &str, document: &Value) -> Answer {
        self.send("PUT", path, &[], Some(document.to_string())).unwrap()
    }

    /// Posts something.
    pub(crate) fn post(&self, path: &str, body: Option<&Value>) -> Answer {
        self.send("POST", path, &[], body.map(Value::to_string)).unwrap()
    }

    /// Sends a request. It fails when no whole answer comes.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> io::Result<Answer> {
        let mut request =
            Request::builder().method(method).uri(path).header("host", self.address.as_str());
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if body.is_some() && !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Full::new(Bytes::from(body.unwrap_or_default()));
        let request = request.body(body).expect("tests send proper requests");
        let send = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async { timeout(ANSWER_MAX, self.exchange(request)).await? })
        };
        match &self.namespace {
            Some(namespace) => namespace.enter(send),
            None => send(),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> io::Result<Answer> {
        let stream = TcpStream::connect(&self.address).await?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(io::Error::other)?;
        let connection = tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(io::Error::other)?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
        connection.abort();
        let text = String::from_utf8_lossy(&body).into_owned();
        Ok(Answer { status, body: serde_json::from_slice(&body).unwrap_or_default(), text })
    }
}

//! Plain HTTP/1.1: one request on a connection of its own, and its answer whole or piece by piece.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Response,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{net::TcpStream, task::AbortHandle, time::timeout};

use crate::outcome::{Outcome, differs, equal};

/// How long the head of an answer, or the whole of a short one, may take.
pub const ANSWER_PATIENCE: Duration = Duration::from_secs(60);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// Nobody listens there.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Where.
        address: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The connection ended or held what is no HTTP.
    #[error("{address} gives no answer to {request}: {source}")]
    Hyper {
        /// Where.
        address: String,
        /// The first line of the request.
        request: String,
        /// What went wrong.
        source: hyper::Error,
    },
    /// The request cannot be put into HTTP: the fault is in the case.
    #[error("no HTTP request: {0}")]
    Request(#[from] hyper::http::Error),
    /// Nothing came in time.
    #[error("{address} does not answer {request} within {ANSWER_PATIENCE:?}")]
    Late {
        /// Where.
        address: String,
        /// The first line of the request.
        request: String,
    },
}

/// A request, byte for byte as it is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// Names and values, in their order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// A POST of a body without any header.
    pub fn post(path: &str, body: impl Into<Vec<u8>>) -> Self {
        let (method, path) = ("POST".to_owned(), path.to_owned());
        Self { method, path, headers: Vec::new(), body: body.into() }
    }

    /// A GET.
    pub fn get(path: &str) -> Self {
        Self { method: "GET".to_owned(), ..Self::post(path, Vec::new()) }
    }

    /// With one header more.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn to_hyper(&self, address: &str) -> Result<hyper::Request<Full<Bytes>>, Broken> {
        let mut builder = hyper::Request::builder()
            .method(self.method.as_str())
            .uri(&self.path)
            .header("Host", address);
        for (name, value) in &self.headers {
            builder = builder.header(name, value);
        }
        Ok(builder.body(Full::new(Bytes::from(self.body.clone())))?)
    }
}

/// The first part of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The status.
    pub status: u16,
    /// Values by lower-case names.
    pub headers: BTreeMap<String, String>,
}

/// An answer that has come to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Status and headers.
    pub head: Head,
    /// The body.
    pub body: Vec<u8>,
}

impl Head {
    fn of(response: &Response<Incoming>) -> Self {
        let headers = response.headers().iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        Self { status: response.status().as_u16(), headers: headers.collect() }
    }

    /// The value of a header, `null` if it is not there.
    pub fn header(&self, name: &str) -> Value {
        self.headers.get(name).cloned().map_or(Value::Null, Value::String)
    }
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Holds if it is this status with this text, as Mesos gives it: a length, and plain text.
    pub fn is(&self, status: u16, text: &str) -> Outcome {
        self.has_status(status)?;
        equal("body of the answer", self.text(), text)?;
        equal("Content-Length", self.head.header("content-length"), text.len().to_string())?;
        let content_type = self.head.header("content-type");
        equal("Content-Type of the answer", content_type, "text/plain; charset=utf-8")
    }

    /// Holds if the call was taken: 202 with an empty body, whose length is said.
    pub fn accepted(&self) -> Outcome {
        self.has_status(202)?;
        equal("body of a 202", self.text(), "")?;
        equal("Content-Length of a 202", self.head.header("content-length"), "0")
    }

    /// Holds if it has this status, whatever the rest.
    pub fn has_status(&self, status: u16) -> Outcome {
        if self.head.status == status {
            return Ok(());
        }
        let got = Value::String(format!("{} {:?}", self.head.status, self.text()));
        Err(differs("status", &got, &status.to_string()))
    }

    /// The body as JSON.
    pub fn json(&self) -> Outcome<Value> {
        let not_json = |_| differs("body of the answer", &Value::String(self.text()), "JSON");
        serde_json::from_slice(&self.body).map_err(not_json)
    }
}

/// One connection, which takes requests one after another.
pub struct Connection {
    address: String,
    requests: SendRequest<Full<Bytes>>,
    driver: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    /// Opens one.
    pub async fn open(address: &str) -> Result<Self, Broken> {
        let refused = |source| Broken::Connect { address: address.to_owned(), source };
        let late = || Broken::Late { address: address.to_owned(), request: "connect".to_owned() };
        let socket = timeout(ANSWER_PATIENCE, TcpStream::connect(address)).await;
        let socket = socket.map_err(|_| late())?.map_err(refused)?;
        socket.set_nodelay(true).map_err(refused)?;
        let (requests, driver) = http1::handshake(TokioIo::new(socket))
            .await
            .map_err(|source| broken(address, "connect", source))?;
        // How the connection ends is seen by whoever waits for an answer on it.
        let driver = tokio::spawn(async move {
            let _ = driver.await;
        });
        let driver = driver.abort_handle();
        Ok(Self { address: address.to_owned(), requests, driver })
    }

    /// Sends a request and gives the head of its answer, with a body that is yet to be read.
    pub async fn start(&mut self, request: &Request) -> Result<(Head, Incoming), Broken> {
        let line = request.line();
        let answer = async {
            let failed = |source| broken(&self.address, &line, source);
            self.requests.ready().await.map_err(failed)?;
            let response = self.requests.send_request(request.to_hyper(&self.address)?).await;
            let response = response.map_err(|source| broken(&self.address, &line, source))?;
            Ok((Head::of(&response), response.into_body()))
        };
        let answer = timeout(ANSWER_PATIENCE, answer).await;
        answer
            .unwrap_or_else(|_| Err(Broken::Late { address: self.address.clone(), request: line }))
    }

    /// Sends a request and gives its answer.
    pub async fn exchange(&mut self, request: &Request) -> Result<Answer, Broken> {
        let (head, body) = self.start(request).await?;
        let line = request.line();
        let address = self.address.clone();
        let body = timeout(ANSWER_PATIENCE, body.collect()).await;
        let body = body.map_err(|_| Broken::Late { address, request: line.clone() })?;
        let body = body.map_err(|source| broken(&self.address, &line, source))?;
        Ok(Answer { head, body: body.to_bytes().to_vec() })
    }
}

/// Sends a request on a connection of its own.
pub async fn exchange(address: &str, request: &Request) -> Result<Answer, Broken> {
    Connection::open(address).await?.exchange(request).await
}

fn broken(address: &str, request: &str, source: hyper::Error) -> Broken {
    Broken::Hyper { address: address.to_owned(), request: request.to_owned(), source }
}

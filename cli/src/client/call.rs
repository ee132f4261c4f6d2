//! One call of the REST API: one connection, one request, one answer.
//!
//! A connection for each call costs a fraction of a millisecond on the way to a scheduler near by,
//! and a scheduler that was restarted meanwhile is no special case.

use std::{fmt::Write, path::Path, time::Duration};

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use muster_api::{
    limits,
    views::{Page, Problem},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};

use super::{Address, ClientError};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take, beside what the call asks the scheduler to wait.
const ANSWER: Duration = Duration::from_secs(30);
/// Bytes of one answer. A page of the largest documents that there may be.
const ANSWER_BYTES: usize = limits::PAGE_ROWS * limits::DOCUMENT_BYTES;

/// Calls one scheduler.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    address: Address,
    token: Option<String>,
}

/// A request, before it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    method: Method,
    path: String,
    body: Option<Value>,
    headers: Vec<(&'static str, String)>,
    wait: Duration,
}

/// A good answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Its body; null when there is none.
    pub(crate) body: Value,
    status: StatusCode,
    change: Option<String>,
    call: String,
    address: Address,
}

/// An answer that is read as it arrives: the output of a task, or a backup.
#[derive(Debug)]
pub(crate) struct Stream {
    body: Incoming,
    address: Address,
}

impl Call {
    /// `GET` of a path.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path.into())
    }

    /// `PUT` of a document to a path.
    pub(crate) fn put(path: impl Into<String>, body: Value) -> Self {
        Self { body: Some(body), ..Self::new(Method::PUT, path.into()) }
    }

    /// `POST` to a path.
    pub(crate) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path.into())
    }

    /// `DELETE` of a path.
    pub(crate) fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path.into())
    }

    fn new(method: Method, path: String) -> Self {
        Self { method, path, body: None, headers: Vec::new(), wait: Duration::ZERO }
    }

    /// With a body.
    pub(crate) fn body(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    /// With a header.
    pub(crate) fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// With a query parameter.
    #[expect(clippy::needless_pass_by_value, reason = "numbers and names read better so")]
    pub(crate) fn query(mut self, name: &str, value: impl ToString) -> Self {
        let separator = if self.path.contains('?') { '&' } else { '?' };
        self.path.push(separator);
        self.path.push_str(name);
        self.path.push('=');
        self.push_escaped(&value.to_string());
        self
    }

    /// With one more part of the path, which may hold any character.
    pub(crate) fn part(mut self, part: &str) -> Self {
        self.path.push('/');
        self.push_escaped(part);
        self
    }

    fn push_escaped(&mut self, text: &str) {
        for byte in text.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                self.path.push(char::from(byte));
            } else {
                write!(self.path, "%{byte:02X}").expect("a string takes all that is written");
            }
        }
    }

    /// With a query parameter, if there is a value for it.
    pub(crate) fn query_if(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Asks the scheduler to answer only when what is asked about is over, or after `wait`.
    pub(crate) fn waiting(self, wait: Duration) -> Self {
        let call = self.query("wait", format!("{}ms", wait.as_millis()));
        Self { wait, ..call }
    }

    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

impl Client {
    /// A client of the scheduler at `address`, with the token in a file.
    pub(crate) fn new(address: Address, token_file: Option<&Path>) -> anyhow::Result<Self> {
        let token = token_file.map(read_token).transpose()?;
        Ok(Self { address, token })
    }

    /// Sends a call and reads the whole answer.
    pub(crate) async fn send(&self, call: Call) -> Result<Answer, ClientError> {
        let (name, limit) = (call.name(), ANSWER + call.wait);
        let exchange = async {
            let response = self.open(call).await?;
            let change = response.headers().get("muster-change");
            let change = change.and_then(|value| value.to_str().ok()).map(str::to_owned);
            let status = response.status();
            let body = read_body(response.into_body(), &self.address).await?;
            Ok((status, change, body))
        };
        let (status, change, body) = timeout(limit, exchange)
            .await
            .unwrap_or_else(|_| Err(ClientError::Late { address: self.address.clone(), limit }))?;
        let address = self.address.clone();
        let body = body.and_then(|bytes| {
            if bytes.is_empty() { Some(Value::Null) } else { serde_json::from_slice(&bytes).ok() }
        });
        let answer = Answer { body: Value::Null, status, change, call: name, address };
        match body {
            Some(body) if status.is_success() => Ok(Answer { body, ..answer }),
            Some(body) => Err(match serde_json::from_value(body) {
                Ok(problem) => ClientError::Refused(problem),
                Err(_) => answer.not_understood(),
            }),
            None => Err(answer.not_understood()),
        }
    }

    /// Follows a list from page to page until it ends or has `limit` rows.
    pub(crate) async fn list(&self, call: Call, limit: usize) -> Result<Page<Value>, ClientError> {
        let mut all = Page { items: Vec::new(), next: None };
        loop {
            let rows = (limit - all.items.len()).min(limits::LIVE_ROWS);
            let page = call.clone().query("limit", rows).query_if("cursor", all.next.take());
            let page: Page<Value> = self.send(page).await?.read()?;
            all.items.extend(page.items);
            all.next = page.next;
            // A page may be empty and not the last: so much is looked through for each.
            if all.next.is_none() || all.items.len() >= limit {
                return Ok(all);
            }
        }
    }

    /// Sends a call whose answer may be long, and may come for as long as it likes.
    pub(crate) async fn stream(&self, call: Call) -> Result<Stream, ClientError> {
        let name = call.name();
        let response = self.open(call).await?;
        let (status, address) = (response.status(), self.address.clone());
        if status.is_success() {
            return Ok(Stream { body: response.into_body(), address });
        }
        let body = read_body(response.into_body(), &address).await?;
        Err(match body.and_then(|body| serde_json::from_slice::<Box<Problem>>(&body).ok()) {
            Some(problem) => ClientError::Refused(problem),
            None => ClientError::NotUnderstood { address, call: name, status },
        })
    }

    async fn open(&self, call: Call) -> Result<Response<Incoming>, ClientError> {
        let address = &self.address;
        let broken = |source| ClientError::Broken { address: address.clone(), source };
        let late = |limit| ClientError::Late { address: address.clone(), limit };
        let stream = timeout(CONNECT, TcpStream::connect(address.target()))
            .await
            .map_err(|_| late(CONNECT))?
            .map_err(|source| ClientError::Unreachable { address: address.clone(), source })?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        tokio::spawn(connection);
        let limit = ANSWER + call.wait;
        let response = timeout(limit, sender.send_request(self.request(call))).await;
        response.map_err(|_| late(limit))?.map_err(broken)
    }

    fn request(&self, call: Call) -> Request<Full<Bytes>> {
        let mut request = Request::builder()
            .method(call.method)
            .uri(call.path)
            .header(HOST, self.address.authority());
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        let body = match call.body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        request.body(Full::new(body)).expect("paths are encoded and tokens are checked")
    }
}

fn read_token(path: &Path) -> anyhow::Result<String> {
    let name = path.display();
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the token file `{name}`"))?;
    let token = text.trim();
    let plausible = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    anyhow::ensure!(plausible, "the file `{name}` holds no token");
    Ok(token.to_owned())
}

/// The whole of a body; `None` when it is too long to be an answer of ours.
async fn read_body(body: Incoming, address: &Address) -> Result<Option<Bytes>, ClientError> {
    match Limited::new(body, ANSWER_BYTES).collect().await {
        Ok(body) => Ok(Some(body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Ok(None),
        Err(error) => {
            let source = *error.downcast().expect("a body fails by its length or by hyper");
            Err(ClientError::Broken { address: address.clone(), source })
        }
    }
}

impl Answer {
    /// The body as what it is.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        T::deserialize(&self.body).map_err(|_| self.not_understood())
    }

    /// What a `PUT` changed: `created`, `updated` or `unchanged`.
    pub(crate) fn change(&self) -> &str {
        let by_status = if self.status == StatusCode::CREATED { "created" } else { "updated" };
        self.change.as_deref().unwrap_or(by_status)
    }

    fn not_understood(&self) -> ClientError {
        ClientError::NotUnderstood {
            address: self.address.clone(),
            call: self.call.clone(),
            status: self.status,
        }
    }
}

impl Stream {
    /// The next bytes; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame
                .map_err(|source| ClientError::Broken { address: self.address.clone(), source })?;
            if let Ok(bytes) = frame.into_data() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }
}

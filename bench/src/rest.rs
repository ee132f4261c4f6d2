//! A client of the REST API on one kept connection, so that no request pays for a new one.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request,
    client::conn::http1::{self, SendRequest},
    header,
};
use hyper_util::rt::TokioIo;
use muster_api::{
    clock,
    views::{AgentState, AgentView, Page, RunState, RunView},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};

/// How long a request or a run may take before all is given up.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks for the agent.
const LOOK: Duration = Duration::from_millis(10);

/// An open connection.
pub(crate) struct Client {
    address: SocketAddr,
    token: String,
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    /// Connects.
    pub(crate) async fn connect(address: SocketAddr, token: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.context("cannot connect to REST")?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { address, token: format!("Bearer {}", token.trim()), sender })
    }

    /// Waits until an agent is there.
    pub(crate) async fn await_agent(&mut self) -> anyhow::Result<()> {
        let active = async {
            loop {
                let agents: Page<AgentView> = self.call(Method::GET, "/v1/agents", None).await?;
                if agents.items.iter().any(|agent| agent.state == AgentState::Active) {
                    return anyhow::Ok(());
                }
                sleep(LOOK).await;
            }
        };
        timeout(PATIENCE, active).await.context("no agent came")?
    }

    /// Creates or replaces an app (`apps`) or a job (`jobs`).
    pub(crate) async fn put(&mut self, kind: &str, document: &Value) -> anyhow::Result<()> {
        let name = document["name"].as_str().context("the document has no name")?;
        let path = format!("/v1/{kind}/{name}");
        self.call::<Value>(Method::PUT, &path, Some(document)).await.map(drop)
    }

    /// Starts a run; it is accepted when this returns.
    pub(crate) async fn trigger(&mut self, job: &str) -> anyhow::Result<RunView> {
        self.call(Method::POST, &format!("/v1/jobs/{job}/trigger"), None).await
    }

    /// Waits until a run has succeeded.
    pub(crate) async fn await_success(&mut self, run: &RunView) -> anyhow::Result<RunView> {
        let path = format!("/v1/runs/{}?wait=60s", run.id);
        let over = async {
            loop {
                let view: RunView = self.call(Method::GET, &path, None).await?;
                if view.state.is_over() {
                    return anyhow::Ok(view);
                }
            }
        };
        let view = timeout(PATIENCE, over).await.context("a run does not end")??;
        if view.state != RunState::Succeeded {
            let reason = view.reason.as_deref().unwrap_or("without a reason");
            bail!("a run of `{}` ended as {:?}: {reason}", view.job, view.state);
        }
        Ok(view)
    }

    /// Asks for something, and answers after how many nanoseconds it was there as a whole.
    pub(crate) async fn time(&mut self, path: &str) -> anyhow::Result<(f64, Bytes)> {
        let before = clock::mono_nanos();
        let body = self.exchange(Method::GET, path, None).await?;
        Ok(((clock::mono_nanos() - before) as f64, body))
    }

    /// The value of a metric: that of all of its labels together.
    pub(crate) async fn metric(&mut self, name: &str) -> anyhow::Result<f64> {
        let text = self.exchange(Method::GET, "/metrics", None).await?;
        let text = std::str::from_utf8(&text).context("the metrics are no text")?;
        let values = text.lines().filter_map(|line| {
            let (metric, value) = line.rsplit_once(' ')?;
            let is_it = metric.split('{').next() == Some(name);
            is_it.then(|| value.parse::<f64>().ok()).flatten()
        });
        Ok(values.sum())
    }

    /// Waits until a metric has a value.
    pub(crate) async fn await_metric(&mut self, name: &str, value: f64) -> anyhow::Result<()> {
        let has = async {
            while self.metric(name).await? < value {
                sleep(LOOK).await;
            }
            anyhow::Ok(())
        };
        timeout(PATIENCE, has).await.with_context(|| format!("`{name}` is never {value}"))?
    }

    async fn call<T: DeserializeOwned>(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<T> {
        let what = format!("{method} {path}");
        let bytes = self.exchange(method, path, body).await?;
        serde_json::from_slice(&bytes).with_context(|| format!("cannot read the answer to {what}"))
    }

    async fn exchange(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Bytes> {
        let what = format!("{method} {path}");
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.address.to_string())
            .header(header::AUTHORIZATION, &self.token);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(Full::new(body.into()))?;
        let exchange = async {
            self.sender.ready().await?;
            let (head, body) = self.sender.send_request(request).await?.into_parts();
            anyhow::Ok((head.status, body.collect().await?.to_bytes()))
        };
        let answer = timeout(PATIENCE, exchange).await.context("no answer").flatten();
        let (status, bytes) = answer.with_context(|| format!("cannot {what}"))?;
        if !status.is_success() {
            bail!("{what} is answered with {status}: {}", String::from_utf8_lossy(&bytes));
        }
        Ok(bytes)
    }
}

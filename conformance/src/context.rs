//! What a case works with: whom it speaks with and how, ids, and what it is to leave behind.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use muster_api::{IdStream, clock};
use muster_proto::json::base64;
use serde_json::{Value, json};

use crate::{
    encoding::{Encoding, Side},
    events::Events,
    http::{self, Answer, Request},
    outcome::Outcome,
    remote::Remotes,
    target::Target,
};

/// How long a case waits for what is due at once. How fast a master is, is no question of the suite:
/// this is for one that is stuck, on whatever machine.
pub const SOON: Duration = Duration::from_secs(60);

/// The scheduler API, as most clients spell it.
pub const SCHEDULER: &str = "/api/v1/scheduler";

/// What all cases of a run share.
pub struct Suite {
    /// Whom it speaks with.
    pub target: Target,
    remotes: Remotes,
    /// The id of the agent, if it is known.
    agent_id: Option<String>,
    ids: Mutex<IdStream>,
    /// The most CPUs that were ever offered at once, by the ids of their agents.
    most_cpus: Mutex<BTreeMap<String, f64>>,
}

impl Suite {
    /// A run that begins: nothing was offered yet.
    pub fn new(target: Target, remotes: Remotes, agent_id: Option<String>, ids: IdStream) -> Self {
        Self { target, remotes, agent_id, ids: Mutex::new(ids), most_cpus: Mutex::default() }
    }
}

/// What one case works with. A copy is the same case.
#[derive(Clone)]
pub struct Context {
    suite: Arc<Suite>,
    name: Arc<str>,
    encoding: Encoding,
    left: Arc<Mutex<Vec<Left>>>,
}

/// A framework that may be left behind.
struct Left {
    id: String,
    stream: String,
    info: Value,
    /// Kept, so that the subscription lasts until it is torn down.
    _events: Arc<Events>,
}

impl Context {
    /// A case that begins.
    pub fn new(suite: Arc<Suite>, name: &str, encoding: Encoding) -> Self {
        Self { suite, name: name.into(), encoding, left: Arc::default() }
    }

    /// Whom it speaks with.
    pub fn target(&self) -> &Target {
        &self.suite.target
    }

    /// How it speaks.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The same case in another encoding.
    #[must_use]
    pub fn speaking(&self, encoding: Encoding) -> Self {
        Self { encoding, ..self.clone() }
    }

    /// Where executors of the suite call back.
    pub fn remotes(&self) -> &Remotes {
        &self.suite.remotes
    }

    /// The id of the agent whose offers the case is to use, if it matters.
    pub fn agent_id(&self) -> Option<&str> {
        self.suite.agent_id.as_deref()
    }

    /// The most CPUs of an agent that were ever offered at once, these included.
    pub fn most_cpus(&self, agent: &str, offered: f64) -> f64 {
        let mut most = self.suite.most_cpus.lock().unwrap_or_else(PoisonError::into_inner);
        let most = most.entry(agent.to_owned()).or_default();
        *most = most.max(offered);
        *most
    }

    /// A framework as most cases play it.
    pub fn framework_info(&self) -> Value {
        json!({
            "user": std::env::var("USER").unwrap_or_else(|_| "root".to_owned()),
            "name": format!("conformance {}", self.name),
            "roles": ["*"],
            "capabilities": [{"type": "MULTI_ROLE"}],
            "failover_timeout": 0.0,
            "checkpoint": false,
        })
    }

    /// A text that nobody else has.
    pub fn unique(&self, what: &str) -> String {
        format!("{what}-{:016x}", self.bits())
    }

    /// A new uuid (version 4, which all of Mesos takes), in base64.
    pub fn uuid(&self) -> String {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.bits().to_be_bytes());
        bytes[8..].copy_from_slice(&self.bits().to_be_bytes());
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let mut text = Vec::new();
        base64::encode(&bytes, &mut text);
        String::from_utf8(text).expect("base64 is ASCII")
    }

    fn bits(&self) -> u64 {
        self.suite.ids.lock().unwrap_or_else(PoisonError::into_inner).bits()
    }

    /// A POST to the scheduler API, in this case's encoding, by whom the suite is.
    pub fn scheduler_request(&self, call: &Value) -> Outcome<Request> {
        let body = self.encoding.encode_call(Side::Scheduler, call)?;
        let request = Request::post(SCHEDULER, body)
            .with("Content-Type", self.encoding.content_type())
            .with("Accept", self.encoding.content_type());
        Ok(self.authorized(request))
    }

    /// With the credentials of the suite, if it has some.
    #[must_use]
    pub fn authorized(&self, request: Request) -> Request {
        match &self.target().credentials {
            Some(credentials) => request.with("Authorization", &credentials.header()),
            None => request,
        }
    }

    /// Sends the master a request as it is.
    pub async fn ask_master(&self, request: &Request) -> Outcome<Answer> {
        Ok(http::exchange(&self.target().master, request).await?)
    }

    /// Remembers a framework that is to be torn down after the case.
    pub fn leave(&self, id: &str, stream: &str, info: &Value, events: &Arc<Events>) {
        let left = Left {
            id: id.to_owned(),
            stream: stream.to_owned(),
            info: info.clone(),
            _events: events.clone(),
        };
        self.left.lock().unwrap_or_else(PoisonError::into_inner).push(left);
    }

    /// Tears down what the case has left behind. It is done as well as can be: a case that fails
    /// says why, and what it leaves ends with the cluster at the latest.
    pub async fn clean_up(&self) {
        let left = std::mem::take(&mut *self.left.lock().unwrap_or_else(PoisonError::into_inner));
        let waits = |left: &Left| left.info["failover_timeout"].as_f64().unwrap_or(0.0) > 0.0;
        for left in left {
            let gone = self.tear_down(&left.id, &left.stream).await.unwrap_or(true);
            if !gone && waits(&left) {
                let _ = self.take_back_and_tear_down(&left).await;
            }
        }
    }

    /// Whether nothing more is to be done.
    async fn tear_down(&self, id: &str, stream: &str) -> Outcome<bool> {
        let call = json!({"type": "TEARDOWN", "framework_id": {"value": id}});
        let request = self.scheduler_request(&call)?.with("Mesos-Stream-Id", stream);
        // 403: it is there, and not subscribed.
        Ok(self.ask_master(&request).await?.head.status != 403)
    }

    async fn take_back_and_tear_down(&self, left: &Left) -> Outcome {
        let mut info = left.info.clone();
        info["id"] = json!({"value": left.id});
        let call = json!({
            "type": "SUBSCRIBE",
            "framework_id": {"value": left.id},
            "subscribe": {"framework_info": info, "suppressed_roles": info["roles"]},
        });
        let request = self.scheduler_request(&call)?;
        let master = &self.target().master;
        let events = Events::open(master, &request, self.encoding, Side::Scheduler).await?;
        let stream = events.head().header("mesos-stream-id");
        self.tear_down(&left.id, stream.as_str().unwrap_or_default()).await?;
        Ok(())
    }
}

/// The id of an agent, as its state tells it.
pub async fn agent_id(agent: &str) -> Option<String> {
    let answer = http::exchange(agent, &Request::get("/state")).await.ok()?;
    answer.json().ok()?["id"].as_str().filter(|id| !id.is_empty()).map(str::to_owned)
}

/// A stream of ids with fresh entropy.
pub fn fresh_ids() -> IdStream {
    let mut seed = [0; 8];
    // Without entropy the clock has to do: the ids are to be new, not secret.
    if getrandom::fill(&mut seed).is_err() {
        seed = clock::wall_nanos().to_be_bytes();
    }
    IdStream::new(u64::from_be_bytes(seed), 0)
}

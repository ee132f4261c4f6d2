//! The executor that a case plays, through a process that an agent has started.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use crate::{
    context::{Context, SOON},
    encoding::Side,
    events::{Arrived, Events},
    framework::{Framework, Offer},
    http::{Answer, Request},
    outcome::{Failure, Outcome, equal},
    remote::{Expected, Remote},
    tasks,
};

/// The executor API.
pub const EXECUTOR: &str = "/api/v1/executor";
/// Longer than any case: the seconds of an executor that is not to be ended by its agent while the
/// case still speaks with it.
pub const A_LONG_TIME: u64 = 600;

/// An executor of the suite whose process is there.
#[derive(Clone)]
pub struct Executor {
    context: Context,
    /// The process.
    pub remote: Remote,
    /// The id of its framework, as its environment tells it.
    pub framework: String,
    /// Its own id, as its environment tells it.
    pub id: String,
    /// Where its agent listens, as its environment tells it.
    pub agent: String,
}

/// An executor that is subscribed.
#[derive(Clone)]
pub struct Subscribed {
    /// The executor.
    pub executor: Executor,
    /// Its stream.
    pub events: Arc<Events>,
    /// What its process knows the stream by.
    pub stream: u64,
    /// The body of its SUBSCRIBED.
    pub body: Value,
}

/// The description of an executor, and the process that is to come of it.
pub struct Planned {
    /// ExecutorInfo.
    pub info: Value,
    /// Its process.
    pub process: Expected,
}

impl Planned {
    /// An executor with this id.
    pub fn new(framework: &Framework, id: &str) -> Self {
        Self::with_command(framework, id, |command| command)
    }

    /// An executor with this id, whose command is made of the usual one.
    pub fn with_command(
        framework: &Framework,
        id: &str,
        change: impl FnOnce(String) -> String,
    ) -> Self {
        let context = framework.context();
        let process = context.remotes().expect(&context.unique("executor"));
        let command = context.remotes().command(&context.target().program, process.key());
        Self { info: tasks::executor(id, &framework.id, &change(command)), process }
    }

    /// With so many seconds to end itself when it is told to.
    #[must_use]
    pub fn with_grace(mut self, seconds: u64) -> Self {
        self.info["shutdown_grace_period"] = json!({"nanoseconds": seconds * 1_000_000_000});
        self
    }

    /// Waits for its process.
    pub async fn start(self, context: &Context) -> Outcome<Executor> {
        Executor::of(context, self.process.arrive(SOON).await?)
    }
}

impl Executor {
    fn of(context: &Context, remote: Remote) -> Outcome<Self> {
        let variable = |name: &str| {
            let value = remote.hello.environment.get(name).cloned();
            value.ok_or_else(|| Failure::Executor(format!("{name} is not in its environment")))
        };
        let framework = variable("MESOS_FRAMEWORK_ID")?;
        let id = variable("MESOS_EXECUTOR_ID")?;
        let agent = variable("MESOS_AGENT_ENDPOINT")?;
        Ok(Self { context: context.clone(), remote, framework, id, agent })
    }

    /// A call of this executor.
    pub fn call(&self, kind: &str, body: Option<Value>) -> Value {
        let mut call = json!({
            "type": kind,
            "framework_id": {"value": self.framework},
            "executor_id": {"value": self.id},
        });
        if let Some(body) = body {
            call[kind.to_lowercase()] = body;
        }
        call
    }

    /// A request with this call.
    pub fn request(&self, call: &Value) -> Outcome<Request> {
        let encoding = self.context.encoding();
        let body = encoding.encode_call(Side::Executor, call)?;
        let request = Request::post(EXECUTOR, body)
            .with("Content-Type", encoding.content_type())
            .with("Accept", encoding.content_type());
        Ok(self.authorized(request))
    }

    /// With the token that the agent gave it, if it gave one.
    #[must_use]
    pub fn authorized(&self, request: Request) -> Request {
        match self.remote.hello.environment.get("MESOS_EXECUTOR_AUTHENTICATION_TOKEN") {
            Some(token) => request.with("Authorization", &format!("Bearer {token}")),
            None => request,
        }
    }

    /// Sends the agent a request as it is.
    pub async fn ask(&self, request: &Request) -> Outcome<Answer> {
        self.remote.request(&self.agent, request).await
    }

    /// Sends a call.
    pub async fn send(&self, call: &Value) -> Outcome<Answer> {
        self.ask(&self.request(call)?).await
    }

    /// Opens the stream of a SUBSCRIBE, whatever its answer.
    pub async fn open(&self, body: Value) -> Outcome<(u64, Events)> {
        let request = self.request(&self.call("SUBSCRIBE", Some(body)))?;
        self.remote.open(&self.agent, &request, self.context.encoding()).await
    }

    /// Subscribes for the first time.
    pub async fn subscribe(&self) -> Outcome<Subscribed> {
        self.subscribe_with(json!({"unacknowledged_tasks": [], "unacknowledged_updates": []})).await
    }

    /// Subscribes with what is not acknowledged.
    pub async fn subscribe_with(&self, body: Value) -> Outcome<Subscribed> {
        let (stream, events) = self.open(body).await?;
        equal("status of the executor's SUBSCRIBE", events.head().status, 200)?;
        let first = events.next(SOON).await?.event;
        equal("type of the executor's first event", first["type"].clone(), "SUBSCRIBED")?;
        let (executor, body) = (self.clone(), first["subscribed"].clone());
        Ok(Subscribed { executor, events: Arc::new(events), stream, body })
    }

    /// The status that it would send for a task, with a new uuid.
    pub fn status(&self, task: &str, state: &str) -> Value {
        json!({
            "task_id": {"value": task},
            "state": state,
            "source": "SOURCE_EXECUTOR",
            "uuid": self.context.uuid(),
        })
    }

    /// Sends a status.
    pub async fn update(&self, status: &Value) -> Outcome<Answer> {
        self.send(&self.call("UPDATE", Some(json!({"status": status})))).await
    }
}

impl Subscribed {
    /// Waits for the launch of a task and gives it.
    pub async fn launched(&self, task: &str) -> Outcome<Value> {
        let what = format!("LAUNCH of {task}");
        let is_it = |event: &Value| {
            event["type"] == "LAUNCH" && event["launch"]["task"]["task_id"]["value"] == task
        };
        let event = self.events.take(&what, SOON, is_it).await?.event;
        Ok(event["launch"]["task"].clone())
    }

    /// Waits for an event of this type.
    pub async fn event(&self, kind: &str) -> Outcome<Arrived> {
        self.event_within(kind, SOON).await
    }

    /// The same, with a deadline of its own.
    pub async fn event_within(&self, kind: &str, within: Duration) -> Outcome<Arrived> {
        self.events.take(kind, within, |event| event["type"] == kind).await
    }

    /// Sends a status, which is to be taken, and waits until the agent has custody of it.
    pub async fn say(&self, task: &str, state: &str) -> Outcome<Value> {
        let status = self.executor.status(task, state);
        self.say_status(&status).await?;
        Ok(status)
    }

    /// The same with this status.
    pub async fn say_status(&self, status: &Value) -> Outcome {
        self.executor.update(status).await?.accepted()?;
        self.acknowledged(status).await
    }

    /// Waits until the agent has custody of a status.
    pub async fn acknowledged(&self, status: &Value) -> Outcome {
        let is_it = |event: &Value| {
            event["type"] == "ACKNOWLEDGED" && event["acknowledged"]["uuid"] == status["uuid"]
        };
        let what = format!("ACKNOWLEDGED of {}", status["uuid"]);
        self.events.take(&what, SOON, is_it).await?;
        Ok(())
    }
}

/// A framework with one task on an executor that is subscribed and has been told to launch it.
pub struct Stage {
    /// The framework.
    pub framework: Framework,
    /// The offer that was used.
    pub offer: Offer,
    /// ExecutorInfo.
    pub info: Value,
    /// The executor.
    pub executor: Subscribed,
}

impl Stage {
    /// Sets it up for a framework of the usual kind, with one task.
    pub async fn set(context: &Context, task: &str) -> Outcome<Self> {
        Self::set_for(Framework::subscribe(context).await?, task).await
    }

    /// Sets it up for this framework.
    pub async fn set_for(framework: Framework, task: &str) -> Outcome<Self> {
        let planned = Planned::new(&framework, &framework.context().unique("executor"));
        Self::set_planned(framework, task, planned).await
    }

    /// Sets it up with this executor.
    pub async fn set_planned(framework: Framework, task: &str, planned: Planned) -> Outcome<Self> {
        let offer = framework.offer().await?;
        let info = planned.info.clone();
        framework.launch(&offer, vec![tasks::executor_task(task, &offer.agent, &info)]).await?;
        let executor = planned.start(framework.context()).await?.subscribe().await?;
        executor.launched(task).await?;
        Ok(Self { framework, offer, info, executor })
    }

    /// Lets the task run, up to the scheduler's acknowledgement.
    pub async fn run(&self, task: &str) -> Outcome<Value> {
        self.executor.say(task, "TASK_RUNNING").await?;
        self.framework.reach(task, "TASK_RUNNING").await
    }
}

//! The framework that a case plays.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use muster_api::clock;
use serde_json::{Value, json};

use crate::{
    context::{Context, SOON},
    encoding::Side,
    events::{Arrived, Events},
    http::Answer,
    outcome::{Outcome, differs, equal, holds},
    tasks::{launch, with},
};

/// A case needs so many CPUs of an offer, and no more.
const ENOUGH_CPUS: f64 = 1.0;
/// What is offered for so long is what there is.
const STEADY: Duration = Duration::from_secs(10);

/// A subscribed framework.
#[derive(Clone)]
pub struct Framework {
    context: Context,
    /// Its id.
    pub id: String,
    /// The id of its stream.
    pub stream: String,
    /// Its stream.
    pub events: Arc<Events>,
    /// Its description, without the id.
    pub info: Value,
    /// The body of its SUBSCRIBED.
    pub subscribed: Value,
    /// The roles that it wanted no offers for when it subscribed.
    suppressed: Value,
    /// The uuids of what it has acknowledged, on all of its streams. Any of these may come once
    /// more, sent before its acknowledgement was there.
    acknowledged: Arc<Mutex<BTreeSet<String>>>,
}

/// An offer.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// Its id.
    pub id: String,
    /// The agent that it is of.
    pub agent: String,
    /// All of it.
    pub value: Value,
}

impl Offer {
    /// What an event says of an offer.
    pub fn of(value: &Value) -> Self {
        let text = |field: &str| value[field]["value"].as_str().unwrap_or_default().to_owned();
        Self { id: text("id"), agent: text("agent_id"), value: value.clone() }
    }

    /// How much of a scalar resource it has.
    pub fn scalar(&self, name: &str) -> f64 {
        let resources = self.value["resources"].as_array().into_iter().flatten();
        let named = resources.filter(|resource| resource["name"] == name);
        named.filter_map(|resource| resource["scalar"]["value"].as_f64()).sum()
    }

    /// The ids of the executors that it names.
    pub fn executors(&self) -> Vec<String> {
        let ids = self.value["executor_ids"].as_array().into_iter().flatten();
        ids.filter_map(|id| id["value"].as_str()).map(str::to_owned).collect()
    }
}

impl Framework {
    /// Subscribes as most cases do.
    pub async fn subscribe(context: &Context) -> Outcome<Self> {
        Self::subscribe_as(context, context.framework_info()).await
    }

    /// Subscribes with states that know of partitions.
    pub async fn subscribe_aware(context: &Context) -> Outcome<Self> {
        let capabilities = json!([{"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}]);
        Self::subscribe_as(context, with(context.framework_info(), "capabilities", capabilities))
            .await
    }

    /// Subscribes with this description.
    pub async fn subscribe_as(context: &Context, info: Value) -> Outcome<Self> {
        let body = json!({"framework_info": info});
        Self::open(context, &json!({"type": "SUBSCRIBE", "subscribe": body})).await
    }

    /// Subscribes and wants no offers.
    pub async fn subscribe_suppressed(context: &Context) -> Outcome<Self> {
        Self::suppressed_as(context, context.framework_info()).await
    }

    /// Subscribes with this description and wants no offers.
    pub async fn suppressed_as(context: &Context, info: Value) -> Outcome<Self> {
        let roles = info["roles"].clone();
        let body = json!({"framework_info": info, "suppressed_roles": roles});
        Self::open(context, &json!({"type": "SUBSCRIBE", "subscribe": body})).await
    }

    /// Subscribes anew with the id that it has, and wants no more offers than before.
    pub async fn subscribe_again(&self) -> Outcome<Self> {
        let info = with(self.info.clone(), "id", json!({"value": self.id}));
        let call = json!({
            "type": "SUBSCRIBE",
            "framework_id": {"value": self.id},
            "subscribe": {"framework_info": info, "suppressed_roles": self.suppressed},
        });
        let acknowledged = self.acknowledged.clone();
        Ok(Self { acknowledged, ..Self::open(&self.context, &call).await? })
    }

    /// Sends a SUBSCRIBE and takes its first event, which is to be SUBSCRIBED.
    pub async fn open(context: &Context, call: &Value) -> Outcome<Self> {
        let events = Arc::new(open_stream(context, call).await?);
        let head = events.head();
        equal("status of SUBSCRIBE", head.status, 200)?;
        let stream = head.header("mesos-stream-id").as_str().unwrap_or_default().to_owned();
        let first = events.next(SOON).await?.event;
        equal("type of the first event", first["type"].clone(), "SUBSCRIBED")?;
        let subscribed = first["subscribed"].clone();
        let id = subscribed["framework_id"]["value"].as_str().unwrap_or_default().to_owned();
        holds("id of the framework", !id.is_empty(), &subscribed, "one")?;
        let mut info = call["subscribe"]["framework_info"].clone();
        info.as_object_mut().and_then(|info| info.remove("id"));
        context.leave(&id, &stream, &info, &events);
        let suppressed = &call["subscribe"]["suppressed_roles"];
        let suppressed = if suppressed.is_null() { json!([]) } else { suppressed.clone() };
        let (context, acknowledged) = (context.clone(), Arc::default());
        Ok(Self { context, id, stream, events, info, subscribed, suppressed, acknowledged })
    }

    /// Closes the connection of the stream.
    pub fn disconnect(&self) {
        self.events.close();
    }

    /// The case.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// A call of this framework.
    pub fn call(&self, kind: &str, body: Option<Value>) -> Value {
        let mut call = json!({"type": kind, "framework_id": {"value": self.id}});
        if let Some(body) = body {
            call[kind.to_lowercase()] = body;
        }
        call
    }

    /// Sends a call, whatever it is, on this framework's stream.
    pub async fn send(&self, call: &Value) -> Outcome<Answer> {
        let request = self.context.scheduler_request(call)?.with("Mesos-Stream-Id", &self.stream);
        self.context.ask_master(&request).await
    }

    /// Sends a call that is to be taken.
    pub async fn tell(&self, kind: &str, body: Value) -> Outcome {
        self.send(&self.call(kind, Some(body))).await?.accepted()
    }

    /// Sends a call without a body, which is to be taken.
    pub async fn tell_only(&self, kind: &str) -> Outcome {
        self.send(&self.call(kind, None)).await?.accepted()
    }

    /// The next offer that is enough for a case, of the agent on this host if that matters.
    /// Others are declined for a moment.
    pub async fn offer(&self) -> Outcome<Offer> {
        loop {
            let event = self.events.take("OFFERS", SOON, |event| event["type"] == "OFFERS").await?;
            let mut found = None;
            let mut others = Vec::new();
            for offer in event.event["offers"]["offers"].as_array().into_iter().flatten() {
                let offer = Offer::of(offer);
                self.context.most_cpus(&offer.agent, offer.scalar("cpus"));
                let agent_is_it = self.context.agent_id().is_none_or(|id| id == offer.agent);
                let fits = agent_is_it && offer.scalar("cpus") >= ENOUGH_CPUS;
                if fits && found.is_none() {
                    found = Some(offer);
                } else {
                    others.push(json!({"value": offer.id}));
                }
            }
            if !others.is_empty() {
                let filters = json!({"refuse_seconds": 0.5});
                self.tell("DECLINE", json!({"offer_ids": others, "filters": filters})).await?;
            }
            if let Some(offer) = found {
                return Ok(offer);
            }
        }
    }

    /// An offer of an agent on which nothing of an earlier case ends any more: it has all that was
    /// ever offered of it, or, where others use the agent too, the same for a while.
    pub async fn steady_offer(&self) -> Outcome<Offer> {
        let mut offer = self.offer().await?;
        let mut since = clock::mono();
        loop {
            let cpus = offer.scalar("cpus");
            let most = self.context.most_cpus(&offer.agent, cpus);
            if same_amount(cpus, most) || clock::mono().since(since) >= STEADY {
                return Ok(offer);
            }
            self.decline(&offer, 0.5).await?;
            let next = self.offer().await?;
            if next.agent != offer.agent || !same_amount(next.scalar("cpus"), cpus) {
                since = clock::mono();
            }
            offer = next;
        }
    }

    /// Declines an offer for so many seconds.
    pub async fn decline(&self, offer: &Offer, seconds: f64) -> Outcome {
        let filters = json!({"refuse_seconds": seconds});
        self.tell("DECLINE", json!({"offer_ids": [{"value": offer.id}], "filters": filters})).await
    }

    /// Accepts an offer with these operations; what is left comes back at once.
    pub async fn accept(&self, offer: &Offer, operations: Vec<Value>) -> Outcome {
        let body = json!({
            "offer_ids": [{"value": offer.id}],
            "operations": operations,
            "filters": {"refuse_seconds": 0.0},
        });
        self.tell("ACCEPT", body).await
    }

    /// Launches tasks on an offer.
    pub async fn launch(&self, offer: &Offer, tasks: Vec<Value>) -> Outcome {
        self.accept(offer, vec![launch(tasks)]).await
    }

    /// The next status of a task but for those that were acknowledged: these may come again.
    pub async fn status(&self, task: &str) -> Outcome<Value> {
        Ok(self.update(task).await?.event["update"]["status"].clone())
    }

    /// The same as it arrived.
    pub async fn update(&self, task: &str) -> Outcome<Arrived> {
        let what = format!("UPDATE of {task}");
        let is_it = |event: &Value| is_update_of(event, task) && !self.has_acknowledged(event);
        self.events.take(&what, SOON, is_it).await
    }

    /// Holds if no UPDATE comes for so long but of these statuses and of those that are
    /// acknowledged: any status may come again.
    pub async fn no_update_but(&self, those: &[&Value], during: Duration) -> Outcome {
        let is_other = |event: &Value| {
            let uuid = &event["update"]["status"]["uuid"];
            let is_of_those = uuid.is_string() && those.iter().any(|it| it["uuid"] == *uuid);
            event["type"] == "UPDATE" && !is_of_those && !self.has_acknowledged(event)
        };
        self.events.none("UPDATE", during, is_other).await
    }

    fn has_acknowledged(&self, update: &Value) -> bool {
        let uuid = update["update"]["status"]["uuid"].as_str();
        uuid.is_some_and(|uuid| self.uuids().contains(uuid))
    }

    fn uuids(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Acknowledges a status.
    pub async fn acknowledge(&self, status: &Value) -> Outcome {
        self.uuids().extend(status["uuid"].as_str().map(str::to_owned));
        let body = json!({
            "agent_id": status["agent_id"],
            "task_id": status["task_id"],
            "uuid": status["uuid"],
        });
        self.tell("ACKNOWLEDGE", body).await
    }

    /// Acknowledges the statuses of a task until it is in this state, and that one too.
    pub async fn reach(&self, task: &str, state: &str) -> Outcome<Value> {
        loop {
            let status = self.status(task).await?;
            if !status["uuid"].is_null() {
                self.acknowledge(&status).await?;
            }
            if status["state"] == state {
                return Ok(status);
            }
            if is_terminal(&status) {
                return Err(differs(&format!("state of {task}"), &status, state));
            }
        }
    }

    /// Kills a task.
    pub async fn kill(&self, task: &str) -> Outcome {
        self.tell("KILL", json!({"task_id": {"value": task}})).await
    }
}

/// Opens a stream with a SUBSCRIBE, whatever its answer.
pub async fn open_stream(context: &Context, call: &Value) -> Outcome<Events> {
    let request = context.scheduler_request(call)?;
    let master = &context.target().master;
    Ok(Events::open(master, &request, context.encoding(), Side::Scheduler).await?)
}

/// Whether two amounts are the same; Mesos counts in thousandths.
pub fn same_amount(one: f64, other: f64) -> bool {
    (one - other).abs() < 0.0005
}

/// Whether an event is an UPDATE of this task.
pub fn is_update_of(event: &Value, task: &str) -> bool {
    event["type"] == "UPDATE" && event["update"]["status"]["task_id"]["value"] == task
}

fn is_terminal(status: &Value) -> bool {
    let terminal = [
        "TASK_FINISHED",
        "TASK_FAILED",
        "TASK_KILLED",
        "TASK_ERROR",
        "TASK_LOST",
        "TASK_DROPPED",
        "TASK_GONE",
    ];
    terminal.iter().any(|state| status["state"] == *state)
}

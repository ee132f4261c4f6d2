//! Plays a recording, line by line.

mod offers;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use muster_proto::json::base64;
use serde_json::Value;

use super::{
    Accepted, Difference,
    compare::Comparison,
    executors::Executors,
    names::Names,
    offers::Held,
    recording::{Answered, Asked, Came, Done, Exchange, Line, Recording},
    setting::Setting,
    subjects::{body, encoding_of, is_like, place, place_of, subject},
};
use crate::{
    encoding::{Encoding, Side},
    events::Events,
    http::{self, Head, Request},
    outcome::Outcome,
    remote::Remote,
};

/// How long an event may take that was recorded next. It is for one that never comes, on whatever
/// machine: what was recorded after 10 s comes after 10 s.
const PATIENCE: Duration = Duration::from_secs(60);
/// What was not recorded may come for so long after the last line.
const AFTERWARDS: Duration = Duration::from_millis(300);
/// The same where the recordings accept that it does not come.
const LITTLE_PATIENCE: Duration = Duration::from_secs(2);
/// Between two attempts to reach an agent that starts again.
const AGAIN: Duration = Duration::from_millis(100);

/// Plays one recording.
pub struct Player<'a> {
    setting: &'a Setting,
    recording: &'a Recording,
    accepted: &'a Accepted,
    offers: BTreeMap<String, Value>,
    names: Names,
    held: Held,
    executors: Executors,
    streams: BTreeMap<(Option<String>, String), Arc<Events>>,
    current: Option<Arc<Events>>,
    /// Updates that were met, as they came; the same again is a repetition.
    updates: Vec<Value>,
    /// Executors whose process has ended, as it was recorded.
    ended: BTreeSet<String>,
    found: Vec<Difference>,
}

impl<'a> Player<'a> {
    /// A player of this recording.
    pub fn new(setting: &'a Setting, recording: &'a Recording, accepted: &'a Accepted) -> Self {
        Self {
            setting,
            recording,
            accepted,
            offers: recording.offers(),
            names: Names::default(),
            held: Held::default(),
            executors: Executors::default(),
            streams: BTreeMap::new(),
            current: None,
            updates: Vec::new(),
            ended: BTreeSet::new(),
            found: Vec::new(),
        }
    }

    /// Plays it, and gives what differed.
    pub async fn play(mut self) -> Vec<Difference> {
        for line in &self.recording.lines {
            let played = match line {
                Line::Came(came) => self.came(came).await,
                Line::Done(done) => self.done(done).await,
            };
            if let Err(failure) = played {
                self.differs(place(line), failure.to_string());
            }
        }
        tokio::time::sleep(AFTERWARDS).await;
        self.not_recorded();
        self.found
    }

    fn differs(&mut self, place: String, what: String) {
        let scenario = self.recording.name.clone();
        self.found.push(Difference { scenario, place, what });
    }

    async fn done(&mut self, done: &Done) -> Outcome {
        match done {
            Done::Call(exchange) => self.call(exchange).await,
            Done::Subscribe(exchange) => self.subscribe(exchange).await,
            Done::Close { on } => {
                if let Some(events) = self.streams.get(&(None, on.clone())) {
                    self.held.clear();
                    events.close();
                }
                Ok(())
            }
            Done::End { by, status } => {
                self.ended.insert(by.clone());
                let remote = self.executors.remote(by).await?;
                match (status >> 8, status & 0x7f) {
                    (code, 0) => remote.exit(u8::try_from(code).unwrap_or(u8::MAX)).await,
                    (_, signal) => remote.signal(signal).await,
                }
            }
            Done::Wait { seconds } => {
                tokio::time::sleep(Duration::from_secs(*seconds)).await;
                Ok(())
            }
            Done::Agent { order } => self.setting.agent(order),
        }
    }

    /// The request of now.
    async fn request(&mut self, asked: &Asked, by: Option<&str>) -> Outcome<Request> {
        let side = if by.is_some() { Side::Executor } else { Side::Scheduler };
        let encoding = if asked.protobuf.is_some() { Encoding::Protobuf } else { Encoding::Json };
        let body =
            match (asked.json.as_ref().or(asked.protobuf.as_ref()), &asked.text, &asked.bytes) {
                (Some(call), ..) => {
                    self.find_offers(call).await?;
                    let mut call = self.names.translate_value(call);
                    let Setting { target, remotes, .. } = self.setting;
                    self.executors.prepare(&self.recording.name, &mut call, target, remotes);
                    encoding.encode_call(side, &call)?
                }
                (None, Some(text), _) => text.clone().into_bytes(),
                (None, None, Some(bytes)) => base64::decode(bytes).unwrap_or_default(),
                (None, None, None) => Vec::new(),
            };
        let mut headers = asked.headers.clone();
        for (name, value) in &mut headers {
            *value = if name == "Authorization" {
                self.setting.authorization(value)
            } else {
                self.names.translate(value)
            };
        }
        Ok(Request { method: asked.method.clone(), path: asked.path.clone(), headers, body })
    }

    async fn call(&mut self, exchange: &Exchange) -> Outcome {
        if exchange.by.is_none() && exchange.request.is("KILL") {
            // A task that is killed while its executor is fetched never has a process.
            self.executors.arrive(self.recording).await?;
        }
        let request = self.request(&exchange.request, exchange.by.as_deref()).await?;
        let answer = match &exchange.by {
            None => http::exchange(&self.setting.target.master, &request).await?,
            Some(by) => {
                let remote = self.executors.remote(by).await?;
                remote.request(&agent_of(&remote), &request).await?
            }
        };
        self.compare_head(&exchange.step, &exchange.answer, &answer.head);
        if let Some(then) = &exchange.answer.body {
            let now = self.executors.as_recorded(&answer.text());
            self.compare(&format!("{} answer/body", exchange.step), &body(then), &body(&now));
        }
        Ok(())
    }

    async fn subscribe(&mut self, exchange: &Exchange) -> Outcome {
        let request = self.request(&exchange.request, exchange.by.as_deref()).await?;
        let encoding = encoding_of(&request);
        let events = match &exchange.by {
            None => {
                let master = &self.setting.target.master;
                Events::open(master, &request, encoding, Side::Scheduler).await?
            }
            Some(by) => self.reach(by, &request, encoding).await?,
        };
        self.compare_head(&exchange.step, &exchange.answer, events.head());
        let stream = events.head().header("mesos-stream-id");
        if let (Some(then), Some(now)) =
            (exchange.answer.headers.get("mesos-stream-id"), stream.as_str())
        {
            self.names.learn(then, now);
        }
        let number = exchange.step.split('-').next().unwrap_or_default().to_owned();
        let events = Arc::new(events);
        if exchange.by.is_none() {
            self.held.clear();
            self.current = Some(events.clone());
        }
        self.streams.insert((exchange.by.clone(), number), events);
        Ok(())
    }

    /// An executor tries again while its agent is away.
    async fn reach(&mut self, by: &str, request: &Request, encoding: Encoding) -> Outcome<Events> {
        let remote = self.executors.remote(by).await?;
        let mut tried = Duration::ZERO;
        loop {
            match remote.open(&agent_of(&remote), request, encoding).await {
                Ok((_, events)) if events.head().status != 503 => return Ok(events),
                Err(failure) if tried >= PATIENCE => return Err(failure),
                _ => {}
            }
            tokio::time::sleep(AGAIN).await;
            tried += AGAIN;
        }
    }

    fn compare_head(&mut self, step: &str, then: &Answered, now: &Head) {
        let status = (Value::from(then.status), Value::from(now.status));
        self.compare(&format!("{step} answer/status"), &status.0, &status.1);
        for (name, then) in &then.headers {
            if name == "content-length" && then != "0" || name == "mesos-stream-id" {
                continue;
            }
            let place = format!("{step} answer/{name}");
            self.compare(&place, &Value::from(then.as_str()), &now.header(name));
        }
    }

    async fn came(&mut self, came: &Came) -> Outcome {
        let Some(events) = self.streams.get(&(came.by.clone(), came.on.clone())).cloned() else {
            return Ok(());
        };
        let kind = came.event["type"].as_str().unwrap_or_default();
        // Offers are compared when they are used; heartbeats have a clock of their own.
        if kind == "OFFERS" || kind == "HEARTBEAT" {
            return Ok(());
        }
        if kind == "RESCIND" {
            return self.rescinded(&events).await;
        }
        let place = place_of(&came.event);
        let (what, subject) = (place.clone(), subject(&came.event));
        let repeats = self.is_repetition(&came.event);
        let updates = std::mem::take(&mut self.updates);
        let is_missed = self.accepted.knows(&self.recording.name, &place);
        let patience = if is_missed { LITTLE_PATIENCE } else { PATIENCE };
        let arrived = events
            .take(&what, patience, |event| {
                is_like(&came.event, &subject, event) && updates.contains(event) == repeats
            })
            .await;
        self.updates = updates;
        let now = arrived?.event;
        if kind == "UPDATE" {
            self.updates.push(now.clone());
        }
        let now: Value = self.names_of_commands(&now);
        self.compare(&place, &events.as_read_here(&came.event)?, &now);
        Ok(())
    }

    fn names_of_commands(&self, event: &Value) -> Value {
        let text = self.executors.as_recorded(&event.to_string());
        serde_json::from_str(&text).unwrap_or_else(|_| event.clone())
    }

    /// Whether the recording has this update twice, and this is the second one.
    fn is_repetition(&self, then: &Value) -> bool {
        let uuid = &then["update"]["status"]["uuid"];
        let Some(uuid) = uuid.as_str() else { return false };
        let now = self.names.translate(uuid);
        self.updates.iter().any(|update| update["update"]["status"]["uuid"] == now)
    }

    fn compare(&mut self, place: &str, then: &Value, now: &Value) {
        let mut comparison = Comparison { names: &mut self.names, found: Vec::new() };
        comparison.values(place, then, now);
        for unlike in comparison.found {
            self.differs(unlike.path, unlike.what);
        }
    }

    /// What came and was not recorded, apart from repetitions, and from acknowledgements to an executor
    /// that has ended: whether it could still read them is a matter of time, then as now.
    fn not_recorded(&mut self) {
        for ((by, _), events) in std::mem::take(&mut self.streams) {
            let has_ended = by.is_some_and(|by| self.ended.contains(&by));
            for arrived in events.drain() {
                let event = arrived.event;
                let expected = match event["type"].as_str().unwrap_or_default() {
                    "HEARTBEAT" | "OFFERS" | "RESCIND" => true,
                    "ACKNOWLEDGED" => has_ended,
                    _ => self.updates.contains(&event),
                };
                if !expected {
                    self.differs(format!("{} unexpected", place_of(&event)), event.to_string());
                }
            }
        }
    }
}

fn agent_of(remote: &Remote) -> String {
    remote.hello.environment.get("MESOS_AGENT_ENDPOINT").cloned().unwrap_or_default()
}

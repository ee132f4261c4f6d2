//! A master with two frameworks, one of its own process and one over HTTP, and agents that say
//! whatever the bytes hold.

use std::time::Duration;

use muster_api::{
    AgentId, Now,
    step::{Records, Write},
};
use muster_master::core::{
    Connection, Effect, Event, Foreign, Master, Request, Stream, StreamName,
};
use muster_proto::{
    CommandInfo, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, Launch, Offer, Operation,
    OperationType, Resource, TaskId, TaskInfo, TaskStatus,
    agent::{AgentBody, FromAgent, FromMaster},
    scheduler::{self, Accept, Acknowledge, Call, CallType, Subscribe},
};
use prost::Message;

use super::{START, arrives, later, pause_before, records};

/// Tasks that the frameworks launch in all.
const TASKS_MAX: usize = 50;

/// The stream of the framework over HTTP.
const STREAM: Stream = Stream(1);

pub(super) fn check(bytes: &[u8]) {
    let mut world = World::new();
    for record in records(bytes) {
        world.pass(pause_before(&record));
        world.hear(&record);
    }
    world.pass(Duration::from_secs(100));
    let now = world.now;
    Master::restore(2, &world.stored, now).expect("what a master stored it can read");
}

pub(super) struct World {
    master: Master,
    stored: Records,
    now: Now,
    connection: Connection,
    /// The framework of this process, and the other one.
    ours: Option<FrameworkId>,
    theirs: Option<FrameworkId>,
    requests: u64,
    launched: usize,
}

impl World {
    pub(super) fn new() -> Self {
        let stored = Records::new();
        let (master, first) = Master::restore(1, &stored, START).expect("nothing is a valid state");
        let mut world = Self {
            master,
            stored,
            now: START,
            connection: Connection(1),
            ours: None,
            theirs: None,
            requests: 0,
            launched: 0,
        };
        world.store(first.writes);
        world.step(Event::Call(subscribe()));
        let by = world.by(subscribe());
        world.step(Event::Subscribe { by, stream: STREAM });
        world
    }

    fn by(&mut self, call: Call) -> Foreign {
        self.requests += 1;
        Foreign { request: Request(self.requests), principal: None, call }
    }

    /// One record, as the reader of a connection takes it.
    pub(super) fn hear(&mut self, record: &[u8]) {
        let connection = self.connection;
        let Ok(message) = FromAgent::decode(record) else {
            return self.step(Event::Disconnected { connection });
        };
        match message.body {
            None | Some(AgentBody::LogData(_)) => {}
            Some(AgentBody::Hello(hello)) => {
                self.connection = Connection(connection.0 + 1);
                self.step(Event::Hello { connection: self.connection, hello });
            }
            Some(body) => self.step(Event::FromAgent { connection, body }),
        }
    }

    /// The two frameworks, and the agent that has registered.
    pub(super) fn ids(&self) -> ([Option<FrameworkId>; 2], AgentId) {
        let agent = self.master.agents(self.now).remove(0).id;
        ([self.ours.clone(), self.theirs.clone()], agent)
    }

    fn pass(&mut self, span: Duration) {
        let end = later(self.now, span);
        while let Some(at) = self.master.next_wakeup().filter(|at| *at <= end.mono) {
            self.now = later(self.now, at.since(self.now.mono));
            self.step(Event::Tick);
        }
        self.now = end;
    }

    fn step(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let step = self.master.step(self.now, event);
            self.master.check();
            self.store(step.writes);
            for effect in step.effects {
                events.extend(self.answer(effect));
            }
        }
    }

    fn store(&mut self, writes: Vec<Write>) {
        for write in writes {
            match write {
                Write::Put { key, value } => drop(self.stored.insert(key, value)),
                Write::Delete { key } => drop(self.stored.remove(&key)),
            }
        }
    }

    /// What follows from an effect: frameworks launch tasks on what they are offered, and
    /// acknowledge.
    fn answer(&mut self, effect: Effect) -> Vec<Event> {
        match effect {
            Effect::ToAgent { body, .. } => {
                arrives(&FromMaster { term: self.master.term(), body: Some(body) });
                vec![]
            }
            Effect::ToEmbedded(event) => self.react(event, true),
            Effect::ToStream { event, .. } => self.react(event, false),
            _ => vec![],
        }
    }

    fn react(&mut self, event: scheduler::Event, ours: bool) -> Vec<Event> {
        arrives(&event);
        if let Some(subscribed) = event.subscribed {
            let framework = if ours { &mut self.ours } else { &mut self.theirs };
            *framework = subscribed.framework_id;
        }
        let status = event.update.and_then(|update| update.status);
        let offers = event.offers.map(|offers| offers.offers).unwrap_or_default();
        let accepts: Vec<_> = offers.iter().map(|offer| self.accept(offer)).collect();
        let calls = accepts.into_iter().chain(status.and_then(acknowledge));
        calls.map(|call| self.call(call, ours)).collect()
    }

    fn call(&mut self, call: Call, ours: bool) -> Event {
        let framework_id = if ours { self.ours.clone() } else { self.theirs.clone() };
        let call = Call { framework_id, ..call };
        if ours {
            return Event::Call(call);
        }
        Event::Foreign { by: self.by(call), named: StreamName::Open(STREAM) }
    }

    /// Launches one task on an offer: in an executor, or a command. Nothing, after many.
    fn accept(&mut self, offer: &Offer) -> Call {
        let number = self.launched;
        self.launched += 1;
        let command = CommandInfo { value: Some("true".into()), ..CommandInfo::default() };
        let executor = ExecutorInfo {
            executor_id: Some(ExecutorId::new("e")),
            command: Some(command.clone()),
            ..ExecutorInfo::default()
        };
        let is_command = number % 3 == 2;
        let task = TaskInfo {
            name: "t".into(),
            task_id: Some(TaskId::new(format!("t{number}"))),
            agent_id: offer.agent_id.clone(),
            resources: vec![Resource::scalar("cpus", 0.5), Resource::scalar("mem", 32.0)],
            executor: (!is_command).then_some(executor),
            command: is_command.then_some(command),
            ..TaskInfo::default()
        };
        let task_infos = if number < TASKS_MAX { vec![task] } else { vec![] };
        let launch = Operation {
            r#type: Some(OperationType::Launch as i32),
            launch: Some(Launch { task_infos }),
            ..Operation::default()
        };
        let accept = Accept {
            offer_ids: offer.id.iter().cloned().collect(),
            operations: vec![launch],
            ..Accept::default()
        };
        Call { r#type: Some(CallType::Accept as i32), accept: Some(accept), ..Call::default() }
    }
}

fn subscribe() -> Call {
    let framework_info =
        Some(FrameworkInfo { user: "u".into(), name: "n".into(), ..FrameworkInfo::default() });
    let subscribe = Some(Subscribe { framework_info, ..Subscribe::default() });
    Call { r#type: Some(CallType::Subscribe as i32), subscribe, ..Call::default() }
}

fn acknowledge(status: TaskStatus) -> Option<Call> {
    let acknowledge = Some(Acknowledge {
        agent_id: status.agent_id,
        task_id: status.task_id,
        uuid: status.uuid?,
    });
    Some(Call { r#type: Some(CallType::Acknowledge as i32), acknowledge, ..Call::default() })
}

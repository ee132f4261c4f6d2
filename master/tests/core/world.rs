//! A master with its clock, and short ways to say what agents and frameworks say.

use std::{collections::BTreeMap, time::Duration};

use muster_api::{
    AgentId, Mono, Now, Resources, Span, Timestamp,
    step::{Records, Write},
    views::{AgentView, OfferView},
};
use muster_master::core::{
    AgentNews, Answer, Connection, Effect, Event, Foreign, InvalidPrincipal, Master, NotDrained,
    NotGone, NotRemoved, Principal, Request, Step, Stream, StreamName,
};
use muster_proto::{
    Address, AgentInfo, Attribute, Capability, CapabilityType, CommandInfo, ExecutorId,
    ExecutorInfo, Filters, FrameworkId, FrameworkInfo, Launch, Offer, OfferId, Operation,
    OperationType, Reason, Resource, TaskId, TaskInfo, TaskState, TaskStatus, Url,
    agent::{
        AgentBody, ExecutorExited, ExecutorHere, Heartbeat, Hello, MasterBody, Status, TaskHere,
    },
    scheduler::{self, Accept, Acknowledge, Call, CallType, Decline, Kill, Reconcile, Subscribe},
};

pub(crate) struct World {
    pub(crate) master: Master,
    pub(crate) records: Records,
    pub(crate) now: Now,
    connections: u64,
    /// The framework of this process: the first that subscribes without a stream.
    ours: Option<FrameworkId>,
    /// The newest stream of each other framework.
    streams: BTreeMap<FrameworkId, Stream>,
    /// What each principal proves itself by, whether or not it still counts.
    secrets: BTreeMap<String, u8>,
    numbers: u64,
}

pub(crate) const START: Now =
    Now { wall: Timestamp::from_millis(1_700_000_000_000), mono: Mono::from_millis(50_000) };

impl World {
    pub(crate) fn new() -> Self {
        Self::restored(Records::new(), START)
    }

    pub(crate) fn restored(records: Records, now: Now) -> Self {
        // Each start has entropy of its own.
        let seed = 7 + records.len() as u64;
        let (master, step) = Master::restore(seed, &records, now).unwrap();
        let mut world = Self {
            master,
            records,
            now,
            connections: 0,
            ours: None,
            streams: BTreeMap::new(),
            secrets: BTreeMap::new(),
            numbers: 0,
        };
        world.store(&step);
        world
    }

    /// The next master on what this one has stored.
    pub(crate) fn restart(self) -> Self {
        Self::restored(self.records, self.now)
    }

    pub(crate) fn step(&mut self, event: Event) -> Step {
        let step = self.master.step(self.now, event);
        self.store(&step);
        step
    }

    pub(crate) fn store(&mut self, step: &Step) {
        for write in &step.writes {
            match write.clone() {
                Write::Put { key, value } => drop(self.records.insert(key, value)),
                Write::Delete { key } => drop(self.records.remove(&key)),
            }
        }
    }

    /// Lets time go by, with a tick whenever the master asked for one.
    pub(crate) fn wait(&mut self, span: Duration) -> Step {
        let end = self.now.mono + span;
        let mut all = Step::default();
        while let Some(at) = self.master.next_wakeup().filter(|at| *at <= end) {
            self.advance_to(at);
            let step = self.step(Event::Tick);
            all.effects.extend(step.effects);
            all.notes.extend(step.notes);
        }
        self.advance_to(end);
        all
    }

    pub(crate) fn advance_to(&mut self, at: Mono) {
        self.now.wall = self.now.wall + at.since(self.now.mono);
        self.now.mono = self.now.mono.max(at);
    }

    /// The first framework that subscribes is the one of this process; all others call over HTTP.
    pub(crate) fn call(&mut self, call: Call) -> Step {
        if self.is_ours(&call) {
            let step = self.step(Event::Call(call));
            if self.ours.is_none() {
                self.ours = subscribed(&step);
            }
            return step;
        }
        self.foreign(call, None)
    }

    fn is_ours(&self, call: &Call) -> bool {
        match &self.ours {
            None => call.r#type == Some(CallType::Subscribe as i32),
            ours => *ours == call.framework_id,
        }
    }

    /// An operator removes a framework.
    pub(crate) fn remove(&mut self, framework: &str) -> Result<Step, NotRemoved> {
        let step = self.master.remove(self.now, framework)?;
        self.store(&step);
        Ok(step)
    }

    /// Lets a principal call with this secret.
    pub(crate) fn let_in(&mut self, principal: &str, secret: u8) -> Result<Step, InvalidPrincipal> {
        let step = self.master.set_credential(self.now, principal, [secret; 32])?;
        self.store(&step);
        self.secrets.insert(principal.to_owned(), secret);
        Ok(step)
    }

    /// Lets a principal call no longer.
    pub(crate) fn revoke(&mut self, principal: &str) -> Option<Step> {
        let step = self.master.revoke_credential(self.now, principal)?;
        self.store(&step);
        Some(step)
    }

    /// A call over HTTP, on the newest stream of its framework. A principal that was never let in is
    /// let in first; one whose credentials are revoked had proved itself before.
    pub(crate) fn foreign(&mut self, call: Call, principal: Option<&str>) -> Step {
        self.numbers += 1;
        let principal = principal.map(|name| {
            if !self.secrets.contains_key(name) {
                self.let_in(name, 1).unwrap();
            }
            Principal { name: name.to_owned(), digest: [self.secrets[name]; 32] }
        });
        let request = Request(self.numbers);
        let id = call.framework_id.clone().unwrap_or_default();
        let is_subscribe = call.r#type == Some(CallType::Subscribe as i32);
        let by = Foreign { request, principal, call };
        if !is_subscribe {
            let named =
                self.streams.get(&id).map_or(StreamName::Missing, |on| StreamName::Open(*on));
            return self.step(Event::Foreign { by, named });
        }
        let stream = Stream(self.numbers);
        let step = self.step(Event::Subscribe { by, stream });
        if let Some(id) = subscribed(&step) {
            self.streams.insert(id, stream);
        }
        step
    }

    /// The stream of a framework ends.
    pub(crate) fn leave(&mut self, id: &FrameworkId) -> Step {
        let stream = self.streams.get(id).copied().unwrap_or(Stream(0));
        self.step(Event::Left { stream })
    }

    /// Subscribes a framework without an id; the answer is its id.
    pub(crate) fn subscribe(&mut self) -> FrameworkId {
        subscribed(&self.call(subscribe(None))).unwrap()
    }

    pub(crate) fn hello(&mut self, hello: Hello) -> (Connection, Step) {
        self.connections += 1;
        let connection = Connection(self.connections);
        let step = self.step(Event::Hello { connection, hello });
        (connection, step)
    }

    pub(crate) fn beat(&mut self, connection: Connection, number: u64) -> Step {
        self.from(connection, AgentBody::Heartbeat(Heartbeat { number }))
    }

    pub(crate) fn from(&mut self, connection: Connection, body: AgentBody) -> Step {
        self.step(Event::FromAgent { connection, body })
    }

    pub(crate) fn disconnect(&mut self, connection: Connection) -> Step {
        self.step(Event::Disconnected { connection })
    }

    /// Registers a new agent of `resources`, with its first heartbeat.
    pub(crate) fn agent(&mut self, host: &str, resources: &str) -> (AgentId, Connection, Step) {
        let (connection, step) = self.hello(hello(host, resources));
        let id = welcomed(&step);
        let step = self.beat(connection, 1);
        (id, connection, step)
    }

    pub(crate) fn status(&mut self, on: Connection, of: &FrameworkId, status: TaskStatus) -> Step {
        let latest_state = status.state;
        let framework_id = Some(of.clone());
        self.from(
            on,
            AgentBody::Status(Status { framework_id, status: Some(status), latest_state }),
        )
    }

    pub(crate) fn exited(&mut self, on: Connection, of: &FrameworkId, executor: &str) -> Step {
        self.from(
            on,
            AgentBody::ExecutorExited(ExecutorExited {
                framework_id: Some(of.clone()),
                executor_id: Some(ExecutorId::new(executor)),
                status: 9,
            }),
        )
    }

    /// The agents as users see them.
    pub(crate) fn agents(&self) -> Vec<AgentView> {
        self.master.agents(self.now)
    }

    /// Declares an agent gone.
    pub(crate) fn mark_gone(&mut self, id: &AgentId) -> Result<Step, NotGone> {
        let step = self.master.mark_gone(self.now, id)?;
        self.store(&step);
        Ok(step)
    }

    /// Has an agent drained.
    pub(crate) fn drain(
        &mut self,
        id: &AgentId,
        deadline: Option<Span>,
    ) -> Result<Step, NotDrained> {
        let step = self.master.drain(self.now, id, deadline)?;
        self.store(&step);
        Ok(step)
    }

    /// Lets an agent be used again.
    pub(crate) fn activate(&mut self, id: &AgentId) -> Result<Step, NotDrained> {
        let step = self.master.activate(self.now, id)?;
        self.store(&step);
        Ok(step)
    }

    /// The outstanding offers of a framework, with their ids and resources.
    pub(crate) fn offers_of(&self, framework: &FrameworkId) -> Vec<Offer> {
        let all = self.master.offers(self.now, 0, 1000);
        let theirs = all.into_iter().filter(|offer| offer.framework == framework.value);
        let message = |view: OfferView| Offer {
            id: Some(OfferId::new(view.id.as_str())),
            framework_id: Some(framework.clone()),
            agent_id: Some(wire(&view.agent)),
            resources: resources(&view.resources.to_string()),
            ..Offer::default()
        };
        theirs.map(message).collect()
    }

    /// What the one agent uses.
    pub(crate) fn used(&self) -> String {
        self.agents()[0].used.to_string()
    }
}

/// A framework subscribed to a master with one agent of 4 cpus and 4096 MiB, and its offer.
pub(crate) struct Cluster {
    pub(crate) world: World,
    pub(crate) framework: FrameworkId,
    pub(crate) agent: AgentId,
    pub(crate) connection: Connection,
    pub(crate) offer: Offer,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        let mut world = World::new();
        let framework = world.subscribe();
        let (agent, connection, step) = world.agent("h1", "cpus:4;mem:4096");
        let [offer] = <[Offer; 1]>::try_from(offers(&step)).unwrap();
        Self { world, framework, agent, connection, offer }
    }

    pub(crate) fn call(&mut self, kind: CallType) -> Call {
        Call {
            framework_id: Some(self.framework.clone()),
            r#type: Some(kind as i32),
            ..Call::default()
        }
    }

    pub(crate) fn accept(&mut self, offers: &[&Offer], tasks: Vec<TaskInfo>, refuse: f64) -> Step {
        let accept = Accept {
            offer_ids: offers.iter().map(|offer| offer.id.clone().unwrap()).collect(),
            operations: vec![launch(tasks)],
            filters: Some(Filters { refuse_seconds: Some(refuse) }),
        };
        let call = Call { accept: Some(accept), ..self.call(CallType::Accept) };
        self.world.call(call)
    }

    /// Launches tasks on all that is offered and keeps the offer of the rest.
    pub(crate) fn launch(&mut self, tasks: Vec<TaskInfo>) -> Step {
        let offer = self.offer.clone();
        let step = self.accept(&[&offer], tasks, 0.0);
        if let Some(offer) = offers(&step).pop() {
            self.offer = offer;
        }
        step
    }

    pub(crate) fn task(&self, id: &str, executor: &str) -> TaskInfo {
        task(id, &self.agent, executor)
    }

    pub(crate) fn decline(&mut self, offers: &[&OfferId], refuse: Option<f64>) -> Step {
        let decline = Decline {
            offer_ids: offers.iter().copied().cloned().collect(),
            filters: refuse.map(|seconds| Filters { refuse_seconds: Some(seconds) }),
        };
        let call = Call { decline: Some(decline), ..self.call(CallType::Decline) };
        self.world.call(call)
    }

    pub(crate) fn acknowledge(&mut self, task: &str, uuid: &[u8]) -> Step {
        let acknowledge = Acknowledge {
            agent_id: Some(wire(&self.agent)),
            task_id: Some(TaskId::new(task)),
            uuid: uuid.to_vec(),
        };
        let call = Call { acknowledge: Some(acknowledge), ..self.call(CallType::Acknowledge) };
        self.world.call(call)
    }

    pub(crate) fn kill(&mut self, task: &str, agent: Option<&AgentId>) -> Step {
        let kill =
            Kill { task_id: Some(TaskId::new(task)), agent_id: agent.map(wire), kill_policy: None };
        let call = Call { kill: Some(kill), ..self.call(CallType::Kill) };
        self.world.call(call)
    }

    /// The states answered to a question about tasks.
    pub(crate) fn reconcile(&mut self, tasks: &[(&str, Option<&AgentId>)]) -> Vec<TaskStatus> {
        let ask = |(task, agent): &(&str, Option<&AgentId>)| scheduler::ReconcileTask {
            task_id: Some(TaskId::new(*task)),
            agent_id: agent.map(wire),
        };
        let reconcile = Reconcile { tasks: tasks.iter().map(ask).collect() };
        let call = Call { reconcile: Some(reconcile), ..self.call(CallType::Reconcile) };
        updates(&self.world.call(call))
    }

    pub(crate) fn status(&mut self, task: &str, state: TaskState) -> Step {
        let framework = self.framework.clone();
        self.world.status(self.connection, &framework, status(task, state))
    }

    /// The hello of the agent, coming back with these tasks and executors.
    pub(crate) fn hello_again(&self, tasks: &[(&str, TaskState)], executors: &[&str]) -> Hello {
        let framework =
            FrameworkInfo { id: Some(self.framework.clone()), ..FrameworkInfo::default() };
        let mut hello = hello("h1", "cpus:4;mem:4096");
        hello.info.as_mut().unwrap().id = Some(wire(&self.agent));
        hello.tasks = tasks
            .iter()
            .map(|(id, state)| TaskHere {
                framework_id: framework.id.clone(),
                task: Some(self.task(id, "e1")),
                state: *state as i32,
            })
            .collect();
        hello.executors = executors
            .iter()
            .map(|id| ExecutorHere {
                framework: Some(framework.clone()),
                executor: Some(executor(id)),
                ..ExecutorHere::default()
            })
            .collect();
        hello
    }

    /// The agent comes back on a new connection; its first heartbeat is the second step.
    pub(crate) fn come_back(&mut self, hello: Hello) -> (Step, Step) {
        let (connection, first) = self.world.hello(hello);
        self.connection = connection;
        let second = self.world.beat(connection, 1);
        if let Some(offer) = offers(&second).pop() {
            self.offer = offer;
        }
        (first, second)
    }
}

pub(crate) fn wire(id: &AgentId) -> muster_proto::AgentId {
    muster_proto::AgentId::new(id.as_str())
}

pub(crate) fn subscribe(id: Option<&FrameworkId>) -> Call {
    let aware = Capability { r#type: Some(CapabilityType::PartitionAware as i32) };
    let info = FrameworkInfo {
        user: "root".into(),
        name: "muster".into(),
        id: id.cloned(),
        failover_timeout: Some(600.0),
        checkpoint: Some(true),
        capabilities: vec![aware],
        ..FrameworkInfo::default()
    };
    Call {
        framework_id: id.cloned(),
        r#type: Some(CallType::Subscribe as i32),
        subscribe: Some(Subscribe { framework_info: Some(info), ..Subscribe::default() }),
        ..Call::default()
    }
}

/// The SUBSCRIBE of a framework over HTTP, as changed.
pub(crate) fn subscribe_as(id: &str, change: impl FnOnce(&mut FrameworkInfo)) -> Call {
    let mut call = subscribe(Some(&FrameworkId::new(id)));
    change(call.subscribe.as_mut().unwrap().framework_info.as_mut().unwrap());
    call
}

/// Gives a framework roles.
pub(crate) fn in_roles(info: &mut FrameworkInfo, roles: &[&str]) {
    info.roles = roles.iter().map(|role| (*role).to_owned()).collect();
    info.capabilities.push(Capability { r#type: Some(CapabilityType::MultiRole as i32) });
}

/// A call of a framework.
pub(crate) fn call_of(id: &str, kind: CallType) -> Call {
    Call { framework_id: Some(FrameworkId::new(id)), r#type: Some(kind as i32), ..Call::default() }
}

/// An ACCEPT of a framework.
pub(crate) fn accept_of(
    id: &str,
    offers: &[&Offer],
    operations: Vec<Operation>,
    refuse: Option<f64>,
) -> Call {
    let accept = Accept {
        offer_ids: offers.iter().map(|offer| offer.id.clone().unwrap()).collect(),
        operations,
        filters: refuse.map(|seconds| Filters { refuse_seconds: Some(seconds) }),
    };
    Call { accept: Some(accept), ..call_of(id, CallType::Accept) }
}

/// A DECLINE of a framework.
pub(crate) fn decline_of(id: &str, offers: &[&Offer], refuse: Option<f64>) -> Call {
    let decline = Decline {
        offer_ids: offers.iter().map(|offer| offer.id.clone().unwrap()).collect(),
        filters: refuse.map(|seconds| Filters { refuse_seconds: Some(seconds) }),
    };
    Call { decline: Some(decline), ..call_of(id, CallType::Decline) }
}

/// A task of 1 cpu and 64 MiB that is a command.
pub(crate) fn command(id: &str, agent: &AgentId) -> TaskInfo {
    let command = CommandInfo { value: Some("true".into()), ..CommandInfo::default() };
    TaskInfo { executor: None, command: Some(command), ..task(id, agent, "none") }
}

/// The messages of ERROR events.
pub(crate) fn errors(step: &Step) -> Vec<String> {
    to_framework(step).into_iter().filter_map(|event| Some(event.error?.message)).collect()
}

/// The messages of updates.
pub(crate) fn words(step: &Step) -> Vec<String> {
    updates(step).into_iter().filter_map(|status| status.message).collect()
}

/// The agents and executors of FAILURE events.
pub(crate) fn failures(step: &Step) -> Vec<(String, Option<String>, Option<i32>)> {
    let pick = |event: scheduler::Event| {
        let failure = event.failure?;
        let executor = failure.executor_id.map(|id| id.value);
        Some((failure.agent_id?.value, executor, failure.status))
    };
    to_framework(step).into_iter().filter_map(pick).collect()
}

pub(crate) fn resources(text: &str) -> Vec<Resource> {
    let all: Resources = text.parse().unwrap();
    all.iter().map(|(name, amount)| Resource::scalar(name, amount.as_f64())).collect()
}

pub(crate) fn offered(offer: &Offer) -> String {
    let texts: Vec<_> = offer
        .resources
        .iter()
        .map(|one| format!("{}:{}", one.name, one.scalar.unwrap().value))
        .collect();
    texts.join(";")
}

pub(crate) fn hello(host: &str, has: &str) -> Hello {
    Hello {
        version: 1,
        info: Some(AgentInfo {
            hostname: host.into(),
            resources: resources(has),
            attributes: vec![Attribute::text("rack", "r1")],
            ..AgentInfo::default()
        }),
        boot_id: "boot-1".into(),
        url: Some(url_of(host)),
        ..Hello::default()
    }
}

/// Where the executor API of an agent is.
pub(crate) fn url_of(host: &str) -> Url {
    let address = Address { hostname: Some(host.into()), ip: None, port: 5051 };
    Url {
        scheme: "http".into(),
        address: Some(address),
        path: Some("/slave(1)".into()),
        ..Url::default()
    }
}

pub(crate) fn executor(id: &str) -> ExecutorInfo {
    ExecutorInfo {
        executor_id: Some(ExecutorId::new(id)),
        resources: resources("cpus:0.1;mem:32"),
        command: Some(CommandInfo { value: Some("run".into()), ..CommandInfo::default() }),
        ..ExecutorInfo::default()
    }
}

/// A task of 1 cpu and 64 MiB.
pub(crate) fn task(id: &str, agent: &AgentId, executor_id: &str) -> TaskInfo {
    TaskInfo {
        name: id.into(),
        task_id: Some(TaskId::new(id)),
        agent_id: Some(wire(agent)),
        resources: resources("cpus:1;mem:64"),
        executor: Some(executor(executor_id)),
        ..TaskInfo::default()
    }
}

pub(crate) fn launch(tasks: Vec<TaskInfo>) -> Operation {
    Operation {
        r#type: Some(OperationType::Launch as i32),
        launch: Some(Launch { task_infos: tasks }),
        ..Operation::default()
    }
}

/// A status whose uuid is made of the task id.
pub(crate) fn status(task: &str, state: TaskState) -> TaskStatus {
    TaskStatus {
        task_id: Some(TaskId::new(task)),
        state: state as i32,
        uuid: Some(uuid(task)),
        ..TaskStatus::default()
    }
}

pub(crate) fn uuid(task: &str) -> Vec<u8> {
    let mut bytes = format!("{task:0>16}").into_bytes();
    // The variant of RFC 4122.
    bytes[8] = 0x80;
    bytes
}

pub(crate) fn welcomed(step: &Step) -> AgentId {
    let welcome = to_agent(step).into_iter().find_map(|(_, body)| match body {
        MasterBody::Welcome(welcome) => welcome.agent_id,
        _ => None,
    });
    welcome.unwrap().value.parse().unwrap()
}

pub(crate) fn to_agent(step: &Step) -> Vec<(Connection, MasterBody)> {
    let pick = |effect: &Effect| match effect {
        Effect::ToAgent { connection, body } => Some((*connection, body.clone())),
        _ => None,
    };
    step.effects.iter().filter_map(pick).collect()
}

pub(crate) fn to_framework(step: &Step) -> Vec<scheduler::Event> {
    let pick = |effect: &Effect| match effect {
        Effect::ToEmbedded(event) | Effect::ToStream { event, .. } => Some(event.clone()),
        _ => None,
    };
    step.effects.iter().filter_map(pick).collect()
}

/// The framework that a step says is subscribed.
pub(crate) fn subscribed(step: &Step) -> Option<FrameworkId> {
    to_framework(step).into_iter().find_map(|event| event.subscribed?.framework_id)
}

/// The answers to calls over HTTP.
pub(crate) fn answers(step: &Step) -> Vec<Answer> {
    let pick = |effect: &Effect| match effect {
        Effect::Answer { answer, .. } => Some(answer.clone()),
        _ => None,
    };
    step.effects.iter().filter_map(pick).collect()
}

pub(crate) fn news(step: &Step) -> Vec<AgentNews> {
    let pick = |effect: &Effect| match effect {
        Effect::Agent(news) => Some(news.clone()),
        _ => None,
    };
    step.effects.iter().filter_map(pick).collect()
}

pub(crate) fn offers(step: &Step) -> Vec<Offer> {
    to_framework(step)
        .into_iter()
        .flat_map(|event| event.offers.unwrap_or_default().offers)
        .collect()
}

pub(crate) fn rescinded(step: &Step) -> Vec<OfferId> {
    to_framework(step).into_iter().filter_map(|event| event.rescind?.offer_id).collect()
}

pub(crate) fn updates(step: &Step) -> Vec<TaskStatus> {
    to_framework(step).into_iter().filter_map(|event| event.update?.status).collect()
}

/// Task, state and reason of each update.
pub(crate) fn verdicts(step: &Step) -> Vec<(String, TaskState, Option<Reason>)> {
    updates(step).iter().map(verdict).collect()
}

pub(crate) fn verdict(status: &TaskStatus) -> (String, TaskState, Option<Reason>) {
    let reason = status.reason.map(|reason| Reason::try_from(reason).unwrap());
    (status.task_id.clone().unwrap().value, TaskState::try_from(status.state).unwrap(), reason)
}

/// The ids of the tasks that are launched.
pub(crate) fn launched(step: &Step) -> Vec<String> {
    let pick = |(_, body)| match body {
        MasterBody::Launch(launch) => Some(launch.task?.task_id?.value),
        _ => None,
    };
    to_agent(step).into_iter().filter_map(pick).collect()
}

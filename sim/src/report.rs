//! The log of events, and what is said about the runs of seeds.

use std::{collections::BTreeMap, fmt};

use muster_api::step::Write;
use muster_proto::{
    TaskState,
    agent::{AgentBody, MasterBody},
    scheduler,
};

use crate::{
    faults::Fault,
    network::{Between, Packet, Side, WireId},
    oracles::Violation,
};

/// Everything that happened in a world, as lines, and a digest of all of it.
#[derive(Debug)]
pub(crate) struct Log {
    /// The happening that the next lines are of.
    pub(crate) step: u64,
    digest: u64,
    lines: Option<Vec<String>>,
}

impl Log {
    /// A log that keeps only its digest, or its lines as well.
    pub(crate) fn new(keep: bool) -> Self {
        Self { step: 0, digest: 0xcbf2_9ce4_8422_2325, lines: keep.then(Vec::new) }
    }

    /// Takes bytes into the digest (FNV-1a, 64 bits).
    fn digest(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.digest = (self.digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Says what happens: a line begins with the time in seconds and the number of the happening.
    pub(crate) fn line(&mut self, time: u64, words: fmt::Arguments<'_>) {
        let (seconds, millis, step) = (time / 1_000, time % 1_000, self.step);
        let line = format!("{seconds:>5}.{millis:03} #{step:<6} {words}");
        self.digest(line.as_bytes());
        if let Some(lines) = &mut self.lines {
            lines.push(line);
        }
    }

    /// A commit: its keys are shown, and every byte of it counts.
    pub(crate) fn commit(&mut self, time: u64, whose: &str, writes: &[Write]) {
        for write in writes {
            if let Write::Put { value, .. } = write {
                self.digest(value);
            }
        }
        let show = |write: &Write| {
            let sign = if matches!(write, Write::Put { .. }) { '+' } else { '-' };
            format!("{sign}{}", String::from_utf8_lossy(write.key()))
        };
        let keys: Vec<_> = writes.iter().map(show).collect();
        self.line(time, format_args!("{whose}commit {}", keys.join(" ")));
    }

    /// The digest, and the lines if they were kept.
    pub(crate) fn finish(self) -> (u64, Vec<String>) {
        (self.digest, self.lines.unwrap_or_default())
    }
}

/// A packet in the log.
pub(crate) struct Shown<'a> {
    pub(crate) wire: WireId,
    pub(crate) between: &'a Between,
    pub(crate) to: Side,
    pub(crate) packet: &'a Packet,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.between, self.to) {
            (Between::AgentAndMaster { host, .. }, Side::Listener) => {
                write!(f, "host{host} -> master ({}): ", self.wire)?;
            }
            (Between::AgentAndMaster { host, .. }, Side::Dialler) => {
                write!(f, "master -> host{host} ({}): ", self.wire)?;
            }
            (Between::FrameworkAndMaster(caller), Side::Listener) => {
                write!(f, "{caller} -> master ({}): ", self.wire)?;
            }
            (Between::FrameworkAndMaster(caller), Side::Dialler) => {
                write!(f, "master -> {caller} ({}): ", self.wire)?;
            }
            (Between::ExecutorAndAgent { host, executor }, Side::Listener) => {
                write!(f, "host{host}: executor {executor} -> agent: ")?;
            }
            (Between::ExecutorAndAgent { host, executor }, Side::Dialler) => {
                write!(f, "host{host}: agent -> executor {executor}: ")?;
            }
        }
        match self.packet {
            Packet::Challenge { term } => write!(f, "challenge of term {term}"),
            Packet::Hello(hello) => {
                let (tasks, executors) = (hello.tasks.len(), hello.executors.len());
                write!(f, "hello with {tasks} tasks, {executors} executors")
            }
            Packet::FromAgent { body, .. } => show_agent(f, body),
            Packet::FromMaster { body, .. } => show_master(f, body),
            Packet::Calls(calls) => {
                for call in calls {
                    write!(f, "{:?} ", call.r#type())?;
                    if let Some(subscribe) = &call.subscribe {
                        let updates = subscribe.unacknowledged_updates.len();
                        write!(f, "with {updates} updates ")?;
                    }
                    let update = call.update.as_ref();
                    if let Some(status) = update.and_then(|update| update.status.as_ref()) {
                        let task = status.task_id.clone().unwrap_or_default();
                        write!(f, "{task} {:?} ", status.state())?;
                    }
                }
                Ok(())
            }
            Packet::Event(event) => {
                let launch = event.launch.as_ref().and_then(|launch| launch.task.as_ref());
                let kill = event.kill.as_ref().and_then(|kill| kill.task_id.clone());
                let task = launch.and_then(|task| task.task_id.clone()).or(kill);
                write!(f, "{:?} {}", event.r#type(), task.unwrap_or_default())
            }
            Packet::Call { call, .. } => show_call(f, call),
            Packet::Answer(answer) => write!(f, "answer {} {}", answer.status, answer.body),
            Packet::Opened { stream_id } => write!(f, "{stream_id} begins"),
            Packet::Said(event) => show_event(f, event),
            Packet::Closed => f.write_str("closed"),
        }
    }
}

fn show_call(f: &mut fmt::Formatter<'_>, call: &scheduler::Call) -> fmt::Result {
    write!(f, "{:?}", call.r#type())?;
    let operations = call.accept.iter().flat_map(|accept| &accept.operations);
    let launches = operations.flat_map(|operation| &operation.launch);
    let tasks = launches.flat_map(|launch| &launch.task_infos).filter_map(|it| it.task_id.as_ref());
    let asked = call.reconcile.iter().flat_map(|reconcile| &reconcile.tasks);
    let tasks = tasks.chain(asked.filter_map(|task| task.task_id.as_ref()));
    let one = call.kill.as_ref().and_then(|kill| kill.task_id.as_ref());
    let acked = call.acknowledge.as_ref().and_then(|ack| ack.task_id.as_ref());
    tasks.chain(one).chain(acked).try_for_each(|task| write!(f, " {task}"))?;
    let end = call.shutdown.as_ref().and_then(|shutdown| shutdown.executor_id.as_ref());
    end.map_or(Ok(()), |executor| write!(f, " {executor}"))
}

fn show_event(f: &mut fmt::Formatter<'_>, event: &scheduler::Event) -> fmt::Result {
    write!(f, "{:?}", event.r#type())?;
    if let Some(status) = event.update.as_ref().and_then(|update| update.status.as_ref()) {
        let task = status.task_id.clone().unwrap_or_default();
        let message = status.message.clone().unwrap_or_default();
        write!(f, " {task} {:?} {message}", status.state())?;
    }
    let offers = event.offers.iter().flat_map(|body| &body.offers);
    for offer in offers {
        let (id, agent) = (offer.id.clone().unwrap_or_default(), &offer.hostname);
        write!(f, " {id} of {agent}")?;
    }
    let rescinded = event.rescind.as_ref().and_then(|body| body.offer_id.as_ref());
    rescinded.map_or(Ok(()), |offer| write!(f, " {offer}"))?;
    let words = event.error.as_ref().map(|error| error.message.as_str());
    words.map_or(Ok(()), |words| write!(f, " {words}"))
}

fn show_agent(f: &mut fmt::Formatter<'_>, body: &AgentBody) -> fmt::Result {
    match body {
        AgentBody::Heartbeat(heartbeat) => write!(f, "heartbeat {}", heartbeat.number),
        AgentBody::Status(said) => {
            let status = said.status.clone().unwrap_or_default();
            let task = status.task_id.clone().unwrap_or_default();
            let latest = TaskState::try_from(said.latest_state);
            let message = status.message.clone().unwrap_or_default();
            write!(f, "{task} {:?} (latest {latest:?}) {message}", status.state())
        }
        AgentBody::ExecutorExited(exited) => {
            let executor = exited.executor_id.clone().unwrap_or_default();
            write!(f, "executor {executor} exited with {}", exited.status)
        }
        AgentBody::ExecutorMessage(message) => {
            let executor = message.executor_id.clone().unwrap_or_default();
            let (number, bytes) = (message.number.unwrap_or(0), message.data.len());
            write!(f, "message {number} of executor {executor}, {bytes} bytes")
        }
        AgentBody::Hello(_) | AgentBody::LogData(_) | AgentBody::Unsupported(_) => {
            write!(f, "{body:?}")
        }
    }
}

fn show_master(f: &mut fmt::Formatter<'_>, body: &MasterBody) -> fmt::Result {
    match body {
        MasterBody::Welcome(welcome) => {
            write!(f, "welcome {}", welcome.agent_id.clone().unwrap_or_default())
        }
        MasterBody::Refused(refused) => write!(f, "refused: {}", refused.message),
        MasterBody::HeartbeatAnswer(answer) => write!(f, "heartbeat {} answered", answer.number),
        MasterBody::Launch(launch) => {
            let task = launch.task.clone().unwrap_or_default();
            let executor = task.executor.and_then(|executor| executor.executor_id);
            let (task, executor) = (task.task_id.unwrap_or_default(), executor.unwrap_or_default());
            write!(f, "launch {task} on executor {executor}")
        }
        MasterBody::Kill(kill) => write!(f, "kill {}", kill.task_id.clone().unwrap_or_default()),
        MasterBody::ShutdownExecutor(end) => {
            write!(f, "shut down executor {}", end.executor_id.clone().unwrap_or_default())
        }
        MasterBody::Acknowledge(ack) => {
            write!(f, "acknowledge {}", ack.task_id.clone().unwrap_or_default())
        }
        MasterBody::FrameworkMessage(_) => f.write_str("a message for an executor"),
        MasterBody::LaunchGroup(group) => {
            write!(f, "launch of {} tasks together", group.tasks.len())
        }
        MasterBody::MessageTaken(taken) => {
            let executor = taken.executor_id.clone().unwrap_or_default();
            write!(f, "message {} of executor {executor} taken", taken.number)
        }
        MasterBody::Challenge(_) | MasterBody::ReadLog(_) | MasterBody::Unsupported(_) => {
            write!(f, "{body:?}")
        }
    }
}

/// What became of the world of one seed.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// A digest of every event and of every byte that was committed.
    pub digest: u64,
    /// The lines of the log; empty unless they were to be kept.
    pub lines: Vec<String>,
    /// How many things happened.
    pub steps: u64,
    /// How much time went by in the world, in milliseconds.
    pub virtual_ms: u64,
    /// Runs that came to their end.
    pub runs: u64,
    /// Tasks whose code ran.
    pub tasks: u64,
    /// Notices that were delivered.
    pub notices: u64,
    /// The faults that struck.
    pub faults: BTreeMap<Fault, u64>,
    /// The oracle that was broken first, if one was.
    pub violation: Option<Violation>,
}

/// What many seeds came to.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    seeds: u64,
    all: Outcome,
}

impl Summary {
    /// Adds the outcome of one seed.
    pub fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.all.steps += outcome.steps;
        self.all.virtual_ms += outcome.virtual_ms;
        self.all.runs += outcome.runs;
        self.all.tasks += outcome.tasks;
        self.all.notices += outcome.notices;
        for (fault, count) in &outcome.faults {
            *self.all.faults.entry(*fault).or_default() += count;
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { steps, virtual_ms, runs, tasks, notices, faults, .. } = &self.all;
        let (hours, tenths) = (virtual_ms / 3_600_000, virtual_ms / 360_000 % 10);
        writeln!(f, "seeds          {}", self.seeds)?;
        writeln!(f, "steps          {steps}")?;
        writeln!(f, "simulated      {hours}.{tenths} hours")?;
        writeln!(f, "runs           {runs}")?;
        writeln!(f, "tasks          {tasks}")?;
        writeln!(f, "notices        {notices}")?;
        writeln!(f, "faults         {}", faults.values().sum::<u64>())?;
        for (fault, count) in faults {
            writeln!(f, "  {count:>6}  {fault}")?;
        }
        Ok(())
    }
}

//! How executors end, and what that means to the tasks that were in them.
#![allow(clippy::unwrap_used, reason = "this is test code")]

use std::{collections::BTreeMap, time::Duration};

use muster_agent::{
    core::{Agent, Config, Connection, Container, Effect, Entry, Event, Identity, Session, Write},
    supervise::{Exit, Why},
};
use muster_api::{
    Mono, Now, Timestamp, limits,
    task::{
        ENDED_BY_ORDER, ENDED_FOR_NEIGHBOUR, EXIT_STUCK, LABEL_ENDED, LABEL_FENCED, LABEL_LEASE,
        LABEL_STUCK, LABEL_TIMEOUT, STUCK_KILLED, STUCK_TIMED_OUT,
    },
};
use muster_proto::{
    DurationInfo, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, KillPolicy, Labels, Reason,
    Resource, TaskId, TaskInfo, TaskState, TaskStatus,
    agent::{
        Acknowledge, AgentBody, HeartbeatAnswer, Kill, Launch, MasterBody, ShutdownExecutor,
        VERSION,
    },
    executor::Subscribe,
};
use prost::Message;

const SECOND: Duration = Duration::from_secs(1);
const CONNECTION: Connection = Connection(1);
const GRACE: Duration = Duration::from_secs(2);

/// An agent that is registered, with an executor in which some tasks run.
struct Host {
    agent: Agent,
    now: Now,
    journal: Vec<Entry>,
    identity: Identity,
    /// Statuses get numbers for uuids.
    reports: u8,
}

fn config() -> Config {
    Config {
        hostname: "host-a".to_owned(),
        resources: "cpus:4;mem:4096".parse().unwrap(),
        attributes: BTreeMap::new(),
        ip: std::net::Ipv4Addr::LOCALHOST.into(),
        port: 5051,
        boot_id: "boot-1".to_owned(),
        executor_registration: limits::EXECUTOR_REGISTRATION,
        executor_reregistration: limits::FOREIGN_REREGISTRATION,
        authenticate_executors: false,
    }
}

fn framework() -> FrameworkInfo {
    FrameworkInfo { id: Some(FrameworkId::new("f")), ..FrameworkInfo::default() }
}

fn executor() -> ExecutorId {
    ExecutorId::new("e1")
}

fn task(name: &str) -> TaskInfo {
    let executor = ExecutorInfo {
        executor_id: Some(executor()),
        resources: vec![Resource::scalar("cpus", 1.0)],
        labels: Some(Labels::of([(LABEL_LEASE, "1h")])),
        ..ExecutorInfo::default()
    };
    TaskInfo {
        task_id: Some(TaskId::new(name)),
        resources: vec![Resource::scalar("cpus", 0.5)],
        executor: Some(executor),
        ..TaskInfo::default()
    }
}

impl Host {
    fn with(tasks: &[&str]) -> Self {
        let now =
            Now { wall: Timestamp::from_millis(1_000_000), mono: Mono::from_millis(1_000_000) };
        let (agent, _) = Agent::restore(config(), Identity::default(), 1, [], now).unwrap();
        let identity = Identity::default();
        let mut host = Self { agent, now, journal: Vec::new(), identity, reports: 0 };
        host.register();
        for name in tasks {
            let (framework, task) = (Some(framework()), Some(task(name)));
            host.say(MasterBody::Launch(Launch {
                framework,
                task,
                heartbeat: 1,
                ..Launch::default()
            }));
        }
        host.step(Event::Fetched { container: Container::from(&executor()), outcome: Ok(()) });
        host.step(Event::Started { container: Container::from(&executor()), pid: 100 });
        host.subscribe();
        for name in tasks {
            host.report(name, TaskState::Running, None);
        }
        host
    }

    fn subscribe(&mut self) {
        let (session, subscribe) = (Session(1), Subscribe::default());
        self.step(Event::Subscribed {
            session,
            container: Container::from(&executor()),
            subscribe,
        });
    }

    fn register(&mut self) {
        self.step(Event::Challenged { connection: CONNECTION, term: 7, version: VERSION });
        let agent = "agent-1".parse().unwrap();
        self.step(Event::Welcomed { connection: CONNECTION, term: 7, agent });
        self.say(MasterBody::HeartbeatAnswer(HeartbeatAnswer { number: 1 }));
    }

    fn step(&mut self, event: Event) -> Vec<Effect> {
        let step = self.agent.step(self.now, event);
        for write in step.writes {
            match write {
                Write::Entry(entry) => self.journal.push(entry),
                Write::Identity(identity) => self.identity = identity,
            }
        }
        step.effects
    }

    fn say(&mut self, body: MasterBody) -> Vec<Effect> {
        self.step(Event::FromMaster { connection: CONNECTION, term: 7, body: Some(body) })
    }

    /// The executor reports a task, and the framework acknowledges it.
    fn report(&mut self, name: &str, state: TaskState, label: Option<(&str, &str)>) {
        self.reports += 1;
        let uuid = vec![self.reports; 16];
        let status = Box::new(TaskStatus {
            task_id: Some(TaskId::new(name)),
            state: state as i32,
            uuid: Some(uuid.clone()),
            labels: label.map(|label| Labels::of([label])),
            ..TaskStatus::default()
        });
        self.step(Event::Updated { session: Session(1), status });
        let (framework_id, task_id) = (framework().id, Some(TaskId::new(name)));
        self.say(MasterBody::Acknowledge(Acknowledge { framework_id, task_id, uuid }));
    }

    fn kill(&mut self, name: &str) {
        let nanoseconds = i64::try_from(GRACE.as_nanos()).unwrap();
        let kill_policy = Some(KillPolicy { grace_period: Some(DurationInfo { nanoseconds }) });
        let (framework_id, task_id) = (framework().id, Some(TaskId::new(name)));
        self.say(MasterBody::Kill(Kill { framework_id, task_id, kill_policy }));
    }

    fn shut_down(&mut self) {
        let (framework_id, executor_id) = (framework().id, Some(executor()));
        self.say(MasterBody::ShutdownExecutor(ShutdownExecutor { framework_id, executor_id }));
    }

    /// Time passes, and heartbeats are answered.
    fn pass(&mut self, span: Duration) -> Vec<Effect> {
        self.now = Now { wall: self.now.wall + span, mono: self.now.mono + span };
        let effects = self.step(Event::Tick);
        for effect in &effects {
            if let Effect::ToMaster { body: AgentBody::Heartbeat(heartbeat), .. } = effect {
                let number = heartbeat.number;
                self.say(MasterBody::HeartbeatAnswer(HeartbeatAnswer { number }));
            }
        }
        effects
    }

    /// The agent dies and comes back with its journal, the shortest that says the same.
    fn restart(&mut self) {
        self.restart_from_journal();
        let shortest = self.agent.snapshot();
        self.restore(shortest);
        self.register();
    }

    fn restart_from_journal(&mut self) {
        self.restore(self.journal.clone());
        self.register();
    }

    fn restore(&mut self, journal: Vec<Entry>) {
        let restored = Agent::restore(config(), self.identity.clone(), 2, journal, self.now);
        self.agent = restored.unwrap().0;
    }

    /// The executor ends: what its tasks are told.
    fn ends(&mut self, why: Why, status: i32) -> Vec<String> {
        self.step(Event::Left { session: Session(1) });
        let exit = Exit { status, ..Exit::unknown(why) };
        let effects = self.step(Event::Exited { container: Container::from(&executor()), exit });
        let told = effects.into_iter().filter_map(|effect| match effect {
            Effect::ToMaster { body: AgentBody::Status(status), .. } => status.status,
            _ => None,
        });
        told.map(|status| {
            let reason = match why {
                Why::Unstartable => Reason::ContainerLaunchFailed,
                _ => Reason::ExecutorTerminated,
            };
            assert_eq!(status.reason(), reason);
            let labels = status.labels.clone().unwrap_or_default().labels;
            let labels = labels.into_iter().map(|one| (one.key, one.value.unwrap_or_default()));
            let labels: Vec<_> = labels.map(|(name, value)| format!(" {name}={value}")).collect();
            let task = status.task_id.clone().unwrap().value;
            format!("{task} {:?}{}", status.state(), labels.concat())
        })
        .collect()
    }
}

fn told(task: &str, label: Option<(&str, &str)>) -> String {
    let label = label.map(|(name, value)| format!(" {name}={value}")).unwrap_or_default();
    format!("{task} Failed{label}")
}

const NEIGHBOUR: Option<(&str, &str)> = Some((LABEL_ENDED, ENDED_FOR_NEIGHBOUR));
const ORDER: Option<(&str, &str)> = Some((LABEL_ENDED, ENDED_BY_ORDER));
const TIMED_OUT: Option<(&str, &str)> = Some((LABEL_TIMEOUT, "true"));
/// What the executor says of a task that was killed and does not end.
const STUCK: Option<(&str, &str)> = Some((LABEL_STUCK, STUCK_KILLED));
const GAVE_UP: i32 = (EXIT_STUCK as i32) << 8;

#[test]
fn an_executor_that_nobody_ended_may_have_died_of_any_of_its_tasks() {
    for (why, status) in [(Why::Exited, 11), (Why::Exited, 3 << 8), (Why::Lost, -1)] {
        let mut host = Host::with(&["a", "b"]);
        assert_eq!(host.ends(why, status), [told("a", None), told("b", None)], "{why:?}");
    }
}

/// The executor says which of its tasks does not end; that outlives its agent.
#[test]
fn the_neighbours_of_a_task_that_does_not_end_are_told_so() {
    for restarts in [false, true] {
        for (cause, blamed) in [(STUCK_TIMED_OUT, TIMED_OUT), (STUCK_KILLED, ORDER)] {
            let mut host = Host::with(&["a", "b", "c"]);
            host.report("b", TaskState::Killing, Some((LABEL_STUCK, cause)));
            if restarts {
                host.restart();
            }
            let expected = [told("a", NEIGHBOUR), told("b", blamed), told("c", NEIGHBOUR)];
            assert_eq!(host.ends(Why::Exited, GAVE_UP), expected, "{cause}, {restarts}");
        }
    }
}

/// Once it is known that a task does not end its executor cannot be saved, even if the task ends
/// yet: its neighbours have the rest of their 30 s, and it is none of their doing.
#[test]
fn the_neighbours_of_a_task_that_ends_too_late_are_told_so() {
    for restarts_at in [None, Some(TaskState::Killing), Some(TaskState::Killed)] {
        let mut host = Host::with(&["a", "b"]);
        host.kill("b");
        for (state, label) in [(TaskState::Killing, STUCK), (TaskState::Killed, None)] {
            host.report("b", state, label);
            if restarts_at == Some(state) {
                host.restart();
                host.subscribe();
            }
        }
        let told = host.ends(Why::Exited, GAVE_UP);
        assert_eq!(told, [self::told("a", NEIGHBOUR)], "{restarts_at:?}");
    }
}

/// It died of something else before it could give itself up.
#[test]
fn a_task_that_does_not_end_is_not_to_blame_for_a_crash() {
    let mut host = Host::with(&["a", "b"]);
    host.report("b", TaskState::Killing, Some((LABEL_STUCK, STUCK_KILLED)));
    assert_eq!(host.ends(Why::Exited, 11), [told("a", None), told("b", None)]);
}

#[test]
fn an_executor_that_gives_itself_up_unheard_did_so_for_the_task_that_was_killed() {
    let mut host = Host::with(&["a", "b"]);
    host.kill("b");
    assert_eq!(host.ends(Why::Exited, GAVE_UP), [told("a", NEIGHBOUR), told("b", ORDER)]);
    let mut host = Host::with(&["a", "b"]);
    let nobody_knows = [told("a", None), told("b", None)];
    assert_eq!(host.ends(Why::Exited, GAVE_UP), nobody_knows, "each may start again for ever");
}

impl Host {
    /// Time passes until a kill that comes to nothing has the agent end the executor.
    fn lose_patience(&mut self) {
        let mut waited = Duration::ZERO;
        while !self.pass(SECOND).iter().any(|effect| matches!(effect, Effect::End { .. })) {
            waited += SECOND;
            assert!(waited < GRACE + limits::KILL_OVERDUE);
        }
    }

    /// An executor that is ended because it does not end `a`.
    fn frozen() -> Self {
        let mut host = Self::with(&["a", "b"]);
        host.kill("a");
        host.lose_patience();
        host
    }
}

/// Whether or not its agent sees that through itself.
#[test]
fn the_neighbours_in_a_frozen_executor_are_told_so() {
    for restarts in 0..3 {
        let mut host = Host::frozen();
        for _ in 0..restarts {
            host.restart();
        }
        let expected = [told("a", ORDER), told("b", NEIGHBOUR)];
        assert_eq!(host.ends(Why::Ended, 9), expected, "{restarts} restarts");
    }
}

/// SIGTERM thawed it, too late.
#[test]
fn a_task_that_ends_while_its_frozen_executor_is_ended_was_its_culprit() {
    for restarts in 0..3 {
        let mut host = Host::frozen();
        host.report("a", TaskState::Killed, None);
        for _ in 0..restarts {
            host.restart();
        }
        assert_eq!(host.ends(Why::Ended, 15), [told("b", NEIGHBOUR)], "{restarts} restarts");
    }
}

/// A journal from before tasks were named there has the id of the executor alone.
#[test]
fn an_end_in_an_old_journal_is_an_order() {
    let mut host = Host::with(&["a"]);
    let id = executor().encode_to_vec();
    let length = u8::try_from(id.len()).unwrap();
    let old = [vec![5 << 3 | 2, length], id].concat();
    host.journal.push(Entry::decode(&old[..]).unwrap());
    host.restart_from_journal();
    assert_eq!(host.ends(Why::Ended, 9), [told("a", ORDER)]);
}

/// The lease ended it, or nothing was ever started: that somebody also wanted it to end, or that a
/// task of it did not, has nothing to do with that.
#[test]
fn an_end_that_came_before_the_order_counts_for_what_it_was() {
    let fenced = |task: &str| format!("{task} Gone {LABEL_FENCED}=true");
    let failed = |task: &str| format!("{task} Failed");
    for frozen in [false, true] {
        let host = || {
            if frozen {
                return Host::frozen();
            }
            let mut host = Host::with(&["a", "b"]);
            host.shut_down();
            host
        };
        let (at_its_deadline, unstartable) = (Why::Deadline, Why::Unstartable);
        assert_eq!(host().ends(at_its_deadline, 9), [fenced("a"), fenced("b")], "{frozen}");
        assert_eq!(host().ends(unstartable, -1), [failed("a"), failed("b")], "{frozen}");
    }
}

#[test]
fn an_executor_that_is_shut_down_died_of_nothing() {
    let mut host = Host::with(&["a", "b"]);
    host.shut_down();
    assert_eq!(host.ends(Why::Exited, 0), [told("a", ORDER), told("b", ORDER)]);
}

impl Host {
    /// The executor was sent SIGTERM, and says that it ended this task for that.
    fn ends_by_signal(&mut self, name: &str) {
        self.report(name, TaskState::Killed, ORDER);
    }
}

/// The executor does not know why it was told to end. Its supervisor does.
#[test]
fn what_a_signal_to_its_executor_ended_is_told_of_when_it_is_known_why() {
    let fenced = |task: &str| format!("{task} Gone {LABEL_FENCED}=true");
    for restarts in [false, true] {
        for (why, a, b) in [
            (Why::Deadline, fenced("a"), fenced("b")),
            (Why::Ended, told("a", ORDER), told("b", ORDER)),
        ] {
            let mut host = Host::with(&["a", "b", "c"]);
            host.report("c", TaskState::Finished, None);
            host.ends_by_signal("a");
            if restarts {
                host.restart();
                host.subscribe();
                // It may have died before it heard that this is known.
                host.ends_by_signal("a");
            }
            assert_eq!(host.ends(why, 0), [a, b], "{why:?}, {restarts}");
        }
    }
}

/// No task has done it.
#[test]
fn a_signal_that_somebody_else_sent_was_an_order() {
    for why in [Why::Exited, Why::Lost] {
        let mut host = Host::with(&["a", "b"]);
        host.ends_by_signal("a");
        assert_eq!(host.ends(why, 0), [told("a", ORDER), told("b", ORDER)], "{why:?}");
    }
}

#[test]
fn a_task_that_was_killed_has_ended_for_that() {
    let mut host = Host::with(&["a", "b"]);
    host.kill("a");
    host.ends_by_signal("a");
    let fenced = format!("b Gone {LABEL_FENCED}=true");
    assert_eq!(host.ends(Why::Deadline, 0), [fenced]);
}

/// Also where SIGTERM has them end before their executor is gone.
#[test]
fn the_neighbours_in_a_frozen_executor_are_told_so_when_it_is_sent_a_signal() {
    let mut host = Host::frozen();
    host.ends_by_signal("b");
    host.ends_by_signal("a");
    assert_eq!(host.ends(Why::Ended, 0), [told("b", NEIGHBOUR)]);
}

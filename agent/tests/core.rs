//! Scripts for the pure core: what it is told, and exactly what it does then.
#![allow(clippy::unwrap_used, reason = "this is test code")]

use std::{collections::BTreeMap, time::Duration};

use muster_agent::{
    core::{
        Agent, Config, Connection, Effect, Entry, Event, Identity, Note, RestoreError, Session,
        Step, Write,
    },
    supervise::{Exit, Why},
};
use muster_api::{
    Mono, Now, Timestamp, limits,
    task::{self, TaskReport},
};
use muster_proto::{
    DurationInfo, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, KillPolicy, Labels, Reason,
    Resource, TaskId, TaskInfo, TaskState, TaskStatus,
    agent::{
        Acknowledge, AgentBody, HeartbeatAnswer, Kill, Launch, MasterBody, MessageTaken,
        ShutdownExecutor, Status,
    },
    executor::{self, CallMessage, EventType, Subscribe, Update},
};

/// An agent, its clock and its journal.
struct World {
    agent: Agent,
    now: Now,
    journal: Vec<Entry>,
    identity: Identity,
    connections: u64,
}

fn config() -> Config {
    Config {
        hostname: "host-a".to_owned(),
        resources: "cpus:4;mem:4096".parse().unwrap(),
        attributes: BTreeMap::new(),
        port: 5051,
        boot_id: "boot-1".to_owned(),
    }
}

fn id(executor: &str) -> ExecutorId {
    ExecutorId::new(executor)
}

fn framework() -> FrameworkInfo {
    FrameworkInfo { id: Some(FrameworkId::new("f")), ..FrameworkInfo::default() }
}

fn task(name: &str, executor: &str, lease: &str, expect: Option<&str>) -> TaskInfo {
    let executor = ExecutorInfo {
        executor_id: Some(id(executor)),
        resources: vec![Resource::scalar("cpus", 1.0)],
        labels: Some(Labels::of([(task::LABEL_LEASE, lease)])),
        ..ExecutorInfo::default()
    };
    TaskInfo {
        task_id: Some(TaskId::new(name)),
        resources: vec![Resource::scalar("cpus", 0.5)],
        executor: Some(executor),
        labels: expect.map(|expect| Labels::of([(task::LABEL_EXPECT, expect)])),
        ..TaskInfo::default()
    }
}

impl World {
    fn new() -> Self {
        let now =
            Now { wall: Timestamp::from_millis(1_000_000), mono: Mono::from_millis(1_000_000) };
        let (agent, step) = Agent::restore(config(), Identity::default(), 1, [], now).unwrap();
        assert_eq!(step, Step::default());
        let (journal, identity) = (Vec::new(), Identity::default());
        Self { agent, now, journal, identity, connections: 0 }
    }

    fn pass(&mut self, span: Duration) {
        self.now = Now { wall: self.now.wall + span, mono: self.now.mono + span };
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

    fn connection(&self) -> Connection {
        Connection(self.connections)
    }

    /// Connects and registers; the first heartbeat is answered if so wanted.
    fn register(&mut self, answered: bool) -> Vec<Effect> {
        self.connections += 1;
        let connection = self.connection();
        let hello = self.step(Event::Challenged { connection, term: 7 });
        assert!(matches!(hello[..], [Effect::Hello { .. }]));
        let agent = "agent-1".parse().unwrap();
        let effects = self.step(Event::Welcomed { connection, term: 7, agent });
        if answered {
            self.say(MasterBody::HeartbeatAnswer(HeartbeatAnswer { number: 1 }));
        }
        effects
    }

    fn say(&mut self, body: MasterBody) -> Vec<Effect> {
        let connection = self.connection();
        self.step(Event::FromMaster { connection, term: 7, body: Some(body) })
    }

    fn launch(&mut self, task: TaskInfo) -> Vec<Effect> {
        let framework = Some(framework());
        self.say(MasterBody::Launch(Launch { framework, task: Some(task), heartbeat: 1 }))
    }

    /// An executor that is started and subscribed, with one task.
    fn running(&mut self, lease: &str) {
        self.launch(task("t1", "e1", lease, None));
        self.step(Event::Fetched { executor: id("e1"), outcome: Ok(()) });
        self.step(Event::Started { executor: id("e1") });
        self.subscribe(1, Vec::new());
    }

    fn subscribe(&mut self, session: u64, updates: Vec<TaskStatus>) -> Vec<Effect> {
        let updates = updates.into_iter().map(|status| Update { status: Some(status) }).collect();
        let subscribe = Subscribe { unacknowledged_updates: updates, ..Subscribe::default() };
        let session = Session(session);
        self.step(Event::Subscribed { session, executor: id("e1"), subscribe })
    }

    fn update(&mut self, session: u64, state: TaskState, uuid: u8) -> Vec<Effect> {
        let status = Box::new(report(state, uuid));
        self.step(Event::Updated { session: Session(session), status })
    }

    fn acknowledge(&mut self, uuid: Vec<u8>) -> Vec<Effect> {
        let framework_id = framework().id;
        let task_id = Some(TaskId::new("t1"));
        self.say(MasterBody::Acknowledge(Acknowledge { framework_id, task_id, uuid }))
    }

    fn exit(&mut self, why: Why) -> Vec<Effect> {
        let output = Some("last words".to_owned());
        let exit = Exit { status: 9, output, ..Exit::unknown(why) };
        self.step(Event::Exited { executor: id("e1"), exit })
    }

    /// The agent dies and comes back with its journal.
    fn restart(&mut self) -> Vec<Effect> {
        self.pass(Duration::from_secs(1));
        let journal = self.journal.clone();
        let restored = Agent::restore(config(), self.identity.clone(), 2, journal, self.now);
        let (agent, step) = restored.unwrap();
        self.agent = agent;
        self.journal = self.agent.snapshot();
        step.effects
    }
}

fn report(state: TaskState, uuid: u8) -> TaskStatus {
    TaskStatus {
        task_id: Some(TaskId::new("t1")),
        state: state as i32,
        uuid: Some(vec![uuid; 16]),
        ..TaskStatus::default()
    }
}

fn statuses(effects: &[Effect]) -> Vec<Status> {
    let status = |effect: &Effect| match effect {
        Effect::ToMaster { body: AgentBody::Status(status), .. } => Some(status.clone()),
        _ => None,
    };
    effects.iter().filter_map(status).collect()
}

fn states(effects: &[Effect]) -> Vec<(TaskState, TaskState)> {
    let of = |status: &Status| (status.status.as_ref().unwrap().state(), status.latest_state());
    statuses(effects).iter().map(of).collect()
}

fn only_status(effects: &[Effect]) -> TaskStatus {
    let all = statuses(effects);
    assert_eq!(all.len(), 1, "{effects:?}");
    all[0].status.clone().unwrap()
}

fn events(effects: &[Effect]) -> Vec<EventType> {
    let event = |effect: &Effect| match effect {
        Effect::ToExecutor { event, .. } => Some(event.r#type()),
        _ => None,
    };
    effects.iter().filter_map(event).collect()
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn only_the_head_is_in_flight_and_the_rest_follows_in_order() {
    let mut world = World::new();
    world.register(true);
    world.running("1h");
    let first = world.update(1, TaskState::Running, 1);
    assert_eq!(states(&first), [(TaskState::Running, TaskState::Running)]);
    let second = world.update(1, TaskState::Finished, 2);
    assert_eq!(states(&second), [], "it waits for the head");
    assert_eq!(events(&second), [EventType::Acknowledged]);
    assert_eq!(states(&world.update(1, TaskState::Running, 1)), [], "known");
    assert_eq!(states(&world.acknowledge(vec![9; 16])), [], "not the head's uuid");
    let next = world.acknowledge(vec![1; 16]);
    assert_eq!(states(&next), [(TaskState::Finished, TaskState::Finished)]);
    assert_eq!(world.acknowledge(vec![2; 16]), []);
    world.step(Event::Disconnected { connection: world.connection() });
    assert_eq!(statuses(&world.register(true)), [], "it is forgotten");
}

#[test]
fn a_head_is_sent_again_after_10_s_doubling_and_on_each_connection() {
    let mut world = World::new();
    world.register(true);
    world.running("1h");
    world.update(1, TaskState::Running, 1);
    let mut sent_at = Vec::new();
    for second in 1..=75 {
        world.pass(SECOND);
        let effects = world.step(Event::Tick);
        if !statuses(&effects).is_empty() {
            sent_at.push(second);
        }
        for effect in effects {
            if let Effect::ToMaster { body: AgentBody::Heartbeat(heartbeat), .. } = effect {
                let number = heartbeat.number;
                world.say(MasterBody::HeartbeatAnswer(HeartbeatAnswer { number }));
            }
        }
    }
    assert_eq!(sent_at, [10, 30, 70]);
    world.step(Event::Disconnected { connection: world.connection() });
    assert_eq!(states(&world.register(true)).len(), 1);
}

#[test]
fn leases_count_from_when_the_answered_heartbeat_was_sent() {
    let mut world = World::new();
    world.register(true);
    let registered = world.now.mono;
    world.launch(task("t1", "e1", "30s", None));
    world.pass(SECOND * 5);
    assert!(matches!(
        world.step(Event::Tick)[..],
        [Effect::ToMaster { body: AgentBody::Heartbeat(_), .. }]
    ));
    world.pass(SECOND * 3);
    let effects = world.step(Event::Fetched { executor: id("e1"), outcome: Ok(()) });
    let [Effect::Start { deadline, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(*deadline, Some(registered + SECOND * 30));
    let effects = world.say(MasterBody::HeartbeatAnswer(HeartbeatAnswer { number: 2 }));
    let at = registered + SECOND * 35;
    let said = world.now.mono;
    assert_eq!(effects, [Effect::SetDeadline { executor: id("e1"), at, said }]);
    let again = world.say(MasterBody::HeartbeatAnswer(HeartbeatAnswer { number: 1 }));
    assert_eq!(again, [], "a lease never shrinks");
}

/// The agent was frozen for longer than the lease, and its connection was not: for the master,
/// what was to be started here is dead, and may run elsewhere.
#[test]
fn a_lease_that_has_ended_is_not_extended() {
    let mut world = World::new();
    world.register(true);
    world.launch(task("t1", "e1", "30s", None));
    world.pass(SECOND * 60);
    world.step(Event::Tick);
    let effects = world.say(MasterBody::HeartbeatAnswer(HeartbeatAnswer { number: 2 }));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::SetDeadline { .. })));
    let effects = world.step(Event::Fetched { executor: id("e1"), outcome: Ok(()) });
    assert_eq!(states(&effects), [(TaskState::Dropped, TaskState::Dropped)]);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Start { .. })), "{effects:?}");
}

#[test]
fn a_launch_that_counts_on_an_old_answer_is_dropped() {
    for (lease, wait, dropped) in
        [("20s", 19, false), ("20s", 20, true), ("off", 30, false), ("off", 31, true)]
    {
        let mut world = World::new();
        world.register(true);
        world.pass(SECOND * wait);
        let effects = world.launch(task("t1", "e1", lease, None));
        assert_eq!(statuses(&effects).len(), usize::from(dropped), "{lease} after {wait} s");
    }
    // What was answered on the connection before counts for nothing on this one.
    for lease in ["1h", "off"] {
        let mut world = World::new();
        world.register(true);
        world.step(Event::Disconnected { connection: world.connection() });
        world.register(false);
        let status = only_status(&world.launch(task("t1", "e1", lease, None)));
        assert_eq!(status.state(), TaskState::Dropped);
    }
}

#[test]
fn a_heartbeat_is_sent_at_once_and_then_every_5_s() {
    let mut world = World::new();
    let beats = |effects: &[Effect]| -> Vec<u64> {
        let beat = |effect: &Effect| match effect {
            Effect::ToMaster { body: AgentBody::Heartbeat(beat), .. } => Some(beat.number),
            _ => None,
        };
        effects.iter().filter_map(beat).collect()
    };
    assert_eq!(beats(&world.register(true)), [1]);
    let mut sent = Vec::new();
    for second in 1..=10 {
        world.pass(SECOND);
        let numbers = beats(&world.step(Event::Tick));
        sent.extend(numbers.iter().map(|number| (second, *number)));
        for number in numbers {
            world.say(MasterBody::HeartbeatAnswer(HeartbeatAnswer { number }));
        }
    }
    assert_eq!(sent, [(5, 2), (10, 3)]);
}

#[test]
fn a_lease_that_ends_while_artifacts_are_fetched_starts_nothing() {
    let mut world = World::new();
    world.register(true);
    world.launch(task("t1", "e1", "15s", None));
    world.pass(SECOND * 15);
    let effects = world.step(Event::Fetched { executor: id("e1"), outcome: Ok(()) });
    assert_eq!(only_status(&effects).state(), TaskState::Dropped);
}

#[test]
fn what_a_launch_expects_of_its_executor_must_hold() {
    let mut world = World::new();
    world.register(true);
    let status = only_status(&world.launch(task("t0", "e1", "1h", Some("alive"))));
    assert_eq!(status.state(), TaskState::Dropped);
    world.launch(task("t1", "e1", "1h", Some("new")));
    let sibling = world.launch(task("t2", "e1", "1h", Some("new")));
    assert_eq!(statuses(&sibling), [], "of the same start");
    world.step(Event::Disconnected { connection: world.connection() });
    world.register(true);
    let late = world.launch(task("t3", "e1", "1h", Some("new")));
    assert_eq!(only_status(&late).state(), TaskState::Dropped);
    assert_eq!(statuses(&world.launch(task("t4", "e1", "1h", Some("alive")))), []);
    world.exit(Why::Exited);
    let late = world.launch(task("t5", "e1", "1h", Some("new")));
    assert_eq!(only_status(&late).message(), "executor e1 has ended", "ids are not used again");
}

#[test]
fn a_launch_that_comes_twice_starts_once() {
    let mut world = World::new();
    world.register(true);
    world.running("1h");
    assert_eq!(world.launch(task("t1", "e1", "1h", None)), []);
    world.update(1, TaskState::Running, 1);
    let again = world.launch(task("t1", "e1", "1h", None));
    assert_eq!(states(&again), [(TaskState::Running, TaskState::Running)]);
    assert_eq!(events(&again), []);
}

#[test]
fn how_an_executor_ended_decides_what_its_tasks_come_to() {
    use {Reason as R, TaskState as S, Why as W};
    for (why, state, reason) in [
        (W::Exited, S::Failed, R::ExecutorTerminated),
        (W::Lost, S::Failed, R::ExecutorTerminated),
        (W::Ended, S::Failed, R::ExecutorTerminated),
        (W::Deadline, S::Gone, R::ExecutorTerminated),
        (W::Unstartable, S::Failed, R::ContainerLaunchFailed),
        (W::NeverStarted, S::Dropped, R::AgentRestarted),
    ] {
        let mut world = World::new();
        world.register(true);
        world.running("1h");
        assert_eq!(world.exit(why), [], "its stream may hold reports");
        let effects = world.step(Event::Left { session: Session(1) });
        let status = only_status(&effects);
        assert_eq!((status.state(), status.reason()), (state, reason), "{why:?}");
        let report = status.data.map(|data| TaskReport::decode(&data).unwrap());
        let output = report.and_then(|report| report.output);
        assert_eq!(output.is_some(), state == S::Failed, "{why:?}: {output:?}");
        let fenced = status.labels.is_some_and(|labels| labels.get(task::LABEL_FENCED).is_some());
        assert_eq!(fenced, why == W::Deadline);
        let last = effects.last();
        let exited = |body: &AgentBody| matches!(body, AgentBody::ExecutorExited(_));
        assert!(matches!(last, Some(Effect::ToMaster { body, .. }) if exited(body)), "{last:?}");
    }
}

#[test]
fn last_words_of_a_dead_executor_are_heard() {
    let mut world = World::new();
    world.register(true);
    world.running("1h");
    world.exit(Why::Exited);
    world.update(1, TaskState::Finished, 1);
    let effects = world.step(Event::Left { session: Session(1) });
    assert_eq!(statuses(&effects), [], "it had finished");
}

#[test]
fn executors_that_do_not_subscribe_are_ended() {
    let mut world = World::new();
    world.register(true);
    world.launch(task("t1", "e1", "1h", None));
    world.step(Event::Fetched { executor: id("e1"), outcome: Ok(()) });
    world.step(Event::Started { executor: id("e1") });
    world.step(Event::Disconnected { connection: world.connection() });
    assert_eq!(world.agent.next_wakeup(), Some(world.now.mono + limits::EXECUTOR_REGISTRATION));
    world.pass(limits::EXECUTOR_REGISTRATION);
    assert!(matches!(world.step(Event::Tick)[..], [Effect::End { .. }]));
    world.exit(Why::Ended);
    let status = only_status(&world.register(true));
    assert_eq!(status.state(), TaskState::Failed);
    assert_eq!(status.reason(), Reason::ExecutorRegistrationTimeout);
    assert_eq!(status.message(), "its executor did not subscribe within 60 s");
}

#[test]
fn executors_that_do_not_come_back_after_a_restart_are_ended() {
    let mut world = World::new();
    world.register(true);
    world.running("1h");
    let effects = world.restart();
    assert!(effects.contains(&Effect::Attach { executor: id("e1") }));
    world.step(Event::Started { executor: id("e1") });
    world.pass(limits::EXECUTOR_REREGISTRATION);
    assert!(matches!(world.step(Event::Tick)[..], [Effect::End { .. }]));
    world.exit(Why::Ended);
    let status = only_status(&world.register(true));
    assert_eq!(status.state(), TaskState::Gone);
    assert_eq!(status.reason(), Reason::ExecutorReregistrationTimeout);
    assert_eq!(status.message(), "its executor did not subscribe again within 15 s");
}

#[test]
fn a_restart_goes_on_where_the_journal_ends() {
    let mut world = World::new();
    world.register(true);
    world.running("1h");
    world.update(1, TaskState::Running, 1);
    world.update(1, TaskState::Finished, 2);
    world.acknowledge(vec![1; 16]);
    world.restart();
    // What was written down once more says the same.
    world.restart();
    let resent = world.register(true);
    assert_eq!(states(&resent), [(TaskState::Finished, TaskState::Finished)]);
    let effects =
        world.subscribe(1, vec![report(TaskState::Running, 1), report(TaskState::Finished, 2)]);
    assert_eq!(
        events(&effects),
        [EventType::Subscribed, EventType::Acknowledged, EventType::Acknowledged]
    );
    assert_eq!(statuses(&effects), []);
    world.acknowledge(vec![2; 16]);
    world.restart();
    assert_eq!(statuses(&world.register(true)), []);
}

/// The master has it from the hello that the executor lives, and would launch there for ever.
#[test]
fn an_executor_that_ends_between_hello_and_welcome_is_reported_after_it() {
    let mut world = World::new();
    world.register(true);
    world.running("2m");
    let connection = world.connection();
    world.step(Event::Disconnected { connection });
    world.connections += 1;
    let connection = world.connection();
    let hello = world.step(Event::Challenged { connection, term: 7 });
    let [Effect::Hello { hello, .. }] = &hello[..] else { panic!("a hello") };
    assert_eq!((hello.executors.len(), hello.tasks.len()), (1, 1));
    world.step(Event::Left { session: Session(1) });
    world.exit(Why::Exited);
    let agent = "agent-1".parse().unwrap();
    let effects = world.step(Event::Welcomed { connection, term: 7, agent });
    let said = effects.iter().filter_map(|effect| match effect {
        Effect::ToMaster { body, .. } => Some(body),
        _ => None,
    });
    let said: Vec<_> = said.collect();
    let [AgentBody::Heartbeat(_), AgentBody::Status(_), AgentBody::ExecutorExited(exited)] =
        said[..]
    else {
        panic!("the end of the task, then of its executor: {said:?}")
    };
    assert_eq!(exited.executor_id, Some(id("e1")));
}

#[test]
fn kills_reach_tasks_wherever_they_are() {
    let kill = || {
        let (framework_id, task_id) = (framework().id, Some(TaskId::new("t1")));
        MasterBody::Kill(Kill { framework_id, task_id, kill_policy: None })
    };
    let mut world = World::new();
    world.register(true);
    world.launch(task("t1", "e1", "1h", None));
    let status = only_status(&world.say(kill()));
    assert_eq!(status.state(), TaskState::Killed);
    assert_eq!(status.reason(), Reason::TaskKilledDuringLaunch);

    let mut world = World::new();
    world.register(true);
    world.running("1h");
    assert_eq!(events(&world.say(kill())), [EventType::Kill]);
    world.step(Event::Left { session: Session(1) });
    assert_eq!(world.say(kill()), [], "it waits for the executor to come back");
    let back = world.subscribe(2, Vec::new());
    assert_eq!(events(&back), [EventType::Subscribed, EventType::Launch, EventType::Kill]);
}

/// Its process is frozen, say, and whoever kills a task there would wait for ever.
#[test]
fn an_executor_that_does_not_end_a_killed_task_is_ended() {
    let kill = || {
        let (framework_id, task_id) = (framework().id, Some(TaskId::new("t1")));
        let grace = KillPolicy { grace_period: Some(DurationInfo { nanoseconds: 2_000_000_000 }) };
        MasterBody::Kill(Kill { framework_id, task_id, kill_policy: Some(grace) })
    };
    let overdue = SECOND * 2 + limits::KILL_OVERDUE;
    let ends = |effects: &[Effect]| matches!(effects, [Effect::End { .. }]);
    for ends_in_time in [true, false] {
        let mut world = World::new();
        world.register(true);
        world.running("1h");
        world.step(Event::Disconnected { connection: world.connection() });
        world.register(true);
        world.say(kill());
        world.pass(SECOND * 10);
        // That it is said again does not give more time.
        world.say(kill());
        if ends_in_time {
            world.update(1, TaskState::Killed, 1);
        }
        world.step(Event::Disconnected { connection: world.connection() });
        world.pass(overdue - SECOND * 11);
        assert!(!ends(&world.step(Event::Tick)));
        world.pass(SECOND);
        assert_eq!(ends(&world.step(Event::Tick)), !ends_in_time);
        if !ends_in_time {
            world.step(Event::Left { session: Session(1) });
            world.exit(Why::Ended);
            let status = only_status(&world.register(true));
            assert_eq!(status.state(), TaskState::Failed);
            assert!(status.message().contains("did not end a killed task"), "{status:?}");
        }
    }
}

#[test]
fn a_shutdown_is_asked_for_then_forced_and_takes_no_more_launches() {
    let mut world = World::new();
    world.register(true);
    world.running("1h");
    let (framework_id, executor_id) = (framework().id, Some(id("e1")));
    let shutdown = ShutdownExecutor { framework_id, executor_id };
    let effects = world.say(MasterBody::ShutdownExecutor(shutdown));
    assert_eq!(events(&effects), [EventType::Shutdown]);
    let status = only_status(&world.launch(task("t2", "e1", "1h", Some("alive"))));
    assert_eq!(status.state(), TaskState::Dropped);
    world.pass(limits::EXECUTOR_SHUTDOWN_GRACE);
    let effects = world.step(Event::Tick);
    let forced = Effect::End { executor: id("e1"), grace: Duration::ZERO };
    assert!(effects.contains(&forced), "{effects:?}");
}

#[test]
fn masters_of_lower_terms_are_refused() {
    let mut world = World::new();
    world.register(true);
    let connection = world.connection();
    let body = Some(MasterBody::HeartbeatAnswer(HeartbeatAnswer { number: 1 }));
    let effects = world.step(Event::FromMaster { connection, term: 6, body });
    assert_eq!(effects, [Effect::Disconnect { connection }]);
    let connection = Connection(9);
    let effects = world.step(Event::Challenged { connection, term: 6 });
    assert_eq!(effects, [Effect::Disconnect { connection }]);
}

#[test]
fn a_master_that_answers_no_heartbeat_is_given_up() {
    let mut world = World::new();
    world.register(false);
    let mut waited = Duration::ZERO;
    loop {
        world.pass(SECOND);
        waited += SECOND;
        let connection = world.connection();
        if world.step(Event::Tick).contains(&Effect::Disconnect { connection }) {
            break;
        }
    }
    assert_eq!(waited, limits::SILENT_AFTER);
    assert_eq!(world.agent.next_wakeup(), None);
}

#[test]
fn resources_that_undercut_what_runs_are_refused() {
    let mut world = World::new();
    world.register(true);
    world.running("1h");
    let less = Config { resources: "cpus:1;mem:64".parse().unwrap(), ..config() };
    let refused =
        Agent::restore(less, Identity::default(), 1, world.journal.clone(), world.now).unwrap_err();
    let words = "resources of `cpus:1;mem:64` are less than the `cpus:1.5` that run here now";
    assert_eq!(refused.to_string(), words);
    let (given, used) = ("cpus:1;mem:64".to_owned(), "cpus:1.5".to_owned());
    assert_eq!(refused, RestoreError::Undercut { given, used });
}

/// Somebody else may run all of this by now, so nothing of it is adopted, reported or left alive.
#[test]
fn an_agent_that_was_declared_gone_ends_its_life_and_registers_as_another() {
    let mut world = World::new();
    world.register(true);
    world.running("off");
    world.update(1, TaskState::Running, 1);
    world.step(Event::Disconnected { connection: world.connection() });

    world.connections += 1;
    let connection = world.connection();
    let hello = world.step(Event::Challenged { connection, term: 7 });
    assert!(matches!(hello[..], [Effect::Hello { .. }]));
    let message = "an operator said so".to_owned();
    let gone = Event::Disowned { connection, term: 8, message };
    let effects = world.step(gone.clone());
    let key =
        muster_agent::core::TaskKey { framework: FrameworkId::new("f"), task: TaskId::new("t1") };
    assert_eq!(
        effects,
        [
            Effect::Disconnect { connection },
            Effect::TaskOver { task: key },
            Effect::End { executor: id("e1"), grace: Duration::ZERO },
        ]
    );
    assert_eq!(world.identity, Identity { agent: None, term: 8 });
    assert_eq!(world.step(gone), [], "of a connection that has ended");

    // It may die at any moment of this, and comes back only to go on with it.
    for _ in 0..2 {
        world.connections += 1;
        let connection = world.connection();
        let refused = world.step(Event::Challenged { connection, term: 8 });
        assert_eq!(refused, [Effect::Disconnect { connection }], "something is left");
        assert_eq!(world.restart(), [Effect::Attach { executor: id("e1") }]);
    }
    let effects = world.step(Event::Started { executor: id("e1") });
    assert_eq!(effects, [Effect::End { executor: id("e1"), grace: Duration::ZERO }]);
    assert_eq!(world.exit(Why::Ended), [], "nobody is told");

    world.connections += 1;
    let connection = world.connection();
    let effects = world.step(Event::Challenged { connection, term: 8 });
    let [Effect::Hello { hello, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(hello.info.as_ref().unwrap().id, None);
    assert_eq!((hello.executors.len(), hello.tasks.len()), (0, 0));
    let agent = "agent-2".parse().unwrap();
    let effects = world.step(Event::Welcomed { connection, term: 8, agent });
    assert_eq!(statuses(&effects), []);
    assert_eq!(world.restart(), [], "and nothing of it is found later");
}

#[test]
fn a_life_whose_end_was_not_written_down_to_the_end_is_ended_again() {
    let mut world = World::new();
    world.register(true);
    world.running("1h");
    let before = world.identity.clone();
    let (connection, message) = (world.connection(), String::new());
    world.step(Event::Disconnected { connection });
    world.connections += 1;
    let connection = world.connection();
    world.step(Event::Challenged { connection, term: 7 });
    world.step(Event::Disowned { connection, term: 7, message: message.clone() });
    // The journal is written first; the agent died before its new identity was.
    world.identity = before;
    assert_eq!(world.restart(), [Effect::Attach { executor: id("e1") }]);
    world.connections += 1;
    let connection = world.connection();
    let effects = world.step(Event::Challenged { connection, term: 7 });
    let [Effect::Hello { hello, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert!(hello.tasks.is_empty(), "its tasks are forgotten");
    let effects = world.step(Event::Disowned { connection, term: 7, message });
    let end = Effect::End { executor: id("e1"), grace: Duration::ZERO };
    assert!(effects.contains(&end), "it waits for its supervisor: {effects:?}");
    assert_eq!(world.identity.agent, None);
}

/// Nothing of it runs, so its download need not be waited for.
#[test]
fn an_agent_that_was_declared_gone_does_not_wait_for_what_was_not_started() {
    let mut world = World::new();
    world.register(true);
    world.launch(task("t1", "e1", "1h", None));
    world.launch(task("t2", "e2", "1h", None));
    world.step(Event::Fetched { executor: id("e2"), outcome: Ok(()) });
    world.step(Event::Disconnected { connection: world.connection() });
    world.connections += 1;
    let connection = world.connection();
    world.step(Event::Challenged { connection, term: 7 });
    let gone = Event::Disowned { connection, term: 7, message: String::new() };
    world.step(gone);
    assert_eq!(world.agent.executors().collect::<Vec<_>>(), [&id("e2")]);
    let effects = world.step(Event::Started { executor: id("e2") });
    assert_eq!(effects, [Effect::End { executor: id("e2"), grace: Duration::ZERO }]);
    let exit = Exit::unknown(Why::Ended);
    world.step(Event::Exited { executor: id("e2"), exit });

    world.connections += 1;
    let connection = world.connection();
    let effects = world.step(Event::Challenged { connection, term: 7 });
    assert!(matches!(effects[..], [Effect::Hello { .. }]), "{effects:?}");
    assert_eq!(world.step(Event::Fetched { executor: id("e1"), outcome: Ok(()) }), []);
    assert_eq!(world.restart(), [], "and nothing of it is found later");
}

#[test]
fn a_master_of_a_lower_term_cannot_say_that_an_agent_is_gone() {
    let mut world = World::new();
    world.register(true);
    world.running("1h");
    world.step(Event::Disconnected { connection: world.connection() });
    world.connections += 1;
    let connection = world.connection();
    world.step(Event::Challenged { connection, term: 7 });
    let effects = world.step(Event::Disowned { connection, term: 6, message: String::new() });
    assert_eq!(effects, [Effect::Disconnect { connection }]);
    assert!(world.identity.agent.is_some());
}

fn said(world: &mut World, number: Option<u64>) -> Vec<Effect> {
    let message = CallMessage { data: b"news".to_vec(), number };
    world.step(Event::Said { session: Session(1), message })
}

#[test]
fn a_message_that_is_too_long_is_dropped_and_the_executor_goes_on() {
    let mut world = World::new();
    world.register(true);
    world.running("1h");
    let of = |bytes| CallMessage { data: vec![0; bytes], number: Some(1) };
    let now = world.now;
    let mut say = |bytes, seconds| {
        let event = Event::Said { session: Session(1), message: of(bytes) };
        let mono = now.mono + Duration::from_secs(seconds);
        let step = world.agent.step(Now { mono, ..now }, event);
        (step.effects.len(), step.notes)
    };
    let bytes = limits::EXECUTOR_MESSAGE_BYTES;
    let note = vec![Note::MessageTooLong { executor: id("e1"), bytes: bytes + 1 }];
    assert_eq!(say(bytes, 0), (1, Vec::new()));
    assert_eq!(say(bytes + 1, 0), (0, note.clone()));
    assert_eq!(say(1, 0), (1, Vec::new()));
    assert_eq!(say(bytes + 1, 59), (0, Vec::new()), "it is told once a minute");
    assert_eq!(say(bytes + 1, 60), (0, note));
}

fn taken(executor: &str, framework: &str) -> MasterBody {
    MasterBody::MessageTaken(MessageTaken {
        framework_id: Some(FrameworkId::new(framework)),
        executor_id: Some(id(executor)),
        number: 3,
    })
}

#[test]
fn messages_pass_through_and_wait_nowhere() {
    let mut world = World::new();
    world.register(true);
    world.running("1h");
    let journal = world.journal.clone();
    let effects = said(&mut world, Some(3));
    let [Effect::ToMaster { body: AgentBody::ExecutorMessage(message), .. }] = effects.as_slice()
    else {
        panic!("{effects:?}")
    };
    assert_eq!(message.framework_id, framework().id);
    assert_eq!(message.executor_id, Some(id("e1")));
    assert_eq!((message.data.as_slice(), message.number), (b"news".as_slice(), Some(3)));

    let effects = world.say(taken("e1", "f"));
    let [Effect::ToExecutor { session: Session(1), event }] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert_eq!(event.r#type(), EventType::MessageTaken);
    assert_eq!(event.message_taken, Some(executor::MessageTaken { number: 3 }));
    assert_eq!(world.say(taken("e1", "another")), [], "it is not theirs");
    assert_eq!(world.say(taken("e2", "f")), []);
    world.step(Event::Left { session: Session(1) });
    assert_eq!(world.say(taken("e1", "f")), [], "it will send it again");

    world.subscribe(1, Vec::new());
    world.step(Event::Disconnected { connection: world.connection() });
    assert_eq!(said(&mut world, Some(4)), [], "there is no master; the executor keeps it");
    assert_eq!(said(&mut world, None), []);
    assert_eq!(world.step(Event::Tick), []);
    let stray = CallMessage { data: Vec::new(), number: Some(1) };
    assert_eq!(world.step(Event::Said { session: Session(9), message: stray }), []);
    assert_eq!(world.journal, journal, "nothing of it is written down");
}

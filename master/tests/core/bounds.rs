//! What one call of a framework over HTTP can cost: of memory, of the stream of its framework, and of
//! the connections of agents, on which others depend.

use muster_api::limits;
use muster_master::core::{Answer, Connection, Effect, Note, Step};
use muster_proto::{
    CommandInfo, ExecutorInfo, ExecutorType, FrameworkId, LaunchGroup, Offer, Operation,
    OperationType, Reason, Resource, TaskGroupInfo, TaskId, TaskInfo, TaskState,
    agent::{Hello, MasterBody, TaskHere, VERSION},
    scheduler::{Acknowledge, Call, CallType, MessageBody, Shutdown},
};
use prost::Message as _;

use crate::world::*;

/// A framework over HTTP in a role with a long name, on one agent where many small tasks fit.
struct One {
    world: World,
    agent: muster_api::AgentId,
    on: Connection,
    offer: Offer,
}

/// The longest name that a role may have.
fn long_role() -> String {
    "r".repeat(limits::OPAQUE_ID_BYTES)
}

impl One {
    /// Its agent speaks that version of the protocol, and it says so many bytes of itself.
    fn new(version: u32, info_bytes: usize) -> Self {
        let mut world = World::new();
        let hello = Hello { version, ..hello("h1", "cpus:100;mem:100000") };
        let (on, step) = world.hello(hello);
        let agent = welcomed(&step);
        world.beat(on, 1);
        let subscribe = subscribe_as("f", |info| {
            in_roles(info, &[&long_role()]);
            info.name = "n".repeat(info_bytes);
        });
        let step = world.foreign(subscribe, None);
        let offer = offers(&step).pop().unwrap();
        Self { world, agent, on, offer }
    }

    fn accept(&mut self, operations: Vec<Operation>) -> Step {
        let call = accept_of("f", &[&self.offer], operations, Some(0.0));
        assert!(call.encoded_len() <= limits::CALL_BYTES, "no call is so long");
        self.world.call(call)
    }

    /// Commands of a thousandth of a cpu.
    fn commands(&self, count: usize) -> Vec<TaskInfo> {
        let one = |at: usize| TaskInfo {
            name: String::new(),
            command: Some(CommandInfo::default()),
            resources: resources("cpus:0.001"),
            ..command(&format!("t{at}"), &self.agent)
        };
        (0..count).map(one).collect()
    }

    /// The same for one executor.
    fn grouped(&self, count: usize) -> Vec<TaskInfo> {
        let mut tasks = self.commands(count);
        tasks.iter_mut().for_each(|task| task.command = None);
        tasks
    }
}

fn custom(data: usize) -> ExecutorInfo {
    let data = Some(vec![0; data]);
    ExecutorInfo { r#type: Some(ExecutorType::Custom as i32), data, ..executor("e1") }
}

fn group(executor: ExecutorInfo, tasks: Vec<TaskInfo>) -> Operation {
    let group = LaunchGroup { executor: Some(executor), task_group: Some(TaskGroupInfo { tasks }) };
    Operation {
        r#type: Some(OperationType::LaunchGroup as i32),
        launch_group: Some(Box::new(group)),
        ..Operation::default()
    }
}

/// Bytes that a step sends to agents, and on streams.
fn bytes(step: &Step) -> (usize, usize) {
    let of = |effect: &Effect| match effect {
        Effect::ToAgent { body, .. } => (body.encoded_len(), 0),
        Effect::ToStream { event, .. } => (0, event.encoded_len()),
        _ => (0, 0),
    };
    let sum = |sum: (usize, usize), one: (usize, usize)| (sum.0 + one.0, sum.1 + one.1);
    step.effects.iter().map(of).fold((0, 0), sum)
}

/// All of the tasks are told of, in a bounded number of bytes and of notes.
fn assert_bounded(step: &Step, told: usize) {
    let updates = updates(step);
    assert_eq!(updates.len(), told);
    for status in &updates {
        let words = status.message.as_ref().unwrap();
        assert!(words.len() <= limits::REFUSAL_BYTES, "{} bytes: {words}", words.len());
    }
    let (to_agents, on_streams) = bytes(step);
    assert!(to_agents <= limits::AGENT_LAUNCH_BYTES, "{to_agents} bytes to agents");
    assert!(on_streams <= limits::STREAM_BYTES, "{on_streams} bytes on streams");
    assert!(step.notes.len() <= limits::NOTES_OF_A_CALL + 1, "{} notes", step.notes.len());
    let named = step.notes.iter().filter(|note| matches!(note, Note::TaskRefused { .. })).count();
    let others = step.notes.iter().find_map(|note| match note {
        Note::OthersRefused { count } => Some(*count),
        _ => None,
    });
    assert_eq!(named + others.unwrap_or(0), told, "each is named or counted");
}

#[test]
fn a_call_has_a_bounded_number_of_tasks_and_operations() {
    let mut one = One::new(VERSION, 1);
    let tasks = one.grouped(limits::ACCEPT_TASKS);
    let step = one.accept(vec![group(custom(0), tasks)]);
    let [Answer::Invalid(words)] = &answers(&step)[..] else { panic!("{:?}", answers(&step)) };
    assert_eq!(
        words,
        "Failed to validate scheduler::Call: 'accept' has 10001 operations and tasks, more than \
         the 10000 of one call"
    );
    assert_eq!((updates(&step), to_agent(&step)), (vec![], vec![]));
    // The offer is as it was, and one task less is taken.
    let tasks = one.commands(limits::ACCEPT_TASKS - 1);
    let step = one.accept(vec![launch(tasks)]);
    assert_eq!(launched(&step).len() + updates(&step).len(), limits::ACCEPT_TASKS - 1);
    assert!(launched(&step).len() > 1_000);
}

/// Each task of a group that is refused is told why, which may be because of all of them.
#[test]
fn what_is_said_of_a_large_group_that_is_refused_is_bounded() {
    let mut one = One::new(VERSION, 1);
    let mut tasks = one.grouped(limits::ACCEPT_TASKS - 1);
    for task in &mut tasks {
        task.resources = vec![Resource::scalar("cpus", 50.0); 5];
    }
    let step = one.accept(vec![group(custom(0), tasks)]);
    assert_bounded(&step, limits::ACCEPT_TASKS - 1);
    assert_eq!(words(&step)[0], words(&step)[1]);
    assert!(words(&step)[0].starts_with("Total resources cpus(allocated: rrr"));
}

/// Whatever is quoted of one task is in what is said of that one only.
#[test]
fn what_is_said_of_tasks_that_are_refused_is_bounded() {
    let mut one = One::new(VERSION, 1);
    let mut tasks = one.commands(40);
    for task in &mut tasks {
        task.resources = vec![Resource::scalar("c", 1.0); 5_000];
    }
    assert_bounded(&one.accept(vec![launch(tasks)]), 40);
    let mut one = One::new(VERSION, 1);
    let mut tasks = one.commands(2);
    tasks[0].agent_id = Some(muster_proto::AgentId::new("a".repeat(1024 * 1024)));
    tasks[1].task_id = Some(TaskId::new("/".repeat(200)));
    tasks[1].resources = vec![Resource::scalar("n".repeat(1024 * 1024), 1.0)];
    assert_bounded(&one.accept(vec![launch(tasks)]), 2);
    // Offers that are gone are told to each task, with their ids.
    let mut one = One::new(VERSION, 1);
    one.offer.id = Some(muster_proto::OfferId::new("o".repeat(1024 * 1024)));
    let tasks = one.commands(5_000);
    assert_bounded(&one.accept(vec![launch(tasks)]), 5_000);
}

/// A framework that says much of itself has that told with each task.
#[test]
fn what_is_launched_on_an_agent_from_one_heartbeat_to_the_next_is_bounded() {
    let mut one = One::new(VERSION, limits::FRAMEWORK_INFO_BYTES - 1_000);
    let tasks = one.commands(1_000);
    let step = one.accept(vec![launch(tasks)]);
    let first = launched(&step).len();
    assert!((200..260).contains(&first), "{first} of 64 KiB each");
    assert_bounded(&step, 1_000 - first);
    let status = updates(&step).pop().unwrap();
    let dropped = ("t999".to_owned(), TaskState::Dropped, Some(Reason::AgentDisconnected));
    assert_eq!(verdict(&status), dropped);
    assert!(status.message.unwrap().ends_with("was sent too much to launch in the last seconds"));
    // Until the agent is heard again that is all.
    let again = |one: &mut One, id: &str| {
        one.offer = offers(&one.world.wait(limits::ALLOCATION_INTERVAL)).pop().unwrap();
        let task = TaskInfo { task_id: Some(TaskId::new(id)), ..one.commands(1).remove(0) };
        launched(&one.accept(vec![launch(vec![task])])).len()
    };
    assert_eq!(again(&mut one, "early"), 0);
    one.world.beat(one.on, 2);
    assert_eq!(again(&mut one, "late"), 1);
}

#[test]
fn a_group_brings_its_executor_once_to_agents_that_understand_that() {
    for version in [1, VERSION] {
        let mut one = One::new(version, 1);
        let tasks = one.grouped(100);
        let step = one.accept(vec![group(custom(1_000), tasks)]);
        let [(_, MasterBody::LaunchGroup(sent))] = &to_agent(&step)[..] else { panic!("{step:?}") };
        let each = sent.tasks.iter().filter(|task| task.executor.is_some()).count();
        let once = sent.executor.as_ref().map(|one| one.framework_id.clone().unwrap().value);
        match version {
            1 => assert_eq!((each, once), (100, None)),
            _ => assert_eq!((each, once.as_deref()), (0, Some("f"))),
        }
        assert_eq!(one.world.used(), "cpus:0.2;mem:32", "the executor counts once");
    }
}

/// An agent from before that would be sent the executor with each task.
#[test]
fn a_group_that_would_be_too_long_for_an_old_agent_is_dropped_and_not_sent() {
    let executor = || custom(limits::EXECUTOR_INFO_BYTES - 1_000);
    for (version, launches) in [(1, 0), (VERSION, 1)] {
        let mut one = One::new(version, 1);
        let tasks = one.grouped(100);
        let step = one.accept(vec![group(executor(), tasks)]);
        assert_eq!(to_agent(&step).len(), launches);
        assert_bounded(&step, if launches == 0 { 100 } else { 0 });
        assert!(verdicts(&step).iter().all(|(_, state, _)| *state == TaskState::Dropped));
    }
}

#[test]
fn a_task_and_its_executor_are_taken_at_their_bounds_and_refused_beyond() {
    let with = |count: usize| vec![Resource::scalar("cpus", 0.001); count];
    let of_executor = |resources: Vec<Resource>, data| {
        let executor = ExecutorInfo { resources, ..custom(data) };
        move |task: &mut TaskInfo| (task.command, task.executor) = (None, Some(executor))
    };
    let base = custom(0).encoded_len()
        - executor("e1").resources.iter().map(|one| one.encoded_len() + 2).sum::<usize>();
    let room = limits::EXECUTOR_INFO_BYTES - base - 6;
    type Change = Box<dyn FnOnce(&mut TaskInfo)>;
    let cases: Vec<(Change, Option<&str>)> = vec![
        (Box::new(move |task| task.resources = with(100)), None),
        (
            Box::new(move |task| task.resources = with(101)),
            Some("Task uses more than 100 resources"),
        ),
        (Box::new(of_executor(with(100), 0)), None),
        (Box::new(of_executor(with(101), 0)), Some("Executor uses more than 100 resources")),
        (Box::new(of_executor(vec![], room)), None),
        (
            Box::new(of_executor(vec![], limits::EXECUTOR_INFO_BYTES)),
            Some("ExecutorInfo is longer than 262144 bytes"),
        ),
    ];
    for (change, refusal) in cases {
        let mut one = One::new(VERSION, 1);
        let mut task = one.commands(1).remove(0);
        change(&mut task);
        let step = one.accept(vec![launch(vec![task])]);
        assert_eq!(words(&step).pop().as_deref(), refusal);
    }
}

/// What has no valid id is nobody's, and is not passed on however long it is.
#[test]
fn nothing_is_passed_on_to_an_agent_under_an_id_that_there_cannot_be() {
    let mut one = One::new(VERSION, 1);
    let long = "x".repeat(limits::OPAQUE_ID_BYTES + 1);
    let agent = Some(wire(&one.agent));
    let executor = Some(muster_proto::ExecutorId::new(long.as_str()));
    let message =
        MessageBody { agent_id: agent.clone(), executor_id: executor.clone(), data: vec![] };
    let shutdown = Shutdown { agent_id: agent.clone(), executor_id: executor };
    let task_id = Some(TaskId::new(long.as_str()));
    let acknowledge = Acknowledge { agent_id: agent, task_id, uuid: uuid("t") };
    for call in [
        Call { message: Some(message), ..call_of("f", CallType::Message) },
        Call { shutdown: Some(shutdown), ..call_of("f", CallType::Shutdown) },
        Call { acknowledge: Some(acknowledge), ..call_of("f", CallType::Acknowledge) },
    ] {
        let step = one.world.call(call);
        assert_eq!(to_agent(&step), []);
        assert!(matches!(step.notes[..], [Note::CallIgnored { .. }]), "{:?}", step.notes);
    }
}

/// A hello of an agent on which so many tasks of `f` are over and not acknowledged.
fn unacknowledged(host: &str, count: usize) -> Hello {
    let one = |at: usize| TaskHere {
        framework_id: Some(FrameworkId::new("f")),
        task: Some(TaskInfo {
            task_id: Some(TaskId::new(format!("{host}-{at}"))),
            command: Some(CommandInfo::default()),
            resources: resources("cpus:1"),
            ..TaskInfo::default()
        }),
        state: TaskState::Finished as i32,
    };
    Hello { tasks: (0..count).map(one).collect(), ..hello(host, "cpus:4;mem:4096") }
}

/// What is over is kept until its end is acknowledged, here and by its agent.
#[test]
fn who_does_not_acknowledge_may_launch_so_much_and_no_more() {
    for (agents, each, message) in [
        (1, limits::AGENT_TASKS, "Agent has 10000 executors, and tasks that are not over or"),
        (11, limits::FRAMEWORK_TASKS / 11 + 1, "Framework has 100000 tasks that are not over or"),
    ] {
        let mut world = World::new();
        let mut count = 0;
        for agent in 0..agents {
            // Room for one is left.
            let room = (limits::FRAMEWORK_TASKS - 1 - count).min(limits::AGENT_TASKS - 1);
            let (on, _) = world.hello(unacknowledged(&format!("h{agent}"), each.min(room)));
            world.beat(on, 1);
            count += each.min(room);
        }
        let offer = offers(&world.foreign(subscribe_as("f", |_| ()), None)).pop().unwrap();
        let agent: muster_api::AgentId = offer.agent_id.clone().unwrap().value.parse().unwrap();
        let tasks = ["t1", "t2"].map(|id| command(id, &agent)).to_vec();
        let step = world.call(accept_of("f", &[&offer], vec![launch(tasks)], None));
        assert_eq!(launched(&step), ["t1"]);
        let [(task, state, reason)] = &verdicts(&step)[..] else { panic!("{step:?}") };
        let invalid = (TaskState::Error, Some(Reason::TaskInvalid));
        assert_eq!((task.as_str(), (*state, *reason)), ("t2", invalid));
        assert!(words(&step)[0].starts_with(message), "{:?}", words(&step));
    }
}

/// A description that is too long is an error on the stream, and nobody is let in.
#[test]
fn who_says_too_much_of_itself_is_not_let_in() {
    let mut world = World::new();
    let long = |info: &mut muster_proto::FrameworkInfo| {
        info.name = "n".repeat(limits::FRAMEWORK_INFO_BYTES);
    };
    let step = world.foreign(subscribe_as("f", long), None);
    assert_eq!(errors(&step), ["FrameworkInfo is longer than 65536 bytes"]);
    let roles: Vec<_> = (0..=limits::FRAMEWORK_ROLES).map(|at| format!("r{at}")).collect();
    let roles: Vec<_> = roles.iter().map(String::as_str).collect();
    let step = world.foreign(subscribe_as("f", |info| in_roles(info, &roles)), None);
    assert_eq!(errors(&step), ["'FrameworkInfo.roles' has more than 100 items"]);
    assert_eq!(world.master.frameworks(world.now), []);
}

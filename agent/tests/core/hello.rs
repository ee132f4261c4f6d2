//! What a hello tells of all that lives on a host.

use muster_agent::core::Effect;
use muster_proto::{
    AllocationInfo, Labels, Resource, TaskInfo,
    agent::{Launch, LaunchGroup, MasterBody, executor_digest},
};
use prost::Message;

use super::guest::{Guest, command, fetched, framework, task};

const MEBIBYTE: usize = 1024 * 1024;

/// A hello is one message, and an agent whose hello is too long can never register again.
#[test]
fn what_frameworks_say_at_length_is_in_no_hello() {
    let mut guest = Guest::new(true);
    for number in 0..20 {
        let mut long = task(&format!("t{number}"), &format!("e{number}"));
        long.data = Some(vec![0; MEBIBYTE]);
        let executor = long.executor.as_mut().unwrap();
        executor.data = Some(vec![0; MEBIBYTE]);
        // Amounts may come in any number of pieces.
        executor.resources = vec![Resource::scalar("mem", 0.001); 10_000];
        let mut by = framework("f", true);
        by.labels = Some(Labels::of([("long", "l".repeat(MEBIBYTE))]));
        let (framework, task) = (Some(by), Some(long));
        let launch = Launch { framework, task, heartbeat: 1, ..Launch::default() };
        fetched(&guest.world.say(MasterBody::Launch(launch)));
        let shell = muster_proto::CommandInfo {
            value: Some("c".repeat(MEBIBYTE)),
            ..muster_proto::CommandInfo::default()
        };
        fetched(&guest.launch(command(&format!("c{number}"), shell)));
    }
    let hello = guest.whole_hello();
    assert_eq!((hello.executors.len(), hello.tasks.len()), (20, 40));
    let bytes = hello.encoded_len();
    assert!(bytes < 16 * 1024, "{bytes} bytes");
}

/// A master finds in it what it counts.
#[test]
fn a_hello_has_ids_amounts_roles_and_digests() {
    let mut guest = Guest::new(true);
    let allocated = |name: &str, amount| Resource {
        allocation_info: Some(AllocationInfo { role: Some("r".to_owned()) }),
        ..Resource::scalar(name, amount)
    };
    let mut first = task("t1", "e1");
    first.resources = vec![allocated("cpus", 0.25), allocated("mem", 1.0), allocated("cpus", 0.5)];
    let described = first.executor.clone().unwrap();
    guest.launch(first);
    guest.launch(task("t2", "e1"));
    guest.launch(task("t3", "e2"));
    guest.launch(command("t4", Default::default()));
    let hello = guest.whole_hello();
    let e1 = hello.executors.iter().find(|here| here.digest == executor_digest(&described));
    let e1 = e1.unwrap().executor.clone().unwrap();
    assert_eq!((e1.executor_id, e1.resources), (described.executor_id, described.resources));
    let of = |name: &str| -> TaskInfo {
        let task = |here: &muster_proto::agent::TaskHere| here.task.clone().unwrap();
        let mut all = hello.tasks.iter().map(task);
        all.find(|task| task.task_id.as_ref().unwrap().value == name).unwrap()
    };
    assert_eq!(of("t1").resources, [allocated("cpus", 0.75), allocated("mem", 1.0)]);
    assert!(of("t1").executor.is_some() && of("t1").command.is_none());
    assert!(of("t4").executor.is_none() && of("t4").command.is_some());
    // What a master needs that knows nothing of a framework is there once.
    let known = |here: &&muster_proto::agent::ExecutorHere| {
        here.framework.as_ref().unwrap().checkpoint.is_some()
    };
    assert_eq!(hello.executors.iter().filter(known).count(), 1);
    let ids = hello.executors.iter().map(|here| here.framework.as_ref().unwrap().id.clone());
    assert!(ids.into_iter().all(|id| id == framework("f", true).id));
}

/// It compares what is launched on a living executor with all that the hello said of it, and of a
/// framework that is described twice it keeps the last description.
#[test]
fn a_master_of_the_first_version_is_told_all_descriptions() {
    let mut guest = Guest::new(true);
    let first = task("t1", "e1");
    let executor = first.executor.clone();
    guest.launch(first.clone());
    guest.launch(task("t2", "e2"));
    let hello = guest.hello_in(1);
    let by = Some(framework("f", true));
    assert_eq!(hello.executors.len(), 2);
    assert!(hello.executors.iter().all(|here| here.framework == by));
    assert_eq!(hello.executors.iter().filter(|here| here.executor == executor).count(), 1);
    assert!(hello.tasks.iter().any(|here| here.task.as_ref() == Some(&first)));
}

#[test]
fn a_hello_says_where_executors_find_the_agent() {
    let url = Guest::new(true).whole_hello().url.unwrap();
    let address = url.address.unwrap();
    assert_eq!((url.scheme.as_str(), url.path.as_deref()), ("http", Some("/slave(1)")));
    assert_eq!(address.hostname.as_deref(), Some("host-a"));
    assert_eq!((address.ip.as_deref(), address.port), (Some("127.0.0.1"), 5051));
}

/// One executor for all tasks of a group may be described once.
#[test]
fn a_group_may_bring_its_executor_once() {
    let mut guest = Guest::new(true);
    let alone = |name: &str| TaskInfo { executor: None, ..task(name, "e1") };
    let effects = guest.world.say(MasterBody::LaunchGroup(LaunchGroup {
        framework: Some(framework("f", true)),
        tasks: vec![alone("t1"), alone("t2")],
        heartbeat: 1,
        executor: task("t1", "e1").executor,
        ..LaunchGroup::default()
    }));
    let container = fetched(&effects);
    guest.begin(&container);
    let (_, effects) = guest.subscribe(Default::default());
    let group = effects.iter().find_map(|effect| match effect {
        Effect::ToExecutor { event, .. } => event.launch_group.clone(),
        _ => None,
    });
    let tasks = group.unwrap().task_group.unwrap().tasks;
    assert_eq!(tasks, [task("t1", "e1"), task("t2", "e1")]);
}

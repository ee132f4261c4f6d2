//! Commands, groups of tasks, and what else a framework does with its offers.

use muster_proto::{
    ContainerInfo, ContainerType, ExecutorInfo, ExecutorType, FrameworkId, LaunchGroup, Offer,
    Operation, OperationId, OperationState, OperationType, Reason, Reserve, Resource,
    TaskGroupInfo, TaskInfo, TaskState, ValueType,
    agent::MasterBody,
    scheduler::{Call, CallType, MessageBody},
};

use crate::world::*;

/// A framework over HTTP on one agent of 4 cpus and 4096 MiB.
struct One {
    world: World,
    agent: muster_api::AgentId,
    on: muster_master::core::Connection,
    offer: Offer,
}

impl One {
    fn new() -> Self {
        let mut world = World::new();
        let (agent, on, _) = world.agent("h1", "cpus:4;mem:4096");
        let step = world.foreign(subscribe_as("f", |_| ()), None);
        let offer = offers(&step).pop().unwrap();
        Self { world, agent, on, offer }
    }

    fn accept(&mut self, operations: Vec<Operation>) -> muster_master::core::Step {
        let offer = self.offer.clone();
        self.world.call(accept_of("f", &[&offer], operations, None))
    }

    fn grouped(&self, ids: &[&str]) -> Vec<TaskInfo> {
        let bare = |id: &&str| TaskInfo { executor: None, ..task(id, &self.agent, "e1") };
        ids.iter().map(bare).collect()
    }
}

fn custom(id: &str) -> ExecutorInfo {
    ExecutorInfo { r#type: Some(ExecutorType::Custom as i32), ..executor(id) }
}

fn group(executor: ExecutorInfo, tasks: Vec<TaskInfo>) -> Operation {
    let group = LaunchGroup { executor: Some(executor), task_group: Some(TaskGroupInfo { tasks }) };
    Operation {
        r#type: Some(OperationType::LaunchGroup as i32),
        launch_group: Some(Box::new(group)),
        ..Operation::default()
    }
}

#[test]
fn a_command_takes_its_own_resources_and_has_no_executor() {
    let mut one = One::new();
    let step = one.accept(vec![launch(vec![command("c1", &one.agent)])]);
    let [(_, MasterBody::Launch(sent))] = &to_agent(&step)[..] else { panic!("{step:?}") };
    assert_eq!(sent.task.as_ref().unwrap().executor, None);
    assert_eq!(one.world.used(), "cpus:1;mem:64");
    let f = FrameworkId::new("f");
    let step = one.world.status(one.on, &f, status("c1", TaskState::Finished));
    assert_eq!(verdicts(&step).len(), 1);
    assert_eq!(one.world.used(), "");
    // That the executor which its agent had for it ended is nobody's business.
    assert_eq!(failures(&one.world.exited(one.on, &f, "c1")), []);
}

#[test]
fn the_end_of_an_executor_is_told_with_its_raw_status() {
    let mut one = One::new();
    one.accept(vec![launch(vec![task("t1", &one.agent, "e1")])]);
    let step = one.world.exited(one.on, &FrameworkId::new("f"), "e1");
    let agent = one.agent.to_string();
    assert_eq!(failures(&step), [(agent, Some("e1".to_owned()), Some(9))]);
}

#[test]
fn a_group_is_launched_as_one() {
    let mut one = One::new();
    let tasks = one.grouped(&["g1", "g2"]);
    let step = one.accept(vec![group(custom("e1"), tasks)]);
    let [(_, MasterBody::LaunchGroup(sent))] = &to_agent(&step)[..] else { panic!("{step:?}") };
    assert_eq!(sent.tasks.len(), 2);
    assert!(sent.tasks.iter().all(|task| task.executor.as_ref().unwrap().framework_id.is_some()));
    assert_eq!((sent.heartbeat, sent.framework.is_some()), (1, true));
    assert_eq!(one.world.used(), "cpus:2.1;mem:160", "the executor counts once");
}

#[test]
fn a_group_with_one_bad_task_is_not_launched_at_all() {
    type Spoil = fn(&mut ExecutorInfo, &mut Vec<TaskInfo>);
    let spoil: Vec<(&str, Spoil)> = vec![
        ("'DEFAULT' is not supported", |executor, _| {
            executor.r#type = Some(ExecutorType::Default as i32);
        }),
        ("'ExecutorInfo.type' must be set", |executor, _| executor.r#type = None),
        ("Task 'g2' is invalid: Task uses no resources", |_, tasks| tasks[1].resources.clear()),
        ("Task has duplicate ID: g1", |_, tasks| tasks[1].task_id = tasks[0].task_id.clone()),
        ("differs from that of the task group", |_, tasks| {
            tasks[0].executor = Some(executor("other"));
        }),
        ("is more than available", |_, tasks| tasks[1].resources = resources("cpus:3;mem:1")),
        ("not over zero", |_, tasks| tasks[1].resources[0] = Resource::scalar("cpus", 0.0)),
    ];
    for (message, spoil) in spoil {
        let mut one = One::new();
        let (mut executor, mut tasks) = (custom("e1"), one.grouped(&["g1", "g2"]));
        spoil(&mut executor, &mut tasks);
        let step = one.accept(vec![group(executor, tasks)]);
        assert_eq!(to_agent(&step), [], "{message}");
        let told = updates(&step);
        assert_eq!(told.len(), 2, "{message}");
        for status in &told {
            let (_, state, reason) = verdict(status);
            assert_eq!((state, reason), (TaskState::Error, Some(Reason::TaskGroupInvalid)));
            assert!(status.message.as_ref().unwrap().contains(message), "{status:?}");
        }
        assert_eq!(one.world.used(), "");
    }
}

#[test]
fn operations_go_on_in_order_with_what_the_former_ones_left() {
    let mut one = One::new();
    let big =
        |id: &str| TaskInfo { resources: resources("cpus:3;mem:10"), ..command(id, &one.agent) };
    let operations = vec![
        launch(vec![big("first"), big("second")]),
        group(custom("e1"), one.grouped(&["third"])),
        launch(vec![command("fourth", &one.agent)]),
    ];
    let step = one.accept(operations);
    assert_eq!(launched(&step), ["first", "fourth"]);
    let refused: Vec<_> = verdicts(&step).into_iter().map(|(task, ..)| task).collect();
    assert_eq!(refused, ["second", "third"], "a cpu is left, and the executor takes more");
    assert!(to_agent(&step).iter().all(|(_, body)| !matches!(body, MasterBody::LaunchGroup(_))));
}

#[test]
fn what_does_not_fit_is_told_in_the_words_of_mesos() {
    let mut one = One::new();
    let mut huge = command("huge", &one.agent);
    huge.resources = resources("cpus:100;mem:32");
    let ports = Resource {
        name: "ports".into(),
        r#type: ValueType::Ranges as i32,
        ranges: Some(muster_proto::Ranges {
            range: vec![muster_proto::Range { begin: 31_000, end: 31_001 }],
        }),
        ..Resource::default()
    };
    let mut wants_ports = command("ports", &one.agent);
    wants_ports.resources.push(ports);
    let step = one.accept(vec![launch(vec![huge, wants_ports])]);
    let room = "cpus(allocated: *):4; mem(allocated: *):4096";
    let expected = [
        "cpus(allocated: *):100; mem(allocated: *):32",
        "cpus(allocated: *):1; mem(allocated: *):64; ports(allocated: *):[31000-31001]",
    ];
    let expected = expected.map(|need| {
        format!(
            "Total resources {need} required by task and its executor is more than available {room}"
        )
    });
    assert_eq!(words(&step), expected);
}

#[test]
fn what_this_cluster_has_not_is_refused_by_name() {
    type Wish = fn(&mut TaskInfo);
    let wishes: Vec<(&str, Wish)> = vec![
        ("a health check", |task| task.health_check = Some(Default::default())),
        ("a check", |task| task.check = Some(Default::default())),
        ("resource limits", |task| {
            task.limits = [("cpus".to_owned(), muster_proto::Quantity { value: Some(2.0) })].into();
        }),
        ("'max_completion_time'", |task| task.max_completion_time = Some(Default::default())),
        ("a container", |task| {
            let kind = ContainerType::Docker as i32;
            let docker = ContainerInfo { r#type: kind, ..ContainerInfo::default() };
            task.container = Some(Box::new(docker));
        }),
    ];
    for (what, wish) in wishes {
        let mut one = One::new();
        let mut wanting = command("c1", &one.agent);
        wish(&mut wanting);
        let step = one.accept(vec![launch(vec![wanting, command("c2", &one.agent)])]);
        assert_eq!(words(&step), [format!("Task uses {what}, which this cluster does not have")]);
        assert_eq!(launched(&step), ["c2"]);
    }
    // That there is to be a container of Mesos' own and no more is said by some clients always.
    let mut one = One::new();
    let mut plain = command("c1", &one.agent);
    let kind = ContainerType::Mesos as i32;
    plain.container = Some(Box::new(ContainerInfo { r#type: kind, ..ContainerInfo::default() }));
    assert_eq!(launched(&one.accept(vec![launch(vec![plain])])), ["c1"]);
}

#[test]
fn other_operations_are_answered_if_they_have_an_id_and_dropped_if_not() {
    let reserve = |id: Option<&str>| Operation {
        r#type: Some(OperationType::Reserve as i32),
        id: id.map(OperationId::new),
        reserve: Some(Reserve::default()),
        ..Operation::default()
    };
    let told = |step: &muster_master::core::Step| -> Vec<_> {
        let statuses = to_framework(step).into_iter();
        let statuses = statuses.filter_map(|event| event.update_operation_status?.status);
        statuses.map(|one| (one.operation_id.unwrap().value, one.state, one.uuid)).collect()
    };
    let mut one = One::new();
    let next = launch(vec![command("c1", &one.agent)]);
    let step = one.accept(vec![reserve(None), reserve(Some("o1")), next]);
    assert_eq!(told(&step), [("o1".to_owned(), OperationState::Error as i32, None)]);
    assert_eq!(launched(&step), ["c1"]);
    let step = one.accept(vec![reserve(Some("o2")), launch(vec![command("c2", &one.agent)])]);
    assert_eq!(told(&step), [("o2".to_owned(), OperationState::Dropped as i32, None)]);
    let dead = one.offer.id.clone().unwrap();
    assert_eq!(
        words(&step),
        [format!("Task launched with invalid offers: Offer {dead} is no longer valid")]
    );
    assert_eq!(updates(&step)[0].agent_id, Some(wire(&one.agent)));

    let mut one = One::new();
    let named =
        Operation { id: Some(OperationId::new("o3")), ..launch(vec![command("c3", &one.agent)]) };
    let step = one.accept(vec![named]);
    assert_eq!(verdicts(&step), [("c3".into(), TaskState::Error, Some(Reason::TaskInvalid))]);
}

#[test]
fn offers_of_several_roles_are_not_used_together() {
    let mut world = World::new();
    let (agent, on, _) = world.agent("h1", "cpus:4;mem:4096");
    let step = world.foreign(subscribe_as("f", |info| in_roles(info, &["a", "b"])), None);
    let first = offers(&step).pop().unwrap();
    let tasks = vec![command("c1", &agent), command("c2", &agent)];
    // Its share in the first role has grown: what is left is offered in the other one.
    let step = world.call(accept_of("f", &[&first], vec![launch(tasks)], Some(0.0)));
    let left = offers(&step).pop().unwrap();
    world.wait(std::time::Duration::from_secs(1));
    let f = FrameworkId::new("f");
    let freed = offers(&world.status(on, &f, status("c1", TaskState::Finished))).pop().unwrap();
    let role = |offer: &Offer| offer.allocation_info.clone().unwrap().role.unwrap();
    assert_eq!((role(&left).as_str(), role(&freed).as_str()), ("b", "a"));
    let again = vec![launch(vec![command("c3", &agent)])];
    let step = world.call(accept_of("f", &[&left, &freed], again, None));
    assert_eq!(verdicts(&step)[0].2, Some(Reason::InvalidOffers));
    assert!(words(&step)[0].contains("must be allocated to the same role"), "{step:?}");
}

#[test]
fn a_message_to_an_executor_goes_to_its_agent_or_nowhere() {
    let mut one = One::new();
    let message = MessageBody {
        agent_id: Some(wire(&one.agent)),
        executor_id: Some(muster_proto::ExecutorId::new("e1")),
        data: b"ping".to_vec(),
    };
    let call = Call { message: Some(message), ..call_of("f", CallType::Message) };
    let step = one.world.call(call.clone());
    let [(_, MasterBody::FrameworkMessage(sent))] = &to_agent(&step)[..] else {
        panic!("{step:?}")
    };
    assert_eq!((sent.data.as_slice(), sent.framework_id.is_some()), (&b"ping"[..], true));
    one.world.disconnect(one.on);
    assert_eq!(to_agent(&one.world.call(call)), []);
}

//! RECONCILE and KILL.

use std::time::Duration;

use muster_api::{AgentId, limits};
use muster_master::core::{Answer, Event, Step};
use muster_proto::{
    ContainerId, ContainerStatus, FrameworkId, Reason, StatusSource, TaskId, TaskState, TaskStatus,
    agent::MasterBody,
    scheduler::{Call, CallType, Reconcile, ReconcileTask},
};

use crate::world::*;

#[test]
fn known_tasks_are_answered_with_what_was_reported_last() {
    let mut cluster = Cluster::new();
    cluster.launch(vec![cluster.task("t1", "e1"), cluster.task("t2", "e1")]);
    cluster.status("t2", TaskState::Running);
    let answers = cluster.reconcile(&[]);
    let states: Vec<_> = answers.iter().map(verdict).collect();
    let reason = Some(Reason::Reconciliation);
    assert_eq!(
        states,
        [("t1".into(), TaskState::Staging, reason), ("t2".into(), TaskState::Running, reason)]
    );
    for answer in answers {
        assert_eq!((answer.uuid, answer.source), (None, Some(StatusSource::Master as i32)));
        assert_eq!(answer.agent_id, Some(wire(&cluster.agent)));
    }
    assert_eq!(cluster.reconcile(&[("t2", None)]).len(), 1);
}

#[test]
fn an_end_that_was_not_reported_yet_is_not_told_by_reconciliation() {
    let mut cluster = Cluster::new();
    cluster.come_back(cluster.hello_again(&[("t1", TaskState::Finished)], &["e1"]));
    assert_eq!(verdict(&cluster.reconcile(&[("t1", None)])[0]).1, TaskState::Staging);
    cluster.status("t1", TaskState::Finished);
    assert_eq!(verdict(&cluster.reconcile(&[("t1", None)])[0]).1, TaskState::Finished);
}

#[test]
fn unknown_tasks_are_judged_by_their_agent() {
    let mut cluster = Cluster::new();
    let here = cluster.agent.clone();
    let nowhere: AgentId = "nowhere".parse().unwrap();
    let mut state = |agent: Option<&AgentId>| {
        let answers = cluster.reconcile(&[("who", agent)]);
        answers.first().map(|status| verdict(status).1)
    };
    assert_eq!(state(Some(&here)), Some(TaskState::Gone));
    assert_eq!(state(Some(&nowhere)), Some(TaskState::Unknown));
    assert_eq!(state(None), Some(TaskState::Unknown));
}

#[test]
fn tasks_of_a_silent_agent_are_unreachable_since_its_last_heartbeat() {
    let mut cluster = Cluster::new();
    cluster.launch(vec![cluster.task("t1", "e1"), cluster.task("t2", "e1")]);
    cluster.status("t2", TaskState::Finished);
    cluster.world.wait(Duration::from_secs(30));
    let here = cluster.agent.clone();
    let answers = cluster.reconcile(&[("t1", None), ("t2", None), ("who", Some(&here))]);
    let states: Vec<_> = answers.iter().map(|answer| verdict(answer).1).collect();
    let expected = [TaskState::Unreachable, TaskState::Finished, TaskState::Unreachable];
    assert_eq!(states, expected);
    let since = answers[0].unreachable_time.unwrap().nanoseconds;
    assert_eq!(since, START.wall.as_millis() * 1_000_000);
}

#[test]
fn a_new_master_is_silent_about_agents_that_have_not_come() {
    let mut cluster = Cluster::new();
    let world = cluster.world.restart();
    cluster.world = world;
    let framework = cluster.framework.clone();
    cluster.world.call(subscribe(Some(&framework)));
    let here = cluster.agent.clone();
    let nowhere: AgentId = "nowhere".parse().unwrap();
    assert_eq!(cluster.reconcile(&[("t1", Some(&here)), ("t1", None)]), []);
    assert_eq!(cluster.reconcile(&[("t1", Some(&nowhere))]).len(), 1);
    assert_eq!(cluster.kill("t1", Some(&here)).effects, []);
    cluster.come_back(cluster.hello_again(&[], &[]));
    assert_eq!(cluster.reconcile(&[("t1", Some(&here)), ("t1", None)]).len(), 2);
}

/// Every case of a question about one task, in the words of Mesos: what is known of it, else what
/// is known of the agent that is named with it.
#[test]
fn every_case_of_a_question() {
    let mut cluster = Cluster::new();
    cluster.launch(vec![cluster.task("t1", "e1"), cluster.task("t2", "e1")]);
    cluster.status("t1", TaskState::Running);
    cluster.status("t2", TaskState::Finished);
    let here = cluster.agent.clone();
    let (lost, on, _) = cluster.world.agent("lost", "cpus:1");
    let (gone, also_on, _) = cluster.world.agent("gone", "cpus:1");
    cluster.world.disconnect(on);
    cluster.world.disconnect(also_on);
    cluster.world.mark_gone(&gone).unwrap();
    let nobody: AgentId = "nobody".parse().unwrap();
    let ask = |cluster: &mut Cluster, task: &str, agent: Option<&AgentId>| {
        let answers = cluster.reconcile(&[(task, agent)]);
        answers.first().map(|answer| {
            assert_eq!(answer.reason, Some(Reason::Reconciliation as i32));
            assert_eq!(answer.unreachable_time.is_some(), answer.state() == TaskState::Unreachable);
            answer.state()
        })
    };
    for (what, task, agent, state) in [
        ("known", "t1", Some(&here), TaskState::Running),
        ("known, its agent not named", "t1", None, TaskState::Running),
        ("known, another agent named", "t1", Some(&nobody), TaskState::Running),
        ("over and not acknowledged", "t2", Some(&here), TaskState::Finished),
        ("unknown on a registered agent", "who", Some(&here), TaskState::Gone),
        ("unknown on a silent agent", "who", Some(&lost), TaskState::Unreachable),
        ("unknown on a gone agent", "who", Some(&gone), TaskState::GoneByOperator),
        ("unknown on an unknown agent", "who", Some(&nobody), TaskState::Unknown),
        ("unknown, no agent named", "who", None, TaskState::Unknown),
    ] {
        assert_eq!(ask(&mut cluster, task, agent), Some(state), "{what}");
    }
    cluster.world.disconnect(cluster.connection);
    assert_eq!(ask(&mut cluster, "t1", Some(&here)), Some(TaskState::Unreachable));
    assert_eq!(ask(&mut cluster, "t2", Some(&here)), Some(TaskState::Finished));

    cluster.world = cluster.world.restart();
    let framework = cluster.framework.clone();
    cluster.world.call(subscribe(Some(&framework)));
    for (what, agent, state) in [
        ("not back yet", Some(&here), None),
        ("not back yet, perhaps", None, None),
        ("gone", Some(&gone), Some(TaskState::GoneByOperator)),
        ("unknown", Some(&nobody), Some(TaskState::Unknown)),
    ] {
        assert_eq!(ask(&mut cluster, "t1", agent), state, "on an agent that is {what}");
    }
    cluster.come_back(cluster.hello_again(&[("t1", TaskState::Running)], &["e1"]));
    assert_eq!(ask(&mut cluster, "t1", Some(&here)), Some(TaskState::Running));
    assert_eq!(ask(&mut cluster, "t2", Some(&here)), Some(TaskState::Gone));
}

#[test]
fn many_tasks_are_named_a_step_at_a_time() {
    let mut cluster = Cluster::new();
    let many = limits::RECONCILE_TASKS * 2 + 1;
    let ids: Vec<String> = (0..many).map(|number| format!("t{number:05}")).collect();
    let tasks: Vec<_> = ids.iter().map(|id| (id.as_str(), TaskState::Running)).collect();
    let mut hello = cluster.hello_again(&tasks, &["e1"]);
    hello.info.as_mut().unwrap().resources = resources("cpus:4000;mem:400000");
    cluster.come_back(hello);
    let named = |answers: &[muster_proto::TaskStatus]| -> Vec<String> {
        answers.iter().map(|answer| answer.task_id.clone().unwrap().value).collect()
    };
    let mut all = named(&cluster.reconcile(&[]));
    assert_eq!(all.len(), limits::RECONCILE_TASKS);
    // Who asks again meanwhile is answered from the beginning.
    all = named(&cluster.reconcile(&[]));
    assert_eq!(updates(&cluster.world.step(Event::Tick)), [], "as fast as it can be read");
    for _ in 0..2 {
        let next = cluster.world.now.mono + limits::RECONCILE_PAUSE;
        assert_eq!(cluster.world.master.next_wakeup(), Some(next));
        let step = cluster.world.wait(limits::RECONCILE_PAUSE);
        all.extend(named(&updates(&step)));
    }
    assert_eq!(all, ids);
    let next = cluster.world.now.mono + limits::RECONCILE_PAUSE;
    assert!(cluster.world.master.next_wakeup() > Some(next), "nothing is left");

    cluster.reconcile(&[]);
    let framework = cluster.framework.clone();
    cluster.world.call(subscribe(Some(&framework)));
    let step = cluster.world.wait(limits::RECONCILE_PAUSE);
    assert_eq!(updates(&step), [], "a new subscription asks anew");
}

/// A RECONCILE of a framework about tasks that nobody knows.
fn about(id: &str, tasks: impl Iterator<Item = usize>) -> Call {
    let ask = |number| ReconcileTask {
        task_id: Some(TaskId::new(format!("t{number:06}"))),
        agent_id: None,
    };
    let reconcile = Some(Reconcile { tasks: tasks.map(ask).collect() });
    Call { reconcile, ..call_of(id, CallType::Reconcile) }
}

fn named(step: &Step) -> Vec<String> {
    updates(step).into_iter().map(|status| status.task_id.unwrap().value).collect()
}

#[test]
fn many_questions_are_answered_a_step_at_a_time_and_in_their_order() {
    let mut world = World::new();
    world.foreign(subscribe_as("f", |_| ()), None);
    world.foreign(subscribe_as("g", |_| ()), None);
    let part = limits::RECONCILE_TASKS;
    let mut told = named(&world.foreign(about("f", 0..2 * part), None));
    assert_eq!(told.len(), part);
    // What is asked meanwhile comes after that.
    told.extend(named(&world.foreign(about("f", 2 * part..2 * part + 1), None)));
    assert_eq!(told.len(), 2 * part);
    assert_eq!(named(&world.foreign(about("g", 0..part + 1), None)).len(), part);
    // From here on each tick answers one framework, and they take turns.
    for (of, rest) in [("f", 1), ("g", 1)] {
        let next = world.now.mono + limits::RECONCILE_PAUSE;
        assert_eq!(world.master.next_wakeup(), Some(next));
        let step = world.wait(limits::RECONCILE_PAUSE);
        assert_eq!(named(&step).len(), rest, "{of}");
        told.extend(named(&step));
    }
    let all: Vec<_> = (0..2 * part + 1).chain([part]).map(|one| format!("t{one:06}")).collect();
    assert_eq!(told, all);
    assert_eq!(world.master.next_wakeup(), None, "nothing is left");
}

#[test]
fn questions_that_are_too_many_are_left_unanswered() {
    let mut world = World::new();
    world.foreign(subscribe_as("f", |_| ()), None);
    let step = world.foreign(about("f", 0..limits::RECONCILE_WAITING + 7), None);
    assert_eq!((answers(&step), step.notes.len()), (vec![Answer::Accepted], 1));
    let mut told = named(&step).len();
    while world.master.next_wakeup().is_some() {
        told += named(&world.wait(limits::RECONCILE_PAUSE)).len();
    }
    assert_eq!(told, limits::RECONCILE_WAITING);
    // There is room again, and one that leaves is told nothing of what it still waited for.
    let step = world.foreign(about("f", 0..2 * limits::RECONCILE_TASKS), None);
    assert_eq!(step.notes, []);
    world.leave(&FrameworkId::new("f"));
    assert_eq!(updates(&world.wait(limits::RECONCILE_PAUSE)), []);
}

/// A status in a container whose id is so long.
fn in_container(task: &str, id_bytes: usize) -> TaskStatus {
    let container = ContainerStatus {
        container_id: Some(ContainerId { value: "c".repeat(id_bytes), parent: None }),
        executor_pid: Some(7),
        ..ContainerStatus::default()
    };
    TaskStatus { container_status: Some(Box::new(container)), ..status(task, TaskState::Running) }
}

#[test]
fn the_container_of_a_task_is_told_as_its_agent_said_it_unless_that_is_long() {
    let mut world = World::new();
    let (agent, on, _) = world.agent("h1", "cpus:4;mem:4096");
    let offer = offers(&world.foreign(subscribe_as("f", |_| ()), None)).pop().unwrap();
    let framework = FrameworkId::new("f");
    let tasks = ["t1", "t2", "t3"].map(|id| task(id, &agent, "e1"));
    world.call(accept_of("f", &[&offer], vec![launch(tasks.to_vec())], None));
    let long = limits::CONTAINER_STATUS_KEPT_BYTES;
    for said in [in_container("t1", 36), in_container("t2", long)] {
        world.status(on, &framework, said);
    }
    let ask = ["t1", "t2", "t3"]
        .map(|id| ReconcileTask { task_id: Some(TaskId::new(id)), agent_id: None });
    let call = Call {
        reconcile: Some(Reconcile { tasks: ask.to_vec() }),
        ..call_of("f", CallType::Reconcile)
    };
    let told = updates(&world.foreign(call, None));
    let containers: Vec<_> = told.into_iter().map(|status| status.container_status).collect();
    assert_eq!(containers, [in_container("t1", 36).container_status, None, None]);
}

#[test]
fn a_kill_goes_to_the_agent_and_again_when_it_comes_back() {
    let mut cluster = Cluster::new();
    cluster.launch(vec![cluster.task("t1", "e1")]);
    let kills = |step: &muster_master::core::Step| {
        to_agent(step).iter().filter(|(_, body)| matches!(body, MasterBody::Kill(_))).count()
    };
    assert_eq!(kills(&cluster.kill("t1", None)), 1);
    cluster.world.disconnect(cluster.connection);
    assert_eq!(cluster.kill("t1", None).effects, []);
    let hello = cluster.hello_again(&[("t1", TaskState::Running)], &["e1"]);
    assert_eq!(kills(&cluster.come_back(hello).0), 1);
    let hello = cluster.hello_again(&[("t1", TaskState::Killed)], &["e1"]);
    assert_eq!(kills(&cluster.come_back(hello).0), 0);
}

#[test]
fn a_kill_of_an_unknown_task_is_answered() {
    let mut cluster = Cluster::new();
    let here = cluster.agent.clone();
    let step = cluster.kill("who", Some(&here));
    let gone = ("who".into(), TaskState::Gone, Some(Reason::Reconciliation));
    assert_eq!(verdicts(&step), [gone]);
}

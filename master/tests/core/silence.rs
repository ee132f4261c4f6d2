//! Agents that are lost and found, as frameworks over HTTP are told of it.

use std::time::Duration;

use muster_api::{Span, limits};
use muster_master::core::{Effect, Step};
use muster_proto::{
    CapabilityType, FrameworkId, FrameworkInfo, Reason, TaskId, TaskState,
    agent::{ExecutorHere, Hello, MasterBody, TaskHere},
    scheduler::{Call, CallType, Kill, Reconcile, ReconcileTask},
};

use crate::world::*;

/// A framework with one running task on one agent.
struct Lost {
    world: World,
    agent: muster_api::AgentId,
    on: muster_master::core::Connection,
    info: FrameworkInfo,
}

impl Lost {
    fn new(aware: bool, checkpoint: bool) -> Self {
        let mut world = World::new();
        let (agent, on, _) = world.agent("h1", "cpus:4;mem:4096");
        let call = subscribe_as("f", |info| {
            info.checkpoint = Some(checkpoint);
            let kind = CapabilityType::PartitionAware as i32;
            info.capabilities.retain(|one| aware || one.r#type != Some(kind));
        });
        let info = call.subscribe.clone().unwrap().framework_info.unwrap();
        let step = world.foreign(call, None);
        let offer = offers(&step).pop().unwrap();
        let tasks = vec![task("t1", &agent, "e1"), task("t2", &agent, "e1")];
        world.call(accept_of("f", &[&offer], vec![launch(tasks)], None));
        world.status(on, &FrameworkId::new("f"), status("t1", TaskState::Running));
        Self { world, agent, on, info }
    }

    /// The agent comes back with its first task and its executor.
    fn hello(&self) -> Hello {
        let mut hello = hello("h1", "cpus:4;mem:4096");
        hello.info.as_mut().unwrap().id = Some(wire(&self.agent));
        let mut here = task("t1", &self.agent, "e1");
        here.executor.as_mut().unwrap().framework_id = self.info.id.clone();
        hello.executors.push(ExecutorHere {
            framework: Some(self.info.clone()),
            executor: here.executor.clone(),
            ..ExecutorHere::default()
        });
        hello.tasks.push(TaskHere {
            framework_id: self.info.id.clone(),
            task: Some(here),
            state: TaskState::Running as i32,
        });
        hello
    }

    fn ask(&mut self, task: &str, agent: Option<&str>) -> Vec<(TaskState, String)> {
        let asked = ReconcileTask {
            task_id: Some(muster_proto::TaskId::new(task)),
            agent_id: agent.map(muster_proto::AgentId::new),
        };
        let step = self.world.call(Call {
            reconcile: Some(Reconcile { tasks: vec![asked] }),
            ..call_of("f", CallType::Reconcile)
        });
        let told = updates(&step).into_iter();
        told.map(|status| (verdict(&status).1, status.message.unwrap())).collect()
    }
}

#[test]
fn what_outlives_its_agent_is_lost_after_75_seconds_and_found_again() {
    for (aware, state) in [(true, TaskState::Unreachable), (false, TaskState::Lost)] {
        let mut lost = Lost::new(aware, true);
        let step = lost.world.disconnect(lost.on);
        assert_eq!((updates(&step), failures(&step)), (vec![], vec![]));
        let almost = limits::AGENT_UNREACHABLE_AFTER - Duration::from_secs(1);
        assert_eq!(updates(&lost.world.wait(almost)), []);
        assert_eq!(lost.ask("t1", None)[0].0, TaskState::Running, "nobody was told otherwise");
        let step = lost.world.wait(Duration::from_secs(1));
        let removed = Some(Reason::AgentRemoved);
        let told: Vec<_> = ["t1", "t2"].map(|task| (task.to_owned(), state, removed)).into();
        assert_eq!(verdicts(&step), told);
        assert_eq!(words(&step)[0], "health check timed out");
        assert!(updates(&step).iter().all(|one| one.unreachable_time.is_some()));
        assert_eq!(failures(&step), [(lost.agent.to_string(), None, None)]);
        let agent = lost.agent.to_string();
        let unreachable = [(state, "Reconciliation: Task is unreachable".to_owned())];
        assert_eq!(lost.ask("t1", None), unreachable);
        assert_eq!(lost.ask("strange", Some(&agent)), unreachable);
        assert_eq!(lost.world.used(), "cpus:2.1;mem:160", "it keeps what it holds");

        let hello = lost.hello();
        let (on, step) = lost.world.hello(hello);
        let found = ("t1".to_owned(), TaskState::Running, Some(Reason::AgentReregistered));
        let over = if aware { TaskState::Dropped } else { TaskState::Lost };
        let over = ("t2".to_owned(), over, Some(Reason::Reconciliation));
        assert_eq!(verdicts(&step), [over, found]);
        assert_eq!(words(&step)[1], "Unreachable agent re-reregistered");
        lost.world.beat(on, 1);
        assert_eq!(
            lost.ask("t1", None),
            [(TaskState::Running, "Reconciliation: Latest task state".to_owned())]
        );
    }
}

#[test]
fn what_ends_with_its_agent_is_lost_at_once_and_found_if_it_lives_all_the_same() {
    for aware in [true, false] {
        let mut lost = Lost::new(aware, false);
        let step = lost.world.disconnect(lost.on);
        let told: Vec<_> = ["t1", "t2"]
            .map(|task| (task.to_owned(), TaskState::Lost, Some(Reason::AgentDisconnected)))
            .into();
        assert_eq!(verdicts(&step), told);
        assert_eq!(words(&step)[0], "Agent h1 disconnected");
        assert_eq!(lost.world.used(), "");
        let step = lost.world.wait(limits::AGENT_UNREACHABLE_AFTER);
        assert_eq!(updates(&step), [], "that was told");
        assert_eq!(failures(&step).len(), 1);
        let hello = lost.hello();
        let (on, step) = lost.world.hello(hello);
        let found = ("t1".to_owned(), TaskState::Running, Some(Reason::AgentReregistered));
        assert_eq!(verdicts(&step), [found]);
        assert_eq!(words(&step), ["Unreachable agent re-reregistered"]);
        lost.world.beat(on, 1);
        assert_eq!(lost.world.used(), "cpus:1.1;mem:96");
        assert_eq!(lost.ask("t1", None)[0].0, TaskState::Running);
    }
}

#[test]
fn what_was_lost_with_a_connection_is_found_on_the_next_and_killed_if_that_was_asked_for() {
    for (aware, lost_state) in [(true, TaskState::Unreachable), (false, TaskState::Lost)] {
        let mut lost = Lost::new(aware, false);
        lost.world.disconnect(lost.on);
        // It may live all the same, so nobody says that it is over.
        let answer = [(lost_state, "Reconciliation: Task is unreachable".to_owned())];
        assert_eq!(lost.ask("t1", None), answer);
        let kill = Kill { task_id: Some(muster_proto::TaskId::new("t1")), ..Kill::default() };
        let step = lost.world.call(Call { kill: Some(kill), ..call_of("f", CallType::Kill) });
        assert_eq!(verdicts(&step)[0].1, lost_state);

        let hello = lost.hello();
        let (on, step) = lost.world.hello(hello);
        let found = ("t1".to_owned(), TaskState::Running, Some(Reason::AgentReregistered));
        assert_eq!(verdicts(&step), [found], "and t2 was said to be lost already");
        assert_eq!(words(&step), ["Agent h1 re-registered"]);
        let kills = |(_, body): &&(_, MasterBody)| matches!(body, MasterBody::Kill(_));
        assert_eq!(to_agent(&step).iter().filter(kills).count(), 1);

        // What was found is lost and found again; the kill still waits for the task's end.
        lost.world.disconnect(on);
        let hello = lost.hello();
        let (_, step) = lost.world.hello(hello);
        assert_eq!(verdicts(&step).len(), 1);
        assert_eq!(to_agent(&step).iter().filter(kills).count(), 1);
    }
}

#[test]
fn what_was_lost_with_a_connection_is_forgotten_with_its_framework() {
    let mut lost = Lost::new(true, false);
    lost.world.disconnect(lost.on);
    lost.world.remove("f").unwrap();
    let hello = lost.hello();
    let (_, step) = lost.world.hello(hello);
    assert_eq!(updates(&step), []);
    let shuts = |(_, body): &(_, MasterBody)| matches!(body, MasterBody::ShutdownExecutor(_));
    assert!(to_agent(&step).iter().any(shuts));
}

#[test]
fn what_ends_with_its_agent_stays_where_it_is_while_the_agent_is_only_silent() {
    let mut lost = Lost::new(true, false);
    let step = lost.world.wait(limits::SILENT_AFTER);
    assert_eq!(updates(&step), []);
    lost.world.beat(lost.on, 2);
    assert_eq!(lost.world.used(), "cpus:2.1;mem:160");
}

#[test]
fn an_agent_that_only_falls_silent_is_lost_all_the_same() {
    let mut lost = Lost::new(true, true);
    let step = lost.world.wait(limits::AGENT_UNREACHABLE_AFTER);
    assert_eq!(verdicts(&step).len(), 2);
    // A host that vanished does not say so: nothing is left of its connection.
    let close = Effect::Close { connection: lost.on };
    assert!(step.effects.contains(&close));
    assert_eq!(lost.world.beat(lost.on, 2).effects, []);
    // One that is heard in time is not.
    let mut lost = Lost::new(true, true);
    lost.world.wait(limits::SILENT_AFTER);
    lost.world.beat(lost.on, 2);
    let step = lost.world.wait(limits::AGENT_UNREACHABLE_AFTER - Duration::from_millis(1));
    assert_eq!(updates(&step), []);
    assert_eq!(updates(&lost.world.wait(Duration::from_millis(1))).len(), 2);
}

/// A kill of the first task, wherever it is or on this agent.
fn kill(agent: Option<&str>) -> Call {
    let (task_id, agent_id) = (Some(TaskId::new("t1")), agent.map(muster_proto::AgentId::new));
    let kill = Some(Kill { task_id, agent_id, ..Kill::default() });
    Call { kill, ..call_of("f", CallType::Kill) }
}

#[test]
fn a_kill_of_a_task_that_is_lost_is_answered_and_sent_when_it_is_found() {
    let mut lost = Lost::new(true, true);
    lost.world.disconnect(lost.on);
    assert_eq!(updates(&lost.world.call(kill(None))), [], "nobody was told that it is lost");
    lost.world.wait(limits::AGENT_UNREACHABLE_AFTER);
    let step = lost.world.call(kill(None));
    let reason = Some(Reason::Reconciliation);
    assert_eq!(verdicts(&step), [("t1".to_owned(), TaskState::Unreachable, reason)]);
    let hello = lost.hello();
    let (_, step) = lost.world.hello(hello);
    assert!(to_agent(&step).iter().any(|(_, body)| matches!(body, MasterBody::Kill(_))));
}

#[test]
fn a_kill_of_a_task_elsewhere_than_it_is_is_left_alone() {
    let mut lost = Lost::new(true, true);
    let step = lost.world.call(kill(Some("elsewhere")));
    assert_eq!((to_agent(&step).len(), updates(&step)), (0, vec![]));
    assert!(step.notes[0].to_string().contains("elsewhere"), "{}", step.notes[0]);
    let agent = lost.agent.to_string();
    assert_eq!(to_agent(&lost.world.call(kill(Some(&agent)))).len(), 1);
}

fn launch_on(world: &mut World, agent: &muster_api::AgentId, name: &str) -> Step {
    let offer = world.offers_of(&FrameworkId::new("f")).pop().unwrap();
    let tasks = vec![task(name, agent, "e2")];
    world.call(accept_of("f", &[&offer], vec![launch(tasks)], Some(0.0)))
}

#[test]
fn the_id_of_a_task_that_counts_as_lost_is_not_used_again() {
    let mut lost = Lost::new(true, false);
    lost.world.disconnect(lost.on);
    let (other, on, _) = lost.world.agent("h2", "cpus:4;mem:4096");
    let step = launch_on(&mut lost.world, &other, "t1");
    assert_eq!(
        (launched(&step).len(), words(&step)),
        (0, vec!["Task has duplicate ID: t1".into()])
    );
    lost.world.wait(limits::ALLOCATION_INTERVAL);
    lost.world.beat(on, 2);
    assert_eq!(launched(&launch_on(&mut lost.world, &other, "t3")), ["t3"]);
}

#[test]
fn what_a_removed_framework_has_on_a_lost_agent_is_remembered_until_it_ends() {
    let mut lost = Lost::new(true, false);
    lost.world.remove("f").unwrap();
    lost.world.disconnect(lost.on);
    assert_eq!(lost.world.used(), "cpus:2.1;mem:160");
    for number in 0..limits::FRAMEWORKS_REMOVED + 1 {
        let id = format!("other-{number}");
        lost.world.foreign(subscribe_as(&id, |_| ()), None);
        lost.world.wait(Duration::from_millis(1));
        lost.world.remove(&id).unwrap();
    }
    let hello = lost.hello();
    let (_, step) = lost.world.hello(hello);
    let shuts = |(_, body): &(_, MasterBody)| matches!(body, MasterBody::ShutdownExecutor(_));
    assert!(to_agent(&step).iter().any(shuts));
}

#[test]
fn what_is_asked_about_is_answered_in_the_words_of_mesos() {
    let mut lost = Lost::new(true, true);
    let agent = lost.agent.to_string();
    let of = |state, words: &str| vec![(state, format!("Reconciliation: {words}"))];
    assert_eq!(lost.ask("none", Some(&agent)), of(TaskState::Gone, "Task is unknown to the agent"));
    assert_eq!(lost.ask("none", None), of(TaskState::Unknown, "Task is unknown"));
    assert_eq!(lost.ask("none", Some("nowhere")), of(TaskState::Unknown, "Task is unknown"));
    // After a restart of the master agents are awaited: silence, for ten minutes.
    lost.world = lost.world.restart();
    lost.world.foreign(subscribe_as("f", |_| ()), None);
    assert_eq!(lost.ask("t1", None), []);
    assert_eq!(lost.ask("t1", Some(&agent)), []);
    assert_eq!(lost.ask("t1", Some("nowhere")), of(TaskState::Unknown, "Task is unknown"));
    lost.world.wait(limits::AGENT_RETURN);
    assert_eq!(lost.ask("t1", Some(&agent)), of(TaskState::Unreachable, "Task is unreachable"));
    assert_eq!(lost.ask("t1", None), of(TaskState::Unknown, "Task is unknown"));
    let id = lost.agent.clone();
    lost.world.mark_gone(&id).unwrap();
    assert_eq!(lost.ask("t1", Some(&agent)), of(TaskState::GoneByOperator, "Task is gone"));
}

#[test]
fn a_host_that_is_gone_is_told_as_mesos_tells_it() {
    for (aware, state, reason) in [
        (true, TaskState::GoneByOperator, Reason::AgentRemovedByOperator),
        (false, TaskState::Lost, Reason::AgentRemoved),
    ] {
        let mut lost = Lost::new(aware, true);
        lost.world.disconnect(lost.on);
        let id = lost.agent.clone();
        let step = lost.world.mark_gone(&id).unwrap();
        assert_eq!(verdicts(&step)[0], ("t1".to_owned(), state, Some(reason)));
        assert_eq!(words(&step)[0], "Agent has been marked gone");
        assert_eq!(failures(&step), [(id.to_string(), None, None)]);
    }
}

#[test]
fn what_is_killed_because_its_host_is_drained_says_so() {
    let mut lost = Lost::new(true, true);
    let id = lost.agent.clone();
    let step = lost.world.drain(&id, Some(Span::ZERO)).unwrap();
    assert!(to_agent(&step).iter().any(|(_, body)| matches!(body, MasterBody::Kill(_))));
    let f = FrameworkId::new("f");
    let step = lost.world.status(lost.on, &f, status("t1", TaskState::Killed));
    assert_eq!(
        verdicts(&step),
        [("t1".to_owned(), TaskState::Killed, Some(Reason::AgentDraining))]
    );
}

//! Hosts that an operator wants empty.

use std::time::Duration;

use muster_api::{
    AgentId, Span, Timestamp,
    views::{AgentState, AgentView},
};
use muster_master::core::{AgentNews, NotDrained, Note, Step};
use muster_proto::{FrameworkId, Offer, TaskId, TaskState, agent::MasterBody, scheduler::CallType};

use crate::world::*;

const MINUTE: Duration = Duration::from_secs(60);

fn drain(cluster: &mut Cluster, deadline: Option<&str>) -> Step {
    let agent = cluster.agent.clone();
    let deadline = deadline.map(|span| span.parse::<Span>().unwrap());
    cluster.world.drain(&agent, deadline).unwrap()
}

/// The deadline in what the embedded scheduler is told, as seconds from now.
fn told(cluster: &Cluster, step: &Step) -> Vec<Option<u64>> {
    let pick = |one| match one {
        AgentNews::Draining { agent, deadline } if agent == cluster.agent => {
            Some(deadline.map(|at| at.since(cluster.world.now.mono).as_secs()))
        }
        _ => None,
    };
    news(step).into_iter().filter_map(pick).collect()
}

fn view(cluster: &Cluster) -> AgentView {
    cluster.world.agents().into_iter().find(|view| view.id == cluster.agent).unwrap()
}

/// The tasks that the agent is told to kill.
fn killed(step: &Step) -> Vec<String> {
    let pick = |(_, body)| match body {
        MasterBody::Kill(kill) => kill.task_id.map(|id: TaskId| id.value),
        _ => None,
    };
    to_agent(step).into_iter().filter_map(pick).collect()
}

#[test]
fn offers_are_withdrawn_and_none_are_made_until_it_is_activated() {
    let mut cluster = Cluster::new();
    let step = drain(&mut cluster, None);
    assert_eq!(rescinded(&step), [cluster.offer.id.clone().unwrap()]);
    assert_eq!(told(&cluster, &step), [None]);
    assert_eq!(step.notes, [Note::AgentDraining { agent: cluster.agent.clone() }]);
    assert_eq!(view(&cluster).state, AgentState::Drained, "nothing runs there");

    // What was on its way when the offer was withdrawn is dropped: it never started.
    let step = cluster.launch(vec![cluster.task("t1", "e1")]);
    assert_eq!(verdicts(&step)[0].1, TaskState::Dropped);
    for second in 1..100 {
        cluster.world.wait(Duration::from_secs(1));
        let step = cluster.world.beat(cluster.connection, second + 1);
        assert_eq!(offers(&step), []);
    }
    let revive = cluster.call(CallType::Revive);
    assert_eq!(offers(&cluster.world.call(revive)), []);
    let other = cluster.world.call(subscribe(None));
    assert_eq!(offers(&other), [], "nor to another framework");

    let agent = cluster.agent.clone();
    let step = cluster.world.activate(&agent).unwrap();
    assert_eq!(offered(&offers(&step)[0]), "cpus:4;mem:4096");
    assert_eq!(news(&step), [AgentNews::Activated { agent: agent.clone() }]);
    assert_eq!((view(&cluster).state, view(&cluster).drain), (AgentState::Active, None));
    let step = cluster.world.activate(&agent).unwrap();
    assert_eq!((step.effects, step.notes, step.writes.len()), (vec![], vec![], 0), "it is used");
}

#[test]
fn filters_of_before_are_over_when_it_is_activated() {
    let mut cluster = Cluster::new();
    let id = cluster.offer.id.clone().unwrap();
    cluster.decline(&[&id], Some(1000.0));
    drain(&mut cluster, None);
    let agent = cluster.agent.clone();
    let step = cluster.world.activate(&agent).unwrap();
    assert_eq!(offered(&offers(&step)[0]), "cpus:4;mem:4096");
}

#[test]
fn it_is_draining_as_long_as_a_task_or_an_executor_is_there() {
    let mut cluster = Cluster::new();
    cluster.launch(vec![cluster.task("t1", "e1")]);
    drain(&mut cluster, Some("10m"));
    assert_eq!(view(&cluster).state, AgentState::Draining);
    let step = cluster.status("t1", TaskState::Finished);
    assert_eq!(offers(&step), [], "what becomes free is offered to nobody");
    cluster.acknowledge("t1", &uuid("t1"));
    assert_eq!(view(&cluster).state, AgentState::Draining, "its executor is there");
    let framework = cluster.framework.clone();
    cluster.world.exited(cluster.connection, &framework, "e1");
    assert_eq!(view(&cluster).state, AgentState::Drained);
    cluster.world.disconnect(cluster.connection);
    assert_eq!(view(&cluster).state, AgentState::Unreachable, "nobody knows what it does");
    assert!(view(&cluster).drain.is_some());
}

#[test]
fn said_again_it_sets_another_deadline_that_counts_from_then() {
    let mut cluster = Cluster::new();
    let start = cluster.world.now.wall;
    let step = drain(&mut cluster, Some("10m"));
    assert_eq!(told(&cluster, &step), [Some(600)]);
    cluster.world.wait(MINUTE);
    let step = drain(&mut cluster, Some("5m"));
    assert_eq!(told(&cluster, &step), [Some(300)]);
    assert_eq!(step.notes, [], "it is drained already");
    let shown = view(&cluster).drain.unwrap();
    assert_eq!((shown.since, shown.deadline), (start, Some(start + 6 * MINUTE)));
    let step = drain(&mut cluster, None);
    assert_eq!((told(&cluster, &step), view(&cluster).drain.unwrap().deadline), (vec![None], None));
    let step = drain(&mut cluster, None);
    assert_eq!((step.writes.len(), view(&cluster).drain.unwrap().since), (0, start));
}

#[test]
fn only_an_agent_that_is_known_can_be_drained() {
    let mut cluster = Cluster::new();
    let nobody: AgentId = "nobody".parse().unwrap();
    assert!(matches!(cluster.world.drain(&nobody, None), Err(NotDrained::Unknown { .. })));
    assert!(matches!(cluster.world.activate(&nobody), Err(NotDrained::Unknown { .. })));
    let agent = cluster.agent.clone();
    cluster.world.disconnect(cluster.connection);
    drain(&mut cluster, Some("1m"));
    cluster.world.mark_gone(&agent).unwrap();
    let refused = cluster.world.drain(&agent, None).unwrap_err();
    let at = view(&cluster).gone_at.unwrap();
    let words = format!("agent `{agent}` on `h1` was declared gone at {at}; nothing runs there");
    assert_eq!(refused.to_string(), words);
    assert_eq!(view(&cluster).drain, None);
    assert_eq!(cluster.world.master.next_wakeup(), None, "nobody waits for its deadline");
}

/// Over a restart of the master, of the agent, of its host, and with other resources.
#[test]
fn a_drain_outlives_everything() {
    let mut cluster = Cluster::new();
    cluster.launch(vec![cluster.task("t1", "e1")]);
    drain(&mut cluster, Some("10m"));
    let shown = view(&cluster).drain;

    let hello = cluster.hello_again(&[("t1", TaskState::Running)], &["e1"]);
    cluster.world = cluster.world.restart();
    cluster.world.now.wall = cluster.world.now.wall + MINUTE;
    cluster.world = cluster.world.restart();
    let step = cluster.world.call(subscribe(Some(&cluster.framework)));
    assert_eq!(told(&cluster, &step), [Some(540)], "also while the host is away");
    let (first, second) = cluster.come_back(hello);
    assert_eq!((told(&cluster, &first), offers(&second)), (vec![Some(540)], vec![]));
    assert_eq!((view(&cluster).state, view(&cluster).drain), (AgentState::Draining, shown));

    let mut hello = cluster.hello_again(&[], &[]);
    hello.boot_id = "boot-2".to_owned();
    hello.info.as_mut().unwrap().resources = resources("cpus:16;mem:1024");
    let (first, second) = cluster.come_back(hello);
    assert_eq!((told(&cluster, &first), offers(&second)), (vec![Some(540)], vec![]));
    assert_eq!((view(&cluster).state, view(&cluster).drain), (AgentState::Drained, shown));
    cluster.world = cluster.world.restart();
    assert_eq!(view(&cluster).drain, shown, "the record of a changed host has it too");
}

#[test]
fn what_was_left_of_a_deadline_at_a_restart_is_counted_by_the_wall_clock_and_never_more_than_all() {
    for (passed, left) in [(0, 600), (60, 540), (600, 0), (6000, 0), (-60, 600), (-100_000, 600)] {
        let mut cluster = Cluster::new();
        drain(&mut cluster, Some("10m"));
        let wall = cluster.world.now.wall.as_millis() + passed * 1000;
        cluster.world.now.wall = Timestamp::from_millis(wall);
        cluster.world = cluster.world.restart();
        let step = cluster.world.call(subscribe(Some(&cluster.framework)));
        assert_eq!(told(&cluster, &step), [Some(left)], "{passed} s later");
    }
}

/// A cluster with the task `mine` of the embedded scheduler and `theirs` of another framework.
fn shared() -> (Cluster, FrameworkId) {
    let mut cluster = Cluster::new();
    cluster.launch(vec![cluster.task("mine", "e1")]);
    let step = cluster.world.call(subscribe(None));
    let events = to_framework(&step);
    let other = events.iter().find_map(|event| event.subscribed.clone()?.framework_id).unwrap();
    let suppress = cluster.call(CallType::Suppress);
    cluster.world.call(suppress);
    let mine: Vec<Offer> = cluster.world.offers_of(&cluster.framework);
    let ids: Vec<_> = mine.iter().filter_map(|offer| offer.id.as_ref()).collect();
    let step = cluster.decline(&ids, Some(0.0));
    let offer = offers(&step).pop().or_else(|| cluster.world.offers_of(&other).pop()).unwrap();
    let ours = std::mem::replace(&mut cluster.framework, other.clone());
    cluster.accept(&[&offer], vec![cluster.task("theirs", "e2")], 0.0);
    cluster.framework = ours;
    (cluster, other)
}

#[test]
fn at_the_deadline_tasks_of_other_frameworks_are_killed() {
    let (mut cluster, other) = shared();
    drain(&mut cluster, Some("10m"));
    assert_eq!(killed(&beat(&mut cluster, 9)), [] as [&str; 0]);
    assert_eq!(killed(&beat(&mut cluster, 2)), ["theirs"], "the embedded one moves its own");

    // One that was away then is told when it comes back, also by a master that has started since.
    let hello = |cluster: &Cluster| {
        let mut hello = cluster.hello_again(&[("mine", TaskState::Running)], &["e1"]);
        let mut theirs = hello.tasks[0].clone();
        theirs.framework_id = Some(other.clone());
        theirs.task.as_mut().unwrap().task_id = Some(TaskId::new("theirs"));
        hello.tasks.push(theirs);
        hello
    };
    let again = hello(&cluster);
    let (first, _) = cluster.come_back(again);
    assert_eq!(killed(&first), ["theirs"]);
    cluster.world = cluster.world.restart();
    cluster.world.call(subscribe(Some(&cluster.framework)));
    let again = hello(&cluster);
    let (first, _) = cluster.come_back(again);
    assert_eq!(killed(&first), ["theirs"], "the deadline passed before the restart");
}

/// So much time passes, and the agent is heard in it.
fn beat(cluster: &mut Cluster, minutes: u32) -> Step {
    let mut all = Step::default();
    for second in 0..minutes * 60 {
        all.effects.extend(cluster.world.wait(Duration::from_secs(1)).effects);
        let number = u64::from(second) + 2;
        all.effects.extend(cluster.world.beat(cluster.connection, number).effects);
    }
    all
}

#[test]
fn without_a_deadline_or_after_an_activation_nothing_is_killed() {
    let (mut cluster, _) = shared();
    drain(&mut cluster, None);
    assert_eq!(killed(&beat(&mut cluster, 20)), [] as [&str; 0]);
    drain(&mut cluster, Some("10m"));
    let agent = cluster.agent.clone();
    cluster.world.activate(&agent).unwrap();
    assert_eq!(killed(&beat(&mut cluster, 20)), [] as [&str; 0]);
    let step = drain(&mut cluster, Some("0s"));
    assert_eq!(killed(&step), ["theirs"], "zero is at once");
}

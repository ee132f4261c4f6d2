//! Agents that an operator declares gone.

use std::time::Duration;

use muster_api::{AgentId, limits, views::AgentState};
use muster_master::core::{AgentNews, Effect, NotGone};
use muster_proto::{
    CapabilityType, Reason, TaskState,
    agent::{MasterBody, Refused},
    scheduler::Failure,
};

use crate::world::*;

/// A cluster whose one agent is lost, with a running task `t1`, a finished one `t2` whose end was
/// told, and executor `e1`.
fn lost() -> Cluster {
    let mut cluster = Cluster::new();
    cluster.launch(vec![cluster.task("t1", "e1"), cluster.task("t2", "e1")]);
    cluster.status("t1", TaskState::Running);
    cluster.status("t2", TaskState::Finished);
    cluster.world.disconnect(cluster.connection);
    cluster
}

#[test]
fn what_lived_there_is_over_and_the_record_says_so() {
    let mut cluster = lost();
    let agent = cluster.agent.clone();
    let step = cluster.world.mark_gone(&agent).unwrap();
    let reason = Some(Reason::AgentRemovedByOperator);
    assert_eq!(verdicts(&step), [("t1".into(), TaskState::GoneByOperator, reason)]);
    assert_eq!(updates(&step)[0].uuid, None, "nobody would take an acknowledgement");
    assert_eq!(updates(&step)[0].agent_id, Some(wire(&agent)));
    let failures: Vec<_> = to_framework(&step).into_iter().filter_map(|e| e.failure).collect();
    let agent_id = Some(wire(&agent));
    assert_eq!(failures, [Failure { agent_id, executor_id: None, status: None }]);
    assert_eq!(news(&step), [AgentNews::Gone { agent: agent.clone() }]);
    assert_eq!(step.writes.len(), 1);

    for world in [&cluster.world, &World::restored(cluster.world.records.clone(), START)] {
        let view = world.agents().remove(0);
        assert_eq!((view.state, view.tasks, view.executors), (AgentState::Gone, 0, 0));
        assert_eq!(view.gone_at, Some(START.wall));
        assert!(view.used.is_empty());
    }
    assert_eq!(cluster.world.mark_gone(&agent).unwrap().effects, [], "it is gone already");
}

#[test]
fn only_an_agent_that_is_not_heard_can_be_gone() {
    let mut cluster = Cluster::new();
    let agent = cluster.agent.clone();
    let nobody: AgentId = "nobody".parse().unwrap();
    assert!(matches!(cluster.world.mark_gone(&nobody), Err(NotGone::Unknown { .. })));
    let refused = cluster.world.mark_gone(&agent).unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!(
            "agent `{agent}` on `h1` is connected and heard; stop it first if its host is to go"
        )
    );
    // Connected and silent is enough: its connection is closed, and what it says on it is void.
    cluster.world.wait(limits::SILENT_AFTER);
    let (on, step) = (cluster.connection, cluster.world.mark_gone(&agent).unwrap());
    assert!(step.effects.contains(&Effect::Close { connection: on }));
    assert_eq!(cluster.world.beat(on, 2).effects, []);
    assert_eq!(cluster.world.disconnect(on).effects, []);
    assert_eq!(cluster.world.master.next_wakeup(), None);
}

#[test]
fn one_that_comes_back_is_refused_with_that_word_and_may_come_as_another() {
    let mut cluster = lost();
    let (agent, framework) = (cluster.agent.clone(), cluster.framework.clone());
    let hello_of_old = cluster.hello_again(&[("t1", TaskState::Running)], &["e1"]);
    cluster.world.mark_gone(&agent).unwrap();
    let mut world = cluster.world.restart();
    world.call(subscribe(Some(&framework)));
    let (connection, step) = world.hello(hello_of_old);
    let [(_, MasterBody::Refused(Refused { gone: true, retry: false, message, .. }))] =
        &to_agent(&step)[..]
    else {
        panic!("not refused: {step:?}");
    };
    assert!(message.contains("declared agent"), "{message}");
    assert_eq!(step.effects.last(), Some(&Effect::Close { connection }));
    assert_eq!((step.writes.len(), news(&step).len()), (0, 0));

    let (other, _, step) = world.agent("h1", "cpus:4;mem:4096");
    assert_ne!(other, agent);
    assert_eq!(offered(&offers(&step)[0]), "cpus:4;mem:4096");
    let states: Vec<_> = world.agents().iter().map(|view| view.state).collect();
    assert_eq!(states, [AgentState::Active, AgentState::Gone]);
}

/// The usual case: the scheduler has started anew, and knows of the agent but not what lives there.
#[test]
fn an_agent_that_has_not_come_since_the_start_can_be_gone() {
    let cluster = lost();
    let (agent, framework) = (cluster.agent, cluster.framework);
    let mut world = cluster.world.restart();
    world.call(subscribe(Some(&framework)));
    world.wait(limits::SILENT_AFTER);
    let step = world.mark_gone(&agent).unwrap();
    assert_eq!(news(&step), [AgentNews::Gone { agent }]);
    world.master.check();
}

#[test]
fn a_framework_that_is_away_is_told_when_it_asks() {
    let mut cluster = lost();
    let agent = cluster.agent.clone();
    cluster.world = cluster.world.restart();
    cluster.world.wait(limits::SILENT_AFTER);
    let step = cluster.world.mark_gone(&agent).unwrap();
    assert_eq!(step.effects, []);
    let framework = cluster.framework.clone();
    cluster.world.call(subscribe(Some(&framework)));
    let answers = cluster.reconcile(&[("t1", Some(&agent)), ("t1", None)]);
    let states: Vec<_> = answers.iter().map(|answer| verdict(answer).1).collect();
    assert_eq!(states, [TaskState::GoneByOperator, TaskState::Unknown]);
    let step = cluster.kill("t1", Some(&agent));
    assert_eq!(verdicts(&step)[0].1, TaskState::GoneByOperator);
}

#[test]
fn a_framework_that_knows_no_finer_states_is_told_lost() {
    let mut cluster = lost();
    let mut plain = subscribe(Some(&cluster.framework));
    let info = plain.subscribe.as_mut().unwrap().framework_info.as_mut().unwrap();
    info.capabilities.retain(|one| one.r#type != Some(CapabilityType::PartitionAware as i32));
    cluster.world.call(plain);
    let agent = cluster.agent.clone();
    let step = cluster.world.mark_gone(&agent).unwrap();
    assert_eq!(verdicts(&step)[0].1, TaskState::Lost);
}

#[test]
fn the_newest_are_remembered() {
    let mut world = World::new();
    let mut first = None;
    for number in 0..=limits::AGENTS_GONE {
        let (agent, on, _) = world.agent(&format!("h{number}"), "cpus:1");
        world.disconnect(on);
        world.mark_gone(&agent).unwrap();
        world.now.wall = world.now.wall + Duration::from_millis(1);
        first.get_or_insert(agent);
    }
    let views = world.agents();
    assert_eq!(views.len(), limits::AGENTS_GONE);
    assert!(views.iter().all(|view| Some(&view.id) != first.as_ref()));
    let records = world.records.keys().filter(|key| key.starts_with(b"A/")).count();
    assert_eq!(records, limits::AGENTS_GONE);
}

#[test]
fn the_newest_are_remembered_also_where_the_clock_was_set_back() {
    let mut world = World::new();
    let gone = |world: &mut World, host: &str| {
        let (agent, on, _) = world.agent(host, "cpus:1");
        world.disconnect(on);
        world.mark_gone(&agent).unwrap();
        agent
    };
    for number in 0..limits::AGENTS_GONE {
        gone(&mut world, &format!("h{number}"));
    }
    world.now.wall = world.now.wall.before(Duration::from_secs(60));
    let last = gone(&mut world, "last");
    assert!(world.agents().iter().any(|view| view.id == last));
    assert_eq!(world.agents().len(), limits::AGENTS_GONE);
}

#[test]
fn a_master_that_has_just_started_gives_agents_time_to_come_back() {
    let cluster = lost();
    let agent = cluster.agent.clone();
    let mut world = cluster.world.restart();
    let refused = world.mark_gone(&agent).unwrap_err();
    assert!(matches!(refused, NotGone::NotYetMissed { .. }), "{refused}");
    assert!(refused.to_string().ends_with("try again in 12 s"), "{refused}");
    world.wait(limits::SILENT_AFTER);
    world.mark_gone(&agent).unwrap();
}

//! Tasks of which nobody can say whether they live.

use std::time::Duration;

use muster_api::views::{AgentState, ShardState};
use muster_engine::{
    event::Command,
    query::{Answer, Query},
};
use muster_proto::{Reason, TaskState, scheduler::CallType};
use muster_session::link::Event as LinkEvent;

use super::world::{ASKED, SECOND, Said, WAIT, World};

#[test]
fn a_task_that_nobody_can_reach_is_perhaps_alive_for_a_wait_and_then_started_again() {
    for state in [TaskState::Unreachable, TaskState::Unknown, TaskState::Lost] {
        let (mut world, run, task) = World::with_a_running_task();
        world.status(&task, state, ASKED);
        world.wait(WAIT - SECOND);
        world.offer("s2", &[]);
        assert_eq!(world.launched(), [], "{state:?}: it may live");
        world.wait(SECOND * 2);
        world.offer("s2", &[]);
        let (_, again) = world.launched().pop().expect("it counts as dead by now");
        assert_ne!(again.task_id, task.task_id);
        // It lived after all: it is ended, again and again until it has, and changes nothing.
        world.status(&task, TaskState::Running, Said::Master(Reason::AgentReregistered));
        assert_eq!(world.names(), [CallType::Kill], "{state:?}");
        world.wait(SECOND * 2);
        assert!(world.names().contains(&CallType::Kill));
        assert_eq!(world.state_of(&run, 0), ShardState::Launching);
        world.status(&task, TaskState::Killed, Said::Executor);
        world.names();
        world.wait(SECOND * 60);
        assert!(!world.names().contains(&CallType::Kill));
    }
}

#[test]
fn a_task_that_is_heard_of_within_the_wait_goes_on() {
    let (mut world, run, task) = World::with_a_running_task();
    world.status(&task, TaskState::Unreachable, Said::Master(Reason::AgentRemoved));
    world.failure("s1", None);
    let Answer::Agents(agents) = world.query(Query::Agents) else { panic!("they are agents") };
    assert_eq!((agents[0].state, agents[0].tasks), (AgentState::Unreachable, 1));
    world.wait(WAIT - SECOND);
    world.status(&task, TaskState::Running, Said::Master(Reason::AgentReregistered));
    let Answer::Agents(agents) = world.query(Query::Agents) else { panic!("they are agents") };
    assert_eq!(agents[0].state, AgentState::Foreign);
    world.wait(WAIT * 2);
    assert_eq!(world.state_of(&run, 0), ShardState::Running);
    // An agent that is lost is enough: a master may say no more than that.
    world.failure("s1", None);
    world.wait(WAIT + SECOND);
    assert_ne!(world.state_of(&run, 0), ShardState::Running);
}

/// The wait is not stored: a scheduler that starts anew knows less, and waits for longer.
#[test]
fn a_restart_begins_the_wait_anew() {
    let (mut world, _, (_, task)) = World::with_a_launch();
    world.status(&task, TaskState::Running, Said::Executor);
    world.status(&task, TaskState::Unreachable, ASKED);
    world.wait(WAIT - SECOND);
    world.restart();
    world.subscribe("f");
    world.status(&task, TaskState::Unreachable, ASKED);
    world.wait(WAIT - SECOND);
    world.offer("s2", &[]);
    assert_eq!(world.launched(), []);
    world.wait(SECOND * 2);
    world.offer("s2", &[]);
    assert_eq!(world.launched().len(), 1);
}

/// Silence is no answer: a master that waits for an agent to come back says nothing of its tasks, and
/// leases, which end tasks on hosts of our own, are nobody's here.
#[test]
fn silence_alone_never_ends_a_task() {
    let (mut world, run, task) = World::with_a_running_task();
    world.restart();
    world.subscribe("f");
    world.names();
    world.wait(Duration::from_secs(3600));
    let asked = world.names().into_iter().filter(|name| *name == CallType::Reconcile).count();
    assert!(asked >= 10, "it is asked again and again, and was {asked} times");
    world.offer("s2", &[]);
    assert_eq!(world.launched(), []);
    world.status(&task, TaskState::Running, ASKED);
    assert_eq!(world.state_of(&run, 0), ShardState::Running);
}

/// Who is cut off himself knows nothing of others by that.
#[test]
fn the_wait_goes_on_only_while_the_master_says_that_it_does_not_know() {
    let (mut world, run, task) = World::with_a_running_task();
    world.status(&task, TaskState::Unreachable, Said::Master(Reason::AgentRemoved));
    world.wait(WAIT - SECOND * 10);
    let (attempt, why) = (world.attempt, "it broke".to_owned());
    world.link(LinkEvent::Closed { attempt, why });
    world.wait(WAIT * 2);
    assert_eq!(world.state_of(&run, 0), ShardState::Running, "it may be known by now");
    let Answer::Explain(Some(why)) = world.query(Query::Explain { run: run.id }) else {
        panic!("it is explained")
    };
    let words = why.explanation.placed[0].silent.clone().unwrap();
    assert!(words.contains("perhaps alive for 10s more"), "{words}");
    // The master is there again, and has not answered yet.
    world.subscribe("f");
    assert!(world.names().contains(&CallType::Reconcile));
    world.wait(SECOND * 60);
    assert_eq!(world.state_of(&run, 0), ShardState::Running);
    // It does not know either, and the rest of the wait goes on.
    world.status(&task, TaskState::Unreachable, ASKED);
    world.wait(SECOND * 9);
    assert_eq!(world.state_of(&run, 0), ShardState::Running);
    world.wait(SECOND * 2);
    assert_ne!(world.state_of(&run, 0), ShardState::Running);
}

/// Orders to end a task reach nobody then, so that its executor is not at fault.
#[test]
fn what_is_cancelled_while_the_master_is_away_closes_no_executor() {
    let (mut world, run, task) = World::with_a_running_task();
    let (attempt, why) = (world.attempt, "it broke".to_owned());
    world.link(LinkEvent::Closed { attempt, why });
    world.command(Command::Cancel { run: run.id }).unwrap();
    world.wait(Duration::from_secs(600));
    world.subscribe("f");
    world.names();
    while !world.names().contains(&CallType::Kill) {
        world.wait(SECOND);
    }
    let executors = world.stored.iter().filter(|(key, _)| key.starts_with(b"e/"));
    let executors: Vec<_> = executors.map(|(_, value)| String::from_utf8_lossy(value)).collect();
    assert_eq!(executors.len(), 1);
    assert!(!executors[0].contains("closed"), "{executors:?}");
    world.status(&task, TaskState::Killed, Said::Executor);
    assert!(world.is_over(&run));
}

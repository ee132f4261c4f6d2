//! What is known of the hosts of another master.

use muster_api::{limits, spec::AppSpec, step::Write, views::AgentState};
use muster_engine::{
    event::{Command, Expect, Rejected},
    query::{Answer, Query},
    records::held_write,
};
use muster_proto::{TaskState, scheduler::CallType};
use muster_session::link::Event as LinkEvent;
use serde_json::json;

use super::world::{SECOND, Said, WAIT, World, executor_of};

#[test]
fn an_executor_that_ended_unseen_is_known_from_the_offers() {
    let (mut world, _, (_, task)) = World::with_a_launch();
    let executor = executor_of(&task);
    world.status(&task, TaskState::Running, Said::Executor);
    world.status(&task, TaskState::Finished, Said::Executor);
    world.names();
    world.offer("s1", &[&executor]);
    assert!(!world.names().contains(&CallType::Shutdown), "it lives and idles");
    // Its FAILURE was lost with a subscription.
    world.offer("s1", &[]);
    assert!(world.names().contains(&CallType::Shutdown), "in case the master has it wrong");
    world.offer("s1", &[]);
    assert!(!world.stored.keys().any(|key| key.starts_with(b"e/")));
    // One that is not ours is told to end.
    world.names();
    world.offer("s1", &["018bcfe5-6800-7ccc-b9fb-27c4b5fe626e"]);
    assert!(world.names().contains(&CallType::Shutdown));
}

#[test]
fn many_starts_in_a_row_are_not_a_pair_of_calls_each() {
    let mut world = World::new();
    world.subscribe("f");
    world.names();
    let mut counts = (0, 0);
    for _ in 0..30 {
        let run = world.run(1, true);
        world.offer("s1", &[]);
        for (_, task) in world.calls.clone().into_iter().flat_map(|(number, call)| {
            let operations = call.accept.into_iter().flat_map(|accept| accept.operations);
            let tasks = operations.flat_map(|one| one.launch.unwrap().task_infos);
            tasks.map(move |task| (number, task)).collect::<Vec<_>>()
        }) {
            world.status(&task, TaskState::Finished, Said::Executor);
        }
        world.wait(SECOND);
        assert!(world.is_over(&run));
        for name in world.names() {
            counts.0 += usize::from(name == CallType::Suppress);
            counts.1 += usize::from(name == CallType::Revive);
        }
    }
    assert!(counts.0 == 0 && counts.1 <= 8, "{counts:?} in 30 s");
    // And when nothing starts any more, none is wanted.
    world.wait(limits::SUPPRESS_AFTER + SECOND);
    assert_eq!(world.names().last(), Some(&CallType::Suppress));
}

#[test]
fn the_hosts_are_those_of_another_master() {
    let mut world = World::new();
    world.subscribe("f");
    world.run(1, true);
    world.offer("s1", &[]);
    let agent: muster_api::AgentId = "s1".parse().unwrap();
    let commands = [
        Command::MarkAgentGone { agent: agent.clone() },
        Command::DrainAgent { agent: agent.clone(), deadline: None },
        Command::ActivateAgent { agent },
    ];
    for command in commands {
        let refused = world.command(command).unwrap_err();
        assert!(matches!(&refused, Rejected::Conflict { detail } if detail.contains("master")));
    }
    let Answer::Agents(agents) = world.query(Query::Agents) else { panic!("they are agents") };
    assert_eq!((agents[0].hostname.as_str(), agents[0].state), ("host-s1", AgentState::Foreign));
    assert_eq!((agents[0].tasks, agents[0].executors), (1, 1));
    assert_eq!(agents[0].used.to_string(), "cpus:1.5;mem:48");
}

/// Its end is told once, and a master that is told to offer nothing names it nowhere.
#[test]
fn an_executor_that_ended_unseen_is_not_told_to_end_for_ever() {
    let (mut world, _, (_, task)) = World::with_a_launch();
    world.status(&task, TaskState::Running, Said::Executor);
    world.status(&task, TaskState::Finished, Said::Executor);
    world.names();
    while !world.names().contains(&CallType::Shutdown) {
        world.wait(SECOND);
    }
    world.wait(WAIT - SECOND * 30);
    assert!(world.names().contains(&CallType::Shutdown), "it may live, and is told again");
    assert!(world.stored.keys().any(|key| key.starts_with(b"e/")));
    world.wait(SECOND * 60);
    assert!(!world.stored.keys().any(|key| key.starts_with(b"e/")));
    world.names();
    world.wait(SECOND * 60);
    assert!(!world.names().contains(&CallType::Shutdown));
    // Should it live after all, it is ended as soon as an offer names it.
    world.run(1, true);
    world.offer("s1", &[&executor_of(&task)]);
    assert!(world.names().contains(&CallType::Shutdown));
}

/// Its host may be cut off for longer than the orders are repeated, or they are lost on their way.
#[test]
fn an_executor_that_offers_name_is_told_to_end_until_none_does() {
    let (mut world, _, (_, task)) = World::with_a_launch();
    let executor = executor_of(&task);
    world.status(&task, TaskState::Running, Said::Executor);
    world.status(&task, TaskState::Finished, Said::Executor);
    while !world.names().contains(&CallType::Shutdown) {
        world.wait(SECOND);
    }
    for _ in 0..2 {
        world.wait(WAIT - SECOND * 30);
        world.offer("s1", &[&executor]);
    }
    world.names();
    world.wait(SECOND * 60);
    assert!(world.names().contains(&CallType::Shutdown), "it was named a minute ago");
    assert!(world.stored.keys().any(|key| key.starts_with(b"e/")));
    world.wait(WAIT);
    assert!(!world.stored.keys().any(|key| key.starts_with(b"e/")));
}

/// Offers are all that names executors, and where nothing waits none would ever come.
#[test]
fn offers_are_looked_at_from_time_to_time_for_executors_that_should_not_be_there() {
    let mut world = World::new();
    world.subscribe("f");
    world.wait(SECOND);
    assert!(world.names().contains(&CallType::Suppress));
    world.wait(limits::RECONCILE_EVERY - SECOND * 2);
    assert_eq!(world.names(), []);
    world.wait(SECOND * 2);
    assert!(world.names().contains(&CallType::Revive));
    world.offer("s1", &["018bcfe5-6800-7ccc-b9fb-27c4b5fe626e"]);
    assert!(world.names().contains(&CallType::Shutdown));
    world.wait(limits::SUPPRESS_AFTER + SECOND);
    assert_eq!(world.names(), [CallType::Decline, CallType::Suppress]);
}

/// A cluster whose hosts come and go would fill the memory otherwise, for nobody says that one is no
/// more.
#[test]
fn hosts_that_offer_nothing_for_long_are_forgotten_but_for_those_with_tasks() {
    let mut world = World::new();
    world.subscribe("f");
    world.run(1, true);
    world.calls.clear();
    world.offer("stays", &[]);
    let (_, stays) = world.launched().pop().unwrap();
    world.status(&stays, TaskState::Running, Said::Executor);
    for day in 0..4 {
        // Its executor is left behind, as when its host is taken away.
        let run = world.run_of(serde_json::json!({
            "name": "k", "app": "a", "type": "script", "script": {"command": "x"},
            "sharding": {"count": 9}, "resources": {"cpus": 0.5, "mem": 16},
        }));
        world.calls.clear();
        for host in 0..3 {
            world.offer(&format!("day{day}-{host}"), &[]);
        }
        let tasks = world.launched();
        assert_eq!(tasks.len(), 9, "day {day}");
        for (_, task) in tasks {
            world.status(&task, TaskState::Running, Said::Executor);
            world.status(&task, TaskState::Finished, Said::Executor);
        }
        assert!(world.is_over(&run));
        assert!(world.agents().len() > 2, "day {day}");
        world.wait_in_steps(limits::HOST_FORGOTTEN * 2, SECOND * 60);
        let hosts: Vec<_> = world.agents().into_iter().map(|agent| agent.id.to_string()).collect();
        assert_eq!(hosts, ["stays"], "day {day}");
        let executors = world.stored.keys().filter(|key| key.starts_with(b"e/")).count();
        assert_eq!(executors, 1, "day {day}: the one that has a task");
    }
}

/// What was said while nobody heard it was not said.
#[test]
fn an_executor_that_could_not_be_told_to_end_is_not_forgotten() {
    for why_not in ["cut off", "held"] {
        let (mut world, _, (_, task)) = World::with_a_launch();
        world.status(&task, TaskState::Running, Said::Executor);
        world.status(&task, TaskState::Finished, Said::Executor);
        world.names();
        if why_not == "held" {
            let Write::Put { key, value } = held_write(world.now.wall) else { panic!("it is put") };
            world.stored.insert(key, value);
            world.restart();
            world.subscribe("f");
        } else {
            let (attempt, why) = (world.attempt, "it broke".to_owned());
            world.link(LinkEvent::Closed { attempt, why });
        }
        // It idles for too long, and then for longer than the wait.
        world.wait(WAIT * 4);
        assert!(!world.names().contains(&CallType::Shutdown), "{why_not}");
        assert!(has_executors(&world), "{why_not}");
        match why_not {
            "held" => drop(world.command(Command::Resume { replay: false }).unwrap()),
            _ => {
                world.break_off();
                world.subscribe("f");
            }
        }
        world.wait(SECOND * 31);
        assert!(world.names().contains(&CallType::Shutdown), "{why_not}: it is told now");
        assert!(has_executors(&world), "{why_not}");
        world.wait(WAIT + SECOND * 30);
        assert!(!has_executors(&world), "{why_not}");
    }
}

fn has_executors(world: &World) -> bool {
    world.stored.keys().any(|key| key.starts_with(b"e/"))
}

/// While nothing waits no host is offered, and the executor lives all the same.
#[test]
fn a_host_whose_executor_idles_is_not_forgotten() {
    let mut world = World::new();
    world.subscribe("f");
    let app = json!({"name": "warm", "resources": {"cpus": 1, "mem": 32}, "idle_timeout": "7d"});
    let spec = AppSpec::parse(app).unwrap().spec;
    world.command(Command::PutApp { spec, expect: Expect::Anything }).unwrap();
    let job = json!({
        "name": "j", "app": "warm", "type": "script", "script": {"command": "x"},
        "sharding": {"count": 1}, "resources": {"cpus": 0.5, "mem": 16},
    });
    world.run_of(job.clone());
    world.calls.clear();
    world.offer("s1", &[]);
    let (_, task) = world.launched().pop().unwrap();
    world.status(&task, TaskState::Running, Said::Executor);
    world.status(&task, TaskState::Finished, Said::Executor);
    world.wait_in_steps(limits::HOST_FORGOTTEN * 3, SECOND * 60);
    assert_eq!(world.agents().len(), 1);
    world.run_of(job);
    world.calls.clear();
    world.offer("s1", &[&executor_of(&task)]);
    let (_, again) = world.launched().pop().unwrap();
    assert_eq!(executor_of(&again), executor_of(&task));
}

#[test]
fn no_host_is_forgotten_by_who_is_cut_off_himself() {
    let mut world = World::new();
    world.subscribe("f");
    world.offer("s1", &[]);
    let (attempt, why) = (world.attempt, "it broke".to_owned());
    world.link(LinkEvent::Closed { attempt, why });
    world.wait_in_steps(limits::HOST_FORGOTTEN * 3, SECOND * 60);
    assert_eq!(world.agents().len(), 1);
    world.break_off();
    world.subscribe("f");
    world.wait_in_steps(limits::HOST_FORGOTTEN * 2, SECOND * 60);
    assert_eq!(world.agents(), []);
}

//! Launching: what an ACCEPT says, and what becomes of one.

use muster_api::{
    spec::{AppSpec, JobSpec},
    views::{ShardState, TriggerRequest},
};
use muster_engine::{
    event::{Command, Expect},
    query::{Answer, Query},
};
use muster_proto::{Reason, TaskState, scheduler::CallType};
use muster_session::link::{Event as LinkEvent, Outcome};
use muster_turn::Foreign;
use prost::Message as _;
use serde_json::json;

use super::world::{ASKED, SECOND, Said, World, answer, executor_of, foreign, has};

#[test]
fn a_run_goes_from_offer_to_acknowledgement_and_each_commit_is_before_its_calls() {
    let mut world = World::new();
    world.subscribe("f");
    world.names();
    let run = world.run(2, true);
    assert_eq!(world.names(), [CallType::Revive]);
    let turn = world.offer("s1", &[]);
    assert!(has(&turn, "t/") && has(&turn, "e/"), "what is launched is stored in the same commit");
    let launched = world.launched();
    let [(number, one), (other, two)] = &launched[..] else { panic!("{launched:?}") };
    assert_eq!(number, other, "both in one ACCEPT");
    assert_eq!(executor_of(one), executor_of(two), "and in one executor");
    let command = one.executor.clone().unwrap().command.unwrap();
    assert_eq!(command.uris.last().unwrap().value, "http://here/muster");
    for task in [one, two] {
        world.status(task, TaskState::Running, Said::Executor);
        assert_eq!(world.names(), [CallType::Acknowledge]);
    }
    let turn = world.status(one, TaskState::Finished, Said::Executor);
    assert!(has(&turn, "t/") && has(&turn, "h/"), "its end is in the commit before the call");
    assert_eq!(world.names(), [CallType::Acknowledge]);
    world.status(two, TaskState::Finished, Said::Executor);
    assert!(world.is_over(&run));
    // An update that comes again is acknowledged again, and changes nothing.
    let turn = world.status(two, TaskState::Finished, Said::Executor);
    assert_eq!(turn.writes.len(), 0);
    assert!(world.names().contains(&CallType::Acknowledge));
}

#[test]
fn nothing_of_what_is_kept_for_others_is_asked_for() {
    let mut world = World::new();
    world.subscribe("f");
    let app = json!({"name": "a", "resources": {"cpus": 5, "mem": 32}});
    let spec = AppSpec::parse(app).unwrap().spec;
    world.command(Command::PutApp { spec, expect: Expect::Anything }).unwrap();
    let job = json!({"name": "j", "app": "a", "type": "script", "script": {"command": "x"},
        "sharding": {"count": 1}, "resources": {"cpus": 0.5, "mem": 16}});
    let spec = JobSpec::parse(job).unwrap().spec;
    world.command(Command::PutJob { spec, expect: Expect::Anything }).unwrap();
    let (job, request) = ("j".parse().unwrap(), TriggerRequest::default());
    world.command(Command::Trigger { job, request, idempotency_key: None }).unwrap();
    world.offer("s1", &[]);
    assert_eq!(world.launched(), []);
}

/// A master of Mesos refuses a task whose executor is described in any other way.
#[test]
fn a_living_executor_is_described_by_the_same_bytes_also_after_restarts() {
    let mut world = World::new();
    world.subscribe("f");
    let mut all = Vec::new();
    for round in 0..3 {
        let run = world.run(1, true);
        let living: Vec<String> =
            all.iter().map(|(id, _): &(String, Vec<u8>)| id.clone()).collect();
        let living: Vec<&str> = living.iter().map(String::as_str).take(1).collect();
        world.calls.clear();
        world.offer("s1", &living);
        let (_, task) = world.launched().pop().expect("it is launched");
        world.status(&task, TaskState::Running, Said::Executor);
        world.status(&task, TaskState::Finished, Said::Executor);
        assert!(world.is_over(&run), "{round}");
        all.push((executor_of(&task), task.executor.unwrap().encode_to_vec()));
        if round > 0 {
            continue;
        }
        // The address at which the program is fetched is another one by now, perhaps.
        world.restart();
        world.subscribe("f");
    }
    assert_eq!(all[0], all[1]);
    assert_eq!(all[0], all[2]);
}

#[test]
fn a_launch_that_is_refused_or_never_left_is_made_again_at_once() {
    let outcomes = [
        (answer(400, "Expecting 'accept' to be present"), false),
        (answer(403, "Framework is not subscribed"), true),
        (Outcome::NotSent { why: "no connection".to_owned() }, true),
    ];
    for (outcome, breaks) in outcomes {
        let mut world = World::new();
        world.subscribe("f");
        // Not even where a death would be the end of it.
        let run = world.run(1, false);
        world.calls.clear();
        world.offer("s1", &[]);
        let (number, first) = world.launched().pop().unwrap();
        world.link(LinkEvent::Called { attempt: world.attempt, number, outcome: outcome.clone() });
        assert_eq!(world.state_of(&run, 0), ShardState::Pending, "{outcome:?}");
        if breaks {
            world.wait(SECOND);
            world.subscribe("f");
        }
        world.offer("s2", &[]);
        let (_, second) = world.launched().pop().expect("it is launched again");
        assert_ne!(first.task_id, second.task_id, "{outcome:?}");
    }
}

#[test]
fn a_launch_of_which_nobody_knows_is_asked_for_and_not_made_twice() {
    let (mut world, run, (number, task)) = World::with_a_launch();
    let outcome = Outcome::Unknown { why: "it broke".to_owned() };
    world.link(LinkEvent::Called { attempt: world.attempt, number, outcome });
    world.wait(SECOND);
    world.subscribe("f");
    let asked: Vec<_> = world.calls.iter().filter_map(|(_, call)| call.reconcile.clone()).collect();
    assert_eq!(asked[0].tasks[0].task_id, task.task_id);
    world.offer("s1", &[]);
    assert_eq!(world.launched(), []);
    world.status(&task, TaskState::Running, ASKED);
    assert_eq!(world.state_of(&run, 0), ShardState::Running);
}

/// Its app may be another one by now, and our program may be fetched elsewhere.
#[test]
fn a_living_executor_is_described_by_the_same_bytes_though_all_of_it_has_changed() {
    let mut world = World::new();
    world.subscribe("f");
    world.run(20, true);
    world.calls.clear();
    world.offer("s1", &[]);
    let first = world.launched();
    let (old, bytes) = (executor_of(&first[0].1), first[0].1.executor.clone().unwrap());
    for (_, task) in &first {
        world.status(task, TaskState::Running, Said::Executor);
    }
    let app = json!({"name": "a", "resources": {"cpus": 1, "mem": 32}, "env": {"NEW": "1"}});
    let spec = AppSpec::parse(app).unwrap().spec;
    world.command(Command::PutApp { spec, expect: Expect::Anything }).unwrap();
    let program = "http://there/muster".to_owned();
    world.restart_with(Some(Foreign { program, ..foreign() })).unwrap();
    world.subscribe("f");
    world.calls.clear();
    world.offer("s1", &[&old]);
    let more = world.launched();
    assert!(more.len() > 5, "{more:?}");
    for (_, task) in more {
        assert_eq!(task.executor.unwrap().encode_to_vec(), bytes.encode_to_vec());
    }
    // A new one is told where the program is now.
    world.offer("s2", &[]);
    let (_, task) = world.launched().pop().unwrap();
    let uris = task.executor.unwrap().command.unwrap().uris;
    assert_eq!(uris.last().unwrap().value, "http://there/muster");
}

/// As while this scheduler, which serves it, is started anew.
#[test]
fn a_program_that_could_not_be_fetched_uses_up_no_attempt_and_backs_off() {
    let mut world = World::new();
    world.subscribe("f");
    let app = json!({"name": "a", "resources": {"cpus": 1, "mem": 32}});
    let spec = AppSpec::parse(app).unwrap().spec;
    world.command(Command::PutApp { spec, expect: Expect::Anything }).unwrap();
    let run = world.run_of(json!({
        "name": "j", "app": "a", "type": "script", "script": {"command": "x"},
        "sharding": {"count": 1}, "resources": {"cpus": 0.5, "mem": 16},
        "failover": {"enabled": false, "backoff": "1s..60s"}, "retry": {"max_attempts": 0},
    }));
    let (mut tries, begun) = (0, world.now.mono);
    world.calls.clear();
    while tries < muster_api::limits::NEVER_STARTED_FREE {
        assert!(world.now.mono.since(begun) < SECOND * 600, "{tries} tries in 10 min");
        world.offer("s1", &[]);
        if let Some((_, task)) = world.launched().pop() {
            tries += 1;
            world.failure("s1", Some(&executor_of(&task)));
            world.status(&task, TaskState::Failed, Said::Agent(Reason::ContainerLaunchFailed));
            assert_eq!(world.state_of(&run, 0), ShardState::BackingOff, "try {tries}");
        }
        world.wait(SECOND);
    }
    let passed = world.now.mono.since(begun);
    assert!(passed > SECOND * 180, "{tries} tries in {passed:?}");
    assert!(!world.stored.keys().any(|key| key.starts_with(b"e/")), "none of them ever lived");
    let Answer::Explain(Some(why)) = world.query(Query::Explain { run: run.id }) else {
        panic!("it is explained")
    };
    let words = &why.explanation.waiting[0].detail;
    assert!(words.contains("its executor could not be had there"), "{words}");
    // And once it can be fetched it is the first attempt.
    world.wait(SECOND * 60);
    world.offer("s1", &[]);
    let (_, task) = world.launched().pop().unwrap();
    world.status(&task, TaskState::Running, Said::Executor);
    let query = Query::Shards { run: run.id, state: None, after: None, limit: 1 };
    let Answer::Shards(Some(shards)) = world.query(query) else { panic!("it has shards") };
    assert_eq!((shards[0].state, shards[0].attempt), (ShardState::Running, 1));
    world.status(&task, TaskState::Finished, Said::Executor);
    assert!(world.is_over(&run));
}

/// A master that takes no call of such a size is not sent one, and all of it starts in time.
#[test]
fn what_one_call_does_not_hold_is_launched_by_others() {
    let mut world = World::new();
    world.subscribe("f");
    let app = json!({"name": "a", "resources": {"cpus": 0.1, "mem": 32}});
    let spec = AppSpec::parse(app).unwrap().spec;
    world.command(Command::PutApp { spec, expect: Expect::Anything }).unwrap();
    for launch in ["as_fits", "all_at_once"] {
        world.calls.clear();
        let run = world.run_of(json!({
            "name": "j", "app": "a", "type": "script", "launch": launch,
            "script": {"command": "x".repeat(60_000)},
            "sharding": {"count": 100}, "resources": {"cpus": 0.001, "mem": 1},
        }));
        let mut left = 100;
        for _ in 0..10 {
            world.offer("s1", &[]);
            for (_, call) in &world.calls {
                let bytes = call.encoded_len();
                assert!(bytes <= muster_api::limits::MESOS_CALL_BYTES, "{launch}: {bytes} bytes");
            }
            for (_, task) in world.launched() {
                left -= 1;
                world.status(&task, TaskState::Finished, Said::Executor);
            }
            world.wait(SECOND);
        }
        assert_eq!(left, 0, "{launch}");
        assert!(world.is_over(&run), "{launch}");
        let tasks = format!("h/t/{}/", run.id).into_bytes();
        let tasks = world.stored.keys().filter(|key| key.starts_with(&tasks)).count();
        // What starts at once is not divided among steps, but by the call alone.
        assert_eq!(tasks > 100, launch == "all_at_once", "{launch}: {tasks} tasks");
    }
}

#[test]
fn offers_of_a_launch_that_is_refused_are_given_back_to_the_master() {
    let (mut world, _, (number, _)) = World::with_a_launch();
    let outcome = answer(413, "");
    world.link(LinkEvent::Called { attempt: world.attempt, number, outcome });
    let declined = world.calls.iter().find_map(|(_, call)| call.decline.clone());
    assert_eq!(declined.unwrap().offer_ids[0].value, "o1");
}

//! Frameworks that come back, and those that do not.

use std::time::Duration;

use muster_api::{Span, limits, views::FrameworkState};
use muster_master::core::{Answer, Effect, NotRemoved};
use muster_proto::{
    FrameworkId, Offer, Reason, Resource, StatusSource, TaskInfo, TaskState, TaskStatus,
    agent::MasterBody,
    scheduler::{Call, CallType},
};

use crate::world::*;

fn id() -> FrameworkId {
    FrameworkId::new("f")
}

fn patient(seconds: f64) -> Call {
    subscribe_as("f", |info| info.failover_timeout = Some(seconds))
}

/// A framework over HTTP with one running task of its own executor, and a command.
fn running(seconds: f64) -> (World, muster_master::core::Connection, Offer) {
    let mut world = World::new();
    let (agent, on, _) = world.agent("h1", "cpus:4;mem:4096");
    let step = world.foreign(patient(seconds), None);
    let offer = offers(&step).pop().unwrap();
    let tasks = vec![task("t1", &agent, "e1"), command("c1", &agent)];
    let step = world.call(accept_of("f", &[&offer], vec![launch(tasks)], None));
    assert_eq!(launched(&step), ["t1", "c1"]);
    world.status(on, &id(), status("t1", TaskState::Running));
    (world, on, offer)
}

#[test]
fn who_comes_again_wins_and_the_former_stream_ends() {
    let (mut world, _, _) = running(60.0);
    let step = world.foreign(patient(60.0), None);
    assert_eq!(errors(&step), ["Framework failed over"]);
    let ended: Vec<_> =
        step.effects.iter().filter(|effect| matches!(effect, Effect::EndStream(_))).collect();
    assert_eq!(ended.len(), 1);
    assert_eq!(subscribed(&step), Some(id()));
    // What it had not acknowledged it is told again, at once and with the same uuid.
    let again = updates(&step);
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].uuid, Some(uuid("t1")));
    assert_eq!(verdict(&again[0]).1, TaskState::Running);
}

#[test]
fn a_refused_subscription_leaves_the_former_stream_alone() {
    let (mut world, _, _) = running(60.0);
    let step = world.foreign(patient(1e20), None);
    assert_eq!(errors(&step), ["The framework failover_timeout (1e+20) is invalid"]);
    let revive = call_of("f", CallType::Revive);
    assert_eq!(answers(&world.call(revive)), [Answer::Accepted]);
}

#[test]
fn what_came_while_it_was_away_is_told_when_it_is_back_and_not_once_acknowledged() {
    let (mut world, on, _) = running(60.0);
    world.leave(&id());
    let step = world.status(on, &id(), status("t1", TaskState::Finished));
    assert_eq!(updates(&step), []);
    let step = world.foreign(patient(60.0), None);
    assert_eq!(verdicts(&step), [("t1".into(), TaskState::Finished, None)]);
    let acknowledge = muster_proto::scheduler::Acknowledge {
        agent_id: Some(muster_proto::AgentId::new(world.agents()[0].id.as_str())),
        task_id: Some(muster_proto::TaskId::new("t1")),
        uuid: uuid("t1"),
    };
    let call = Call { acknowledge: Some(acknowledge), ..call_of("f", CallType::Acknowledge) };
    assert!(matches!(to_agent(&world.call(call))[..], [(_, MasterBody::Acknowledge(_))]));
    assert_eq!(updates(&world.foreign(patient(60.0), None)), []);
}

/// What its agent said while it was away is told as if it had been there: in the states that it knows
/// now, whatever it knew before.
#[test]
fn what_came_while_it_was_away_is_told_in_the_states_that_it_knows() {
    let unaware = || {
        let mut call = patient(60.0);
        let info = call.subscribe.as_mut().unwrap().framework_info.as_mut().unwrap();
        info.capabilities.clear();
        call
    };
    let (mut world, on, _) = running(60.0);
    world.leave(&id());
    let step = world.status(on, &id(), status("t1", TaskState::Gone));
    assert_eq!(updates(&step), []);
    for (call, state) in [
        (unaware(), TaskState::Lost),
        (patient(60.0), TaskState::Gone),
        (unaware(), TaskState::Lost),
    ] {
        let step = world.foreign(call, None);
        assert_eq!(verdicts(&step), [("t1".into(), state, None)]);
    }
    // An executor's own word stays what it is.
    let own =
        TaskStatus { source: Some(StatusSource::Executor as i32), ..status("t1", TaskState::Gone) };
    world.leave(&id());
    world.status(on, &id(), own);
    assert_eq!(verdicts(&world.foreign(unaware(), None))[0].1, TaskState::Gone);
}

#[test]
fn the_end_of_a_drained_task_that_came_while_it_was_away_says_why() {
    let (mut world, on, _) = running(60.0);
    let agent = world.agents()[0].id.clone();
    world.drain(&agent, Some(Span::ZERO)).unwrap();
    world.leave(&id());
    world.status(on, &id(), status("t1", TaskState::Killed));
    let step = world.foreign(patient(60.0), None);
    let reason = Some(Reason::AgentDraining);
    assert_eq!(verdicts(&step), [("t1".into(), TaskState::Killed, reason)]);
}

#[test]
fn a_large_status_is_not_kept_for_who_is_away_and_comes_again_from_its_agent() {
    let (mut world, on, _) = running(60.0);
    let large = TaskStatus {
        data: Some(vec![0; limits::STATUS_KEPT_BYTES]),
        ..status("t1", TaskState::Finished)
    };
    world.leave(&id());
    world.status(on, &id(), large.clone());
    assert_eq!(updates(&world.foreign(patient(60.0), None)), []);
    assert_eq!(updates(&world.status(on, &id(), large)).len(), 1);
}

#[test]
fn of_much_that_waits_for_a_framework_a_part_is_told_at_once_and_agents_repeat_the_rest() {
    let mut world = World::new();
    let (agent, on, _) = world.agent("h1", "cpus:400;mem:40960");
    let offer = offers(&world.foreign(patient(60.0), None)).pop().unwrap();
    let many = limits::STATUSES_AT_ONCE_BYTES / limits::STATUS_KEPT_BYTES * 5 / 4;
    let ids: Vec<String> = (0..many).map(|number| format!("t{number:04}")).collect();
    let small = |id: &String| TaskInfo {
        resources: vec![Resource::scalar("cpus", 0.01)],
        ..command(id, &agent)
    };
    world.call(accept_of("f", &[&offer], vec![launch(ids.iter().map(small).collect())], None));
    world.leave(&id());
    let data = Some(vec![0; limits::STATUS_KEPT_BYTES - 256]);
    for name in &ids {
        let status = TaskStatus { data: data.clone(), ..status(name, TaskState::Finished) };
        world.status(on, &id(), status);
    }
    let told = updates(&world.foreign(patient(60.0), None));
    let bytes: usize = told.iter().map(prost::Message::encoded_len).sum();
    assert!(bytes <= limits::STATUSES_AT_ONCE_BYTES && told.len() > many / 2, "{}", told.len());
    let last = TaskStatus { data, ..status(&ids[many - 1], TaskState::Finished) };
    assert_eq!(updates(&world.status(on, &id(), last)).len(), 1);
}

#[test]
fn when_its_time_is_over_all_of_it_ends_for_ever() {
    let (mut world, on, _) = running(8.0);
    world.leave(&id());
    for beat in 2..=4 {
        world.wait(Duration::from_secs(2));
        world.beat(on, beat);
    }
    assert_eq!(world.master.frameworks(world.now)[0].state, FrameworkState::Away);
    let step = world.wait(Duration::from_secs(2));
    let ends = to_agent(&step);
    assert!(ends.iter().any(|(_, body)| matches!(body, MasterBody::ShutdownExecutor(_))));
    assert!(ends.iter().any(|(_, body)| matches!(body, MasterBody::Kill(_))), "of the command");
    let step = world.foreign(patient(8.0), None);
    assert_eq!(errors(&step), ["Framework has been removed"]);
    let refused = Answer::Invalid("Framework cannot be found".into());
    assert_eq!(answers(&world.call(call_of("f", CallType::Revive))), [refused]);
    // Also after a restart.
    let mut world = world.restart();
    let step = world.foreign(patient(8.0), None);
    assert_eq!(errors(&step), ["Framework has been removed"]);
}

#[test]
fn one_that_comes_back_in_time_goes_on_as_before() {
    let (mut world, on, _) = running(8.0);
    world.leave(&id());
    world.wait(Duration::from_secs(7));
    world.foreign(patient(8.0), None);
    for beat in 2..6 {
        world.beat(on, beat);
        assert_eq!(to_agent(&world.wait(Duration::from_secs(5))), []);
    }
    assert_eq!(world.master.frameworks(world.now)[0].state, FrameworkState::Active);
}

#[test]
fn one_that_wants_no_time_is_removed_with_its_stream() {
    for seconds in [0.0, -5.0] {
        let (mut world, _, _) = running(seconds);
        let step = world.leave(&id());
        let told = to_agent(&step);
        let [executor, command, waits] = &told[..] else { panic!("{told:?}") };
        assert!(matches!(executor, (_, MasterBody::ShutdownExecutor(_))));
        assert!(matches!(command, (_, MasterBody::Kill(_))));
        assert!(matches!(waits, (_, MasterBody::Acknowledge(_))));
        assert_eq!(world.master.frameworks(world.now)[0].state, FrameworkState::Removed);
    }
}

#[test]
fn how_long_it_was_away_counts_over_a_restart() {
    let (mut world, _, _) = running(300.0);
    world.leave(&id());
    world.wait(Duration::from_secs(100));
    let mut world = world.restart();
    world.wait(Duration::from_secs(199));
    assert_eq!(world.master.frameworks(world.now)[0].state, FrameworkState::Away);
    world.wait(Duration::from_secs(1));
    assert_eq!(world.master.frameworks(world.now)[0].state, FrameworkState::Removed);
}

/// Without a master it could not come: it has a while after the start in any case.
#[test]
fn nobody_is_removed_at_once_after_a_start() {
    for leaves in [false, true] {
        let (mut world, _, _) = running(5.0);
        if leaves {
            world.leave(&id());
        }
        world.advance_to(world.now.mono + Duration::from_secs(3600));
        let mut world = world.restart();
        world.wait(limits::FRAMEWORK_RETURN - Duration::from_secs(1));
        assert_eq!(world.master.frameworks(world.now)[0].state, FrameworkState::Away);
        let step = world.foreign(patient(5.0), None);
        assert_eq!(subscribed(&step), Some(id()));
        assert_eq!(world.wait(Duration::from_secs(60)).notes, []);
    }
}

#[test]
fn user_and_checkpoint_stay_what_they_were() {
    let (mut world, _, _) = running(60.0);
    world.foreign(
        subscribe_as("f", |info| {
            info.user = "other".to_owned();
            info.checkpoint = Some(false);
            info.name = "renamed".to_owned();
        }),
        None,
    );
    let view = &world.master.frameworks(world.now)[0];
    assert_eq!((view.user.as_str(), view.checkpoint), ("root", true));
    assert_eq!(view.name, "renamed");
}

/// After a loss of the store an agent may bring tasks of a framework and no word about it.
#[test]
fn a_framework_that_is_known_by_hearsay_says_who_it_is_when_it_comes() {
    let mut world = World::new();
    let mut hello = hello("h1", "cpus:4;mem:4096");
    let agent: muster_api::AgentId = "a1".parse().unwrap();
    hello.info.as_mut().unwrap().id = Some(wire(&agent));
    hello.tasks.push(muster_proto::agent::TaskHere {
        framework_id: Some(id()),
        task: Some(command("c1", &agent)),
        state: TaskState::Running as i32,
    });
    world.hello(hello);
    assert_eq!(world.used(), "cpus:1;mem:64");
    world.wait(limits::FRAMEWORK_RETURN * 2);
    let step = world.foreign(patient(60.0), Some("fw"));
    assert_eq!(subscribed(&step), Some(id()));
    let view = &world.master.frameworks(world.now)[0];
    assert_eq!((view.user.as_str(), view.principal.as_deref()), ("root", Some("fw")));
    assert_eq!(view.tasks, 1);
}

#[test]
fn teardown_ends_the_stream_and_is_final() {
    let (mut world, _, _) = running(60.0);
    let step = world.call(call_of("f", CallType::Teardown));
    assert_eq!(answers(&step), [Answer::Accepted]);
    assert!(step.effects.iter().any(|effect| matches!(effect, Effect::EndStream(_))));
    assert_eq!(updates(&step), [], "nobody is told of the ends of its tasks");
    assert_eq!(world.leave(&id()).effects, [], "the end of the stream changes nothing");
}

#[test]
fn what_a_removed_framework_had_not_acknowledged_holds_nothing_up() {
    for (state, tasks) in [(TaskState::Running, 2), (TaskState::Finished, 1)] {
        let (mut world, on, _) = running(60.0);
        world.status(on, &id(), status("t1", state));
        world.leave(&id());
        let step = world.remove("f").unwrap();
        let acknowledged: Vec<_> = to_agent(&step)
            .into_iter()
            .filter_map(|(_, body)| match body {
                MasterBody::Acknowledge(it) => Some((it.task_id.unwrap().value, it.uuid)),
                _ => None,
            })
            .collect();
        assert_eq!(acknowledged, [("t1".to_owned(), uuid("t1"))]);
        assert_eq!(world.agents()[0].tasks, tasks);
    }
}

#[test]
fn an_operator_removes_a_framework_that_is_there_or_away() {
    for away in [false, true] {
        let (mut world, _, _) = running(3600.0);
        if away {
            world.leave(&id());
        }
        let step = world.remove("f").unwrap();
        let ends = |effect: &&Effect| matches!(effect, Effect::EndStream(_));
        assert_eq!(step.effects.iter().filter(ends).count(), usize::from(!away));
        let shuts = |(_, body): &(_, MasterBody)| matches!(body, MasterBody::ShutdownExecutor(_));
        assert!(to_agent(&step).iter().any(shuts));
        assert_eq!(errors(&world.foreign(patient(3600.0), None)), ["Framework has been removed"]);
        let unknown = NotRemoved::Unknown { framework: "f".to_owned() };
        assert_eq!(world.remove("f"), Err(unknown), "it is removed");
        let mut world = world.restart();
        assert_eq!(errors(&world.foreign(patient(3600.0), None)), ["Framework has been removed"]);
    }
    let mut world = World::new();
    let ours = world.subscribe().value;
    let refused = world.remove(&ours);
    assert_eq!(refused, Err(NotRemoved::Embedded { framework: ours }));
    assert!(matches!(world.remove("nobody"), Err(NotRemoved::Unknown { .. })));
}

#[test]
fn one_principal_has_so_many_frameworks_and_no_more() {
    let mut world = World::new();
    for number in 0..limits::FRAMEWORKS_PER_PRINCIPAL {
        let step = world.foreign(subscribe_as(&format!("f{number}"), |_| ()), Some("one"));
        assert_eq!(errors(&step), [""; 0]);
    }
    let more = |world: &mut World, principal| {
        errors(&world.foreign(subscribe_as("more", |_| ()), principal))
    };
    let words = "This master knows 100 frameworks of this principal already, and takes no more";
    assert_eq!(more(&mut world, Some("one")), [words]);
    // Those that it has come back all the same, and removed ones count no longer.
    let step = world.foreign(subscribe_as("f1", |_| ()), Some("one"));
    assert_eq!(subscribed(&step), Some(FrameworkId::new("f1")));
    world.remove("f1").unwrap();
    assert_eq!(more(&mut world, Some("one")), [""; 0]);
    let step = world.foreign(subscribe_as("other", |_| ()), Some("two"));
    assert_eq!(errors(&step), [""; 0]);
}

#[test]
fn there_are_so_many_frameworks_and_no_more() {
    let mut world = World::new();
    world.subscribe();
    for number in 1..limits::FRAMEWORKS {
        let step = world.call(subscribe_as(&format!("f{number}"), |_| ()));
        assert_eq!(errors(&step), [""; 0]);
    }
    let step = world.call(subscribe_as("more", |_| ()));
    assert_eq!(errors(&step), ["This master knows 1000 frameworks already, and takes no more"]);
    // Those that are known come back all the same.
    assert_eq!(subscribed(&world.call(subscribe_as("f1", |_| ()))), Some(FrameworkId::new("f1")));
}

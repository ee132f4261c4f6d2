//! Frameworks over HTTP: who is let in, which calls may be made, and how they are answered.

use muster_api::limits;
use muster_master::core::{Answer, Effect, Event, Foreign, Note, Request, Stream, StreamName};
use muster_proto::{
    CapabilityType, FrameworkId, TaskState,
    scheduler::{
        Acknowledge, Call, CallType, EventType, ReconcileOperation, ReconcileOperations,
        UpdateFramework,
    },
};

use crate::world::*;

fn invalid(words: &str) -> Vec<Answer> {
    vec![Answer::Invalid(words.to_owned())]
}

fn validation(words: &str) -> Vec<Answer> {
    invalid(&format!("Failed to validate scheduler::Call: {words}"))
}

#[test]
fn a_subscription_is_answered_and_then_begins_with_subscribed() {
    let mut world = World::new();
    world.agent("h1", "cpus:1;mem:100");
    world.subscribe();
    let step = world.call(subscribe_as("f", |_| ()));
    let [Effect::Answer { request: Request(1), answer: Answer::Streaming }, rest @ ..] =
        &step.effects[..]
    else {
        panic!("the answer comes first: {step:?}")
    };
    let kinds: Vec<_> = to_framework(&step).iter().map(|event| event.r#type.unwrap()).collect();
    let subscribed = kinds.iter().position(|kind| *kind == EventType::Subscribed as i32);
    assert_eq!(subscribed, Some(0), "{rest:?}");
    assert!(matches!(step.notes[..], [Note::FrameworkSubscribed { .. }]));
}

#[test]
fn one_without_an_id_gets_one_and_so_does_one_with_an_empty_id() {
    let mut world = World::new();
    world.subscribe();
    let (one, two) = (world.subscribe(), world.subscribe());
    let mut call = subscribe_as("", |_| ());
    let three = subscribed(&world.call(call.clone())).unwrap();
    call.framework_id = None;
    let four = subscribed(&world.call(call)).unwrap();
    let ids: std::collections::BTreeSet<_> =
        [one, two, three, four].iter().map(|id| id.value.clone()).collect();
    assert_eq!(ids.len(), 4);
    assert!(ids.iter().all(|id| !id.is_empty()));
}

/// What is wrong with its description is told on the stream, which then ends.
#[test]
fn a_description_that_cannot_be_is_an_error_on_the_stream() {
    let mut world = World::new();
    world.subscribe();
    for (call, words) in [
        (
            subscribe_as("f", |info| in_roles(info, &["a", "a"])),
            "'FrameworkInfo.roles' contains duplicate items: { a }",
        ),
        (subscribe_as("a/b", |_| ()), "'a/b' contains invalid characters"),
        (
            subscribe_as("f", |info| info.failover_timeout = Some(1e20)),
            "The framework failover_timeout (1e+20) is invalid",
        ),
    ] {
        let step = world.call(call);
        assert_eq!(answers(&step), [Answer::Streaming]);
        assert_eq!(errors(&step), [words]);
        assert!(matches!(step.effects.last(), Some(Effect::EndStream(_))));
        assert_eq!(step.writes, []);
    }
    assert_eq!(world.master.frameworks(world.now).len(), 1, "nobody was let in");
}

#[test]
fn a_call_without_form_is_refused_in_the_words_of_mesos() {
    let mut world = World::new();
    world.subscribe();
    world.call(subscribe_as("f", |_| ()));
    let mut differ = subscribe_as("f", |_| ());
    differ.framework_id = Some(FrameworkId::new("g"));
    let words = "'framework_id' differs from 'subscribe.framework_info.id'";
    assert_eq!(answers(&world.call(differ.clone())), validation(words));
    differ.framework_id = None;
    assert_eq!(answers(&world.call(differ)), validation(words));
    let bare = Call { subscribe: None, ..subscribe_as("f", |_| ()) };
    assert_eq!(answers(&world.call(bare)), validation("Expecting 'subscribe' to be present"));

    let nameless = Call { framework_id: None, ..call_of("f", CallType::Revive) };
    let words = "Expecting 'framework_id' to be present";
    assert_eq!(answers(&world.call(nameless)), validation(words));
    let typeless = Call { r#type: None, ..call_of("f", CallType::Revive) };
    assert_eq!(answers(&world.call(typeless)), validation("Expecting 'type' to be present"));
    for (kind, member) in [
        (CallType::Accept, "accept"),
        (CallType::Decline, "decline"),
        (CallType::Kill, "kill"),
        (CallType::Acknowledge, "acknowledge"),
        (CallType::Reconcile, "reconcile"),
        (CallType::Message, "message"),
        (CallType::Shutdown, "shutdown"),
        (CallType::Request, "request"),
        (CallType::ReconcileOperations, "reconcile_operations"),
        (CallType::AcknowledgeOperationStatus, "acknowledge_operation_status"),
        (CallType::AcceptInverseOffers, "accept_inverse_offers"),
        (CallType::DeclineInverseOffers, "decline_inverse_offers"),
        (CallType::UpdateFramework, "update_framework"),
    ] {
        let words = format!("Expecting '{member}' to be present");
        assert_eq!(answers(&world.call(call_of("f", kind))), validation(&words));
    }
    for uuid in [b"short".to_vec(), vec![0; 16], vec![0x80; 17]] {
        let acknowledge = Acknowledge { uuid, ..Acknowledge::default() };
        let call = Call { acknowledge: Some(acknowledge), ..call_of("f", CallType::Acknowledge) };
        assert_eq!(answers(&world.call(call)), validation("Not a valid UUID"));
    }
}

#[test]
fn who_is_not_subscribed_and_which_stream_is_not_its_own() {
    let mut world = World::new();
    let ours = world.subscribe();
    assert_eq!(
        answers(&world.call(call_of("f", CallType::Revive))),
        invalid("Framework cannot be found")
    );
    world.call(subscribe_as("f", |_| ()));
    let mut call = |named: StreamName| {
        let call = call_of("f", CallType::Revive);
        let by = Foreign { request: Request(9), principal: None, call };
        answers(&world.step(Event::Foreign { by, named }))
    };
    let missing = "All non-subscribe calls should include the 'Mesos-Stream-Id' header";
    assert_eq!(call(StreamName::Missing), invalid(missing));
    let other = vec![Answer::OtherStream(FrameworkId::new("f"))];
    assert_eq!(call(StreamName::Unknown), other);
    assert_eq!(call(StreamName::Open(Stream(77))), other);
    world.leave(&FrameworkId::new("f"));
    let refused = vec![Answer::Forbidden("Framework is not subscribed".to_owned())];
    assert_eq!(answers(&world.call(call_of("f", CallType::Revive))), refused);
    // The scheduler of this process has no stream, so nobody can call for it.
    let step = world.foreign(call_of(&ours.value, CallType::Teardown), None);
    assert_eq!(answers(&step), invalid(missing));
    assert_eq!(world.master.frameworks(world.now).iter().filter(|one| one.embedded).count(), 1);
}

#[test]
fn nobody_takes_the_place_of_the_scheduler_of_this_process() {
    let mut world = World::new();
    let ours = world.subscribe();
    let step = world.foreign(subscribe(Some(&ours)), None);
    assert_eq!(errors(&step), ["The framework ID is that of the scheduler of this master"]);
    assert!(world.master.frameworks(world.now)[0].embedded);
}

#[test]
fn every_other_call_is_accepted_even_if_it_is_void() {
    let mut world = World::new();
    world.subscribe();
    world.call(subscribe_as("f", |_| ()));
    let full = |kind| {
        let mut call = call_of("f", kind);
        call.accept = Some(Default::default());
        call.decline = Some(Default::default());
        call.kill = Some(Default::default());
        call.shutdown = Some(Default::default());
        call.acknowledge = Some(Acknowledge { uuid: uuid("t"), ..Default::default() });
        call.reconcile = Some(Default::default());
        call.message = Some(Default::default());
        call.request = Some(Default::default());
        call.accept_inverse_offers = Some(Default::default());
        call.decline_inverse_offers = Some(Default::default());
        call.reconcile_operations = Some(Default::default());
        let status = muster_proto::scheduler::AcknowledgeOperationStatus {
            uuid: uuid("t"),
            ..Default::default()
        };
        call.acknowledge_operation_status = Some(Box::new(status));
        call
    };
    for kind in [
        CallType::Accept,
        CallType::Decline,
        CallType::Revive,
        CallType::Suppress,
        CallType::Kill,
        CallType::Shutdown,
        CallType::Acknowledge,
        CallType::Reconcile,
        CallType::Message,
        CallType::Request,
        CallType::AcceptInverseOffers,
        CallType::DeclineInverseOffers,
        CallType::ReconcileOperations,
        CallType::AcknowledgeOperationStatus,
        CallType::Teardown,
    ] {
        assert_eq!(answers(&world.call(full(kind))), [Answer::Accepted], "{kind:?}");
    }
}

#[test]
fn a_call_of_the_type_unknown_is_not_implemented() {
    let mut world = World::new();
    world.subscribe();
    world.call(subscribe_as("f", |_| ()));
    let step = world.call(call_of("f", CallType::Unknown));
    assert!(matches!(answers(&step)[..], [Answer::Unknown(_)]));
}

#[test]
fn who_proves_to_be_another_is_refused() {
    let mut world = World::new();
    world.subscribe();
    let named = || subscribe_as("f", |info| info.principal = Some("fw".to_owned()));
    let words = "Authenticated principal 'other' does not match principal 'fw' set in \
                 `FrameworkInfo`";
    assert_eq!(answers(&world.foreign(named(), Some("other"))), validation(words));
    assert_eq!(answers(&world.foreign(named(), Some("fw"))), [Answer::Streaming]);
    let revive = || call_of("f", CallType::Revive);
    assert_eq!(answers(&world.foreign(revive(), Some("other"))), invalid(words));
    assert_eq!(answers(&world.foreign(revive(), Some("fw"))), [Answer::Accepted]);
    // Who names nobody is who he has proved to be, and nobody else can come back as that.
    world.foreign(subscribe_as("g", |_| ()), Some("fw"));
    let step = world.foreign(subscribe_as("g", |_| ()), Some("other"));
    assert_eq!(errors(&step), ["Changing framework's principal is not allowed"]);
    let step = world.foreign(call_of("g", CallType::Revive), Some("fw"));
    assert_eq!(answers(&step), [Answer::Accepted]);
}

#[test]
fn a_framework_changes_what_it_says_of_itself() {
    let mut world = World::new();
    world.agent("h1", "cpus:4;mem:4096");
    let step = world.foreign(subscribe_as("f", |info| in_roles(info, &["a", "b"])), None);
    let held = offers(&step).pop().unwrap();
    assert_eq!(held.allocation_info.unwrap().role.as_deref(), Some("a"));
    let update = |change: &dyn Fn(&mut muster_proto::FrameworkInfo)| {
        let call = subscribe_as("f", |info| {
            in_roles(info, &["b"]);
            change(info);
        });
        let subscribe = call.subscribe.unwrap();
        let body =
            UpdateFramework { framework_info: subscribe.framework_info, ..Default::default() };
        Call { update_framework: Some(Box::new(body)), ..call_of("f", CallType::UpdateFramework) }
    };
    let step = world.call(update(&|info| info.user = "other".to_owned()));
    let words = "FrameworkInfo update is not valid: Updating 'FrameworkInfo.user' is unsupported; \
                 attempted to update from 'root' to 'other'";
    assert_eq!(answers(&step), invalid(words));
    let step = world.call(update(&|info| info.roles.push("/x".to_owned())));
    let words = "Supplied FrameworkInfo is not valid: 'FrameworkInfo.roles' contains invalid role: \
                 Role '/x' cannot start with a slash";
    assert_eq!(answers(&step), invalid(words));

    let step = world.call(update(&|info| info.name = "new".to_owned()));
    assert_eq!((answers(&step), step.writes.len()), (vec![Answer::Done], 1));
    assert_eq!(rescinded(&step), [held.id.unwrap()], "it was in a role that it gave up");
    assert_eq!(offers(&step)[0].allocation_info.clone().unwrap().role.as_deref(), Some("b"));
    let step = world.call(update(&|info| info.name = "new".to_owned()));
    assert_eq!((answers(&step), step.writes.len()), (vec![Answer::Done], 0), "nothing is new");
    let view = &world.master.frameworks(world.now)[0];
    assert_eq!((view.name.as_str(), &view.roles[..]), ("new", &["b".to_owned()][..]));
    let world = world.restart();
    assert_eq!(world.master.frameworks(world.now)[0].name, "new");
}

#[test]
fn operations_are_answered_as_unknown() {
    let mut world = World::new();
    world.subscribe();
    let (agent, ..) = world.agent("h1", "cpus:4;mem:4096");
    world.call(subscribe_as("f", |_| ()));
    let ask = |agent: Option<&str>| ReconcileOperation {
        operation_id: Some(muster_proto::OperationId::new("o")),
        agent_id: agent.map(muster_proto::AgentId::new),
        resource_provider_id: None,
    };
    let operations = vec![ask(None), ask(Some("nowhere")), ask(Some(agent.as_str()))];
    let step = world.call(Call {
        reconcile_operations: Some(ReconcileOperations { operations }),
        ..call_of("f", CallType::ReconcileOperations)
    });
    let states: Vec<_> = to_framework(&step)
        .into_iter()
        .filter_map(|event| event.update_operation_status?.status)
        .map(|status| (status.operation_id.unwrap().value, status.state))
        .collect();
    let unknown = muster_proto::OperationState::Unknown as i32;
    assert_eq!(states, vec![("o".to_owned(), unknown); 3]);

    // Many are answered a step at a time, as tasks are.
    let operations = vec![ask(None); limits::RECONCILE_TASKS + 2];
    let step = world.call(Call {
        reconcile_operations: Some(ReconcileOperations { operations }),
        ..call_of("f", CallType::ReconcileOperations)
    });
    assert_eq!(to_framework(&step).len(), limits::RECONCILE_TASKS);
    assert_eq!(to_framework(&world.wait(limits::RECONCILE_PAUSE)).len(), 2);
}

/// A framework that knows no partitions is told LOST for each of the finer states, whoever says so.
#[test]
fn the_finer_states_of_agents_are_lost_to_who_does_not_know_them() {
    for (aware, state) in [(true, TaskState::Gone), (false, TaskState::Lost)] {
        let mut world = World::new();
        let (agent, on, _) = world.agent("h1", "cpus:4;mem:4096");
        let step = world.foreign(
            subscribe_as("f", |info| {
                let kind = CapabilityType::PartitionAware as i32;
                info.capabilities.retain(|one| aware || one.r#type != Some(kind));
            }),
            None,
        );
        let offer = offers(&step).pop().unwrap();
        world.call(accept_of("f", &[&offer], vec![launch(vec![command("t1", &agent)])], None));
        let step = world.status(on, &FrameworkId::new("f"), status("t1", TaskState::Gone));
        assert_eq!(verdicts(&step)[0].1, state);
    }
}

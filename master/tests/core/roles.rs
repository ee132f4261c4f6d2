//! Roles: what offers look like in them, who wants which, and who gets how much of the cluster.

use std::{collections::BTreeMap, time::Duration};

use muster_api::limits;
use muster_master::core::{Connection, InvalidWeight, Step};
use muster_proto::{
    Capability, CapabilityType, FrameworkId, MinAllocatableResources, Offer, OfferFilters,
    Quantity, ResourceQuantities, TaskState,
    scheduler::{Call, CallType, Revive, Suppress},
};

use crate::world::*;

fn role_of(offer: &Offer) -> String {
    offer.allocation_info.clone().unwrap().role.unwrap()
}

fn suppress(id: &str, roles: &[&str]) -> Call {
    let roles = roles.iter().map(|role| (*role).to_owned()).collect();
    Call { suppress: Some(Suppress { roles }), ..call_of(id, CallType::Suppress) }
}

fn revive(id: &str, roles: &[&str]) -> Call {
    let roles = roles.iter().map(|role| (*role).to_owned()).collect();
    Call { revive: Some(Revive { roles }), ..call_of(id, CallType::Revive) }
}

#[test]
fn an_offer_has_the_form_that_its_framework_understands() {
    let refined = CapabilityType::ReservationRefinement as i32;
    for (multi, refined) in
        [(false, None), (true, None), (true, Some(refined)), (false, Some(refined))]
    {
        let mut world = World::new();
        world.agent("h1", "cpus:4;mem:4096");
        let call = subscribe_as("f", |info| {
            if multi {
                in_roles(info, &["web"]);
            } else {
                info.role = Some("web".to_owned());
            }
            info.capabilities.extend(refined.map(|kind| Capability { r#type: Some(kind) }));
        });
        let offer = offers(&world.foreign(call, None)).pop().unwrap();
        let named = |info: &Option<muster_proto::AllocationInfo>| {
            info.as_ref().and_then(|info| info.role.clone())
        };
        let expected = multi.then(|| "web".to_owned());
        assert_eq!(named(&offer.allocation_info), expected);
        assert_eq!(offer.url.as_deref(), Some(&url_of("h1")));
        for resource in &offer.resources {
            assert_eq!(named(&resource.allocation_info), expected);
            assert_eq!(resource.role.as_deref(), refined.is_none().then_some("*"));
            assert_eq!(resource.reservations, []);
        }
    }
}

/// What an agent gets names the role of each resource, as executors of Mesos find it.
#[test]
fn a_launch_carries_the_role_of_its_offer() {
    let mut world = World::new();
    let (agent, ..) = world.agent("h1", "cpus:4;mem:4096");
    let step = world.foreign(subscribe_as("f", |info| info.role = Some("web".into())), None);
    let offer = offers(&step).pop().unwrap();
    let mut one = task("t1", &agent, "e1");
    one.resources[0].role = Some("*".into());
    let step = world.call(accept_of("f", &[&offer], vec![launch(vec![one])], None));
    let [(_, muster_proto::agent::MasterBody::Launch(sent))] = &to_agent(&step)[..] else {
        panic!("one launch: {step:?}")
    };
    let sent = sent.task.clone().unwrap();
    let executor = sent.executor.unwrap();
    for resource in sent.resources.iter().chain(&executor.resources) {
        assert_eq!(resource.allocation_info.clone().unwrap().role.as_deref(), Some("web"));
        assert_eq!(resource.role, None);
    }
    let role = world.master.roles().into_iter().find(|role| role.role == "web").unwrap();
    assert_eq!(role.used.to_string(), "cpus:1.1;mem:96");
    assert_eq!((role.frameworks, role.share_thousandths), (vec!["f".to_owned()], 275));
}

#[test]
fn what_is_declined_in_one_role_is_offered_in_the_other() {
    let mut world = World::new();
    world.agent("h1", "cpus:4;mem:4096");
    let step = world.foreign(subscribe_as("f", |info| in_roles(info, &["a", "b"])), None);
    let first = offers(&step).pop().unwrap();
    let step = world.call(decline_of("f", &[&first], Some(60.0)));
    let second = offers(&step).pop().unwrap();
    assert_ne!(role_of(&first), role_of(&second));
    assert_eq!(offers(&world.call(decline_of("f", &[&second], Some(60.0)))), []);
    world.wait(limits::ALLOCATION_INTERVAL);
    let again = offers(&world.call(revive("f", &["b"])));
    assert_eq!(again.iter().map(role_of).collect::<Vec<_>>(), ["b"], "filters of a stay");
}

#[test]
fn roles_are_suppressed_and_revived_by_name_or_all_at_once() {
    let mut world = World::new();
    world.agent("h1", "cpus:4;mem:4096");
    let mut call = subscribe_as("f", |info| in_roles(info, &["a", "b"]));
    call.subscribe.as_mut().unwrap().suppressed_roles = vec!["a".into()];
    let offer = offers(&world.foreign(call, None)).pop().unwrap();
    assert_eq!(role_of(&offer), "b");
    let step = world.call(suppress("f", &["b"]));
    assert_eq!(rescinded(&step), [], "what it holds stays");
    assert_eq!(offers(&world.call(decline_of("f", &[&offer], Some(0.0)))), []);
    // One role that it has not voids the whole call.
    assert_eq!(offers(&world.call(revive("f", &["a", "c"]))), []);
    let offer = offers(&world.call(revive("f", &["a"]))).pop().unwrap();
    assert_eq!(role_of(&offer), "a");
    world.call(suppress("f", &[]));
    assert_eq!(offers(&world.call(decline_of("f", &[&offer], Some(0.0)))), []);
    world.wait(limits::ALLOCATION_INTERVAL);
    assert_eq!(offers(&world.call(revive("f", &[]))).len(), 1);
}

/// Who gives back all the time is not offered the same as fast as the wire goes.
#[test]
fn what_is_given_back_over_http_is_offered_again_after_a_second_at_the_earliest() {
    for (refuse, seconds) in [(Some(0.0), 1), (Some(3.0), 3), (None, 5), (Some(-1.0), 5)] {
        let mut world = World::new();
        world.agent("h1", "cpus:4;mem:4096");
        let step = world.foreign(subscribe_as("f", |_| ()), None);
        let offer = offers(&step).pop().unwrap();
        assert_eq!(offers(&world.call(decline_of("f", &[&offer], refuse))), []);
        let before = Duration::from_secs(seconds) - Duration::from_millis(1);
        assert_eq!(offers(&world.wait(before)), []);
        assert_eq!(offers(&world.wait(Duration::from_millis(1))).len(), 1, "{refuse:?}");
    }
}

/// ... also if it asks for offers each time that it has given one back.
#[test]
fn to_revive_brings_back_what_was_given_back_after_a_second_at_the_earliest() {
    let mut world = World::new();
    world.agent("h1", "cpus:4;mem:4096");
    let step = world.foreign(subscribe_as("f", |_| ()), None);
    let mut offer = offers(&step).pop().unwrap();
    for refuse in [Some(0.0), Some(3600.0)] {
        world.call(decline_of("f", &[&offer], refuse));
        for _ in 0..3 {
            assert_eq!(offers(&world.call(revive("f", &[]))), [], "{refuse:?}");
            world.wait(Duration::from_millis(333));
        }
        offer = offers(&world.wait(Duration::from_millis(1))).pop().unwrap();
    }
    // What it gave back long ago comes at once.
    world.call(decline_of("f", &[&offer], Some(3600.0)));
    assert_eq!(offers(&world.wait(Duration::from_secs(1))), []);
    assert_eq!(offers(&world.call(revive("f", &[]))).len(), 1);
}

#[test]
fn an_offer_that_is_not_used_is_withdrawn_in_time() {
    let mut world = World::new();
    world.master.offer_timeout(Some(Duration::from_secs(4)));
    let (_, on, _) = world.agent("h1", "cpus:4;mem:4096");
    let ours = world.subscribe();
    let held = world.offers_of(&ours);
    assert_eq!(rescinded(&world.wait(Duration::from_secs(10))), [], "ours keeps its own");
    world.beat(on, 2);
    world.call(Call { framework_id: Some(ours), ..suppress("", &[]) });
    let step = world.call(subscribe_as("f", |_| ()));
    assert_eq!(rescinded(&step), [held[0].id.clone().unwrap()]);
    let offer = offers(&step).pop().unwrap();
    world.wait(Duration::from_secs(1));
    let step = world.wait(Duration::from_secs(3));
    assert_eq!(rescinded(&step), [offer.id.unwrap()]);
    assert_eq!(offers(&step), [], "others would come first");
    let step = world.wait(limits::REFUSE_DEFAULT);
    assert_eq!(offers(&step).len(), 1, "there is nobody else");
    // One that is used or given back is not withdrawn later.
    let offer = offers(&step).pop().unwrap();
    world.call(decline_of("f", &[&offer], Some(60.0)));
    assert_eq!(rescinded(&world.wait(Duration::from_secs(6))), []);
}

#[test]
fn one_that_uses_nothing_does_not_keep_from_others_what_it_is_offered_again_and_again() {
    let mut world = World::new();
    world.master.offer_timeout(Some(Duration::from_secs(4)));
    let (agent, _, _) = world.agent("h1", "cpus:4;mem:4096");
    let step = world.foreign(subscribe_as("busy", |_| ()), None);
    let offer = offers(&step).pop().unwrap();
    let tasks = vec![task("t1", &agent, "e1")];
    world.call(accept_of("busy", &[&offer], vec![launch(tasks)], Some(0.0)));
    world.call(suppress("busy", &[]));
    world.wait(Duration::from_secs(2));
    let step = world.foreign(subscribe_as("idle", |_| ()), None);
    assert_eq!(offers(&step).len(), 1, "all that is free, for nobody else wants it");
    let step = world.call(call_of("busy", CallType::Revive));
    assert_eq!(offers(&step), []);
    let step = world.wait(Duration::from_secs(4));
    assert_eq!(rescinded(&step).len(), 1);
    let to: Vec<_> =
        offers(&step).into_iter().map(|offer| offer.framework_id.unwrap().value).collect();
    assert_eq!(to, ["busy"], "though the other one has the smaller share");
}

#[test]
fn what_is_too_little_to_be_of_use_is_not_offered() {
    let quantities = |cpus: f64| OfferFilters {
        min_allocatable_resources: Some(MinAllocatableResources {
            quantities: vec![ResourceQuantities {
                quantities: [("cpus".to_owned(), Quantity { value: Some(cpus) })].into(),
            }],
        }),
    };
    for (has, least, offered) in [
        ("cpus:0.009;mem:31.999", None, 0),
        ("cpus:0.01;mem:1", None, 1),
        ("cpus:0.001;mem:32", None, 1),
        ("cpus:1;mem:100", Some(2.0), 0),
        ("cpus:2;mem:100", Some(2.0), 1),
    ] {
        let mut world = World::new();
        world.agent("h1", has);
        let step = world.foreign(
            subscribe_as("f", |info| {
                info.offer_filters.extend(least.map(|cpus| ("*".to_owned(), quantities(cpus))));
            }),
            None,
        );
        assert_eq!(offers(&step).len(), offered, "{has} {least:?}");
    }
}

#[test]
fn hosts_with_gpus_are_for_those_who_say_so() {
    for says in [false, true] {
        let mut world = World::new();
        world.agent("h1", "cpus:4;mem:4096;gpus:1");
        let kind = CapabilityType::GpuResources as i32;
        let step = world.foreign(
            subscribe_as("f", |info| {
                info.capabilities.extend(says.then_some(Capability { r#type: Some(kind) }));
            }),
            None,
        );
        assert_eq!(offers(&step).len(), usize::from(says));
    }
}

#[test]
fn a_host_that_does_not_meet_the_constraints_is_not_offered() {
    use muster_proto::{
        AttributeConstraint, AttributePredicate, AttributeSelector, ConstraintGroup,
        OfferConstraints, RoleConstraints, TextValue,
    };
    for (rack, count) in [("r1", 1), ("r2", 0)] {
        let mut world = World::new();
        world.agent("h1", "cpus:4;mem:4096");
        let selector =
            AttributeSelector { attribute_name: Some("rack".into()), ..Default::default() };
        let predicate = AttributePredicate {
            text_equals: Some(TextValue { value: rack.into() }),
            ..Default::default()
        };
        let constraint =
            AttributeConstraint { selector: Some(selector), predicate: Some(predicate) };
        let group = ConstraintGroup { attribute_constraints: vec![constraint] };
        let of_role = RoleConstraints { groups: vec![group] };
        let mut call = subscribe_as("f", |_| ());
        call.subscribe.as_mut().unwrap().offer_constraints =
            Some(OfferConstraints { role_constraints: [("*".to_owned(), of_role)].into() });
        assert_eq!(offers(&world.foreign(call, None)).len(), count);
    }
}

#[test]
fn weights_are_stored_and_change_who_is_next() {
    let mut world = World::new();
    world.agent("h1", "cpus:4;mem:4096");
    world.agent("h2", "cpus:4;mem:4096");
    for role in ["a", "b"] {
        world.foreign(subscribe_as(role, |info| in_roles(info, &[role])), None);
    }
    let holds = |world: &World, id: &str| world.offers_of(&FrameworkId::new(id)).len();
    assert_eq!((holds(&world, "a"), holds(&world, "b")), (2, 0), "a was there first");
    let step = world.master.set_weight(world.now, "b", 5_000).unwrap();
    world.store(&step);
    assert_eq!(rescinded(&step).len(), 2, "so that it is shared anew");
    assert_eq!((holds(&world, "a"), holds(&world, "b")), (1, 1));
    let same = world.master.set_weight(world.now, "b", 5_000).unwrap();
    assert_eq!(same, Step::default());
    let mut world = world.restart();
    assert_eq!(world.master.roles()[1].weight_thousandths, 5_000);
    let step = world.master.set_weight(world.now, "b", 1_000).unwrap();
    world.store(&step);
    assert!(!world.records.contains_key(b"W/b".as_slice()));

    for weight in [0, limits::WEIGHT_MAX + 1] {
        let refused = world.master.set_weight(world.now, "b", weight);
        assert!(matches!(refused, Err(InvalidWeight::Weight { .. })));
    }
    assert!(world.master.set_weight(world.now, "b", limits::WEIGHT_MAX).is_ok());
    let refused = world.master.set_weight(world.now, "/b", 1);
    assert!(matches!(refused, Err(InvalidWeight::Role { .. })));
    for number in 1..limits::WEIGHTS {
        world.master.set_weight(world.now, &format!("r{number}"), 2_000).unwrap();
    }
    let refused = world.master.set_weight(world.now, "more", 2_000);
    assert_eq!(refused, Err(InvalidWeight::TooMany));
}

/// Greedy frameworks on a cluster: each fills whatever it is offered with tasks of one size, and
/// tasks end one after the other.
struct Greed {
    world: World,
    connections: Vec<Connection>,
    /// The tasks that run, oldest first, with the agent and framework of each.
    running: std::collections::VecDeque<(String, usize, String)>,
    started: usize,
    /// The scheduler of this process, which can use nothing and gives it back for 5 s, if it does
    /// not say so once and for all.
    ours: FrameworkId,
    beats: u64,
    /// How many tasks of each framework ran, summed over time.
    seen: BTreeMap<String, usize>,
}

impl Greed {
    fn new(agents: usize, wants: &[(&str, &str)], weights: &[(&str, u32)]) -> Self {
        let mut world = World::new();
        for (role, weight) in weights {
            let step = world.master.set_weight(world.now, role, *weight).unwrap();
            world.store(&step);
        }
        let ours = world.subscribe();
        for (id, role) in wants {
            world.call(subscribe_as(id, |info| in_roles(info, &[role])));
        }
        let running = std::collections::VecDeque::new();
        let (seen, connections) = (BTreeMap::new(), Vec::new());
        let mut greed = Self { world, connections, running, started: 0, ours, beats: 1, seen };
        for agent in 0..agents {
            let (_, on, step) = greed.world.agent(&format!("h{agent}"), "cpus:4;mem:4000");
            greed.connections.push(on);
            greed.use_up(offers(&step));
        }
        greed
    }

    /// Each offer becomes as many tasks of a cpu as it holds; what that leaves is given back.
    fn use_up(&mut self, mut made: Vec<Offer>) {
        while let Some(offer) = made.pop() {
            let framework = offer.framework_id.clone().unwrap().value;
            if framework == self.ours.value {
                let step = self.world.call(decline_of(&framework, &[&offer], Some(5.0)));
                made.extend(offers(&step));
                continue;
            }
            let agent: muster_api::AgentId = offer.agent_id.clone().unwrap().value.parse().unwrap();
            let at = self.world.agents().iter().position(|one| one.id == agent).unwrap();
            let cpus = offer.resources.iter().find(|one| one.name == "cpus");
            let count = cpus.map_or(0.0, |one| one.scalar.unwrap().value) as usize;
            let mut tasks = Vec::new();
            for _ in 0..count {
                self.started += 1;
                let id = format!("t{}", self.started);
                tasks.push(command(&id, &agent));
                self.running.push_back((id, at, framework.clone()));
            }
            let step =
                self.world.call(accept_of(&framework, &[&offer], vec![launch(tasks)], Some(1.0)));
            made.extend(offers(&step));
        }
    }

    /// A tenth of a second goes by, the task that has run longest ends, and what is free is used up
    /// again.
    fn turn(&mut self) {
        let step = self.world.wait(Duration::from_millis(100));
        self.use_up(offers(&step));
        self.beats += 1;
        if self.beats.is_multiple_of(50) {
            for on in self.connections.clone() {
                self.world.beat(on, self.beats);
            }
        }
        let (task, at, framework) = self.running.pop_front().unwrap();
        let on = self.connections[at];
        let id = FrameworkId::new(framework.as_str());
        let step = self.world.status(on, &id, status(&task, TaskState::Finished));
        let acknowledge = muster_proto::scheduler::Acknowledge {
            agent_id: Some(wire(&self.world.agents()[at].id)),
            task_id: Some(muster_proto::TaskId::new(task.as_str())),
            uuid: uuid(&task),
        };
        let acknowledge =
            Call { acknowledge: Some(acknowledge), ..call_of(&framework, CallType::Acknowledge) };
        self.world.call(acknowledge);
        self.use_up(offers(&step));
        for (_, _, framework) in &self.running {
            *self.seen.entry(framework.clone()).or_default() += 1;
        }
    }

    /// The scheduler of this process says that it wants nothing.
    fn without_ours(mut self) -> Self {
        let ours = Some(self.ours.clone());
        self.world.call(Call { framework_id: ours, ..suppress("", &[]) });
        self
    }

    /// The part of all that ran which was of each framework, in thousandths, after a while.
    fn shares(mut self) -> Vec<(String, usize)> {
        (0..200).for_each(|_| self.turn());
        self.seen.clear();
        (0..400).for_each(|_| self.turn());
        let all: usize = self.seen.values().sum();
        self.seen.into_iter().map(|(id, seen)| (id, seen * 1_000 / all)).collect()
    }
}

/// That each share is within a tenth of what it should be.
fn assert_near(shares: &[(String, usize)], expected: &[(&str, usize)]) {
    assert_eq!(shares.len(), expected.len(), "{shares:?}");
    for ((id, share), (name, expected)) in shares.iter().zip(expected) {
        assert_eq!(id, name);
        let off = share.abs_diff(*expected);
        assert!(off * 10 <= *expected, "{id} has {share} of 1000, not {expected}: {shares:?}");
    }
}

#[test]
fn greedy_frameworks_get_equal_shares() {
    let greed = || Greed::new(10, &[("a", "ra"), ("b", "rb"), ("c", "rc")], &[]);
    let equal = [("a", 333), ("b", 333), ("c", 333)];
    assert_near(&greed().shares(), &equal);
    assert_near(&greed().without_ours().shares(), &equal);
}

#[test]
fn greedy_frameworks_get_what_their_roles_are_worth() {
    let weights = [("rb", 3_000)];
    let greed = Greed::new(10, &[("a", "ra"), ("b", "rb")], &weights);
    assert_near(&greed.shares(), &[("a", 250), ("b", 750)]);
    let greed = Greed::new(10, &[("a", "ra"), ("b", "rb"), ("c", "rb")], &weights);
    assert_near(&greed.shares(), &[("a", 250), ("b", 375), ("c", 375)]);
}

#[test]
fn greedy_frameworks_below_one_path_share_what_it_gets() {
    let wants = [("a", "eng/a"), ("b", "eng/b"), ("c", "ops")];
    let greed = Greed::new(10, &wants, &[]);
    assert_near(&greed.shares(), &[("a", 250), ("b", 250), ("c", 500)]);
}

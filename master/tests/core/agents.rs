//! Registration, heartbeats, silence, loss and return.

use std::time::Duration;

use muster_api::{Span, limits, views::AgentState};
use muster_master::core::{AgentNews, Effect, Note};
use muster_proto::{
    Attribute, TaskState,
    agent::{AgentBody, HeartbeatAnswer, Hello, LogData, MasterBody, Refused, Unsupported},
};

use crate::world::*;

#[test]
fn a_new_agent_is_welcomed_stored_and_offered_after_its_first_heartbeat() {
    let mut world = World::new();
    world.subscribe();
    let (connection, step) = world.hello(hello("h1", "cpus:4;mem:4096"));
    let id = welcomed(&step);
    assert_eq!(step.writes.len(), 1);
    assert_eq!(step.writes[0].key(), format!("A/{id}").as_bytes());
    assert_eq!(
        news(&step),
        [AgentNews::Registered {
            agent: id.clone(),
            hostname: "h1".into(),
            attributes: [("rack".into(), "r1".into())].into(),
            resources: "cpus:4;mem:4096".parse().unwrap(),
            rebooted: false,
            tasks: vec![],
            executors: vec![],
        }]
    );
    assert_eq!(offers(&step), []);

    let step = world.beat(connection, 1);
    let answer = MasterBody::HeartbeatAnswer(HeartbeatAnswer { number: 1 });
    assert_eq!(step.effects[0], Effect::ToAgent { connection, body: answer });
    let offers = offers(&step);
    assert_eq!(offers.len(), 1);
    assert_eq!(offered(&offers[0]), "cpus:4;mem:4096");
    assert_eq!(offers[0].hostname, "h1");
    assert_eq!(offers[0].agent_id, Some(wire(&id)));
    assert_eq!(offers[0].attributes[0].text.as_ref().unwrap().value, "r1");

    let step = world.beat(connection, 2);
    assert_eq!(step.effects.len(), 1, "a further heartbeat is answered and changes nothing");
    assert_eq!(world.agents()[0].state, AgentState::Active);
}

#[test]
fn an_attribute_of_the_name_hostname_is_left_out() {
    let mut world = World::new();
    world.subscribe();
    let mut hello = hello("h1", "cpus:4;mem:4096");
    let attributes = &mut hello.info.as_mut().unwrap().attributes;
    attributes.push(Attribute::text("hostname", "fake"));
    let (_, step) = world.hello(hello);
    let id = welcomed(&step);
    let [AgentNews::Registered { hostname, attributes, .. }] = &news(&step)[..] else {
        panic!("it is welcome all the same")
    };
    assert_eq!((hostname.as_str(), attributes), ("h1", &[("rack".into(), "r1".into())].into()));
    assert_eq!(world.agents()[0].attributes, *attributes);
    let said = |note: &Note| matches!(note, Note::ReportIgnored { agent, .. } if *agent == id);
    assert!(step.notes.iter().any(said), "{:?}", step.notes);
}

#[test]
fn an_agent_keeps_its_id_and_its_record_is_written_when_it_changes() {
    let mut cluster = Cluster::new();
    let world = &mut cluster.world;
    let mut again = hello("h1", "cpus:4;mem:4096");
    again.info.as_mut().unwrap().id = Some(wire(&cluster.agent));
    world.disconnect(cluster.connection);
    let (connection, step) = world.hello(again.clone());
    assert_eq!(welcomed(&step), cluster.agent);
    assert_eq!(step.writes, []);

    again.boot_id = "boot-2".into();
    let (_, step) = world.hello(again.clone());
    assert_eq!(step.writes.len(), 1);
    assert!(matches!(news(&step)[..], [AgentNews::Registered { rebooted: true, .. }]));
    assert!(step.effects.contains(&Effect::Close { connection }));

    let (_, step) = world.hello(again);
    assert!(matches!(news(&step)[..], [AgentNews::Registered { rebooted: false, .. }]));
    assert_eq!(world.agents().len(), 1);
}

#[test]
fn an_agent_that_nobody_knows_keeps_the_id_it_brings() {
    let mut world = World::new();
    let mut hello = hello("h1", "cpus:1");
    hello.info.as_mut().unwrap().id = Some(muster_proto::AgentId::new("from-elsewhere"));
    let (_, step) = world.hello(hello);
    assert_eq!(welcomed(&step).as_str(), "from-elsewhere");
    assert_eq!(step.writes.len(), 1);
}

#[test]
fn a_second_connection_closes_the_first_whose_messages_are_void() {
    let mut cluster = Cluster::new();
    let first = cluster.connection;
    let (hello, _) = cluster.come_back(cluster.hello_again(&[], &[]));
    assert_eq!(rescinded(&hello), [cluster.world_offer_before()]);
    assert!(hello.effects.contains(&Effect::Close { connection: first }));
    assert_eq!(cluster.world.beat(first, 9).effects, []);
    assert_eq!(cluster.world.disconnect(first).effects, []);
    assert_eq!(cluster.world.agents()[0].state, AgentState::Active);
}

impl Cluster {
    /// The first offer that a master of these tests makes.
    fn world_offer_before(&self) -> muster_proto::OfferId {
        muster_proto::OfferId::new(format!("{}-O1", self.world.master.term()))
    }
}

#[test]
fn a_hello_that_is_not_valid_is_refused() {
    let mut nameless = hello("", "cpus:1");
    nameless.info.as_mut().unwrap().hostname.clear();
    let mut bad_id = hello("h1", "cpus:1");
    bad_id.info.as_mut().unwrap().id = Some(muster_proto::AgentId::new("a/b"));
    let mut ports = hello("h1", "cpus:1");
    ports.info.as_mut().unwrap().resources[0].r#type = 1;
    let mut full = Cluster::new().hello_again(&[("t1", TaskState::Running)], &["e1"]);
    full.info.as_mut().unwrap().resources = resources("cpus:1;mem:4096");
    for (hello, retry) in [(nameless, false), (bad_id, false), (ports, false), (full, true)] {
        let mut world = World::new();
        let (connection, step) = world.hello(hello);
        let [(_, MasterBody::Refused(Refused { retry: may, message, .. }))] = &to_agent(&step)[..]
        else {
            panic!("not refused: {step:?}");
        };
        assert_eq!(*may, retry, "{message}");
        assert_eq!(step.effects.last(), Some(&Effect::Close { connection }));
        assert_eq!(step.writes, []);
        assert!(world.agents().is_empty());
    }
}

#[test]
fn a_lost_connection_rescinds_and_tells_since_the_last_heartbeat() {
    let mut cluster = Cluster::new();
    cluster.world.wait(Duration::from_secs(3));
    let heard = cluster.world.now.mono;
    cluster.world.beat(cluster.connection, 2);
    cluster.world.wait(Duration::from_secs(2));
    let step = cluster.world.disconnect(cluster.connection);
    assert_eq!(rescinded(&step), [cluster.offer.id.clone().unwrap()]);
    assert_eq!(news(&step), [AgentNews::Silent { agent: cluster.agent, since: heard }]);
    assert_eq!(cluster.world.agents()[0].state, AgentState::Unreachable);
    // Only frameworks over HTTP are told of it some time.
    let lost = heard + limits::AGENT_UNREACHABLE_AFTER;
    assert_eq!(cluster.world.master.next_wakeup(), Some(lost));
}

#[test]
fn an_agent_that_falls_silent_is_rescinded_and_offered_when_it_is_heard() {
    let mut cluster = Cluster::new();
    let heard = cluster.world.now.mono;
    assert_eq!(cluster.world.master.next_wakeup(), Some(heard + limits::SILENT_AFTER));
    let step = cluster.world.wait(limits::SILENT_AFTER - Duration::from_millis(1));
    assert_eq!(step.effects, []);
    let step = cluster.world.wait(Duration::from_millis(1));
    assert_eq!(rescinded(&step), [cluster.offer.id.clone().unwrap()]);
    let agent = cluster.agent.clone();
    assert_eq!(news(&step), [AgentNews::Silent { agent: agent.clone(), since: heard }]);

    let step = cluster.world.beat(cluster.connection, 2);
    assert_eq!(news(&step), [AgentNews::Heard { agent }]);
    assert_eq!(offers(&step).len(), 1);

    cluster.world.wait(limits::SILENT_AFTER);
    let step = cluster.world.disconnect(cluster.connection);
    assert_eq!(news(&step), [], "that it is silent was told");
}

/// By then its executors with the shortest lease count as dead, and nobody would ask what lives.
#[test]
fn an_agent_that_is_heard_after_a_lease_could_end_must_register_anew() {
    let fenced = limits::fenced_after(limits::LEASE_MIN);
    let mut cluster = Cluster::new();
    let (on, heard) = (cluster.connection, cluster.world.now.mono);
    cluster.world.wait(fenced - Duration::from_millis(1));
    let agent = cluster.agent.clone();
    assert_eq!(news(&cluster.world.beat(on, 2)), [AgentNews::Heard { agent }]);

    let last = cluster.world.now.mono;
    assert!(last > heard);
    cluster.world.wait(fenced);
    let step = cluster.world.beat(on, 3);
    assert_eq!(step.effects, [Effect::Close { connection: on }], "it is not answered");
    assert_eq!(cluster.world.agents()[0].state, AgentState::Unreachable);
    assert_eq!(cluster.world.beat(on, 4).effects, [], "the connection is void");
    assert_eq!(cluster.world.disconnect(on).effects, []);

    let hello = cluster.hello_again(&[("t1", TaskState::Running)], &["e1"]);
    let (first, second) = cluster.come_back(hello);
    let [AgentNews::Registered { tasks, executors, .. }] = &news(&first)[..] else { panic!() };
    assert_eq!((&tasks[..], &executors[..]), (&["t1".into()][..], &["e1".into()][..]));
    assert_eq!(offers(&second).len(), 1);
}

#[test]
fn users_see_since_when_and_for_how_long_an_agent_is_silent() {
    let mut cluster = Cluster::new();
    let view = cluster.world.agents().remove(0);
    assert_eq!((view.silent_since, view.silent_for, view.gone_at), (None, None, None));
    let heard = cluster.world.now.wall;
    cluster.world.wait(Duration::from_secs(30));
    // Somebody sets the wall clock back by an hour: the length of the silence stays what it is.
    cluster.world.now.wall = cluster.world.now.wall.before(Duration::from_secs(3600));
    let view = cluster.world.agents().remove(0);
    assert_eq!(view.silent_for, Some(Span::from_secs(30)));
    assert_eq!(view.silent_since, Some(heard.before(Duration::from_secs(3600))));
    let start = cluster.world.now.wall;
    let world = cluster.world.restart();
    let view = world.agents().remove(0);
    assert_eq!(view.silent_since, Some(start), "a new master counts from its own start");
}

#[test]
fn a_registration_is_no_heartbeat_for_leases() {
    let mut cluster = Cluster::new();
    let heard = cluster.world.now.mono;
    cluster.world.disconnect(cluster.connection);
    cluster.world.wait(Duration::from_secs(60));
    let again = cluster.hello_again(&[], &[]);
    let (connection, _) = cluster.world.hello(again);
    let step = cluster.world.disconnect(connection);
    assert_eq!(news(&step), [AgentNews::Silent { agent: cluster.agent, since: heard }]);
}

#[test]
fn what_an_agent_does_not_bring_back_is_forgotten() {
    let mut cluster = Cluster::new();
    let tasks = ["t1", "t2", "t3"].map(|id| cluster.task(id, "e1")).to_vec();
    cluster.launch(tasks);
    cluster.status("t2", TaskState::Running);
    assert_eq!(cluster.world.used(), "cpus:3.1;mem:224");
    cluster.world.disconnect(cluster.connection);
    assert_eq!(cluster.world.used(), "cpus:3.1;mem:224", "tasks of a lost agent are kept");

    let back = [("t2", TaskState::Running), ("t3", TaskState::Failed)];
    let (first, second) = cluster.come_back(cluster.hello_again(&back, &["e1"]));
    let [AgentNews::Registered { tasks, executors, .. }] = &news(&first)[..] else { panic!() };
    assert_eq!((&tasks[..], &executors[..]), (&["t2".into(), "t3".into()][..], &["e1".into()][..]));
    assert_eq!(cluster.world.used(), "cpus:1.1;mem:96");
    assert_eq!(offered(&offers(&second)[0]), "cpus:2.9;mem:4000");
    let answers = cluster.reconcile(&[("t1", Some(&cluster.agent.clone()))]);
    assert_eq!(verdict(&answers[0]).1, TaskState::Gone);
}

#[test]
fn a_restarted_master_learns_tasks_from_agents_and_counts_silence_from_its_start() {
    let mut cluster = Cluster::new();
    cluster.launch(vec![cluster.task("t1", "e1")]);
    let (framework, agent) = (cluster.framework.clone(), cluster.agent.clone());
    let hello = cluster.hello_again(&[("t1", TaskState::Running)], &["e1"]);
    let mut world = cluster.world.restart();
    let start = world.now.mono;
    let step = world.call(subscribe(Some(&framework)));
    assert_eq!(news(&step), [AgentNews::Silent { agent, since: start }]);
    let (connection, step) = world.hello(hello);
    let [AgentNews::Registered { tasks, .. }] = &news(&step)[..] else { panic!() };
    assert_eq!(tasks[..], ["t1"]);
    assert_eq!(offered(&offers(&world.beat(connection, 1))[0]), "cpus:2.9;mem:4000");
}

#[test]
fn a_task_is_where_it_was_said_to_be_last() {
    let mut cluster = Cluster::new();
    cluster.launch(vec![cluster.task("t1", "e1")]);
    let mut other = cluster.hello_again(&[("t1", TaskState::Running)], &["e1"]);
    other.info.as_mut().unwrap().id = None;
    cluster.world.hello(other);
    let mut used: Vec<_> =
        cluster.world.agents().iter().map(|agent| agent.used.to_string()).collect();
    used.sort();
    assert_eq!(used, ["cpus:0.1;mem:32", "cpus:1.1;mem:96"]);
}

#[test]
fn messages_that_have_no_place_are_answered_unsupported() {
    let mut cluster = Cluster::new();
    let on = cluster.connection;
    for body in [AgentBody::LogData(LogData::default()), AgentBody::Hello(hello("h", "cpus:1"))] {
        let step = cluster.world.from(on, body);
        assert_eq!(to_agent(&step), [(on, MasterBody::Unsupported(Unsupported {}))]);
    }
    let step = cluster.world.from(on, AgentBody::Unsupported(Unsupported {}));
    assert!(matches!(step.notes[..], [Note::ReportIgnored { .. }]));
}

#[test]
fn a_hello_that_was_overtaken_by_a_later_one_registers_nobody() {
    let mut cluster = Cluster::new();
    let said = |at: u64, hello: Hello| Hello { said_at: at, ..hello };
    let (on, _) = cluster.world.hello(said(2_000, cluster.hello_again(&[], &[])));
    cluster.world.beat(on, 1);
    let (old, step) = cluster.world.hello(said(1_000, cluster.hello_again(&[], &[])));
    assert_eq!(step.effects, [Effect::Close { connection: old }]);
    let answered = cluster.world.beat(on, 2);
    assert_ne!(answered.effects, [], "the agent goes on where it is");
    // After another boot the clock begins anew, and a later hello counts as ever.
    let boot = Hello { boot_id: "boot-2".into(), ..cluster.hello_again(&[], &[]) };
    let (_, step) = cluster.world.hello(said(500, boot));
    assert!(step.effects.contains(&Effect::Close { connection: on }));
}

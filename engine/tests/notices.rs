//! The outbox under load and bad luck: what is decided is delivered or given up, whatever webhooks
//! answer and however often the scheduler dies, and never more is under way than may be.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use muster_api::{
    IdStream, Mono, NoticeId, Now, Span, Timestamp, limits,
    notices::NoticeView,
    spec::{AppSpec, JobSpec, NoticeKind},
    step::{Records, Write},
};
use muster_engine::{
    Engine, EngineConfig, Installation,
    effect::{Effect, NoticeCounts, Step},
    event::{Command, Event, Expect, Offer, RequestId, Signal, TaskUpdate, Tried},
    query::{Answer, Query},
    records::{self, NoticeRecord},
};
use serde_json::json;

struct World {
    engine: Engine,
    config: EngineConfig,
    now: Now,
    stored: Records,
    starts: u64,
    offers: u64,
    /// What was sent and not answered.
    under_way: VecDeque<Arc<NoticeRecord>>,
    launched: VecDeque<muster_api::TaskId>,
    counts: NoticeCounts,
    answers: Vec<Answer>,
    /// How many records the largest step wrote.
    largest: usize,
}

impl World {
    fn start(installation: Installation) -> Self {
        let config = EngineConfig { installation, ..EngineConfig::new(|_, _| Vec::new()) };
        let now = Now {
            wall: "2026-01-01T00:00:00Z".parse().unwrap(),
            mono: Mono::from_millis(1_000_000),
        };
        let (engine, first) = Engine::restore(config.clone(), 1, &Records::new(), now).unwrap();
        let mut world = Self {
            engine,
            config,
            now,
            stored: Records::new(),
            starts: 1,
            offers: 0,
            under_way: VecDeque::new(),
            launched: VecDeque::new(),
            counts: NoticeCounts::default(),
            answers: Vec::new(),
            largest: 0,
        };
        world.take(first);
        world
    }

    fn step(&mut self, event: Event) {
        let step = self.engine.step(self.now, event);
        self.take(step);
    }

    fn take(&mut self, step: Step) {
        self.largest = self.largest.max(step.writes.len());
        for write in step.writes {
            match write {
                Write::Put { key, value } => self.stored.insert(key, value),
                Write::Delete { key } => self.stored.remove(&key),
            };
        }
        let NoticeCounts { decided, sent, failed, given_up, waiting } = step.tally.notices;
        self.counts.decided += decided;
        self.counts.sent += sent;
        self.counts.failed += failed;
        self.counts.given_up += given_up;
        self.counts.waiting = waiting.or(self.counts.waiting);
        for effect in step.effects {
            match effect {
                Effect::Deliver(record) => {
                    let key = format!("{}{}", records::NOTICES, record.notice.id);
                    assert!(
                        self.stored.contains_key(key.as_bytes()),
                        "it leaves once it is stored"
                    );
                    self.under_way.push_back(record);
                }
                Effect::Launch(batch) => {
                    self.launched.extend(batch.tasks.iter().map(|task| task.task));
                }
                Effect::Answer { answer, .. } => self.answers.push(answer),
                _ => {}
            }
        }
        let webhooks: BTreeSet<_> = self.under_way.iter().map(|record| &record.webhook).collect();
        assert_eq!(webhooks.len(), self.under_way.len(), "one at a time to each webhook");
        assert!(self.under_way.len() <= limits::NOTICES_IN_FLIGHT);
    }

    fn wait(&mut self, time: Duration) {
        self.now = Now { wall: self.now.wall + time, mono: self.now.mono + time };
        self.step(Event::Tick);
        while self.engine.next_wakeup().mono.is_some_and(|at| at <= self.now.mono) {
            self.step(Event::Tick);
        }
    }

    /// It dies with all that is under way, and starts again from what is stored.
    fn restart(&mut self) {
        self.starts += 1;
        self.under_way.clear();
        self.launched.clear();
        let config = self.config.clone();
        let (engine, step) = Engine::restore(config, self.starts, &self.stored, self.now).unwrap();
        self.engine = engine;
        self.take(step);
        self.step(Event::Subscribed);
    }

    fn command(&mut self, command: Command) {
        self.step(Event::Command { request: RequestId(0), command });
    }

    fn app(&mut self) {
        let document = json!({"name": "a", "resources": {"cpus": 0.001, "mem": 1}});
        let spec = AppSpec::parse(document).unwrap().spec;
        self.command(Command::PutApp { spec, expect: Expect::Anything });
    }

    fn job(&mut self, name: &str, webhook: &str) {
        let spec = JobSpec::parse(json!({
            "name": name, "app": "a", "type": "script", "script": {"command": "false"},
            "sharding": {"count": 1}, "resources": {"cpus": 0.001, "mem": 1},
            "notify": {"on": ["failed"], "webhook": webhook},
        }));
        self.command(Command::PutJob { spec: spec.unwrap().spec, expect: Expect::Anything });
    }

    /// A run of a job that fails.
    fn fail(&mut self, job: &str) {
        self.offers += 1;
        self.step(Event::Offers(vec![Offer {
            id: format!("o{}", self.offers).parse().unwrap(),
            agent: "h".parse().unwrap(),
            hostname: "h".to_owned(),
            attributes: BTreeMap::new(),
            resources: "cpus:1;mem:1024".parse().unwrap(),
            executors: Vec::new(),
        }]));
        let (job, request) = (job.parse().unwrap(), Default::default());
        self.command(Command::Trigger { job, request, idempotency_key: None });
        while let Some(task) = self.launched.pop_front() {
            self.step(Event::Task(TaskUpdate {
                task,
                agent: Some("h".parse().unwrap()),
                signal: Signal::CodeFailed,
                source: Default::default(),
                at: None,
                message: String::new(),
                report: Default::default(),
                uuid: None,
            }));
        }
    }

    fn answer(&mut self, outcome: Tried) -> Option<Arc<NoticeRecord>> {
        let record = self.under_way.pop_front()?;
        self.step(Event::NoticeTried { notice: record.notice.id, outcome });
        Some(record)
    }

    fn waiting(&mut self, skip: usize, limit: usize) -> Vec<NoticeView> {
        self.step(Event::Query { request: RequestId(0), query: Query::Notices { skip, limit } });
        match self.answers.pop() {
            Some(Answer::Notices(views)) => views,
            other => panic!("{other:?}"),
        }
    }
}

fn refused() -> Tried {
    Tried::Refused { why: "it answered 500".to_owned() }
}

fn failed() -> Tried {
    Tried::Failed { why: "cannot connect".to_owned() }
}

#[test]
fn whatever_webhooks_answer_what_is_decided_is_delivered_or_given_up() {
    for seed in 0..12 {
        let mut chance = IdStream::new(seed, 7);
        let mut world = World::start(Installation::default());
        world.app();
        for job in 0..5 {
            world.job(&format!("j{job}"), &format!("http://h{}/", job % 3));
        }
        let (mut delivered, mut gone) = (BTreeSet::<NoticeId>::new(), BTreeSet::new());
        for _ in 0..300 {
            match chance.bits() % 10 {
                0..3 => world.fail(&format!("j{}", chance.bits() % 5)),
                3 | 4 => {
                    let record = world.answer(Tried::Delivered);
                    delivered.extend(record.map(|record| record.notice.id));
                }
                5 => drop(world.answer(failed())),
                6 => drop(world.answer(refused())),
                7 => {
                    let record = world.answer(Tried::Gone { why: "it answered 410".to_owned() });
                    gone.extend(record.map(|record| record.notice.id));
                }
                8 => world.wait(Duration::from_millis(chance.bits() % 20_000)),
                _ => world.restart(),
            }
            world.engine.check();
        }
        // From now on all is well.
        for _ in 0..2_000 {
            match world.answer(Tried::Delivered) {
                Some(record) => drop(delivered.insert(record.notice.id)),
                None => world.wait(limits::NOTICE_RETRY_MAX),
            }
            if world.waiting(0, 1).is_empty() {
                break;
            }
        }
        assert_eq!(world.waiting(0, 1), [], "seed {seed}");
        assert!(delivered.is_disjoint(&gone), "seed {seed}: what was given up is not sent");
        let decided = usize::try_from(world.counts.decided).unwrap();
        assert_eq!(delivered.len() + gone.len(), decided, "seed {seed}");
        assert_eq!(world.counts.waiting, Some(0));
        let prefix = records::NOTICES.as_bytes();
        assert!(!world.stored.keys().any(|key| key.starts_with(prefix)), "nothing is left behind");
    }
}

#[test]
fn a_dead_webhook_holds_up_nobody_and_is_left_alone() {
    let mut world = World::start(Installation::default());
    world.app();
    world.job("dead", "http://dead/");
    world.job("live", "http://live/");
    let mut tries = 0;
    for _ in 0..200 {
        world.fail("dead");
        world.fail("live");
        while let Some(record) = world.under_way.pop_front() {
            let dead = record.webhook.contains("dead");
            tries += u32::from(dead);
            let outcome = if dead { failed() } else { Tried::Delivered };
            world.step(Event::NoticeTried { notice: record.notice.id, outcome });
        }
        world.wait(Duration::from_secs(60));
    }
    assert_eq!(world.counts.sent, 200, "each was taken at once");
    // 1 s to 512 s are ten tries in 17 min; then it is one in ten minutes.
    assert!((25..=40).contains(&tries), "{tries} tries in 200 minutes");
    assert_eq!(world.counts.waiting, Some(200));
    let views = world.waiting(0, 500);
    assert!(views.iter().map(|view| view.notice.id).is_sorted(), "the oldest first");
    let next = views.iter().filter_map(|view| view.next_try_at).collect::<Vec<Timestamp>>();
    assert!(matches!(next.as_slice(), [at] if *at > world.now.wall), "one is next: {next:?}");
}

#[test]
fn where_too_many_wait_the_oldest_are_given_up_and_no_step_is_large() {
    let on = BTreeSet::from([NoticeKind::HostLost]);
    let mut world = World::start(Installation { on, webhook: "http://all/secret".to_owned() });
    let more = 500;
    for host in 0..limits::NOTICES_WAITING + more {
        let agent = format!("h{host:05}").parse().unwrap();
        world.step(Event::AgentSilent { agent, since: world.now.mono });
    }
    world.wait(limits::HOST_LOST_AFTER);
    assert!(world.largest <= limits::COMMIT_RECORDS, "{} records in one step", world.largest);
    let most = limits::NOTICES_WAITING as u64;
    let counts = &world.counts;
    assert_eq!((counts.decided, counts.given_up), (most + more as u64, more as u64));
    assert_eq!(counts.waiting, Some(most));
    // The one that is being sent is not given up, and it was the first of all.
    let views = world.waiting(0, 2);
    let agents: Vec<_> = views.iter().map(|view| view.notice.agent.clone().unwrap()).collect();
    assert_eq!(agents[0].as_str(), "h00000");
    assert_eq!(agents[1].as_str(), format!("h{:05}", more + 1));
    assert_eq!(views[0].webhook, "http://all", "the path may be a secret");
    world.restart();
    assert_eq!(world.answer(Tried::Delivered).unwrap().notice.agent, Some(agents[0].clone()));
    world.engine.check();
}

#[test]
fn a_webhook_that_takes_nothing_costs_only_its_own_notices() {
    let on = BTreeSet::from([NoticeKind::HostLost]);
    let mut world = World::start(Installation { on, webhook: "http://dead/".to_owned() });
    world.app();
    world.job("j", "http://live/");
    world.fail("j");
    world.fail("j");
    // The first is under way, and the second is older than all that come.
    for host in 0..limits::NOTICES_WAITING + 100 {
        let agent = format!("h{host:05}").parse().unwrap();
        world.step(Event::AgentSilent { agent, since: world.now.mono });
    }
    world.wait(limits::HOST_LOST_AFTER);
    assert_eq!(world.counts.given_up, 102);
    let jobs = world.waiting(0, 3).into_iter().map(|view| view.notice.job.is_some());
    assert_eq!(jobs.collect::<Vec<_>>(), [true, true, false]);
    world.engine.check();
}

#[test]
fn what_is_told_keeps_its_order_however_long_nobody_answers() {
    let mut world = World::start(Installation::default());
    world.app();
    world.job("j", "http://h/");
    world.fail("j");
    world.fail("j");
    let first = world.under_way[0].notice.id;
    for _ in 0..3 * limits::NOTICE_TRIES_IN_TURN {
        assert_eq!(world.answer(failed()).unwrap().notice.id, first);
        world.wait(limits::NOTICE_RETRY_MAX);
    }
    for _ in 0..limits::NOTICE_TRIES_IN_TURN {
        assert_eq!(world.answer(refused()).unwrap().notice.id, first);
        world.wait(limits::NOTICE_RETRY_MAX);
    }
    let second = world.answer(Tried::Delivered).unwrap().notice.id;
    assert!(second > first, "one that is refused again and again lets others go first");
    assert_eq!(world.answer(Tried::Delivered).unwrap().notice.id, first);
}

#[test]
fn all_that_waited_for_too_long_is_given_up_a_part_at_a_time() {
    let on = BTreeSet::from([NoticeKind::HostLost]);
    let mut world = World::start(Installation { on, webhook: "http://all/".to_owned() });
    let lose = |world: &mut World, hosts: std::ops::Range<usize>| {
        for host in hosts {
            let agent = format!("h{host:05}").parse().unwrap();
            world.step(Event::AgentSilent { agent, since: world.now.mono });
        }
        world.wait(limits::HOST_LOST_AFTER);
    };
    lose(&mut world, 0..1_200);
    world.wait(limits::NOTICE_AGE / 2);
    lose(&mut world, 1_200..1_201);
    world.wait(limits::NOTICE_AGE / 2);
    let mut tries = 0;
    while world.counts.given_up < 1_200 {
        assert!(world.answer(failed()).is_some());
        world.engine.check();
        world.wait(limits::NOTICE_RETRY_MAX);
        tries += 1;
    }
    assert!((2..=4).contains(&tries), "{tries} tries");
    assert!(world.largest <= limits::COMMIT_RECORDS, "{} records in one step", world.largest);
    assert_eq!(
        world.answer(Tried::Delivered).unwrap().notice.agent.as_ref().unwrap().as_str(),
        "h01200"
    );
    assert_eq!(world.counts.waiting, Some(0));
}

#[test]
fn a_webhook_that_rests_is_tried_again_when_the_notice_is_given_up_that_it_was_to_take() {
    let on = BTreeSet::from([NoticeKind::HostLost]);
    let mut world = World::start(Installation { on, webhook: "http://all/".to_owned() });
    let mut host = 0;
    let mut lose = |world: &mut World, hosts: usize| {
        for _ in 0..hosts {
            host += 1;
            let agent = format!("h{host}").parse().unwrap();
            let since = world.now.mono;
            world.step(Event::AgentSilent { agent, since });
        }
    };
    lose(&mut world, 1);
    world.wait(limits::HOST_LOST_AFTER);
    lose(&mut world, limits::NOTICES_WAITING);
    world.wait(limits::HOST_LOST_AFTER - Duration::from_millis(500));
    // It rests for a second, in the midst of which the first notice is given up.
    world.answer(failed());
    world.wait(Duration::from_millis(500));
    assert_eq!((world.counts.given_up, world.under_way.len()), (1, 0));
    world.engine.check();
    world.wait(Duration::from_millis(500));
    assert_eq!(world.under_way.len(), 1);
    world.engine.check();
}

#[test]
fn a_notice_is_short() {
    let mut world = World::start(Installation {
        on: BTreeSet::from([NoticeKind::Failed]),
        webhook: "http://all/".to_owned(),
    });
    world.app();
    world.job("j", "");
    world.offers += 1;
    let long = Span::from_secs(1).to_string().repeat(10_000) + "ä";
    let offer = Offer {
        id: "o1".parse().unwrap(),
        agent: "h".parse().unwrap(),
        hostname: "h".to_owned(),
        attributes: BTreeMap::new(),
        resources: "cpus:1;mem:1024".parse().unwrap(),
        executors: Vec::new(),
    };
    world.step(Event::Offers(vec![offer]));
    let (job, request) = ("j".parse().unwrap(), Default::default());
    world.command(Command::Trigger { job, request, idempotency_key: None });
    let task = world.launched.pop_front().unwrap();
    world.step(Event::Task(TaskUpdate {
        task,
        agent: Some("h".parse().unwrap()),
        signal: Signal::CodeFailed,
        source: Default::default(),
        at: None,
        message: long,
        report: Default::default(),
        uuid: None,
    }));
    let notice = &world.under_way.pop_front().unwrap().notice;
    assert_eq!(notice.reason.len(), limits::NOTICE_REASON_BYTES);
}

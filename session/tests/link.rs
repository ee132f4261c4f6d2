//! The link to a master that is not in this process: which one is tried when, what ends a
//! subscription, and what becomes of calls then.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::time::Duration;

use muster_api::{Mono, TaskId, limits, step::Records};
use muster_proto::{
    Address, FrameworkId, Launch, MasterInfo, OfferId, Operation, TaskInfo,
    scheduler::{Accept, Call, CallType, Error, Event as MasterSays, EventType, Subscribed},
};
use muster_session::{
    Session,
    link::{Answer, Attempt, CallNumber, Effect, Event, Heard, Link, Note, Outcome, Step},
};
use prost::Message as _;

struct World {
    link: Link,
    session: Session,
    now: Mono,
    /// The newest try, and where it goes.
    attempt: Attempt,
    master: String,
    /// What the engine was told.
    heard: Vec<Heard>,
    notes: Vec<Note>,
    left: Vec<Attempt>,
    /// Why it must stop.
    stopped: Option<String>,
    sent: Vec<(CallNumber, Option<String>)>,
    calls: Vec<Call>,
}

impl World {
    /// A link that has begun with its first try.
    fn new(masters: &str) -> Self {
        let mut world = Self {
            link: Link::new(masters.parse().unwrap(), 1),
            session: Session::restore(&Records::new()).unwrap(),
            now: Mono::from_millis(1_000_000),
            attempt: Attempt(0),
            master: String::new(),
            heard: Vec::new(),
            notes: Vec::new(),
            left: Vec::new(),
            stopped: None,
            sent: Vec::new(),
            calls: Vec::new(),
        };
        world.step(Event::Tick);
        world
    }

    fn step(&mut self, event: Event) {
        let step = self.link.step(self.now, event, &self.session);
        self.take(step);
    }

    fn take(&mut self, step: Step) {
        self.heard.extend(step.heard);
        self.notes.extend(step.notes);
        for effect in step.effects {
            match effect {
                Effect::Subscribe { attempt, master, call } => {
                    assert_eq!(call.r#type, Some(CallType::Subscribe as i32));
                    assert!(attempt > self.attempt, "no try has the number of another");
                    (self.attempt, self.master) = (attempt, master.to_string());
                }
                Effect::Call { attempt, number, stream_id, call } => {
                    assert_eq!(attempt, self.attempt);
                    self.calls.push(call);
                    self.sent.push((number, stream_id));
                }
                Effect::Leave(attempt) => self.left.push(attempt),
                Effect::Stop { why } => self.stopped = Some(why),
            }
        }
    }

    /// Lets time pass until something is due, and does it; how long that was.
    fn until_due(&mut self) -> Duration {
        let due = self.link.next_wakeup().expect("something is due");
        let waited = due.since(self.now);
        self.now = self.now + waited;
        self.step(Event::Tick);
        waited
    }

    /// The next try that is not the one of now; how long it took to begin.
    fn next_try(&mut self) -> Duration {
        let (before, begun) = (self.attempt, self.now);
        while self.attempt == before {
            self.until_due();
        }
        self.now.since(begun)
    }

    fn opened(&mut self) {
        let stream_id = Some(format!("stream-{}", self.attempt.0));
        self.step(Event::Opened { attempt: self.attempt, stream_id });
    }

    fn says(&mut self, event: MasterSays) {
        self.step(Event::Heard { attempt: self.attempt, event });
    }

    fn subscribe(&mut self) {
        self.opened();
        self.says(subscribed(15.0, None));
        assert!(self.link.master().is_some());
        self.heard.clear();
    }

    /// Lets time pass with heartbeats.
    fn last(&mut self, span: Duration) {
        let until = self.now + span;
        while self.now < until {
            self.now = self.now + Duration::from_secs(1);
            self.says(says(EventType::Heartbeat));
        }
        self.heard.clear();
    }

    fn refuse(&mut self, status: u16, location: Option<&str>, body: &str) {
        let location = location.map(ToOwned::to_owned);
        let answer = Answer { status, location, body: body.to_owned() };
        self.step(Event::Refused { attempt: self.attempt, answer });
    }

    fn close(&mut self, why: &str) {
        self.step(Event::Closed { attempt: self.attempt, why: why.to_owned() });
    }

    fn call(&mut self, call: Call) -> Option<CallNumber> {
        let before = self.sent.len();
        let step = self.link.call(self.now, call);
        self.take(step);
        self.sent.get(before).map(|(number, _)| *number)
    }

    fn called(&mut self, number: CallNumber, outcome: Outcome) {
        self.step(Event::Called { attempt: self.attempt, number, outcome });
    }

    fn answered(&mut self, number: CallNumber, status: u16, body: &str) {
        let answer = Answer { status, body: body.to_owned(), ..Answer::default() };
        self.called(number, Outcome::Answered(answer));
    }
}

fn says(kind: EventType) -> MasterSays {
    MasterSays { r#type: Some(kind as i32), ..MasterSays::default() }
}

fn subscribed(seconds: f64, leader: Option<(&str, i32)>) -> MasterSays {
    let master_info = leader.map(|(ip, port)| MasterInfo {
        address: Some(Address { ip: Some(ip.to_owned()), hostname: None, port }),
        ..MasterInfo::default()
    });
    let framework_id = Some(FrameworkId::new("f-1"));
    let heartbeat_interval_seconds = Some(seconds);
    let body = Subscribed { framework_id, heartbeat_interval_seconds, master_info };
    MasterSays { subscribed: Some(body), ..says(EventType::Subscribed) }
}

fn error(message: &str) -> MasterSays {
    MasterSays { error: Some(Error { message: message.to_owned() }), ..says(EventType::Error) }
}

fn task(number: u128) -> TaskId {
    TaskId::from_uuid(uuid::Uuid::from_u128(number))
}

/// A call that launches these.
fn accept(tasks: &[u128]) -> Call {
    let info = |number: &u128| TaskInfo {
        task_id: Some(muster_proto::TaskId::new(task(*number).to_string())),
        ..TaskInfo::default()
    };
    let launch = Launch { task_infos: tasks.iter().map(info).collect() };
    let operation = Operation { launch: Some(launch), ..Operation::default() };
    let accept = Accept { operations: vec![operation], ..Accept::default() };
    Call { r#type: Some(CallType::Accept as i32), accept: Some(accept), ..Call::default() }
}

fn revive() -> Call {
    Call { r#type: Some(CallType::Revive as i32), ..Call::default() }
}

#[test]
fn what_the_stream_says_is_told_from_its_beginning_on() {
    let mut world = World::new("m:1");
    assert_eq!(world.master, "m:1");
    assert!(world.link.master().is_none());
    world.opened();
    assert!(world.link.master().is_none(), "a stream alone is no subscription");
    let first = subscribed(15.0, None);
    world.says(first.clone());
    assert_eq!(world.heard, [Heard::Event(first)]);
    world.heard.clear();
    world.says(says(EventType::Heartbeat));
    assert_eq!(world.heard, [], "that is for nobody else");
    world.says(says(EventType::Offers));
    assert_eq!(world.heard, [Heard::Event(says(EventType::Offers))]);
}

#[test]
fn calls_name_the_stream_and_none_goes_out_without_a_subscription() {
    let mut world = World::new("m:1");
    assert_eq!(world.call(revive()), None);
    assert_eq!(world.heard, [], "what only repeats is forgotten");
    world.call(accept(&[1, 2]));
    let why = "there is no subscription".to_owned();
    assert_eq!(world.heard, [Heard::NotLaunched { tasks: vec![task(1), task(2)], why }]);
    world.subscribe();
    world.call(revive());
    world.call(accept(&[3]));
    let stream = Some("stream-1".to_owned());
    let sent = [(CallNumber(1), stream.clone()), (CallNumber(2), stream)];
    assert_eq!(world.sent, sent);
    assert_eq!(world.heard, []);
}

#[test]
fn one_after_the_other_is_tried_ever_more_slowly() {
    let mut world = World::new("a:1,b:2,c:3");
    let (mut tried, mut longest) = (Vec::new(), Duration::ZERO);
    for _ in 0..30 {
        tried.push(world.master.clone());
        world.close("no connection");
        longest = longest.max(world.next_try());
    }
    assert_eq!(tried[..4], ["a:1", "b:2", "c:3", "a:1"]);
    assert!(longest <= limits::MESOS_RETRY_MAX && longest >= limits::MESOS_RETRY_MAX / 2);
    // What has gone well once begins anew with short waits, where it went well.
    let master = world.master.clone();
    world.subscribe();
    world.last(limits::MESOS_LASTING);
    world.close("the stream has broken");
    assert_eq!(world.heard, [Heard::Broken]);
    assert!(world.next_try() <= limits::MESOS_RETRY_FIRST);
    assert_eq!(world.master, master);
}

/// As one that breaks under what we say to it, or stands behind something that cuts streams off.
#[test]
fn a_master_that_takes_us_and_keeps_us_not_is_dialled_ever_more_slowly() {
    let mut world = World::new("a:1");
    let mut waits = Vec::new();
    for _ in 0..12 {
        world.subscribe();
        world.last(limits::MESOS_LASTING - Duration::from_secs(1));
        world.close("the stream has broken");
        waits.push(world.next_try());
    }
    assert!(waits[0] <= limits::MESOS_RETRY_FIRST, "{waits:?}");
    assert!(waits[8..].iter().all(|wait| *wait >= limits::MESOS_RETRY_MAX / 2), "{waits:?}");
}

#[test]
fn a_redirect_is_followed_at_once_in_each_of_its_forms() {
    for location in ["//b:2/master/api/v1/scheduler", "http://b:2/api/v1/scheduler", "b:2"] {
        let mut world = World::new("a:1");
        world.refuse(307, Some(location), "");
        assert_eq!(world.master, "b:2", "{location}");
        world.subscribe();
        // And it is where to look again.
        world.close("gone");
        world.next_try();
        assert_eq!(world.master, "b:2");
        world.close("gone for good");
        world.next_try();
        assert_eq!(world.master, "a:1");
    }
}

#[test]
fn masters_that_send_us_in_a_circle_are_given_time() {
    let mut world = World::new("a:1");
    for round in 0..20 {
        let begun = world.now;
        for _ in 0..limits::MESOS_REDIRECTS {
            let other = if world.master == "a:1" { "//b:2" } else { "//a:1" };
            world.refuse(307, Some(other), "");
        }
        assert_eq!(world.now, begun, "round {round}: each is followed at once");
        let before = world.attempt;
        world.refuse(307, Some("//a:1"), "");
        assert_eq!(world.attempt, before, "round {round}: and then there is a rest");
        assert!(world.next_try() >= limits::MESOS_RETRY_FIRST / 2);
    }
}

#[test]
fn a_master_that_is_not_ready_is_waited_for() {
    let mut world = World::new("a:1");
    for answer in [(503, "Master has not finished recovery"), (307, "")] {
        let before = world.attempt;
        world.refuse(answer.0, None, answer.1);
        assert_eq!(world.attempt, before);
        assert!(world.next_try() <= limits::MESOS_RETRY_MAX);
        assert_eq!(world.master, "a:1");
    }
}

#[test]
fn who_is_not_let_in_is_told_which_flags_say_who_it_is() {
    for status in [401, 403] {
        let mut world = World::new("a:1");
        world.refuse(status, None, "");
        let words: Vec<_> = world.notes.iter().map(ToString::to_string).collect();
        assert!(words[0].contains("--mesos-principal"), "{words:?}");
        assert!(world.next_try() >= limits::MESOS_RETRY_MAX / 2, "nothing will be better soon");
    }
    let mut world = World::new("a:1");
    world.opened();
    world.says(error("Roles are not authorized"));
    let note = world.notes.last().unwrap();
    assert!(matches!(note, Note::Refused { words, .. } if words == "Roles are not authorized"));
    assert_eq!(world.heard, [], "there was no subscription to break");
    assert!(world.next_try() >= limits::MESOS_RETRY_MAX / 2);
}

#[test]
fn five_heartbeats_that_do_not_come_end_a_subscription_and_one_that_does_keeps_it() {
    for (seconds, patience) in [(15.0, 75), (3.0, 15), (0.0, 5), (1e9, 3000), (f64::NAN, 75)] {
        let mut world = World::new("a:1");
        world.opened();
        world.says(subscribed(seconds, None));
        world.heard.clear();
        let second = Duration::from_secs(1);
        world.now = world.now + second * (patience - 1);
        world.step(Event::Tick);
        world.says(says(EventType::Heartbeat));
        world.now = world.now + second * (patience - 1);
        world.step(Event::Tick);
        assert_eq!((&world.heard[..], &world.left[..]), (&[][..], &[][..]), "{seconds}");
        assert_eq!(world.until_due(), second, "{seconds}");
        assert_eq!(world.heard, [Heard::Broken], "{seconds}");
        assert_eq!(world.left, [Attempt(1)], "{seconds}");
    }
}

#[test]
fn a_master_that_does_not_answer_is_left() {
    let mut world = World::new("a:1,b:2");
    let waited = world.next_try();
    assert!(waited > limits::MESOS_ANSWER, "{waited:?}");
    assert!(waited <= limits::MESOS_ANSWER + limits::MESOS_RETRY_FIRST, "{waited:?}");
    assert_eq!((world.master.as_str(), &world.left[..]), ("b:2", &[Attempt(1)][..]));
    // Nor is one that opens a stream and says nothing.
    world.opened();
    world.next_try();
    assert_eq!(world.left, [Attempt(1), Attempt(2)]);
}

#[test]
fn what_comes_of_a_try_that_was_left_changes_nothing() {
    let mut world = World::new("a:1");
    let old = world.attempt;
    world.close("no connection");
    world.next_try();
    let new = world.attempt;
    world.step(Event::Opened { attempt: old, stream_id: None });
    world.step(Event::Heard { attempt: old, event: subscribed(15.0, None) });
    world.step(Event::Heard { attempt: old, event: error("Framework failed over") });
    world.step(Event::Closed { attempt: old, why: "late".to_owned() });
    let answer = Answer { status: 307, location: Some("//x:1".to_owned()), ..Answer::default() };
    world.step(Event::Refused { attempt: old, answer });
    assert_eq!((world.attempt, world.heard.len()), (new, 0));
    assert_eq!(world.stopped, None);
    world.subscribe();
}

#[test]
fn a_stream_that_does_not_begin_with_subscribed_is_none() {
    let mut world = World::new("a:1");
    world.opened();
    world.says(says(EventType::Offers));
    assert_eq!(world.heard, []);
    assert_eq!(world.left, [world.attempt]);
}

#[test]
fn whoever_has_our_id_now_is_left_alone() {
    let mut world = World::new("a:1");
    world.subscribe();
    world.last(limits::MESOS_DOUBT);
    world.says(error("Framework failed over"));
    let why = world.stopped.clone().expect("it must not go on");
    assert!(why.contains("another scheduler"), "{why}");
    assert_eq!(world.heard, [Heard::Broken]);
    assert_eq!(world.link.next_wakeup(), None, "it tries no more");
    world.now = world.now + Duration::from_secs(3600);
    let before = world.attempt;
    world.step(Event::Tick);
    assert_eq!(world.attempt, before);
    assert_eq!(world.call(revive()), None);
}

/// The process before this one was killed while its own try was on its way. Of two that live the one
/// that began first stops all the same: there was one such try at the most.
#[test]
fn a_try_of_the_process_before_that_comes_late_is_no_rival() {
    let mut world = World::new("a:1");
    world.subscribe();
    world.says(error("Framework failed over"));
    assert_eq!(world.stopped, None);
    assert_eq!(world.heard, [Heard::Broken]);
    world.next_try();
    world.subscribe();
    world.says(error("Framework failed over"));
    assert!(world.stopped.is_some(), "the second time it is somebody else");
}

/// A master that was slow may take in a try after the one that followed it: then it is our own
/// try that has our place, and not another scheduler.
#[test]
fn a_try_of_our_own_that_comes_late_is_no_rival() {
    let mut world = World::new("a:1");
    world.subscribe();
    world.last(limits::MESOS_DOUBT * 2);
    world.close("gone");
    world.next_try();
    // Nobody answers this one.
    world.next_try();
    world.subscribe();
    world.says(error("Framework failed over"));
    assert_eq!(world.stopped, None);
    assert_eq!(world.heard, [Heard::Broken]);
    world.next_try();
    world.subscribe();
    // Much later it is one.
    world.last(limits::MESOS_DOUBT * 2);
    world.says(error("Framework failed over"));
    assert!(world.stopped.is_some());
}

#[test]
fn a_framework_that_was_removed_is_told_as_that_and_comes_anew() {
    for subscribed in [true, false] {
        let mut world = World::new("a:1,b:2");
        if subscribed {
            world.subscribe();
        } else {
            world.opened();
        }
        let old = world.attempt;
        world.says(error("Framework has been removed"));
        assert_eq!(world.heard.last(), Some(&Heard::Removed));
        assert_eq!(world.attempt, old, "the id is forgotten before the next try asks with one");
        world.next_try();
        assert_eq!(world.master, "a:1");
        world.subscribe();
    }
}

#[test]
fn refusals_of_calls_say_whether_the_subscription_is_over() {
    // Status and words, whether it is over, and whether its tasks were certainly not launched.
    for (status, body, over, never) in [
        (202, "", false, false),
        (200, "", false, false),
        (400, "Framework cannot be found", true, true),
        (400, "Expecting 'accept' to be present", false, true),
        (403, "Framework is not subscribed", true, true),
        (401, "", true, true),
        (409, "", false, true),
        (307, "", true, true),
        (503, "Master has not finished recovery", true, true),
        (500, "", true, false),
        (502, "Bad Gateway", true, false),
        (504, "Gateway Timeout", true, false),
    ] {
        let mut world = World::new("a:1");
        world.subscribe();
        let number = world.call(accept(&[1])).unwrap();
        world.answered(number, status, body);
        let not_launched = |heard: &Heard| matches!(heard, Heard::NotLaunched { tasks, .. } if *tasks == [task(1)]);
        assert_eq!(world.heard.iter().any(not_launched), never, "{status} {body}");
        assert_eq!(world.heard.contains(&Heard::Broken), over, "{status} {body}");
        assert_eq!(world.link.master().is_none(), over, "{status} {body}");
    }
}

#[test]
fn what_may_have_arrived_is_not_called_never_launched() {
    let mut world = World::new("a:1");
    world.subscribe();
    let first = world.call(accept(&[1])).unwrap();
    let second = world.call(accept(&[2])).unwrap();
    let third = world.call(accept(&[3])).unwrap();
    let attempt = world.attempt;
    world.called(first, Outcome::Unknown { why: "it has closed the connection".to_owned() });
    assert_eq!(world.heard, [Heard::Broken], "whether it runs is asked under the next one");
    // Of those behind it more is known, though the try is over.
    world.heard.clear();
    let why = "the subscription is over".to_owned();
    let outcome = Outcome::NotSent { why: why.clone() };
    world.step(Event::Called { attempt, number: second, outcome });
    assert_eq!(world.heard, [Heard::NotLaunched { tasks: vec![task(2)], why }]);
    world.heard.clear();
    let outcome = Outcome::Answered(Answer { status: 202, ..Answer::default() });
    world.step(Event::Called { attempt, number: third, outcome });
    assert_eq!(world.heard, []);
    // Nobody is told of a call twice.
    let outcome = Outcome::NotSent { why: String::new() };
    world.step(Event::Called { attempt, number: second, outcome });
    assert_eq!(world.heard, []);
}

#[test]
fn a_master_that_answers_calls_one_by_one_is_not_left_though_many_wait() {
    let mut world = World::new("a:1");
    world.subscribe();
    let begun = world.now;
    let calls: Vec<_> = (0..20).map(|_| world.call(revive()).unwrap()).collect();
    // The oldest is not answered, the others are one by one.
    for number in calls.into_iter().skip(1) {
        world.now = world.now + limits::MESOS_ANSWER / 2;
        world.step(Event::Tick);
        if world.heard == [Heard::Broken] {
            break;
        }
        world.says(says(EventType::Heartbeat));
        world.answered(number, 202, "");
    }
    let waited = world.now.since(begun);
    assert_eq!(world.heard, [Heard::Broken], "but not for ever: {waited:?}");
    assert!(waited > limits::MESOS_ANSWER_QUEUED, "{waited:?}");
}

#[test]
fn a_master_that_answers_no_calls_is_left() {
    let mut world = World::new("a:1");
    world.subscribe();
    world.call(revive()).unwrap();
    world.now = world.now + limits::MESOS_ANSWER / 2;
    world.call(revive()).unwrap();
    world.says(says(EventType::Heartbeat));
    assert_eq!(world.until_due(), limits::MESOS_ANSWER / 2, "the oldest counts");
    assert_eq!(world.heard, [Heard::Broken]);

    let mut world = World::new("a:1");
    world.subscribe();
    for _ in 0..limits::MESOS_CALLS_WAITING {
        world.call(revive()).unwrap();
    }
    assert_eq!(world.heard, []);
    assert_eq!(world.call(accept(&[1])), None);
    assert!(matches!(&world.heard[..], [Heard::NotLaunched { .. }, Heard::Broken]));
}

#[test]
fn a_master_that_is_behind_with_long_calls_is_left_too() {
    let mut world = World::new("a:1");
    world.subscribe();
    let mut call = accept(&[1]);
    let infos =
        &mut call.accept.as_mut().unwrap().operations[0].launch.as_mut().unwrap().task_infos;
    infos[0].data = Some(vec![0; limits::MESOS_CALL_BYTES / 2]);
    let calls = (0..).take_while(|_| world.call(call.clone()).is_some()).count();
    assert!((40..=50).contains(&calls), "{calls} of 1.5 MiB are about 64 MiB");
    assert_eq!(world.heard.last(), Some(&Heard::Broken));
}

/// What became of the launches of a try that is over may be long in coming.
#[test]
fn launches_of_former_tries_leave_room_for_those_of_the_next_one() {
    let mut world = World::new("a:1");
    world.subscribe();
    let old = world.attempt;
    let launches: Vec<_> = (0..limits::MESOS_CALLS_WAITING)
        .map(|n| world.call(accept(&[n as u128])).unwrap())
        .collect();
    world.close("it broke");
    world.next_try();
    world.subscribe();
    for _ in 0..limits::MESOS_CALLS_WAITING {
        world.call(revive()).expect("it is the first of them");
    }
    assert_eq!(world.heard, []);
    // Nor does what is told of those make room for more of these.
    for number in launches {
        let outcome = Outcome::Unknown { why: "it broke".to_owned() };
        world.step(Event::Called { attempt: old, number, outcome });
    }
    assert_eq!(world.call(revive()), None);
    assert_eq!(world.heard, [Heard::Broken]);
}

/// The master holds what it offered for whoever asked for too much in vain.
#[test]
fn offers_of_a_launch_that_was_refused_are_given_back() {
    for (status, given_back) in [(413, true), (400, true), (202, false), (503, false)] {
        let mut world = World::new("a:1");
        world.subscribe();
        let mut call = accept(&[1]);
        call.accept.as_mut().unwrap().offer_ids = vec![OfferId::new("o1"), OfferId::new("o2")];
        let ids = call.accept.as_ref().unwrap().offer_ids.clone();
        let number = world.call(call).unwrap();
        world.calls.clear();
        world.answered(number, status, "");
        let declined = world.calls.pop().and_then(|call| call.decline);
        assert_eq!(declined.map(|it| it.offer_ids), given_back.then_some(ids), "{status}");
        // One that is refused in turn is not given back again and again.
        if given_back {
            let number = world.sent.last().unwrap().0;
            world.answered(number, status, "");
            assert_eq!(world.calls, []);
        }
    }
}

#[test]
fn a_launch_of_more_than_a_call_holds_is_cut_and_the_rest_has_not_left() {
    let mut world = World::new("a:1");
    world.subscribe();
    let mut call = accept(&[1, 2, 3, 4, 5, 6, 7]);
    let infos =
        &mut call.accept.as_mut().unwrap().operations[0].launch.as_mut().unwrap().task_infos;
    infos.iter_mut().for_each(|info| info.data = Some(vec![0; limits::MESOS_CALL_BYTES / 5]));
    world.call(call.clone()).unwrap();
    let sent = world.calls.pop().unwrap();
    assert!(sent.encoded_len() <= limits::MESOS_CALL_BYTES);
    let launched = &sent.accept.unwrap().operations[0].launch.as_ref().unwrap().task_infos.len();
    let [Heard::NotLaunched { tasks, .. }] = &world.heard[..] else { panic!("{:?}", world.heard) };
    assert_eq!((*launched, &tasks[..]), (4, &[task(5), task(6), task(7)][..]));
    // One that is too long by itself is no launch at all, and what was offered goes back.
    world.heard.clear();
    let infos =
        &mut call.accept.as_mut().unwrap().operations[0].launch.as_mut().unwrap().task_infos;
    infos.truncate(1);
    infos[0].data = Some(vec![0; limits::MESOS_CALL_BYTES]);
    call.accept.as_mut().unwrap().offer_ids = vec![OfferId::new("o1")];
    world.call(call).unwrap();
    let sent = world.calls.pop().unwrap();
    assert_eq!(sent.decline.unwrap().offer_ids, [OfferId::new("o1")]);
    assert!(matches!(&world.heard[..], [Heard::NotLaunched { tasks, .. }] if *tasks == [task(1)]));
}

#[test]
fn the_leader_that_a_master_names_is_tried_before_the_others() {
    let mut world = World::new("a:1,b:2");
    world.opened();
    world.says(subscribed(15.0, Some(("10.0.0.9", 5050))));
    world.close("gone");
    let mut tried = Vec::new();
    for _ in 0..3 {
        world.next_try();
        tried.push(world.master.clone());
        world.close("no connection");
    }
    assert_eq!(tried, ["a:1", "10.0.0.9:5050", "b:2"]);
}

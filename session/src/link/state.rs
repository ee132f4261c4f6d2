//! The state of the link.

use std::{collections::VecDeque, time::Duration};

use muster_api::{Mono, limits};
use muster_proto::scheduler::{self, Call, EventType};

use super::{
    Attempt, Effect, Event, Heard, MasterAddress, Masters, Note, Step,
    accept::{cut, give_back, tasks_of},
    in_flight::InFlight,
    pace::Pace,
};
use crate::Session;

/// Why a master is left that takes calls too slowly.
const TOO_SLOW: &str = "it takes calls more slowly than they come";
/// Why a task is not launched that had no place in a call.
const TOO_LONG: &str = "one call to the master does not hold it with those before it";

/// The link to a master that is not in this process.
#[derive(Debug)]
pub struct Link {
    pub(super) masters: Masters,
    /// Which of them is next.
    pub(super) next: usize,
    /// Who goes before them: whoever led last, and whom others call the leader.
    pub(super) hints: VecDeque<MasterAddress>,
    /// How often in a row one has sent us to another.
    pub(super) redirects: u32,
    pub(super) state: State,
    pub(super) attempts: u64,
    pub(super) calls: InFlight,
    pub(super) pace: Pace,
    /// Tries that nobody has answered, each of which may still take our own place once; and until
    /// when they may. The first is one of the process before this, if there was one.
    pub(super) unanswered: u32,
    pub(super) doubt_until: Mono,
}

#[derive(Debug)]
pub(super) enum State {
    /// Between two tries.
    Resting { until: Mono },
    /// A try goes on, or has led to a subscription.
    Trying(Try),
    /// Another scheduler has taken our place.
    Stopped,
}

#[derive(Debug)]
pub(super) struct Try {
    pub(super) attempt: Attempt,
    pub(super) master: MasterAddress,
    pub(super) phase: Phase,
    /// When it counts as lost if nothing is heard before.
    pub(super) deadline: Mono,
}

#[derive(Debug)]
pub(super) enum Phase {
    /// SUBSCRIBE is on its way.
    Asked,
    /// There is a stream, and nothing on it yet.
    Open { stream_id: Option<String> },
    /// The stream has begun with SUBSCRIBED.
    Subscribed { stream_id: Option<String>, patience: Duration, since: Mono },
}

impl Link {
    /// A link to one of these masters. `seed` is fresh entropy. The first event lets it begin.
    pub fn new(masters: Masters, seed: u64) -> Self {
        Self {
            masters,
            next: 0,
            hints: VecDeque::new(),
            redirects: 0,
            state: State::Resting { until: Mono::default() },
            attempts: 0,
            calls: InFlight::default(),
            pace: Pace::new(seed),
            unanswered: 1,
            doubt_until: Mono::default(),
        }
    }

    /// When it wants to be woken by [`Event::Tick`].
    pub fn next_wakeup(&self) -> Option<Mono> {
        match &self.state {
            State::Resting { until } => Some(*until),
            State::Trying(one) => Some(self.deadline(one)),
            State::Stopped => None,
        }
    }

    /// The master that there is a subscription with.
    pub fn master(&self) -> Option<&MasterAddress> {
        match &self.state {
            State::Trying(Try { master, phase: Phase::Subscribed { .. }, .. }) => Some(master),
            _ => None,
        }
    }

    /// Takes in one event. `session` knows who we are.
    pub fn step(&mut self, now: Mono, event: Event, session: &Session) -> Step {
        let mut step = Step::default();
        match event {
            Event::Opened { attempt, stream_id } => {
                if let Some(one) = self.current(attempt)
                    && matches!(one.phase, Phase::Asked)
                {
                    one.phase = Phase::Open { stream_id };
                }
            }
            Event::Refused { attempt, answer } => {
                if self.current(attempt).is_some() {
                    self.refused(now, &answer, &mut step);
                }
            }
            Event::Heard { attempt, event } => {
                if self.current(attempt).is_some() {
                    self.heard(now, event, &mut step);
                }
            }
            Event::Closed { attempt, why } => {
                if self.current(attempt).is_some() {
                    self.lose(now, why, &mut step);
                }
            }
            Event::Called { attempt, number, outcome } => {
                self.called(now, (attempt, number), outcome, &mut step);
            }
            Event::Tick => {}
        }
        self.look(now, session, &mut step);
        step
    }

    /// Sends a call, without tasks that make it too long. One that cannot be sent is forgotten:
    /// offers are void with the subscription, agents send again what is not acknowledged, and the
    /// engine repeats its kills.
    pub fn call(&mut self, now: Mono, call: Call) -> Step {
        let mut step = Step::default();
        let State::Trying(Try { attempt, phase: Phase::Subscribed { stream_id, .. }, .. }) =
            &self.state
        else {
            step.not_launched(tasks_of(&call), "there is no subscription".to_owned());
            return step;
        };
        let (attempt, stream_id) = (*attempt, stream_id.clone());
        if self.calls.is_full(attempt) {
            step.not_launched(tasks_of(&call), TOO_SLOW.to_owned());
            self.lose(now, TOO_SLOW.to_owned(), &mut step);
            return step;
        }
        let (call, left) = cut(call, limits::MESOS_CALL_BYTES);
        step.not_launched(left, TOO_LONG.to_owned());
        // Without any task it would be no more than a way to give back the offers.
        let is_empty = call.accept.is_some() && tasks_of(&call).is_empty();
        let call = if is_empty { give_back(&call).unwrap_or_default() } else { call };
        let number = self.calls.begins(now, attempt, &call);
        step.effects.push(Effect::Call { attempt, number, stream_id, call });
        step
    }

    pub(super) fn current(&mut self, attempt: Attempt) -> Option<&mut Try> {
        match &mut self.state {
            State::Trying(one) if one.attempt == attempt => Some(one),
            _ => None,
        }
    }

    /// When a try is lost if nothing is heard, or a call of it is not answered.
    fn deadline(&self, one: &Try) -> Mono {
        let answered = self.calls.deadline(one.attempt);
        answered.map_or(one.deadline, |answered| answered.min(one.deadline))
    }

    /// Does what is due by now.
    fn look(&mut self, now: Mono, session: &Session, step: &mut Step) {
        match &self.state {
            State::Resting { until } if *until <= now => self.attempt(now, session, step),
            State::Trying(one) if self.deadline(one) <= now => {
                let why = match &one.phase {
                    Phase::Asked | Phase::Open { .. } => "it has not answered in time",
                    Phase::Subscribed { .. } if one.deadline <= now => "no heartbeat came",
                    Phase::Subscribed { .. } => "it has not answered a call in time",
                };
                self.lose(now, why.to_owned(), step);
            }
            _ => {}
        }
    }

    fn attempt(&mut self, now: Mono, session: &Session, step: &mut Step) {
        let all = self.masters.all();
        let master = self.hints.pop_front().unwrap_or_else(|| {
            self.next += 1;
            all[(self.next - 1) % all.len()].clone()
        });
        if self.attempts == 0 {
            self.doubt_until = now + limits::MESOS_DOUBT;
        }
        self.attempts += 1;
        let attempt = Attempt(self.attempts);
        let deadline = now + limits::MESOS_ANSWER;
        self.state =
            State::Trying(Try { attempt, master: master.clone(), phase: Phase::Asked, deadline });
        step.effects.push(Effect::Subscribe { attempt, master, call: session.subscribe() });
    }

    fn heard(&mut self, now: Mono, event: scheduler::Event, step: &mut Step) {
        let kind = event.r#type.and_then(|kind| EventType::try_from(kind).ok());
        let State::Trying(one) = &mut self.state else { return };
        match (kind.unwrap_or(EventType::Unknown), &mut one.phase) {
            (EventType::Subscribed, Phase::Open { stream_id }) => {
                let stream_id = stream_id.take();
                self.subscribed(now, stream_id, &event, step);
                step.heard.push(Heard::Event(event));
            }
            (EventType::Error, _) => {
                let words = event.error.map(|error| error.message).unwrap_or_default();
                self.error(now, words, step);
            }
            (kind, Phase::Subscribed { patience, .. }) => {
                one.deadline = now + *patience;
                if kind != EventType::Heartbeat {
                    step.heard.push(Heard::Event(event));
                }
            }
            _ => self.lose(now, "its stream does not begin with SUBSCRIBED".to_owned(), step),
        }
    }

    fn subscribed(
        &mut self,
        now: Mono,
        stream_id: Option<String>,
        event: &scheduler::Event,
        step: &mut Step,
    ) {
        let State::Trying(one) = &mut self.state else { return };
        let body = event.subscribed.as_ref();
        let seconds = body.and_then(|body| body.heartbeat_interval_seconds);
        let usual = limits::MESOS_HEARTBEAT.as_secs_f64();
        let seconds = seconds.filter(|seconds| seconds.is_finite()).unwrap_or(usual);
        let most = limits::MESOS_HEARTBEAT_MAX.as_secs_f64();
        let interval = Duration::from_secs_f64(seconds.clamp(1.0, most));
        let patience = interval * limits::MESOS_HEARTBEATS_MISSED;
        one.phase = Phase::Subscribed { stream_id, patience, since: now };
        one.deadline = now + patience;
        let leader = body.and_then(|body| body.master_info.as_ref());
        let leader = leader.and_then(MasterAddress::of_info).filter(|to| *to != one.master);
        self.hints = [one.master.clone()].into_iter().chain(leader).collect();
        self.redirects = 0;
        let framework = body.and_then(|body| body.framework_id.as_ref());
        let framework = framework.map(|id| id.value.clone()).unwrap_or_default();
        step.notes.push(Note::Subscribed { master: one.master.clone(), framework });
    }
}

//! How tries and subscriptions end, and what follows.

use std::time::Duration;

use muster_api::{Mono, limits};

use super::{
    Answer, Attempt, CallNumber, Effect, Heard, Link, Note, Outcome, Step,
    answers::{self, Refusal, Verdict},
    in_flight::Sent,
    state::{Phase, State},
};

/// The word in an ERROR after which this scheduler must not go on.
const FAILED_OVER: &str = "failed over";
/// The words in an ERROR after which our id is of no use.
const REMOVED: &str = "has been removed";

impl Link {
    /// The master ends our subscription, or takes none, and says why.
    pub(super) fn error(&mut self, now: Mono, words: String, step: &mut Step) {
        let State::Trying(one) = &self.state else { return };
        let is_subscribed = matches!(one.phase, Phase::Subscribed { .. });
        let master = one.master.clone();
        if words.contains(FAILED_OVER) && is_subscribed {
            if self.unanswered > 0 && now < self.doubt_until {
                self.unanswered -= 1;
                return self.lose(now, words, step);
            }
            self.leave(step);
            self.state = State::Stopped;
            let why = format!(
                "another scheduler has subscribed with the id of this one at the master {master}: \
                 two of one id must not run, so this one stops; look for a second `muster \
                 scheduler` on a copy of this data folder"
            );
            return step.effects.push(Effect::Stop { why });
        }
        if words.contains(REMOVED) {
            self.leave(step);
            step.notes.push(Note::Removed);
            step.heard.push(Heard::Removed);
            self.hints.push_front(master);
            // The id is forgotten by the time of the next try.
            let wait = self.pace.next();
            return self.rest(now, wait);
        }
        if is_subscribed {
            return self.lose(now, words, step);
        }
        self.leave(step);
        step.notes.push(Note::Refused { master, words });
        let wait = self.pace.longest();
        self.rest(now, wait);
    }

    pub(super) fn refused(&mut self, now: Mono, answer: &Answer, step: &mut Step) {
        let State::Trying(one) = &self.state else { return };
        let (from, words) = (one.master.clone(), answer.words());
        self.leave(step);
        let wait = match answers::of_subscribe(answer) {
            Refusal::Elsewhere(to) if self.redirects < limits::MESOS_REDIRECTS => {
                self.redirects += 1;
                step.notes.push(Note::Redirected { from, to: to.clone() });
                self.hints.push_front(to);
                Duration::ZERO
            }
            // They send us round in a circle, as they may while they elect a leader.
            Refusal::Elsewhere(_) | Refusal::NotReady => {
                self.redirects = 0;
                step.notes.push(Note::Broken { master: from, why: words });
                self.pace.next()
            }
            Refusal::Unauthorized => {
                step.notes.push(Note::Unauthorized { master: from, words });
                self.pace.longest()
            }
            Refusal::Refused => {
                step.notes.push(Note::Refused { master: from, words });
                self.pace.longest()
            }
        };
        self.rest(now, wait);
    }

    pub(super) fn called(
        &mut self,
        now: Mono,
        (attempt, number): (Attempt, CallNumber),
        outcome: Outcome,
        step: &mut Step,
    ) {
        let Some(Sent { kind, tasks, give_back, .. }) = self.calls.ends(now, number) else {
            return;
        };
        let is_current = self.current(attempt).is_some();
        match outcome {
            Outcome::Answered(answer) => {
                let verdict = answers::of_call(&answer);
                if verdict == Verdict::Taken {
                    return;
                }
                let words = answer.words();
                // Whether a launch has arrived is found out by asking for the tasks.
                if verdict != Verdict::Unclear {
                    step.not_launched(tasks, format!("the master has refused it: {words}"));
                }
                if verdict == Verdict::AtFault {
                    let call = format!("{kind:?}");
                    step.notes.push(Note::CallRefused { call, words });
                    if let Some(decline) = give_back.filter(|_| is_current) {
                        step.append(self.call(now, *decline));
                    }
                    return;
                }
                if is_current {
                    self.lose(now, words, step);
                    if let Refusal::Elsewhere(leader) = answers::of_subscribe(&answer) {
                        self.hints.push_front(leader);
                    }
                }
            }
            Outcome::NotSent { why } => {
                step.not_launched(tasks, why.clone());
                if is_current {
                    self.lose(now, why, step);
                }
            }
            // Whether a launch has arrived is found out by asking for the tasks.
            Outcome::Unknown { why } => {
                if is_current {
                    self.lose(now, why, step);
                }
            }
        }
    }

    /// The try is over, and others follow.
    pub(super) fn lose(&mut self, now: Mono, why: String, step: &mut Step) {
        let State::Trying(one) = &self.state else { return };
        step.notes.push(Note::Broken { master: one.master.clone(), why });
        match one.phase {
            Phase::Subscribed { since, .. } if now >= since + limits::MESOS_LASTING => {
                self.pace.reset();
            }
            Phase::Subscribed { .. } => {}
            Phase::Asked | Phase::Open { .. } => {
                let former = if now < self.doubt_until { self.unanswered } else { 0 };
                self.unanswered = former.saturating_add(1);
                self.doubt_until = now + limits::MESOS_DOUBT;
            }
        }
        self.leave(step);
        let wait = self.pace.next();
        self.rest(now, wait);
    }

    /// Gives up the try that goes on.
    pub(super) fn leave(&mut self, step: &mut Step) {
        let State::Trying(one) = &self.state else { return };
        step.effects.push(Effect::Leave(one.attempt));
        if matches!(one.phase, Phase::Subscribed { .. }) {
            step.heard.push(Heard::Broken);
        }
        self.calls.forget_all_but_launches();
    }

    pub(super) fn rest(&mut self, now: Mono, wait: Duration) {
        self.state = State::Resting { until: now + wait };
    }
}

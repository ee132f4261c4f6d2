//! Calls of which nobody has said yet what became of them.

use std::collections::BTreeMap;

use muster_api::{Mono, TaskId, limits};
use muster_proto::scheduler::{Call, CallType};
use prost::Message as _;

use super::{
    Attempt, CallNumber,
    accept::{give_back, tasks_of},
};

/// Calls on their way, by their numbers and so in the order in which they were made.
#[derive(Debug)]
pub(super) struct InFlight {
    newest: u64,
    sent: BTreeMap<CallNumber, Sent>,
    /// The newest try that made a call: only one at a time does, so that all calls from its first one
    /// on are its own.
    attempt: Attempt,
    first: CallNumber,
    /// How many of those are on their way, and how long they are together.
    of_attempt: usize,
    bytes: usize,
    /// When one of them was answered last.
    heard: Mono,
}

/// A call that was sent.
#[derive(Debug)]
pub(super) struct Sent {
    at: Mono,
    bytes: usize,
    pub(super) kind: CallType,
    /// Of an ACCEPT: what it launches.
    pub(super) tasks: Vec<TaskId>,
    /// Of an ACCEPT: the call that gives its offers back.
    pub(super) give_back: Option<Box<Call>>,
}

impl Default for InFlight {
    fn default() -> Self {
        let (attempt, first) = (Attempt(0), CallNumber(0));
        let heard = Mono::default();
        Self { newest: 0, sent: BTreeMap::new(), attempt, first, of_attempt: 0, bytes: 0, heard }
    }
}

impl InFlight {
    /// Whether as many of a try are on their way as may be. Launches of former ones do not count: no
    /// try has to wait for what became of those.
    pub(super) fn is_full(&self, attempt: Attempt) -> bool {
        let full = self.of_attempt >= limits::MESOS_CALLS_WAITING
            || self.bytes >= limits::MESOS_CALLS_BYTES;
        full && self.attempt == attempt
    }

    /// Takes a call in; its number.
    pub(super) fn begins(&mut self, at: Mono, attempt: Attempt, call: &Call) -> CallNumber {
        self.newest += 1;
        let number = CallNumber(self.newest);
        if self.attempt != attempt {
            (self.attempt, self.first) = (attempt, number);
            (self.of_attempt, self.bytes, self.heard) = (0, 0, at);
        }
        let bytes = call.encoded_len();
        self.of_attempt += 1;
        self.bytes += bytes;
        let kind = call.r#type.and_then(|kind| CallType::try_from(kind).ok()).unwrap_or_default();
        let give_back = give_back(call).map(Box::new);
        self.sent.insert(number, Sent { at, bytes, kind, tasks: tasks_of(call), give_back });
        number
    }

    /// It is known what became of a call.
    pub(super) fn ends(&mut self, now: Mono, number: CallNumber) -> Option<Sent> {
        let sent = self.sent.remove(&number)?;
        if number >= self.first {
            self.heard = now;
            self.of_attempt -= 1;
            self.bytes -= sent.bytes;
        }
        Some(sent)
    }

    /// When the oldest call of a try must have been answered. Many at a time wait for each other: as
    /// long as any is answered the master is not stuck, and the oldest may take longer.
    pub(super) fn deadline(&self, attempt: Attempt) -> Option<Mono> {
        let (_, oldest) = self.sent.range(self.first..).find(|_| self.attempt == attempt)?;
        let queued = self.heard.min(oldest.at + limits::MESOS_ANSWER_QUEUED);
        Some(oldest.at.max(queued) + limits::MESOS_ANSWER)
    }

    /// A try is over: what a launch has become is still of interest, and nothing else is.
    pub(super) fn forget_all_but_launches(&mut self) {
        self.sent.retain(|_, sent| !sent.tasks.is_empty());
        let own = || self.sent.range(self.first..);
        (self.of_attempt, self.bytes) = (own().count(), own().map(|(_, sent)| sent.bytes).sum());
    }
}

//! How often what was called and answered, for those who watch.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use muster_proto::{json::Names as _, scheduler::CallType};

/// What a call is counted as that is refused before its type is known.
pub(super) const UNREAD: &str = "unread";

/// What is counted of frameworks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Calls by their type in the words of Mesos, or `unread`, and the status of their answer.
    /// How each is answered where all is well is there from the start.
    pub calls: BTreeMap<(&'static str, u16), u64>,
    /// Streams that were cut off because nobody read them.
    pub cut_off: u64,
}

impl Default for Counts {
    fn default() -> Self {
        let known = CallType::NAMES.iter().filter(|(_, number)| *number != 0);
        let well = known.map(|(name, number)| {
            let done = [CallType::Subscribe as i32, CallType::UpdateFramework as i32];
            (*name, if done.contains(number) { 200 } else { 202 })
        });
        let calls = well.chain([(UNREAD, 400), (UNREAD, 401)]).map(|call| (call, 0)).collect();
        Self { calls, cut_off: 0 }
    }
}

#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Counts>);

impl Tally {
    pub(super) fn called(&self, call: &'static str, status: u16) {
        *self.counts().calls.entry((call, status)).or_default() += 1;
    }

    pub(super) fn cut_off(&self) {
        self.counts().cut_off += 1;
    }

    pub(super) fn now(&self) -> Counts {
        self.counts().clone()
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

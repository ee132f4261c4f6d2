//! What the link to a master that is not in this process has done, for the metrics.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use muster_api::{Timestamp, clock};
use muster_proto::scheduler::{Call, CallType};
use muster_session::link::{Attempt, Outcome};

/// Counted by those who send and hear, and shown with all other metrics.
#[derive(Debug, Default)]
pub(crate) struct LinkCounts(Mutex<Counted>);

/// All that was counted since this process began.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counted {
    /// The try that led to a subscription which goes on, and since when.
    pub(crate) subscribed: Option<(Attempt, Timestamp)>,
    /// How often it was tried to subscribe.
    pub(crate) tries: u64,
    /// How often that led to a subscription.
    pub(crate) subscriptions: u64,
    /// Calls that are over, by their type in the words of Mesos and what became of them.
    pub(crate) calls: BTreeMap<(&'static str, Became), u64>,
    /// The newest try that is over; all older ones are too.
    ended: Option<Attempt>,
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Became {
    /// It was answered with this status of HTTP.
    Answered(u16),
    /// Not a byte of it has left.
    NotSent,
    /// It may have arrived or not.
    Unknown,
}

impl LinkCounts {
    /// All that was counted.
    pub(crate) fn counted(&self) -> Counted {
        self.with(|counted| counted.clone())
    }

    /// Another try begins.
    pub(super) fn tried(&self) {
        self.with(|counted| counted.tries += 1);
    }

    /// A try has led to a subscription. One that is over may still say so, since its task goes on
    /// for a moment after it was told to end; that is no subscription any more.
    pub(crate) fn subscribed(&self, attempt: Attempt) {
        self.with(|counted| {
            if counted.ended >= Some(attempt) {
                return;
            }
            counted.subscribed = Some((attempt, clock::wall()));
            counted.subscriptions += 1;
        });
    }

    /// A try is over, and so is the subscription that it led to, if it did.
    pub(super) fn ended(&self, attempt: Attempt) {
        self.with(|counted| {
            counted.ended = counted.ended.max(Some(attempt));
            counted.subscribed = counted.subscribed.filter(|(of, _)| *of > attempt);
        });
    }

    /// It is known what became of a call.
    pub(crate) fn called(&self, call: &Call, outcome: &Outcome) {
        let kind = call.r#type.and_then(|kind| CallType::try_from(kind).ok()).unwrap_or_default();
        let became = match outcome {
            Outcome::Answered(answer) => Became::Answered(answer.status),
            Outcome::NotSent { .. } => Became::NotSent,
            Outcome::Unknown { .. } => Became::Unknown,
        };
        let name = kind.as_str_name();
        self.with(|counted| *counted.calls.entry((name, became)).or_default() += 1);
    }

    fn with<R>(&self, what: impl FnOnce(&mut Counted) -> R) -> R {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscribed(counts: &LinkCounts) -> Option<Attempt> {
        counts.counted().subscribed.map(|(attempt, _)| attempt)
    }

    #[test]
    fn a_try_that_is_over_is_no_subscription_though_it_says_so_late() {
        let counts = LinkCounts::default();
        counts.ended(Attempt(2));
        for late in [Attempt(1), Attempt(2)] {
            counts.subscribed(late);
            assert_eq!(subscribed(&counts), None, "{late:?}");
        }
        assert_eq!(counts.counted().subscriptions, 0);
        counts.subscribed(Attempt(3));
        counts.ended(Attempt(2));
        counts.subscribed(Attempt(1));
        assert_eq!(subscribed(&counts), Some(Attempt(3)));
        assert_eq!(counts.counted().subscriptions, 1);
        counts.ended(Attempt(3));
        assert_eq!(subscribed(&counts), None);
    }
}

//! The lines of notices before their webhooks.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use muster_api::{IdStream, Mono, NoticeId, limits};

use crate::{records::NoticeRecord, tables::Table};

/// A notice that waits, and what became of the tries so far.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) record: NoticeRecord,
    pub(super) tries: u32,
    pub(super) last_error: Option<String>,
}

impl Waiting {
    /// A notice that was not tried yet.
    pub(crate) fn new(record: NoticeRecord) -> Self {
        Self { record, tries: 0, last_error: None }
    }

    /// Its place in the line of its webhook: as they were decided, and behind the others when it
    /// was tried in vain for long.
    pub(super) fn place(&self) -> Place {
        (self.tries / limits::NOTICE_TRIES_IN_TURN, self.record.notice.id)
    }
}

/// How often a notice was sent round, and its id, which grows.
pub(super) type Place = (u32, NoticeId);

/// Who waits for which webhook. All of it is derived from the table of notices.
#[derive(Debug)]
pub(crate) struct Outbox {
    pub(super) ids: IdStream,
    webhooks: BTreeMap<Arc<str>, Webhook>,
    /// The webhooks that can be tried: those that took the last notice first, and then in turn.
    ready: BTreeSet<Ready>,
    turns: u64,
    in_flight: usize,
}

type Ready = (u32, u64, Arc<str>);

/// The line of one webhook.
#[derive(Debug, Default)]
struct Webhook {
    waiting: BTreeSet<Place>,
    /// Tries in a row that were in vain.
    failures: u32,
    state: State,
}

/// What is done about a webhook.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
enum State {
    /// Nothing, for nothing waits.
    #[default]
    Idle,
    /// It has its place among those that can be tried.
    Ready(u64),
    /// This notice is being sent to it.
    Trying(NoticeId),
    /// It is left alone until then.
    Resting(Mono),
}

impl Outbox {
    /// The lines of what was stored.
    pub(crate) fn restored(seed: u64, notices: &Table<NoticeId, Waiting>) -> Self {
        let mut outbox = Self {
            ids: IdStream::new(seed, 2),
            webhooks: BTreeMap::new(),
            ready: BTreeSet::new(),
            turns: 0,
            in_flight: 0,
        };
        for (_, waiting) in notices.iter() {
            outbox.line_up(waiting);
        }
        outbox
    }

    pub(super) fn line_up(&mut self, waiting: &Waiting) {
        let uri = waiting.record.webhook.as_str();
        if !self.webhooks.contains_key(uri) {
            self.webhooks.insert(uri.into(), Webhook::default());
        }
        if let Some(webhook) = self.webhooks.get_mut(uri) {
            webhook.waiting.insert(waiting.place());
            if webhook.state == State::Idle {
                self.ready(uri);
            }
        }
    }

    /// Lets a webhook be tried when its turn comes; one for which nothing waits is forgotten.
    fn ready(&mut self, uri: &str) {
        let Some((uri, webhook)) = self.webhooks.get_key_value(uri) else { return };
        let (uri, failures) = (uri.clone(), webhook.failures);
        if webhook.waiting.is_empty() {
            self.webhooks.remove(&uri);
            return;
        }
        self.turns += 1;
        if let Some(webhook) = self.webhooks.get_mut(&uri) {
            webhook.state = State::Ready(self.turns);
        }
        self.ready.insert((failures, self.turns, uri));
    }

    /// Takes the notice that is to be sent next.
    pub(super) fn next(&mut self) -> Option<NoticeId> {
        if self.in_flight >= limits::NOTICES_IN_FLIGHT {
            return None;
        }
        let (_, _, uri) = self.ready.pop_first()?;
        let webhook = self.webhooks.get_mut(&uri)?;
        let (_, first) = webhook.waiting.first().copied()?;
        webhook.state = State::Trying(first);
        self.in_flight += 1;
        Some(first)
    }

    /// Whether a notice is being sent.
    pub(super) fn is_trying(&self, waiting: &Waiting) -> bool {
        let webhook = self.webhooks.get(waiting.record.webhook.as_str());
        webhook.is_some_and(|webhook| webhook.state == State::Trying(waiting.record.notice.id))
    }

    /// A try has ended: says whether there was one.
    pub(super) fn has_tried(&mut self, waiting: &Waiting) -> bool {
        let tried = self.is_trying(waiting);
        if tried {
            self.in_flight -= 1;
        }
        tried
    }

    /// A webhook has taken a notice.
    pub(super) fn took(&mut self, waiting: &Waiting) {
        let uri = waiting.record.webhook.as_str();
        if let Some(webhook) = self.webhooks.get_mut(uri) {
            webhook.waiting.remove(&waiting.place());
            webhook.failures = 0;
        }
        self.ready(uri);
    }

    /// A webhook has not taken a notice, which loses its place and may get another one: the webhook is
    /// left alone for a while. Says until when, and one of those that wait for that.
    pub(super) fn rests(
        &mut self,
        uri: &str,
        (before, after): (Place, Option<Place>),
        now: Mono,
    ) -> Option<(Mono, NoticeId)> {
        let webhook = self.webhooks.get_mut(uri)?;
        webhook.waiting.remove(&before);
        webhook.waiting.extend(after);
        let Some((_, first)) = webhook.waiting.first().copied() else {
            self.webhooks.remove(uri);
            return None;
        };
        let wait = limits::NOTICE_RETRY_FIRST.saturating_mul(1 << webhook.failures.min(16));
        let until = now + wait.min(limits::NOTICE_RETRY_MAX);
        webhook.failures += 1;
        webhook.state = State::Resting(until);
        Some((until, first))
    }

    /// Forgets a notice that is not being sent. If its webhook rests, says which notice now waits
    /// for the end of that, and until when.
    pub(super) fn forget(&mut self, waiting: &Waiting) -> Option<(Mono, NoticeId)> {
        let uri = waiting.record.webhook.as_str();
        let webhook = self.webhooks.get_mut(uri)?;
        webhook.waiting.remove(&waiting.place());
        let first = webhook.waiting.first().copied();
        match (first, webhook.state.clone()) {
            (Some((_, first)), State::Resting(until)) => return Some((until, first)),
            (None, State::Ready(turn)) => {
                let key = (webhook.failures, turn, Arc::from(uri));
                self.ready.remove(&key);
                self.webhooks.remove(uri);
            }
            (None, State::Idle | State::Resting(_)) => {
                self.webhooks.remove(uri);
            }
            _ => {}
        }
        None
    }

    /// The rest of a webhook may be over: then it can be tried again.
    pub(super) fn rested(&mut self, uri: &str, now: Mono) {
        let state = self.webhooks.get(uri).map(|webhook| &webhook.state);
        if matches!(state, Some(State::Resting(until)) if *until <= now) {
            self.ready(uri);
        }
    }

    /// Until when the webhook of a notice rests that is the next for it.
    pub(super) fn rests_for(&self, waiting: &Waiting) -> Option<Mono> {
        let webhook = self.webhooks.get(waiting.record.webhook.as_str())?;
        match webhook.state {
            State::Resting(until) if webhook.waiting.first() == Some(&waiting.place()) => {
                Some(until)
            }
            _ => None,
        }
    }

    /// Panics unless the lines are those of the notices that wait.
    pub(crate) fn check(&self, notices: &Table<NoticeId, Waiting>) {
        let lines = self.webhooks.iter().flat_map(|(uri, webhook)| {
            webhook.waiting.iter().map(move |(_, id)| (*id, uri.to_string()))
        });
        let lines: BTreeMap<_, _> = lines.collect();
        let stored = notices.iter().map(|(id, waiting)| (*id, waiting.record.webhook.clone()));
        assert_eq!(lines, stored.collect(), "the lines of webhooks are not what waits");
        let count =
            |is: fn(&State) -> bool| self.webhooks.values().filter(|w| is(&w.state)).count();
        assert_eq!(count(|state| matches!(state, State::Trying(_))), self.in_flight);
        assert_eq!(count(|state| matches!(state, State::Ready(_))), self.ready.len());
        assert_eq!(count(|state| *state == State::Idle), 0, "a webhook is forgotten");
    }
}

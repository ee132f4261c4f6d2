//! The lines of notices before their webhooks.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use muster_api::{IdStream, Mono, NoticeId, limits};

use crate::{records::NoticeRecord, tables::Table, world::Timer};

/// A notice that waits, and what became of the tries so far.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) record: NoticeRecord,
    pub(super) tries: u32,
    /// Those of them that its webhook has answered, and refused.
    pub(super) refusals: u32,
    pub(super) last_error: Option<String>,
}

impl Waiting {
    /// A notice that was not tried yet.
    pub(crate) fn new(record: NoticeRecord) -> Self {
        Self { record, tries: 0, refusals: 0, last_error: None }
    }

    /// Its place in the line of its webhook: as they were decided, and behind the others when it
    /// was refused for long. A webhook that answers nothing is no fault of the notice, and whoever
    /// is told of a failure and a recovery is told in that order.
    pub(super) fn place(&self) -> Place {
        (self.refusals / limits::NOTICE_TRIES_IN_TURN, self.record.notice.id)
    }
}

/// How often a notice was sent round, and its id, which grows.
pub(super) type Place = (u32, NoticeId);

/// Who waits for which webhook. All of it is derived from the table of notices.
#[derive(Debug)]
pub(crate) struct Outbox {
    pub(super) ids: IdStream,
    webhooks: BTreeMap<Arc<str>, Webhook>,
    /// The webhooks by how many notices wait for each.
    lengths: BTreeSet<(usize, Arc<str>)>,
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
    /// The same, by age.
    ids: BTreeSet<NoticeId>,
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
    /// It is left alone until then, which the timer of this notice will say.
    Resting(Mono, NoticeId),
}

/// The timers that end the rest of a webhook.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    /// The one that is for nothing now.
    pub(super) off: Option<(Mono, NoticeId)>,
    /// The one that is needed.
    pub(super) on: Option<(Mono, NoticeId)>,
}

impl Outbox {
    /// The lines of what was stored.
    pub(crate) fn restored(seed: u64, notices: &Table<NoticeId, Waiting>) -> Self {
        let mut outbox = Self {
            ids: IdStream::new(seed, 2),
            webhooks: BTreeMap::new(),
            lengths: BTreeSet::new(),
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
        self.change_line(uri, None, Some(waiting.place()));
        if self.webhooks.get(uri).is_some_and(|webhook| webhook.state == State::Idle) {
            self.ready(uri);
        }
    }

    /// A place in the line of a webhook is left, and one is taken.
    fn change_line(&mut self, uri: &str, left: Option<Place>, taken: Option<Place>) {
        let Some((uri, webhook)) = self.webhooks.get_key_value(uri) else { return };
        let (uri, before) = (uri.clone(), webhook.ids.len());
        let Some(webhook) = self.webhooks.get_mut(&uri) else { return };
        if let Some(left) = left {
            webhook.waiting.remove(&left);
            webhook.ids.remove(&left.1);
        }
        webhook.waiting.extend(taken);
        webhook.ids.extend(taken.map(|(_, id)| id));
        let after = webhook.ids.len();
        if before != after {
            self.lengths.remove(&(before, uri.clone()));
            self.lengths.extend((after != 0).then_some((after, uri)));
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
        self.change_line(uri, Some(waiting.place()), None);
        if let Some(webhook) = self.webhooks.get_mut(uri) {
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
        self.change_line(uri, Some(before), after);
        let webhook = self.webhooks.get_mut(uri)?;
        let Some((_, first)) = webhook.waiting.first().copied() else {
            self.webhooks.remove(uri);
            return None;
        };
        let wait = limits::NOTICE_RETRY_FIRST.saturating_mul(1 << webhook.failures.min(16));
        let until = now + wait.min(limits::NOTICE_RETRY_MAX);
        webhook.failures += 1;
        webhook.state = State::Resting(until, first);
        Some((until, first))
    }

    /// The oldest notice that is not being sent, of those for a webhook.
    pub(super) fn oldest_unsent(&self, uri: &str) -> Option<NoticeId> {
        let webhook = self.webhooks.get(uri)?;
        let is_unsent = |id: &&NoticeId| webhook.state != State::Trying(**id);
        webhook.ids.iter().find(is_unsent).copied()
    }

    /// The notice to give up where too many wait: of the webhook for which the most do, so that
    /// nobody loses a notice because another one takes none.
    pub(super) fn surplus(&self) -> Option<NoticeId> {
        self.lengths.iter().rev().find_map(|(_, uri)| self.oldest_unsent(uri))
    }

    /// Forgets a notice that is not being sent. If its webhook rests, another one has to wait for
    /// the end of that.
    pub(super) fn forget(&mut self, waiting: &Waiting) -> Alarm {
        let (uri, id) = (waiting.record.webhook.as_str(), waiting.record.notice.id);
        self.change_line(uri, Some(waiting.place()), None);
        let mut alarm = Alarm::default();
        let Some(webhook) = self.webhooks.get_mut(uri) else { return alarm };
        let first = webhook.waiting.first().copied();
        if let State::Resting(until, owner) = webhook.state
            && owner == id
        {
            alarm.off = Some((until, id));
            if let Some((_, first)) = first {
                webhook.state = State::Resting(until, first);
                alarm.on = Some((until, first));
            }
        }
        if first.is_none() {
            if let State::Ready(turn) = webhook.state {
                let key = (webhook.failures, turn, Arc::from(uri));
                self.ready.remove(&key);
            }
            self.webhooks.remove(uri);
        }
        alarm
    }

    /// The rest of a webhook may be over: then it can be tried again.
    pub(super) fn rested(&mut self, uri: &str, now: Mono) {
        let state = self.webhooks.get(uri).map(|webhook| &webhook.state);
        if matches!(state, Some(State::Resting(until, _)) if *until <= now) {
            self.ready(uri);
        }
    }

    /// Until when the webhook of a notice rests that is the next for it.
    pub(super) fn rests_for(&self, waiting: &Waiting) -> Option<Mono> {
        let webhook = self.webhooks.get(waiting.record.webhook.as_str())?;
        match webhook.state {
            State::Resting(until, _) if webhook.waiting.first() == Some(&waiting.place()) => {
                Some(until)
            }
            _ => None,
        }
    }

    /// Panics unless the lines are those of the notices that wait, and what rests has its timer.
    pub(crate) fn check(
        &self,
        notices: &Table<NoticeId, Waiting>,
        timers: &BTreeSet<(Mono, Timer)>,
    ) {
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
        let lengths = self.webhooks.iter().map(|(uri, webhook)| {
            let ids: BTreeSet<_> = webhook.waiting.iter().map(|(_, id)| *id).collect();
            assert_eq!(ids, webhook.ids, "the notices for {uri} by age");
            (ids.len(), uri.clone())
        });
        assert_eq!(lengths.collect::<BTreeSet<_>>(), self.lengths);
        let resting = self.webhooks.values().filter_map(|webhook| match webhook.state {
            State::Resting(until, owner) => Some((until, owner)),
            State::Idle | State::Ready(_) | State::Trying(_) => None,
        });
        let timers = timers.iter().filter_map(|(at, timer)| match timer {
            Timer::Webhook(id) => Some((*at, *id)),
            _ => None,
        });
        let resting: BTreeSet<_> = resting.collect();
        assert_eq!(resting, timers.collect(), "each that rests has one timer, and no other has");
    }
}

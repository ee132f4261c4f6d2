//! Which events are wanted.

use muster_api::{
    AppName, JobName, RunId, TaskId, Timestamp,
    events::{EventKind, TraceEvent},
    limits,
};
use uuid::Uuid;

/// Which events are wanted: those that have all that is given.
#[derive(Debug, Clone, Default)]
pub(crate) struct EventFilter {
    pub(crate) app: Option<AppName>,
    pub(crate) job: Option<JobName>,
    pub(crate) run: Option<RunId>,
    pub(crate) task: Option<TaskId>,
    /// The id of an agent, or the name of its host.
    pub(crate) agent: Option<String>,
    pub(crate) kind: Option<EventKind>,
    pub(crate) state: Option<String>,
    pub(crate) actor: Option<String>,
    /// That happened at this time or later.
    pub(crate) from: Option<Timestamp>,
    /// That happened before this time.
    pub(crate) to: Option<Timestamp>,
}

impl EventFilter {
    /// Whether an event is wanted that is in the record of this sequence, as seen at `now`.
    pub(crate) fn wants(&self, sequence: u64, event: &TraceEvent, now: Timestamp) -> bool {
        let is = |wanted: &Option<String>, text: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| text == Some(wanted))
        };
        let agent = event.agent.as_ref().map(muster_api::AgentId::as_str);
        self.kind.is_none_or(|kind| event.kind == kind)
            && is(&self.state, Some(&event.state))
            && (self.task.is_none() || event.task == self.task)
            && (self.run.is_none() || event.run == self.run)
            && (self.job.is_none() || event.job == self.job)
            && (self.app.is_none() || event.app == self.app)
            && (is(&self.agent, agent) || is(&self.agent, event.hostname.as_deref()))
            && is(&self.actor, event.actor.as_deref())
            && self.is_in_time(sequence, event, now)
    }

    /// An event counts at its own time, but for one that was told very late: so it is known which
    /// records may have it. Of a record that is ahead of its time nobody knows when it was told.
    fn is_in_time(&self, sequence: u64, event: &TraceEvent, now: Timestamp) -> bool {
        let told = Timestamp::from_millis(i64::try_from(sequence).unwrap_or(i64::MAX));
        let is_ahead = is_ahead(sequence, now);
        let at = if is_ahead { event.at } else { event.at.max(told.before(limits::EVENT_LATE)) };
        self.from.is_none_or(|from| at >= from) && self.to.is_none_or(|to| at < to)
    }

    /// No record below this sequence has a wanted event: nothing is told before it happens, and the
    /// ids of runs and tasks begin with when they were made.
    pub(crate) fn first_sequence(&self) -> u64 {
        let run = self.run.map(|run| made_at(run.as_uuid()));
        let task = self.task.map(|task| made_at(task.as_uuid()));
        [self.from.map(millis), run, task].into_iter().flatten().max().unwrap_or(0)
    }

    /// No record at this sequence or above has a wanted event, where `newest` is the newest of all.
    pub(crate) fn end_sequence(&self, newest: u64, now: Timestamp) -> u64 {
        match self.to {
            Some(to) if !is_ahead(newest, now) => millis(to + limits::EVENT_LATE).saturating_add(1),
            _ => u64::MAX,
        }
    }
}

/// Whether a record bears a time that is still to come, because the clock was ahead when it, or one
/// before it, was written. As sequences only grow, they stay ahead until that time has come.
fn is_ahead(sequence: u64, now: Timestamp) -> bool {
    sequence > millis(now + limits::EVENT_LATE)
}

fn millis(at: Timestamp) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(0)
}

/// When an id was made. Of one that is no UUID v7, as foreign ones may be, nothing is known.
pub(super) fn made_at(id: &Uuid) -> u64 {
    match id.get_version_num() {
        7 => u64::try_from(id.as_u128() >> 80).unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use muster_api::{IdStream, events::EventSource};

    use super::*;

    fn event() -> TraceEvent {
        let at = Timestamp::from_millis(10_000_000);
        let mut event = TraceEvent::new(at, EventKind::Task, "running", EventSource::Executor);
        event.job = Some("j".parse().unwrap());
        event.agent = Some("a1".parse().unwrap());
        event.hostname = Some("h1".to_owned());
        event
    }

    #[test]
    fn an_event_has_all_that_is_given() {
        let sequence = 10_000_000;
        let wants = |change: &dyn Fn(&mut EventFilter)| {
            let mut filter = EventFilter::default();
            change(&mut filter);
            filter.wants(sequence, &event(), Timestamp::from_millis(10_000_000))
        };
        assert!(wants(&|_| {}));
        assert!(wants(&|filter| filter.job = Some("j".parse().unwrap())));
        assert!(!wants(&|filter| filter.job = Some("k".parse().unwrap())));
        assert!(!wants(&|filter| filter.app = Some("j".parse().unwrap())));
        assert!(wants(&|filter| filter.agent = Some("a1".to_owned())));
        assert!(wants(&|filter| filter.agent = Some("h1".to_owned())));
        assert!(!wants(&|filter| filter.agent = Some("h2".to_owned())));
        assert!(wants(&|filter| filter.kind = Some(EventKind::Task)));
        assert!(!wants(&|filter| filter.kind = Some(EventKind::Run)));
        assert!(!wants(&|filter| filter.state = Some("runnin".to_owned())));
        assert!(!wants(&|filter| filter.actor = Some("admin".to_owned())));
        assert!(!wants(&|filter| filter.run = Some(RunId::from_uuid(Uuid::nil()))));
        assert!(wants(&|filter| filter.from = Some(Timestamp::from_millis(10_000_000))));
        assert!(!wants(&|filter| filter.to = Some(Timestamp::from_millis(10_000_000))));
        assert!(wants(&|filter| filter.to = Some(Timestamp::from_millis(10_000_001))));
    }

    #[test]
    fn what_is_wanted_is_in_no_record_that_is_not_looked_at() {
        let now = Timestamp::from_millis(1_000_000_000);
        let late = u64::try_from(limits::EVENT_LATE.as_millis()).unwrap();
        for told in [0, 1, late - 1, late, late + 1, 5 * late] {
            for at in [-1, 0, 1, 1_000] {
                for bound in [-1, 0, 1, 2, 999, 1_000, 1_001] {
                    let event = TraceEvent { at: Timestamp::from_millis(at), ..event() };
                    let sequence = told + 1_000;
                    let bound = Some(Timestamp::from_millis(bound));
                    let from = EventFilter { from: bound, ..EventFilter::default() };
                    let to = EventFilter { to: bound, ..EventFilter::default() };
                    let (first, end) = (from.first_sequence(), to.end_sequence(sequence, now));
                    assert!(!from.wants(sequence, &event, now) || sequence >= first);
                    assert!(!to.wants(sequence, &event, now) || sequence < end);
                }
            }
        }
        let mut ids = IdStream::new(1, 1);
        let run = RunId::from_uuid(ids.uuid(Timestamp::from_millis(77)));
        let filter = EventFilter { run: Some(run), ..EventFilter::default() };
        assert_eq!(filter.first_sequence(), 77);
        let run = Some(RunId::from_uuid(Uuid::from_u128(u128::MAX)));
        assert_eq!(EventFilter { run, ..EventFilter::default() }.first_sequence(), 0);
    }
}

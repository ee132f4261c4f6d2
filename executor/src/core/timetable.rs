//! The schedule of a resident task, and what becomes of its planned instants.
//!
//! | policy | while an execution goes on | else, of all that are due |
//! |---|---|---|
//! | `skip` | they are skipped | the newest is executed, the others are skipped |
//! | `coalesce` | one execution waits, and stands for all | one execution stands for all |
//!
//! Those that are due and older than the grace are skipped, under both. Every instant is looked at
//! once, oldest first, and at most [`limits::INSTANTS_PER_STEP`] at a time: when more are due, because
//! the process was frozen or the wall clock was set forward, the rest is looked at in the next step,
//! and nothing begins before all are. With a wall clock that is set back nothing becomes due until it has
//! caught up; what was due before and waits begins when the former execution is over.

use std::time::Duration;

use muster_api::{
    Timestamp, limits,
    schedule::{InvalidSchedule, Schedule},
    spec::MisfirePolicy,
    task::Resident,
};

const MILLISECOND: Duration = Duration::from_millis(1);

/// How far a schedule was followed.
#[derive(Debug)]
pub(super) struct Timetable {
    schedule: Schedule,
    /// How much later than planned an instant is due.
    offset: Duration,
    rule: Rule,
    grace: Duration,
    /// What became of every instant up to this one is decided.
    settled: Timestamp,
    /// What one execution will stand for when the one that goes on is over.
    waiting: Option<Due>,
}

/// What becomes of instants that come while an execution goes on, or that are noticed late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Skip,
    Coalesce,
}

/// Planned instants in a row that one execution stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    pub(super) count: u64,
}

/// What became of instants that were due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Followed {
    /// An execution is to begin now, for these.
    pub(super) begin: Option<Due>,
    /// So many were skipped.
    pub(super) skipped: u64,
    /// Others were skipped too, and are too many to be counted.
    pub(super) uncounted: bool,
}

/// Why there is no timetable for a task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidTimetable {
    #[error("its schedule is not valid")]
    Schedule(#[source] InvalidSchedule),
    #[error("a resident task has the misfire policy `skip` or `coalesce`, not `replay`")]
    Replay,
}

impl Timetable {
    /// The timetable of a task that starts now. What was due before is nothing to it.
    pub(super) fn new(resident: &Resident, now: Timestamp) -> Result<Self, InvalidTimetable> {
        let rule = match resident.misfire {
            MisfirePolicy::Skip => Rule::Skip,
            MisfirePolicy::Coalesce => Rule::Coalesce,
            MisfirePolicy::Replay => return Err(InvalidTimetable::Replay),
        };
        let schedule = Schedule::compile(&resident.schedule, resident.anchor)
            .map_err(InvalidTimetable::Schedule)?;
        let offset = resident.offset.duration();
        Ok(Self {
            schedule,
            offset,
            rule,
            grace: resident.grace.duration(),
            // An instant that is planned before the start and due after it is one of this task.
            settled: now.before(offset),
            waiting: None,
        })
    }

    /// When the next instant is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        Some(self.schedule.next_after(self.settled)? + self.offset)
    }

    /// Decides what becomes of the instants that are due. Nothing begins while an execution goes on.
    pub(super) fn follow(&mut self, now: Timestamp, executing: bool) -> Followed {
        let mut followed = Followed::default();
        let until = now.before(self.offset);
        self.skip_old(until, &mut followed);
        let (due, all) = self.take_oldest(until);
        match (self.rule, due) {
            (_, None) => {}
            (Rule::Skip, Some(due)) if executing || !all => followed.skipped += due.count,
            (Rule::Skip, Some(due)) => {
                followed.skipped += due.count - 1;
                followed.begin = Some(Due { first: due.last, last: due.last, count: 1 });
            }
            (Rule::Coalesce, Some(due)) => {
                let first = self.waiting.map_or(due.first, |waiting| waiting.first);
                let count = self.waiting.map_or(0, |waiting| waiting.count) + due.count;
                self.waiting = Some(Due { first, last: due.last, count });
            }
        }
        if !executing && all {
            followed.begin = followed.begin.or(self.waiting.take());
        }
        followed
    }

    /// What has waited for an execution to be over, when none is to begin any more.
    pub(super) fn give_up(&mut self) -> Option<Due> {
        self.waiting.take()
    }

    /// Skips what is due and older than the grace.
    fn skip_old(&mut self, until: Timestamp, followed: &mut Followed) {
        let old = until.before(self.grace).before(MILLISECOND);
        if old <= self.settled {
            return;
        }
        let most = limits::INSTANTS_PER_STEP;
        match self.schedule.between(self.settled, old, most + 1).len() {
            count if count <= most => followed.skipped += count as u64,
            _ => followed.uncounted = true,
        }
        self.settled = old;
    }

    /// The oldest instants that are due, which are settled now, and whether that is all of them.
    fn take_oldest(&mut self, until: Timestamp) -> (Option<Due>, bool) {
        let following = |at: &Timestamp| self.schedule.next_after(*at).filter(|at| *at <= until);
        let mut due = None;
        for at in std::iter::successors(following(&self.settled), following)
            .take(limits::INSTANTS_PER_STEP)
        {
            let so_far = due.unwrap_or(Due { first: at, last: at, count: 0 });
            due = Some(Due { last: at, count: so_far.count + 1, ..so_far });
        }
        let all = due.is_none_or(|due| following(&due.last).is_none());
        self.settled = match due {
            Some(due) if !all => due.last,
            // A wall clock that was set back does not make anything due again.
            _ => self.settled.max(until),
        };
        (due, all)
    }
}

#[cfg(test)]
mod tests;

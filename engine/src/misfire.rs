//! What becomes of planned instants that are due: the table of SEMANTICS 4, as data.
//!
//! | policy | while a run of the job goes on | else, of all that are due |
//! |---|---|---|
//! | `skip` | they are skipped | the newest runs, the others are skipped |
//! | `coalesce` | they are merged into the one that waits, or one more waits for all | one run stands for all |
//! | `replay` | each waits its turn; beyond the cap the newest are dropped | the same, oldest first |
//!
//! Nothing is done here: what is to become of them is the answer, and [`crate::fires`] does it.

use std::fmt;

use muster_api::{
    RunId, Span, Timestamp, limits,
    schedule::Schedule,
    spec::{Misfire, MisfirePolicy},
    views::FireOutcome,
};

use crate::records::PassedFor;

/// Planned instants in a row, all of them from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instants {
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    /// How many; none where they are too many to be counted in one step.
    pub(crate) count: Option<u64>,
}

impl Instants {
    /// Those of a schedule after the first bound and up to the second one, if there are any.
    pub(crate) fn of(schedule: &Schedule, (after, until): (Timestamp, Timestamp)) -> Option<Self> {
        let newest = schedule.between(after, until, limits::INSTANTS_PER_STEP + 1);
        let (first, last) = (*newest.first()?, *newest.last()?);
        if newest.len() <= limits::INSTANTS_PER_STEP {
            return Some(Self { first, last, count: Some(newest.len() as u64) });
        }
        Some(Self { first: schedule.next_after(after)?, last, count: None })
    }

    /// Those that come after the first one.
    pub(crate) fn rest(self, schedule: &Schedule) -> Option<Self> {
        let first = schedule.next_after(self.first).filter(|second| *second <= self.last)?;
        Some(Self { first, last: self.last, count: self.count.map(|count| count - 1) })
    }

    /// How many of them a step has looked at.
    pub(crate) fn looked_at(self) -> usize {
        let count = self.count.and_then(|count| usize::try_from(count).ok());
        count.unwrap_or(limits::INSTANTS_PER_STEP)
    }

    fn one(at: Timestamp) -> Self {
        Self { first: at, last: at, count: Some(1) }
    }
}

/// Where a job stands when instants of it are due.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    /// The run whose turn it is, waiting or not.
    pub(crate) former: Option<RunId>,
    /// The oldest scheduled run of which nothing was launched.
    pub(crate) waiting: Option<RunId>,
    /// How many such runs there are.
    pub(crate) waits: usize,
    /// How many runs may be made now.
    pub(crate) room: usize,
}

/// What becomes of some instants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// A new run stands for them.
    Run(Instants),
    /// A run that waits stands for them too.
    Merge(Instants, RunId),
    /// No run stands for them.
    Pass(Instants, FireOutcome, Why),
}

/// Why instants did not become runs of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// They were due before a restored store was resumed.
    Restored,
    /// They are older than the grace.
    TooOld(Span),
    /// They could not start any more in time.
    TooLate(Span),
    /// This run went on.
    FormerRun(RunId),
    /// They were missed, and so was a newer one.
    NewerRuns,
    /// One run stands for all that were missed.
    Missed,
    /// A run waits already.
    RunWaits,
    /// So many wait already.
    Cap(u32),
}

impl Why {
    /// The cause for which the instants were passed over, if no run stands for them.
    pub(crate) fn passed_for(self) -> Option<PassedFor> {
        match self {
            Self::Restored => Some(PassedFor::Restored),
            Self::TooOld(_) => Some(PassedFor::TooOld),
            Self::TooLate(_) => Some(PassedFor::TooLate),
            Self::FormerRun(_) => Some(PassedFor::FormerRun),
            Self::NewerRuns => Some(PassedFor::NewerRuns),
            Self::Cap(_) => Some(PassedFor::Cap),
            Self::Missed | Self::RunWaits => None,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restored => f.write_str("restored"),
            Self::TooOld(grace) => write!(f, "older than the misfire grace of {grace}"),
            Self::TooLate(within) => write!(f, "not started within {within} of its planned time"),
            Self::FormerRun(run) => write!(f, "run {run} of the job went on"),
            Self::NewerRuns => f.write_str("missed, and a newer instant runs"),
            Self::Missed => f.write_str("merged into one run after they were missed"),
            Self::RunWaits => f.write_str("merged into the run that waits"),
            Self::Cap(cap) => {
                write!(f, "beyond the misfire cap of {cap}: so many runs waited already")
            }
        }
    }
}

/// What becomes of the instants after the first bound and up to the second one, oldest first; and
/// up to where that is all, which is less where there is no room for more runs.
pub(crate) fn fates(
    misfire: &Misfire,
    schedule: &Schedule,
    (after, until): (Timestamp, Timestamp),
    standing: &Standing,
) -> (Vec<Fate>, Timestamp) {
    if misfire.policy == MisfirePolicy::Replay {
        return replayed(misfire.cap, schedule, (after, until), standing);
    }
    let Some(due) = Instants::of(schedule, (after, until)) else { return (Vec::new(), until) };
    let fates = match (misfire.policy, standing.former, standing.waiting) {
        (MisfirePolicy::Skip, Some(former), _) => {
            vec![Fate::Pass(due, FireOutcome::Skipped, Why::FormerRun(former))]
        }
        (MisfirePolicy::Skip, None, _) => {
            let older = schedule.previous(due.last).filter(|at| *at >= due.first);
            let older = older.map(|last| {
                let older = Instants { last, count: due.count.map(|count| count - 1), ..due };
                Fate::Pass(older, FireOutcome::Skipped, Why::NewerRuns)
            });
            older.into_iter().chain([Fate::Run(Instants::one(due.last))]).collect()
        }
        (_, _, Some(waiting)) => vec![Fate::Merge(due, waiting)],
        (_, _, None) => vec![Fate::Run(due)],
    };
    (fates, until)
}

fn replayed(
    cap: u32,
    schedule: &Schedule,
    (after, until): (Timestamp, Timestamp),
    standing: &Standing,
) -> (Vec<Fate>, Timestamp) {
    let allowed = usize::try_from(cap).unwrap_or(usize::MAX).saturating_sub(standing.waits);
    let instants = std::iter::successors(Some(after), |at| schedule.next_after(*at)).skip(1);
    let due = instants.take_while(|at| *at <= until).take(allowed.min(standing.room));
    let mut fates: Vec<_> = due.map(|at| Fate::Run(Instants::one(at))).collect();
    let settled = match fates.last() {
        Some(Fate::Run(newest)) => newest.last,
        _ => after,
    };
    if fates.len() < allowed {
        // Those that are left, if any, wait for room and not for their turn.
        let more = schedule.next_after(settled).is_some_and(|at| at <= until);
        return (fates, if more { settled } else { until });
    }
    let beyond = Instants::of(schedule, (settled, until));
    fates.extend(beyond.map(|beyond| Fate::Pass(beyond, FireOutcome::Dropped, Why::Cap(cap))));
    (fates, until)
}

#[cfg(test)]
mod tests {
    use muster_api::{IdStream, spec::ScheduleSpec};

    use super::*;

    /// Fires at each full ten seconds.
    fn schedule() -> Schedule {
        let every = Some(Span::from_secs(10));
        let spec = ScheduleSpec { every, ..ScheduleSpec::default() };
        Schedule::compile(&spec, at(0)).unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn run() -> RunId {
        RunId::from_uuid(IdStream::new(1, 1).uuid(at(0)))
    }

    fn row(first: i64, last: i64) -> Instants {
        let count = u64::try_from((last - first) / 10 + 1).ok();
        Instants { first: at(first), last: at(last), count }
    }

    const FREE: Standing = Standing { former: None, waiting: None, waits: 0, room: usize::MAX };

    fn misfire(policy: MisfirePolicy, cap: u32) -> Misfire {
        Misfire { policy, cap, ..Misfire::default() }
    }

    #[test]
    fn the_table_holds() {
        use Fate::{Merge, Pass, Run};
        use FireOutcome::{Dropped, Skipped};
        use MisfirePolicy::{Coalesce, Replay, Skip};

        let runs = Standing { former: Some(run()), ..FREE };
        let waits = |waits| Standing { waiting: Some(run()), waits, ..runs };
        let former = Why::FormerRun(run());
        let one = |at| Run(row(at, at));
        // The policy and its cap, up to when instants are due from 0 on, where the job stands;
        // what becomes of them, and up to when that is all.
        let table = [
            (Skip, 9, 5, FREE, vec![], 5),
            (Skip, 9, 10, FREE, vec![one(10)], 10),
            (Skip, 9, 25, FREE, vec![Pass(row(10, 10), Skipped, Why::NewerRuns), one(20)], 25),
            (Skip, 9, 40, FREE, vec![Pass(row(10, 30), Skipped, Why::NewerRuns), one(40)], 40),
            (Skip, 9, 10, runs, vec![Pass(row(10, 10), Skipped, former)], 10),
            (Skip, 9, 40, runs, vec![Pass(row(10, 40), Skipped, former)], 40),
            (Skip, 9, 40, waits(1), vec![Pass(row(10, 40), Skipped, former)], 40),
            (Coalesce, 9, 5, FREE, vec![], 5),
            (Coalesce, 9, 10, FREE, vec![one(10)], 10),
            (Coalesce, 9, 45, FREE, vec![Run(row(10, 40))], 45),
            (Coalesce, 9, 45, runs, vec![Run(row(10, 40))], 45),
            (Coalesce, 9, 45, waits(1), vec![Merge(row(10, 40), run())], 45),
            (Replay, 9, 5, FREE, vec![], 5),
            (Replay, 9, 35, FREE, vec![one(10), one(20), one(30)], 35),
            (Replay, 9, 35, runs, vec![one(10), one(20), one(30)], 35),
            (Replay, 2, 20, runs, vec![one(10), one(20)], 20),
            (
                Replay,
                2,
                30,
                FREE,
                vec![one(10), one(20), Pass(row(30, 30), Dropped, Why::Cap(2))],
                30,
            ),
            (Replay, 3, 45, waits(2), vec![one(10), Pass(row(20, 40), Dropped, Why::Cap(3))], 45),
            (Replay, 2, 45, waits(2), vec![Pass(row(10, 40), Dropped, Why::Cap(2))], 45),
            // A cap that was lowered: more wait than it allows.
            (Replay, 1, 15, waits(5), vec![Pass(row(10, 10), Dropped, Why::Cap(1))], 15),
            // Nothing is dropped for lack of room.
            (Replay, 9, 45, Standing { room: 2, ..runs }, vec![one(10), one(20)], 20),
            (Replay, 9, 45, Standing { room: 0, ..runs }, vec![], 0),
            (Replay, 9, 25, Standing { room: 2, ..runs }, vec![one(10), one(20)], 25),
            (Replay, 9, 5, Standing { room: 0, ..runs }, vec![], 5),
        ];
        for (policy, cap, until, standing, expected, settled) in table {
            let (fates, up_to) =
                fates(&misfire(policy, cap), &schedule(), (at(0), at(until)), &standing);
            let case = format!("{policy:?} with {cap} up to {until} of {standing:?}");
            assert_eq!((fates, up_to), (expected, at(settled)), "{case}");
        }
    }

    #[test]
    fn what_is_too_much_for_a_step_is_not_counted() {
        let many = i64::try_from(limits::INSTANTS_PER_STEP).unwrap() * 10;
        let schedule = schedule();
        let counted = Instants::of(&schedule, (at(0), at(many))).unwrap();
        assert_eq!(counted, row(10, many));
        let more = Instants::of(&schedule, (at(0), at(many + 10))).unwrap();
        assert_eq!(more, Instants { count: None, ..row(10, many + 10) });
        assert_eq!(more.rest(&schedule), Some(Instants { first: at(20), ..more }));
        assert_eq!(row(10, 10).rest(&schedule), None);
    }
}

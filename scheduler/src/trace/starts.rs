//! When the code of tasks began to run, of those that a scheduler found running when it started.
//!
//! That they run is told by reconciliation, which knows no times. The log has what their executors
//! said then, soon after each was made.

use std::collections::{BTreeMap, BTreeSet};

use muster_api::{TaskId, Timestamp, events::EventKind, limits};

use super::{
    codec::Record,
    filter::made_at,
    log::{EVENTS, event_key, sequence_of},
    reader::Budget,
};
use crate::{
    store::{History, StoreError},
    walk::{Direction, Walk},
};

/// When these tasks began to run, as far as the log tells. Only so much of it is looked through: of a
/// task that is not found, nothing is said.
pub(crate) fn starts(
    history: &dyn History,
    tasks: &BTreeSet<TaskId>,
) -> Result<BTreeMap<TaskId, Timestamp>, StoreError> {
    let mut starts = BTreeMap::new();
    let mut budget = Budget::default();
    // Everything before this one was looked through.
    let mut looked = 0;
    let mut by_age: Vec<_> = tasks.iter().map(|task| (made_at(task.as_uuid()), *task)).collect();
    by_age.sort_unstable();
    for (made, task) in by_age {
        let first = made.max(looked);
        let before = first.checked_sub(1).map(event_key);
        let mut walk = Walk::new(history, EVENTS.into(), Direction::Up, before);
        for _ in 0..limits::EVENT_RECORDS_OF_A_START {
            if starts.contains_key(&task) {
                break;
            }
            let Some(row) = walk.take()? else { break };
            let Some(sequence) = sequence_of(&row.0) else { continue };
            looked = sequence.saturating_add(1);
            add_starts(sequence, &row.1, tasks, &mut starts);
            if budget.is_spent_by(&row) {
                return Ok(starts);
            }
        }
    }
    Ok(starts)
}

/// Adds those that one record tells of. What cannot be read of it says nothing.
fn add_starts(
    sequence: u64,
    bytes: &[u8],
    tasks: &BTreeSet<TaskId>,
    starts: &mut BTreeMap<TaskId, Timestamp>,
) {
    let Ok(mut record) = Record::open(sequence, bytes) else { return };
    while let Ok(Some(event)) = record.next_row() {
        if event.kind == EventKind::Task
            && event.state == "running"
            && let Some(task) = event.task.filter(|task| tasks.contains(task))
        {
            // One that is told twice began when that was told first.
            starts.entry(task).or_insert(event.at);
        }
    }
}

#[cfg(test)]
mod tests {
    use muster_api::{
        IdStream,
        events::{EventSource, TraceEvent},
    };

    use super::*;
    use crate::{
        store::{Commit, MemoryDisk, MemoryStore, State},
        trace::EventLog,
    };

    /// A task that is made at some time.
    fn task(ids: &mut IdStream, made: i64) -> TaskId {
        TaskId::from_uuid(ids.uuid(Timestamp::from_millis(made)))
    }

    /// A log with one commit for each of these times, and what it tells of a task then.
    fn log(told: &[(i64, Option<TaskId>, &'static str)]) -> MemoryDisk {
        let disk = MemoryDisk::default();
        let (mut store, mut log) = (MemoryStore::open(&disk), EventLog::open(&disk).unwrap());
        for (sequence, (at, task, state)) in (1..).zip(told) {
            let at = Timestamp::from_millis(*at);
            let event = TraceEvent::new(at, EventKind::Task, *state, EventSource::Executor);
            let writes = log.write(at, vec![TraceEvent { task: *task, ..event }]);
            store.commit(&Commit { term: 1, sequence, writes: &writes }).unwrap();
        }
        disk
    }

    fn found(disk: &MemoryDisk, tasks: &[TaskId]) -> Vec<Option<i64>> {
        let starts = starts(disk, &tasks.iter().copied().collect()).unwrap();
        tasks.iter().map(|task| starts.get(task).map(|at| at.as_millis())).collect()
    }

    #[test]
    fn tasks_began_when_their_executors_said_so() {
        let mut ids = IdStream::new(1, 1);
        let [old, other, young] = [1_000, 1_000, 9_000_000].map(|made| task(&mut ids, made));
        let disk = log(&[
            (900, Some(old), "running"),
            (1_000, Some(old), "staging"),
            (1_200, Some(other), "running"),
            (1_500, Some(old), "running"),
            (1_600, Some(old), "running"),
            (9_000_000, Some(young), "starting"),
            (9_000_700, Some(young), "running"),
        ]);
        assert_eq!(found(&disk, &[old, other, young]), [Some(1_500), Some(1_200), Some(9_000_700)]);
        assert_eq!(found(&disk, &[young]), [Some(9_000_700)]);
        assert_eq!(found(&disk, &[task(&mut ids, 1_000)]), [None]);
        assert_eq!(found(&MemoryDisk::default(), &[old]), [None]);
    }

    #[test]
    fn only_so_much_is_looked_through_for_each() {
        let mut ids = IdStream::new(1, 1);
        let many = i64::try_from(limits::EVENT_RECORDS_OF_A_START).unwrap();
        let (lost, found_late) = (task(&mut ids, 1), task(&mut ids, 10 * many));
        let mut told: Vec<_> = (1..=many).map(|at| (at, None, "zombie")).collect();
        told.push((many + 1, Some(lost), "running"));
        told.push((10 * many, Some(found_late), "running"));
        let disk = log(&told);
        assert_eq!(found(&disk, &[lost]), [None]);
        // The look for the second one goes on behind the first, and may find both.
        assert_eq!(found(&disk, &[lost, found_late])[1], Some(10 * many));
        told.remove(0);
        assert_eq!(found(&log(&told), &[lost]), [Some(many + 1)]);
    }
}

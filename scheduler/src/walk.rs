//! Rows of the store in the order of their keys, fetched a few at a time.
//!
//! A walk begins where it is told to and looks at nothing before that, so a page costs the same
//! wherever it begins. Rows that come or go behind it change nothing; those ahead of it are seen
//! as they are when it gets there.

use std::{collections::VecDeque, str};

use muster_api::{RunId, Timestamp, views::RunState};
use muster_engine::records::PastRun;
use uuid::Uuid;

use crate::store::{History, Row, StoreError};

/// Rows that are fetched at once: enough that most pages are a fetch or two of each range, and few
/// enough that a commit does not wait long for them.
const ROWS: usize = 128;

/// Which way a walk goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the smallest key on.
    Up,
    /// From the largest key on.
    Down,
}

/// The rows of one range of keys.
pub(crate) struct Walk<'a> {
    history: &'a dyn History,
    prefix: Vec<u8>,
    direction: Direction,
    /// What was fetched last; the next fetch is of what comes behind it.
    after: Option<Vec<u8>>,
    rows: VecDeque<Row>,
    is_at_end: bool,
}

impl<'a> Walk<'a> {
    /// The rows whose keys begin with `prefix`, behind `after` in that direction.
    pub(crate) fn new(
        history: &'a dyn History,
        prefix: Vec<u8>,
        direction: Direction,
        after: Option<Vec<u8>>,
    ) -> Self {
        Self { history, prefix, direction, after, rows: VecDeque::new(), is_at_end: false }
    }

    /// The next row, which stays the next one.
    pub(crate) fn peek(&mut self) -> Result<Option<&Row>, StoreError> {
        if self.rows.is_empty() && !self.is_at_end {
            let reverse = self.direction == Direction::Down;
            let rows = self.history.scan(&self.prefix, self.after.as_deref(), reverse, ROWS)?;
            self.is_at_end = rows.len() < ROWS;
            self.after = rows.last().map(|(key, _)| key.clone()).or(self.after.take());
            self.rows = rows.into();
        }
        Ok(self.rows.front())
    }

    /// The next row.
    pub(crate) fn take(&mut self) -> Result<Option<Row>, StoreError> {
        self.peek()?;
        Ok(self.rows.pop_front())
    }
}

/// Past runs of several ranges as one list, by their ids, which is by when they were created.
pub(crate) struct RunWalk<'a> {
    ranges: Vec<(RunState, Walk<'a>)>,
    direction: Direction,
}

impl<'a> RunWalk<'a> {
    /// The runs of these ranges, whose keys end with the id of the run.
    pub(crate) fn new(ranges: Vec<(RunState, Walk<'a>)>, direction: Direction) -> Self {
        Self { ranges, direction }
    }

    /// The next run, and the row that it was found by.
    pub(crate) fn take(&mut self) -> Result<Option<(PastRun, Row)>, StoreError> {
        let mut next: Option<(usize, RunId)> = None;
        for (place, (_, walk)) in self.ranges.iter_mut().enumerate() {
            let id = loop {
                match walk.peek()? {
                    None => break None,
                    Some((key, _)) => match run_at_end_of(key) {
                        Some(id) => break Some(id),
                        // Nothing of ours; what cannot be named is not listed.
                        None => walk.take()?,
                    },
                };
            };
            let Some(id) = id else { continue };
            let is_before = next.is_none_or(|(_, other)| match self.direction {
                Direction::Up => id < other,
                Direction::Down => id > other,
            });
            if is_before {
                next = Some((place, id));
            }
        }
        let Some((place, id)) = next else { return Ok(None) };
        let (state, walk) = &mut self.ranges[place];
        Ok(walk.take()?.map(|row| ((*state, id), row)))
    }
}

/// The smallest id that a run created at `at` can have: ids are UUIDs v7, which begin with the
/// milliseconds in 48 bits.
pub(crate) fn first_run_id(at: Timestamp) -> RunId {
    let millis = u64::try_from(at.as_millis()).unwrap_or(0).min((1 << 48) - 1);
    RunId::from_uuid(Uuid::from_u128(u128::from(millis) << 80))
}

/// The run that a key ends with.
pub(crate) fn run_at_end_of(key: &[u8]) -> Option<RunId> {
    let slash = key.iter().rposition(|byte| *byte == b'/')?;
    str::from_utf8(&key[slash + 1..]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use muster_api::{IdStream, step::Write};

    use super::*;
    use crate::store::{Commit, MemoryDisk, MemoryStore, State};

    #[test]
    fn ranges_are_one_list_in_either_direction() {
        let mut ids = IdStream::new(1, 1);
        let mut store = MemoryStore::open(&MemoryDisk::default());
        let states = [RunState::Succeeded, RunState::Failed, RunState::Cancelled];
        let runs: Vec<PastRun> = (0..3 * ROWS)
            .map(|n| {
                let at = Timestamp::from_millis(1_000 + n as i64 / 5);
                (states[n * n % 3], RunId::from_uuid(ids.uuid(at)))
            })
            .collect();
        let key = |(state, id): &PastRun| format!("x/{}/{id}", state.as_str()).into_bytes();
        let mut writes: Vec<_> =
            runs.iter().map(|run| Write::Put { key: key(run), value: Vec::new() }).collect();
        writes.push(Write::Put { key: b"x/failed/none".to_vec(), value: Vec::new() });
        store.commit(&Commit { term: 1, sequence: 1, writes: &writes }).unwrap();
        let history = store.history();
        let walk = |direction, after: Option<RunId>| {
            let range = |state: RunState| {
                let prefix = format!("x/{}/", state.as_str()).into_bytes();
                let after = after.map(|id| [&prefix, id.to_string().as_bytes()].concat());
                (state, Walk::new(&*history, prefix, direction, after))
            };
            let mut walk = RunWalk::new(states.map(range).into(), direction);
            let mut found = Vec::new();
            while let Some((run, row)) = walk.take().unwrap() {
                assert_eq!(row.0, key(&run));
                found.push(run);
            }
            found
        };
        let reversed: Vec<_> = runs.iter().rev().copied().collect();
        assert_eq!(walk(Direction::Up, None), runs);
        assert_eq!(walk(Direction::Down, None), reversed);
        let middle = runs[ROWS].1;
        assert_eq!(walk(Direction::Up, Some(middle)), runs[ROWS + 1..]);
        assert_eq!(walk(Direction::Down, Some(middle)), reversed[2 * ROWS..]);
    }
}

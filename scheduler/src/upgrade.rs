//! Brings what a former version stored to the layout of today, before anything else reads it.
//!
//! Past runs lay by job under `h/r/{job}/{run}`, with an index by id under `h/i/{run}`. They are
//! moved in commits of a bounded size, each of which moves its runs as a whole, index included. So
//! what is left in that index is what is left to do, wherever a former attempt was cut short.

use muster_api::{JobUid, RunId, limits, step::Write};
use muster_engine::records::{self, InvalidRecord, RunRecord};

use crate::{
    store::{Commit, History, State, StoreError},
    walk::{Direction, Walk, run_at_end_of},
};

/// Writes that moving one run takes at most: three new records, and two that go.
const WRITES_OF_A_RUN: usize = 5;

/// Why a store of a former layout is not brought to that of today.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpgradeError {
    /// The store did not do its part.
    #[error("the store cannot be brought to the layout of this version")]
    Store(#[from] StoreError),
    /// A record is not what it should be.
    #[error("the stored record `{key}` cannot be brought to the layout of this version")]
    Record {
        /// Its key.
        key: String,
        /// What is wrong with it.
        #[source]
        source: InvalidRecord,
    },
}

/// Moves all that lies as a former version put it; says how many runs that were.
pub(crate) fn upgrade(store: &mut dyn State) -> Result<u64, UpgradeError> {
    // A store without a commit is a fresh one.
    let Some(mut stamp) = store.last()? else { return Ok(0) };
    let history = store.history();
    let mut moved = 0;
    loop {
        let writes = next_writes(&*history, &mut moved)?;
        if writes.is_empty() {
            return Ok(moved);
        }
        // Still in the term of the last start: the next one is above it in any case.
        stamp.sequence += 1;
        store.commit(&Commit { term: stamp.term, sequence: stamp.sequence, writes: &writes })?;
        tracing::info!(moved, "past runs brought to the layout of this version");
    }
}

/// What one commit moves.
fn next_writes(history: &dyn History, moved: &mut u64) -> Result<Vec<Write>, UpgradeError> {
    let prefix = records::FORMER_PAST_RUNS_INDEX.as_bytes().to_vec();
    let mut index = Walk::new(history, prefix, Direction::Up, None);
    let (mut writes, mut bytes) = (Vec::new(), 0);
    while writes.len() + WRITES_OF_A_RUN <= limits::COMMIT_RECORDS
        && bytes < limits::COMMIT_BYTES / 2
        && let Some((key, value)) = index.take()?
    {
        let job: JobUid = decode(&key, &value)?;
        if let Some(id) = run_at_end_of(&key) {
            bytes += move_run(history, &job, &id, &mut writes)?;
            *moved += 1;
        }
        writes.push(Write::Delete { key });
    }
    Ok(writes)
}

/// Moves a run; says how large it is.
fn move_run(
    history: &dyn History,
    job: &JobUid,
    id: &RunId,
    writes: &mut Vec<Write>,
) -> Result<usize, UpgradeError> {
    let key = records::former_past_run_key(job, id);
    let Some(value) = history.get(&key)? else { return Ok(0) };
    let record: RunRecord = decode(&key, &value)?;
    writes.extend(records::past_run_writes(&record));
    writes.push(Write::Delete { key });
    Ok(value.len())
}

fn decode<T: serde::de::DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, UpgradeError> {
    records::decode(value)
        .map_err(|source| UpgradeError::Record { key: key.escape_ascii().to_string(), source })
}

#[cfg(test)]
mod tests {
    use muster_api::step::Records;

    use super::*;
    use crate::store::{Failure, MemoryDisk, MemoryStore};

    /// A store as the first layout had it: the sample of that version, with its run many times.
    fn former(disk: &MemoryDisk, runs: u64) -> Vec<RunRecord> {
        let sample = include_str!("../../engine/tests/samples/state.v1.txt");
        let rows: Records = sample
            .lines()
            .map(|line| {
                let (key, json) = line.split_once(' ').unwrap();
                (key.as_bytes().to_vec(), [&[1], json.as_bytes()].concat())
            })
            .collect();
        let is_run = |key: &[u8]| key.starts_with(records::PAST_RUNS.as_bytes());
        let (key, value) = rows.iter().find(|(key, _)| is_run(key)).unwrap();
        let run: RunRecord = decode(key, value).unwrap();
        let mut ids = muster_api::IdStream::new(1, 1);
        let mut store = MemoryStore::open(disk);
        let writes = rows.into_iter().map(|(key, value)| Write::Put { key, value });
        let writes: Vec<_> = writes.collect();
        store.commit(&Commit { term: 7, sequence: 1, writes: &writes }).unwrap();
        let mut all = vec![run.clone()];
        for sequence in 2..runs + 2 {
            let id = RunId::from_uuid(ids.uuid(run.created_at));
            let state = records::PAST_STATES[sequence as usize % 4];
            let planned_at = run.planned_at + std::time::Duration::from_secs(sequence);
            let record = RunRecord { id, state, planned_at, ..run.clone() };
            let rows = [
                (records::former_past_run_key(&run.job_uid, &id), records::encode(&record)),
                (
                    format!("{}{id}", records::FORMER_PAST_RUNS_INDEX).into_bytes(),
                    records::encode(&run.job_uid),
                ),
            ];
            let writes = rows.map(|(key, value)| Write::Put { key, value });
            store.commit(&Commit { term: 7, sequence, writes: &writes }).unwrap();
            all.push(record);
        }
        all
    }

    /// All of history but tasks and ranges, which stay where they were.
    fn past_runs(store: &MemoryStore) -> Vec<(Vec<u8>, Vec<u8>)> {
        let history = store.history();
        ["h/r/", "h/j/", "h/p/", "h/i/"]
            .iter()
            .flat_map(|prefix| history.scan(prefix.as_bytes(), None, false, usize::MAX).unwrap())
            .collect()
    }

    fn as_of_today(runs: &[RunRecord]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let disk = MemoryDisk::default();
        let mut store = MemoryStore::open(&disk);
        let writes: Vec<_> = runs.iter().flat_map(records::past_run_writes).collect();
        store.commit(&Commit { term: 1, sequence: 1, writes: &writes }).unwrap();
        past_runs(&store)
    }

    #[test]
    fn past_runs_of_the_first_layout_are_moved_also_when_that_is_cut_short() {
        for cut in 0..6 {
            for failure in [Failure::Lost, Failure::Stored] {
                let disk = MemoryDisk::default();
                let runs = former(&disk, 900);
                let commits = 901;
                disk.fail_commit(commits + cut, failure);
                let mut store = MemoryStore::open(&disk);
                let others = crate::store::records(&store).unwrap();
                if cut > 0 {
                    let first = upgrade(&mut store);
                    assert_eq!(first.is_err(), cut < 6, "the fifth commit is the last");
                }
                let mut store = MemoryStore::open(&disk);
                upgrade(&mut store).unwrap();
                assert_eq!(past_runs(&store), as_of_today(&runs), "{cut} {failure:?}");
                assert_eq!(crate::store::records(&store).unwrap(), others);
                let last = store.last().unwrap();
                assert_eq!(upgrade(&mut store).unwrap(), 0);
                assert_eq!(store.last().unwrap(), last, "once moved it is not touched again");
            }
        }
    }

    #[test]
    fn a_fresh_store_is_left_alone_and_a_damaged_record_is_named() {
        let disk = MemoryDisk::default();
        let mut store = MemoryStore::open(&disk);
        assert_eq!(upgrade(&mut store).unwrap(), 0);
        assert_eq!(store.last().unwrap(), None);
        let writes = [Write::Put { key: b"h/i/x".to_vec(), value: b"\x01nothing".to_vec() }];
        store.commit(&Commit { term: 1, sequence: 1, writes: &writes }).unwrap();
        let error = upgrade(&mut store).unwrap_err().to_string();
        assert!(error.contains("`h/i/x`"), "{error}");
    }
}

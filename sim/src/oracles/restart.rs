//! A scheduler that would start from the disk now knows what the running one knows.

use std::time::Duration;

use muster_api::{
    Now, Timestamp,
    step::{Records, Write},
};
use muster_engine::{
    Engine, EngineConfig, ForeignMaster,
    records::{self, ExecutorRecord, ExecutorState, RunRecord, TaskRecord},
};
use muster_turn::Core;

use super::{Verdict, broken};

const NAME: &str = "restart_equals_running";

/// Right after a commit a second engine is restored from the disk. Equal must be:
///
/// 1. what the running engine would store if it stored everything, and the disk: no change was
///    forgotten;
/// 2. what the restored engine would store, and the disk: nothing that was stored is lost or
///    read as something else;
/// 3. which runs wait, in which order;
/// 4. when the next planned instant is.
///
/// What is left of back-offs is not compared: it is counted from clocks that may be set. That an
/// executor was heard of is in memory only, and a reconciliation tells it again. So is that a user
/// wants a task ended which a rule of the engine ends already: the run, which is stopping, tells it.
pub(crate) fn restart_equals_running(
    core: &mut Core,
    store: &Records,
    waiting_runs: usize,
    unreachable_wait: Option<Duration>,
    now: Now,
) -> Verdict {
    let foreign = unreachable_wait.map(|unreachable_wait| ForeignMaster {
        unreachable_wait,
        program: String::new(),
        describe_executor: |_, _, _| Vec::new(),
    });
    let config = EngineConfig { waiting_runs, foreign, ..EngineConfig::new(|_, _| Vec::new()) };
    let mut restored = match Engine::restore(config, 0, store, now) {
        Ok((engine, _)) => engine,
        Err(error) => return broken(NAME, format!("the disk cannot be read: {error}")),
    };
    let (next, waiting) = (restored.next_wakeup().wall, restored.waiting());
    let stored = of_the_engine(store.iter().map(|(key, value)| (key.clone(), value.clone())));
    let running = everything(core.all_records(now));
    differ("the running engine", &running, &stored)?;
    differ("a restarted engine", &everything(restored.all_records(now)), &stored)?;
    let engine = core.engine();
    if waiting != engine.waiting() {
        let what = format!("the queue is {:?}, and after a restart {waiting:?}", engine.waiting());
        return broken(NAME, what);
    }
    let before = engine.next_wakeup().wall;
    if before != next {
        return broken(NAME, format!("it fires at {before:?}, and after a restart at {next:?}"));
    }
    Ok(())
}

fn everything(writes: Vec<Write>) -> Records {
    of_the_engine(writes.into_iter().filter_map(|write| match write {
        Write::Put { key, value } => Some((key, value)),
        Write::Delete { .. } => None,
    }))
}

/// The records of the engine's tables, without what may differ.
fn of_the_engine(records: impl Iterator<Item = (Vec<u8>, Vec<u8>)>) -> Records {
    let is_of_a_table = |key: &[u8]| key.get(1) == Some(&b'/') && b"avjwcrteinql".contains(&key[0]);
    let of_tables = records.filter(|(key, _)| is_of_a_table(key));
    let rows = of_tables.map(|(key, value)| {
        let value = comparable(&key, &value).unwrap_or(value);
        (key, value)
    });
    rows.collect()
}

fn comparable(key: &[u8], value: &[u8]) -> Option<Vec<u8>> {
    if key.starts_with(records::RUNS.as_bytes()) {
        let mut run: RunRecord = records::decode(value).ok()?;
        for again in run.shards.again.values_mut() {
            again.wait_ms = 0;
            again.written_at = Timestamp::from_millis(0);
        }
        return Some(records::encode(&run));
    }
    if key.starts_with(records::EXECUTORS.as_bytes()) {
        let mut executor: ExecutorRecord = records::decode(value).ok()?;
        if executor.state == ExecutorState::Alive {
            executor.state = ExecutorState::Starting;
        }
        return Some(records::encode(&executor));
    }
    if key.starts_with(records::TASKS.as_bytes()) {
        let mut task: TaskRecord = records::decode(value).ok()?;
        task.ended_for = None;
        return Some(records::encode(&task));
    }
    None
}

fn differ(whose: &str, records: &Records, stored: &Records) -> Verdict {
    let mut keys = records.keys().chain(stored.keys());
    let Some(key) = keys.find(|key| records.get(*key) != stored.get(*key)) else { return Ok(()) };
    let show = |side: &Records| {
        side.get(key).map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
    };
    let (has, disk) = (show(records), show(stored));
    let key = String::from_utf8_lossy(key);
    broken(NAME, format!("{whose} has as {key} `{has}`, and on the disk is `{disk}`"))
}

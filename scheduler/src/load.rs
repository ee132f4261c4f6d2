//! Loading at the start: one thread reads the store while another makes sense of what was read.

use std::{
    sync::mpsc::{self, SyncSender},
    thread,
};

use anyhow::{Context, anyhow};
use muster_turn::Loader;

use crate::store::{State, StoreError};

/// Bytes of records that go from one thread to the other together.
const BATCH_BYTES: usize = 256 * 1024;
/// Batches that wait, so that neither thread waits for the other for long, and little is in memory
/// twice.
const BATCHES: usize = 8;

/// Takes in everything that is stored but history.
pub(crate) fn load(store: &dyn State) -> anyhow::Result<Loader> {
    let (sender, receiver) = mpsc::sync_channel::<Batch>(BATCHES);
    thread::scope(|scope| {
        let taking =
            thread::Builder::new().name("load".to_owned()).spawn_scoped(scope, move || {
                let mut loader = Loader::default();
                for batch in receiver {
                    batch.each(|key, value| loader.take(key, value));
                }
                loader
            });
        let taking = taking.context("cannot start a thread")?;
        let all = read(store, &sender);
        // The other thread ends when no more can come.
        drop(sender);
        all?;
        taking.join().map_err(|_| anyhow!("a stored record made the loader panic"))
    })
}

/// Reads the store batch by batch. The other side takes them until there are no more.
fn read(store: &dyn State, sender: &SyncSender<Batch>) -> Result<(), StoreError> {
    let mut batch = Batch::default();
    store.load(&mut |key, value| {
        batch.push(key, value);
        if batch.bytes.len() >= BATCH_BYTES {
            // An error means that the other thread panicked; that is said when it is joined.
            let _ = sender.send(std::mem::take(&mut batch));
        }
    })?;
    let _ = sender.send(batch);
    Ok(())
}

/// Records in a row, in one piece of memory.
#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    /// How long each key and its value is.
    lengths: Vec<(usize, usize)>,
}

impl Batch {
    fn push(&mut self, key: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        self.lengths.push((key.len(), value.len()));
    }

    fn each(&self, mut take: impl FnMut(&[u8], &[u8])) {
        let mut rest = self.bytes.as_slice();
        for (key, value) in &self.lengths {
            let (row, behind) = rest.split_at(key + value);
            let (key, value) = row.split_at(*key);
            take(key, value);
            rest = behind;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_out_as_they_went_in() {
        let rows = [(b"a".as_slice(), b"1".as_slice()), (b"bb", b""), (b"", b"333")];
        let mut batch = Batch::default();
        for (key, value) in rows {
            batch.push(key, value);
        }
        let mut seen = Vec::new();
        batch.each(|key, value| seen.push((key.to_vec(), value.to_vec())));
        let rows: Vec<_> = rows.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        assert_eq!(seen, rows);
    }
}

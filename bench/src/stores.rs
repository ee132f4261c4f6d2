//! Commits of small records to each kind of store, with nobody else at it.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use muster_api::{clock, step::Write};
use muster_scheduler::store::{Commit, DiskStore, State, StoreKind};

use crate::{
    floor::{Appends, rate},
    report::{Figure, Sample, Unit},
};

/// Bytes of a record: about those of a task.
const RECORD: usize = 300;
/// Records that are written over again and again, as those of running tasks are.
const KEYS: u64 = 10_000;

/// What is measured of each store.
const ROWS: [(StoreKind, usize, &str); 4] = [
    (StoreKind::Sled, 1, "commits of one record, sled"),
    (StoreKind::Redb, 1, "commits of one record, redb"),
    (StoreKind::Sled, 500, "commits of 500 records, sled"),
    (StoreKind::Redb, 500, "commits of 500 records, redb"),
];

/// Stores to measure, kept from round to round.
pub(crate) struct Stores {
    stores: Vec<(StoreKind, DiskStore)>,
    sequence: u64,
}

impl Stores {
    /// New stores in `folder`.
    pub(crate) fn new(folder: &Path) -> anyhow::Result<Self> {
        let mut stores = Vec::new();
        for kind in StoreKind::ALL {
            let folder = folder.join(format!("commits-{kind}"));
            stores.push((kind, DiskStore::open(&folder, Some(kind))?));
        }
        Ok(Self { stores, sequence: 0 })
    }

    /// The rate of durable commits beside that of durable appends.
    pub(crate) fn measure(
        &mut self,
        appends: &mut Appends,
        time: Duration,
    ) -> anyhow::Result<Vec<Figure>> {
        let mut figures = Vec::new();
        for (kind, records, what) in ROWS {
            let before = appends.rate(time)?;
            let muster = self.commits(kind, records, time)?;
            let after = appends.rate(time)?;
            let sample = Sample { muster, floor: f64::midpoint(before, after) };
            let floor = "appends of 4 KiB with fdatasync";
            figures.push(Figure { what, floor, unit: Unit::PerSecond, sample });
        }
        Ok(figures)
    }

    fn commits(&mut self, kind: StoreKind, records: usize, time: Duration) -> anyhow::Result<f64> {
        let mut count = 0;
        let begun = clock::mono_nanos();
        let store = self.stores.iter_mut().find(|(of, _)| *of == kind);
        let (_, store) = store.context("there is a store of each kind")?;
        loop {
            self.sequence += 1;
            let first = self.sequence * records as u64;
            let writes: Vec<_> = (first..first + records as u64)
                .map(|n| Write::Put {
                    key: format!("t/{:036}", n % KEYS).into_bytes(),
                    value: vec![(n % 251) as u8; RECORD],
                })
                .collect();
            store.commit(&Commit { term: 1, sequence: self.sequence, writes: &writes })?;
            count += 1;
            let nanos = clock::mono_nanos() - begun;
            if u128::from(nanos) >= time.as_nanos() {
                return Ok(rate(count, nanos));
            }
        }
    }
}

//! The table of SEMANTICS 4, reckoned naively: every planned instant is looked at.

use std::{collections::BTreeMap, time::Duration};

use muster_api::{Timestamp, spec::MisfirePolicy};

use super::world::Outcome;

/// A run that is not over.
#[derive(Debug)]
struct Run {
    /// Its instants, its own first; a trigger has none.
    instants: Vec<Timestamp>,
    started: bool,
}

impl Run {
    fn is_scheduled(&self) -> bool {
        !self.instants.is_empty()
    }

    fn waits(&self) -> bool {
        self.is_scheduled() && !self.started
    }
}

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) policy: MisfirePolicy,
    pub(crate) cap: usize,
    pub(crate) grace: Duration,
    pub(crate) every: Duration,
    pub(crate) offset: Duration,
    anchor: Timestamp,
    enabled: bool,
    settled: Timestamp,
    lane: Vec<Run>,
    /// Whether the host has room.
    pub(crate) room: bool,
    pub(crate) ledger: BTreeMap<Timestamp, Outcome>,
}

impl Model {
    pub(crate) fn new(created_at: Timestamp, every: Duration) -> Self {
        Self {
            policy: MisfirePolicy::Coalesce,
            cap: 100,
            grace: Duration::from_secs(7 * 24 * 3600),
            every,
            offset: Duration::ZERO,
            anchor: created_at,
            enabled: true,
            settled: created_at,
            lane: Vec::new(),
            room: false,
            ledger: BTreeMap::new(),
        }
    }

    /// What a step does after its event: it fires what is due, and then the run at its turn starts.
    pub(crate) fn step(&mut self, now: Timestamp) {
        if self.enabled {
            self.fire(now.before(self.offset));
        }
        if let Some(first) = self.lane.first_mut().filter(|run| self.room && !run.started) {
            first.started = true;
            self.room = false;
            if let Some(own) = first.instants.first() {
                self.ledger.insert(*own, Outcome::Ran);
            }
        }
    }

    /// Settles what is planned up to an instant.
    fn fire(&mut self, until: Timestamp) {
        let mut due = Vec::new();
        let mut at = self.anchor + self.every;
        while at <= until {
            if at > self.settled {
                due.push(at);
            }
            at = at + self.every;
        }
        self.settled = self.settled.max(until);
        let (too_old, due): (Vec<_>, Vec<_>) =
            due.into_iter().partition(|at| until.since(*at) > self.grace);
        for at in too_old {
            self.ledger.insert(at, Outcome::Skipped);
        }
        let idle = self.lane.is_empty();
        for at in &due {
            let newest = due.last() == Some(at);
            let waiting = self.waiting();
            let outcome = match self.policy {
                MisfirePolicy::Skip if idle && newest => self.run(*at),
                MisfirePolicy::Skip => Outcome::Skipped,
                MisfirePolicy::Coalesce => match waiting.first() {
                    Some(run) => {
                        let run = &mut self.lane[*run];
                        run.instants.push(*at);
                        Outcome::Coalesced(run.instants[0])
                    }
                    None => self.run(*at),
                },
                MisfirePolicy::Replay if waiting.len() < self.cap => self.run(*at),
                MisfirePolicy::Replay => Outcome::Dropped,
            };
            self.ledger.insert(*at, outcome);
        }
    }

    fn run(&mut self, at: Timestamp) -> Outcome {
        self.lane.push(Run { instants: vec![at], started: false });
        Outcome::Waiting
    }

    /// The places of the scheduled runs that have not started.
    fn waiting(&self) -> Vec<usize> {
        (0..self.lane.len()).filter(|at| self.lane[*at].waits()).collect()
    }

    pub(crate) fn finish(&mut self) {
        if self.lane.first().is_some_and(|run| run.started) {
            self.lane.remove(0);
        }
    }

    pub(crate) fn trigger(&mut self) {
        if self.enabled {
            self.lane.push(Run { instants: Vec::new(), started: false });
        }
    }

    pub(crate) fn set_misfire(&mut self, policy: MisfirePolicy, cap: usize, grace: Duration) {
        (self.policy, self.cap, self.grace) = (policy, cap, grace);
        if policy == MisfirePolicy::Replay {
            return;
        }
        let Some(kept) = self.waiting().first().copied() else { return };
        let into = self.lane[kept].instants[0];
        for run in self.lane.split_off(kept + 1) {
            if run.waits() {
                self.ledger.insert(run.instants[0], Outcome::Coalesced(into));
                self.lane[kept].instants.extend(run.instants);
            } else {
                self.lane.push(run);
            }
        }
    }

    pub(crate) fn set_every(&mut self, now: Timestamp, every: Duration) {
        if self.enabled {
            self.fire(now);
        }
        self.settled = self.settled.max(now);
        self.every = every;
    }

    pub(crate) fn disable(&mut self, now: Timestamp) {
        if self.enabled {
            self.fire(now);
        }
        self.enabled = false;
        let gone = self.lane.extract_if(.., |run| !run.started);
        let own = gone.filter_map(|run| run.instants.first().copied());
        for at in own.collect::<Vec<_>>() {
            self.ledger.insert(at, Outcome::Skipped);
        }
    }

    pub(crate) fn enable(&mut self, now: Timestamp) {
        if !self.enabled {
            self.settled = self.settled.max(now);
            self.enabled = true;
        }
    }

    /// Cancels a scheduled run that waits, if there is one; says which.
    pub(crate) fn cancel(&mut self, which: usize) -> Option<Timestamp> {
        let waiting = self.waiting();
        let at = *waiting.get(which % waiting.len().max(1))?;
        let own = self.lane.remove(at).instants[0];
        self.ledger.insert(own, Outcome::Skipped);
        Some(own)
    }

    /// The scheduled runs that are not over: their own instant, the last one, and how many.
    pub(crate) fn live(&self) -> Vec<(Timestamp, Timestamp, u64)> {
        let runs = self.lane.iter().filter(|run| run.is_scheduled());
        let rows = runs.map(|run| {
            let last = run.instants.iter().max().copied().unwrap_or_default();
            (run.instants[0], last, run.instants.len() as u64)
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort_unstable();
        rows
    }
}

//! Commits: what becomes of them, and what is seen in them.

use muster_api::step::Write;

use super::{AtCommit, Decided, SchedulerNode};
use crate::{bugs::Bug, happening::Happening, oracles, stage::Stage};

/// Out of a hundred commits, after so many a second core is restored and compared.
const RESTORED: u64 = 8;

impl SchedulerNode {
    /// Sends what was decided to the disk. Without writes there is nothing to wait for.
    pub(super) fn commit(&mut self, stage: &mut Stage, decided: Decided) {
        if self.process.is_none() {
            return;
        }
        let decided = self.leak(stage, decided);
        if decided.writes.is_empty() {
            return self.release(stage, decided.effects);
        }
        let delay = match self.disk.delay(stage) {
            Some(delay) => delay,
            None => stage.between(0, 8),
        };
        if let Some(process) = &mut self.process {
            process.committing = Some(decided);
        }
        self.alarm.clear(stage);
        stage.after(delay, Happening::SchedulerCommits { process: self.processes });
    }

    /// What a planted bug lets out before the commit.
    fn leak(&mut self, stage: &mut Stage, mut decided: Decided) -> Decided {
        if stage.bug == Some(Bug::AckBeforeWrite) {
            let (early, late) = decided.effects.into_iter().partition(super::effects::is_ack);
            decided.effects = late;
            self.release(stage, early);
        }
        decided
    }

    /// The disk is done with the commit, or the process is killed around it.
    pub(crate) fn committed(&mut self, stage: &mut Stage, number: u64) {
        if number != self.processes {
            return;
        }
        let Some(decided) = self.process.as_mut().and_then(|p| p.committing.take()) else { return };
        let doomed = self.doomed.take();
        if self.disk.is_full(stage) {
            stage.log(format_args!("scheduler stops, for its commit fails: the disk is full"));
            return self.die(stage);
        }
        if doomed == Some(AtCommit::Lost) {
            if stage.bug == Some(Bug::EffectBeforeCommit) {
                self.release(stage, decided.effects);
            }
            return self.die(stage);
        }
        self.store(stage, decided.writes);
        self.compare_with_a_restart(stage);
        if doomed == Some(AtCommit::Kept) {
            return self.die(stage);
        }
        if let Some(process) = &mut self.process {
            process.listens = true;
        }
        self.release(stage, decided.effects);
        self.work(stage);
    }

    fn die(&mut self, stage: &mut Stage) {
        self.crash(stage);
        let delay = stage.between(100, 5_000);
        stage.after(delay, Happening::SchedulerStarts);
    }

    fn store(&mut self, stage: &mut Stage, writes: Vec<Write>) {
        stage.log.commit(stage.time(), &writes);
        for write in writes {
            if is_lost(stage, &write) {
                continue;
            }
            stage.judge(oracles::terminal_is_final(&stage.truth, &self.store, &write));
            let verdict = oracles::what_is_over_does_not_run(&mut stage.truth, &write);
            stage.judge(verdict);
            let verdict = stage.truth.fires.see(&self.store, &write);
            stage.judge(verdict);
            match write {
                Write::Put { key, value } => self.store.insert(key, value),
                Write::Delete { key } => self.store.remove(&key),
            };
        }
    }

    /// At this instant memory and disk are the same, if ever they are.
    fn compare_with_a_restart(&mut self, stage: &mut Stage) {
        if !stage.percent(RESTORED) {
            return;
        }
        let now = self.clock.now(stage);
        if let Some(process) = &mut self.process {
            let verdict = oracles::restart_equals_running(&mut process.core, &self.store, now);
            stage.judge(verdict);
        }
    }
}

/// Whether a planted bug loses a write.
fn is_lost(stage: &Stage, write: &Write) -> bool {
    match (stage.bug, write) {
        (Some(Bug::LedgerRangeMissing), Write::Put { key, .. }) => key.starts_with(b"h/f/"),
        (Some(Bug::DeletesForgotten), Write::Delete { key }) => key.starts_with(b"t/"),
        _ => false,
    }
}

//! Commits: what becomes of them, and what is seen in them.

use muster_api::{step::Write, views::FireOutcome};
use muster_engine::records::{self, FireRangeRecord, RunRecord};

use super::{AtCommit, Decided, SchedulerNode};
use crate::{bugs::Bug, happening::Happening, oracles, stage::Stage};

/// Out of a hundred commits, after so many a second core is restored and compared.
const RESTORED: u64 = 8;

/// Key of the id of our framework (`session/src/session.rs`).
const FRAMEWORK_ID: &[u8] = b"S/framework";

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
        let Some(mut decided) = self.process.as_mut().and_then(|p| p.committing.take()) else {
            return;
        };
        let doomed = self.doomed.take();
        if self.disk.fails(stage) {
            stage.log(format_args!("scheduler stops, for its commit fails"));
            return self.die(stage);
        }
        if doomed == Some(AtCommit::Lost) {
            if stage.bug == Some(Bug::EffectBeforeCommit) {
                self.release(stage, decided.effects);
            }
            return self.die(stage);
        }
        let puts = |prefix: &str| decided.writes.iter().any(|write| is_put(write, prefix));
        let touched = (puts(records::TASKS), puts(records::RUNS));
        self.store(stage, std::mem::take(&mut decided.writes));
        self.look_at_the_store(stage, touched);
        let verdict =
            oracles::what_is_overdue_ends(&mut stage.truth, &self.store, decided.decided_at);
        stage.judge(verdict);
        let decided_at = decided.decided_at;
        let verdict = oracles::drained_hosts_are_left(&mut stage.truth, &self.store, decided_at);
        stage.judge(verdict);
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
        let writes: Vec<Write> = writes.into_iter().map(|write| mangled(stage, write)).collect();
        stage.log.commit(stage.time(), "", &writes);
        stage.judge(oracles::outcomes_follow_the_policy(&self.store, &writes));
        let verdict = oracles::attempts_are_counted(&mut stage.truth, &self.store, &writes);
        stage.judge(verdict);
        self.judge_launches(stage, &writes);
        stage.truth.see_given_up(&writes);
        for write in writes {
            if is_lost(stage, &write) {
                continue;
            }
            stage.judge(oracles::terminal_is_final(&stage.truth, &self.store, &write));
            let verdict = oracles::what_is_over_does_not_run(&mut stage.truth, &write);
            stage.judge(verdict);
            let verdict = stage.truth.fires.see(&self.store, &write);
            stage.judge(verdict);
            let verdict = oracles::no_run_starts_too_late(&mut stage.truth, &self.store, &write);
            stage.judge(verdict);
            stage.truth.see_gone(&write);
            stage.truth.see_host(&write);
            match write {
                Write::Put { key, value } => self.store.insert(key, value),
                Write::Delete { key } => self.store.remove(&key),
            };
        }
    }

    /// What a commit launches may be launched, as far as the disk and the commit tell.
    fn judge_launches(&self, stage: &mut Stage, writes: &[Write]) {
        writes.iter().for_each(|write| stage.truth.see_document(write));
        let (truth, store) = (&mut stage.truth, &self.store);
        let verdict = oracles::what_was_killed_stays_dead(truth, store, writes)
            .and_then(|()| oracles::drained_hosts_get_nothing(truth, store, writes))
            .and_then(|()| oracles::constraints_hold(truth, store, writes))
            .and_then(|()| oracles::notices_tell_what_happens(truth, store, writes))
            .and_then(|()| oracles::limits_are_never_exceeded(truth, store, writes, self.tasks));
        stage.judge(verdict);
    }

    /// What a planted bug does to what is stored before a start.
    pub(super) fn harm(&mut self, stage: &Stage) {
        match stage.bug {
            Some(Bug::NoticesLost) => {
                let is_notice = |key: &[u8]| key.starts_with(records::NOTICES.as_bytes());
                return self.store.retain(|key, _| !is_notice(key));
            }
            Some(Bug::DrainsForgotten) => return oracles::forget_drains(&mut self.store),
            Some(Bug::RunTimeoutLost) => {}
            _ => return,
        }
        let now = self.clock.now(stage).wall;
        let is_run = |key: &[u8]| key.starts_with(records::RUNS.as_bytes());
        for (_, value) in self.store.iter_mut().filter(|(key, _)| is_run(key)) {
            if let Ok(mut run) = records::decode::<RunRecord>(value) {
                run.started_at = run.started_at.map(|_| now);
                *value = records::encode(&run);
            }
        }
    }

    /// What holds of the disk after each commit, as far as that has changed it.
    fn look_at_the_store(&self, stage: &mut Stage, (tasks, runs): (bool, bool)) {
        if tasks {
            stage.judge(oracles::who_is_alone_is_alone(&self.store));
        }
        if runs {
            stage.judge(oracles::no_more_wait_than_allowed(&self.store));
            stage.judge(oracles::one_daemon_run_a_job(&self.store));
        }
        if tasks || runs {
            let now = self.clock.now(stage);
            let hosts = self.process.as_ref().map(|process| process.core.hosts(now));
            let hosts = hosts.unwrap_or_default();
            let truth = &mut stage.truth;
            let verdict = oracles::one_shard_is_replaced_at_a_time(truth, &self.store, &hosts);
            stage.judge(verdict);
        }
        stage.judge(oracles::nothing_is_left_of_the_gone(&stage.truth, &self.store));
    }

    /// At this instant memory and disk are the same, if ever they are.
    fn compare_with_a_restart(&mut self, stage: &mut Stage) {
        if !stage.percent(RESTORED) {
            return;
        }
        let now = self.clock.now(stage);
        if let Some(process) = &mut self.process {
            let verdict = oracles::restart_equals_running(
                &mut process.core,
                &self.store,
                self.waiting_runs,
                self.foreign.as_ref().map(|foreign| foreign.unreachable_wait),
                now,
            );
            stage.judge(verdict);
        }
    }
}

fn is_put(write: &Write, prefix: &str) -> bool {
    matches!(write, Write::Put { key, .. } if key.starts_with(prefix.as_bytes()))
}

/// What a planted bug makes of a write.
fn mangled(stage: &Stage, write: Write) -> Write {
    match (stage.bug, write) {
        (Some(Bug::MergedAsDropped), Write::Put { key, value }) => {
            let value = match records::decode::<FireRangeRecord>(&value) {
                Ok(range)
                    if key.starts_with(records::FIRES.as_bytes())
                        && range.outcome == FireOutcome::Coalesced =>
                {
                    records::encode(&FireRangeRecord { outcome: FireOutcome::Dropped, ..range })
                }
                _ => value,
            };
            Write::Put { key, value }
        }
        (_, write) => write,
    }
}

/// Whether a planted bug loses a write.
fn is_lost(stage: &Stage, write: &Write) -> bool {
    match (stage.bug, write) {
        (Some(Bug::LedgerRangeMissing), Write::Put { key, .. }) => key.starts_with(b"h/f/"),
        (Some(Bug::DeletesForgotten), Write::Delete { key }) => key.starts_with(b"t/"),
        (Some(Bug::FrameworkIdLost), Write::Put { key, .. }) => key.starts_with(FRAMEWORK_ID),
        _ => false,
    }
}

//! What users make of the answers that they get.

use muster_engine::{
    event::{Accepted, CommandReply, Rejected},
    records,
};

use super::{Asked, Users, documents, wish::Wish};
use crate::{
    oracles::{Verdict, Violation},
    stage::Stage,
};

impl Users {
    /// Believes an answer, if it can be right.
    pub(super) fn believe(
        &mut self,
        stage: &mut Stage,
        asked: &Asked,
        reply: CommandReply,
    ) -> Verdict {
        let is_sure = asked.after_deletions == Some(self.deletions);
        match (&asked.wish, reply) {
            (Wish::Trigger { key, after_deletions, .. }, Ok(Accepted::Run(run))) => {
                if *after_deletions != Some(self.deletions) {
                    self.denied.insert(*key);
                }
                stage.log(format_args!("trigger {key} is accepted as run {}", run.id));
                self.accepted.insert(*key, run.id);
                stage.truth.accepted(run.id);
            }
            (Wish::Rerun { key, .. }, Ok(Accepted::Run(run))) => {
                stage.log(format_args!("rerun {key} is accepted as run {}", run.id));
                self.reruns.insert(*key, run.id);
                stage.truth.accepted(run.id);
            }
            (_, Ok(Accepted::App(app, _))) if is_sure => {
                stage.truth.promised(records::app_key(&app.spec.name), app.version);
            }
            (_, Ok(Accepted::Job(job, _))) if is_sure => {
                stage.truth.promised(records::job_key(&job.spec.name), job.version);
            }
            (_, Ok(_)) => {}
            (wish, Err(rejected)) if self.is_right(wish, &rejected) => {
                stage.log(format_args!("{wish:?} is answered: {rejected}"));
                match wish {
                    Wish::Trigger { key, .. } => drop(self.denied.insert(*key)),
                    Wish::Rerun { key, .. } => drop(self.doubtful.insert(*key)),
                    _ => {}
                }
            }
            (wish, Err(rejected)) => {
                let oracle = "valid_wishes_are_granted";
                let what = format!("{wish:?} is answered: {rejected}");
                return Err(Violation { oracle, what });
            }
        }
        Ok(())
    }

    /// Whether others can have done what makes this refusal right.
    fn is_right(&self, wish: &Wish, rejected: &Rejected) -> bool {
        match rejected {
            Rejected::TooManyWaiting { .. } | Rejected::QueueFull { .. } => {
                matches!(wish, Wish::Trigger { .. } | Wish::Rerun { .. })
            }
            Rejected::NotFound { .. } => match wish {
                Wish::Cancel { .. } | Wish::Kill { .. } | Wish::Gone { .. } => true,
                Wish::Drain { .. } | Wish::Activate { .. } => true,
                _ => self.deleting,
            },
            Rejected::Conflict { .. } => match wish {
                // It goes on, or nothing of it failed, or it is that of a daemon job.
                Wish::Rerun { .. } | Wish::Cancel { .. } => true,
                // The shard has no task; the host is there again, or gone.
                Wish::Kill { .. } | Wish::Gone { .. } => true,
                Wish::Drain { .. } | Wish::Activate { .. } => true,
                Wish::Trigger { job, .. } if documents::is_at_times_a_daemon(job) => true,
                Wish::Trigger { .. } => self.disabling || self.deleting,
                _ => self.deleting,
            },
            // There is no app.
            Rejected::Invalid { .. } => {
                matches!(wish, Wish::StoreJob(_)) && (self.deleting || self.calmed)
            }
            _ => false,
        }
    }
}

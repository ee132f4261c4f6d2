//! From the hosts of one master to those of another: which of them a data folder is on is stored, and
//! it is not started on others while a task of it is alive or may be.
//!
//! Those others know nothing of the task. So it would count as dead, and its shard would start beside
//! it. What a version before this record stored is known by the hosts of its tasks.

use muster_api::step::Records;
use muster_engine::event::Event as EngineEvent;
use muster_master::core::{knows_agent, knows_framework};
use muster_session::MasterKind;

use crate::{
    event::{RestoreError, Turn},
    turn::{Core, Inner},
};

/// The tasks of a data folder are on the hosts of a master of another kind than it is started with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.words())]
pub struct OtherMaster {
    /// Which kind that is.
    pub former: MasterKind,
    /// Whether that is not stored, but told from the hosts of the tasks.
    pub guessed: bool,
    /// How many tasks are alive, or may be.
    pub tasks: usize,
}

impl OtherMaster {
    fn words(&self) -> String {
        let (whose, start) = match self.former {
            MasterKind::Own => ("its own master", "without `--mesos`"),
            MasterKind::Foreign => ("another master", "with `--mesos` as before"),
        };
        // Who is told wrong of a folder must not be led to start it on the wrong master.
        let (seem, start, else_) = match (self.guessed, self.former) {
            (false, MasterKind::Own) => ("are", start, ""),
            (false, MasterKind::Foreign) => (
                "are",
                start,
                "; if those hosts are gone for good, docs/mesos.md says how to leave them",
            ),
            (true, _) => (
                "seem to be",
                "as it was last",
                "; if that was like this, let them end with the version of Muster before this one",
            ),
        };
        let tasks = self.tasks;
        format!(
            "{tasks} task(s) of this data folder {seem} alive, or may be, on the hosts of {whose}, and \
             their shards would start a second time on others; start it {start}, let all runs end \
             (`muster cancel RUN`, and `muster disable job JOB` for daemon jobs), and then \
             change{else_}"
        )
    }
}

/// Of which kind of master a data folder without a word of it seems to be, which is one of a version
/// before that word: by the hosts that are in use, if they agree.
///
/// That our own master knows the framework is not enough, for a folder that once was on its own
/// master keeps the id on another one.
fn guess(records: &Records, core: &Core) -> Option<MasterKind> {
    let hosts = core.engine.hosts_in_use();
    let known = hosts.iter().filter(|host| knows_agent(records, host)).count();
    let framework = core.session.framework();
    let is_ours = || framework.is_some_and(|id| knows_framework(records, id));
    match (known, hosts.len()) {
        (_, 0) => None,
        (0, _) => Some(MasterKind::Foreign),
        (known, all) => (known == all && is_ours()).then_some(MasterKind::Own),
    }
}

impl Core {
    /// Sees to it that what is stored may be on such a master, and stores that it is.
    pub(crate) fn belongs_to(
        &mut self,
        kind: MasterKind,
        records: &Records,
        turn: &mut Turn,
    ) -> Result<(), RestoreError> {
        let stored = MasterKind::stored(records)?;
        let former = stored.or_else(|| guess(records, self));
        if let Some(former) = former.filter(|former| *former != kind) {
            match self.engine.tasks() {
                0 => self.inbox.push_back(Inner::ToEngine(EngineEvent::Moved)),
                tasks => {
                    let guessed = stored.is_none();
                    return Err(OtherMaster { former, guessed, tasks }.into());
                }
            }
        }
        if stored != Some(kind) {
            turn.writes.push(kind.write());
        }
        Ok(())
    }
}

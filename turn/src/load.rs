//! Loading: stored records come one by one and go to the core that they belong to.

use muster_api::{Now, step::Records};
use muster_engine::{EngineConfig, ForeignMaster, Installation};

use crate::{
    Foreign,
    event::{RestoreError, Turn},
    turn::Core,
};

/// Takes in what is stored, record by record, so that there is never a second copy of it all.
#[derive(Debug, Default)]
pub struct Loader {
    pub(crate) engine: muster_engine::Loader,
    /// What is not the engine's: agents and frameworks, which are few.
    pub(crate) others: Records,
    taken: u64,
    failed: Option<muster_engine::RestoreError>,
    /// How many runs may wait, where that is not what is usual.
    pub(crate) waiting_runs: Option<usize>,
    installation: Installation,
    /// The master, where it is not in this process.
    foreign: Option<Foreign>,
}

impl Loader {
    /// Bounds how many runs may wait, for worlds in which that many do.
    pub fn bounded(waiting_runs: usize) -> Self {
        Self { waiting_runs: Some(waiting_runs), ..Self::default() }
    }

    /// Says what is told of every job and host, and where.
    pub fn notify(&mut self, installation: Installation) {
        self.installation = installation;
    }

    /// Has the hosts of a master that is not in this process.
    pub fn foreign(&mut self, foreign: Foreign) {
        self.foreign = Some(foreign);
    }

    /// Takes in one record. What is wrong with it is said by [`Loader::finish`].
    pub fn take(&mut self, key: &[u8], value: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        self.taken += 1;
        match self.engine.take(key, value) {
            Ok(true) => {}
            Ok(false) => {
                self.others.insert(key.to_vec(), value.to_vec());
            }
            Err(error) => self.failed = Some(error),
        }
    }

    /// How many records it took in.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// The scheduler as it was when these records were written. `seed` is fresh entropy.
    pub fn finish(self, seed: u64, now: Now) -> Result<(Core, Turn), RestoreError> {
        let mut config = EngineConfig::new(muster_session::describe_executor);
        config.waiting_runs = self.waiting_runs.unwrap_or(config.waiting_runs);
        config.installation = self.installation;
        config.foreign = self.foreign.as_ref().map(|foreign| ForeignMaster {
            unreachable_wait: foreign.unreachable_wait,
            program: foreign.program.clone(),
            describe_executor: muster_session::describe_fetched_executor,
        });
        match self.failed {
            Some(error) => Err(error.into()),
            None => Core::loaded(config, seed, self.engine, &self.others, self.foreign, now),
        }
    }
}

//! What a handler is given.

use std::{
    collections::BTreeMap,
    fmt,
    future::pending,
    sync::{Arc, Mutex, PoisonError},
};

use muster_api::{JobName, RunId, TaskId, Timestamp, task::ShardContext};
use tokio::sync::watch;

use crate::outcome::{ResultTooLong, check_result};

/// Where the lines go that a handler logs.
pub trait Output: Send + Sync + 'static {
    /// Keeps one line, given without its line end.
    fn line(&self, line: &str);
}

/// One task as its handler sees it: which shard it is, its parameters, and ways to talk back.
///
/// Clones are the same task.
#[derive(Clone)]
pub struct Context {
    shared: Arc<Shared>,
}

struct Shared {
    shard: ShardContext,
    output: Box<dyn Output>,
    cancelled: watch::Receiver<bool>,
    result: Mutex<Option<String>>,
}

/// Asks the handler of one [`Context`] to end.
#[derive(Debug)]
pub struct Canceller {
    cancelled: watch::Sender<bool>,
}

impl Canceller {
    /// Asks; from now on [`Context::is_cancelled`] is true.
    pub fn cancel(&self) {
        self.cancelled.send_replace(true);
    }
}

impl Context {
    /// A context for one task, and the means to cancel it.
    pub fn new(shard: ShardContext, output: impl Output) -> (Self, Canceller) {
        let (sender, cancelled) = watch::channel(false);
        let result = Mutex::new(None);
        let shared = Shared { shard, output: Box::new(output), cancelled, result };
        (Self { shared: Arc::new(shared) }, Canceller { cancelled: sender })
    }

    /// The name of the job.
    pub fn job(&self) -> &JobName {
        &self.shared.shard.job
    }

    /// The run that this task is part of.
    pub fn run(&self) -> RunId {
        self.shared.shard.run
    }

    /// The task.
    pub fn task(&self) -> TaskId {
        self.shared.shard.task
    }

    /// Which attempt at this shard it is, from 1.
    pub fn attempt(&self) -> u32 {
        self.shared.shard.attempt
    }

    /// A number that grows with every task of the installation. A handler that writes it beside
    /// its data, and refuses to overwrite a greater one, is safe from tasks that were given up.
    pub fn epoch(&self) -> u64 {
        self.shared.shard.epoch
    }

    /// How many shards the run has.
    pub fn shard_count(&self) -> u32 {
        self.shared.shard.shard_count
    }

    /// Which of them this is, from 0.
    pub fn shard_item(&self) -> u32 {
        self.shared.shard.shard_item
    }

    /// The parameter of this shard; empty when it has none.
    pub fn shard_parameter(&self) -> &str {
        &self.shared.shard.shard_parameter
    }

    /// The parameter of the job, or the one given with the trigger.
    pub fn job_parameter(&self) -> &str {
        &self.shared.shard.job_parameter
    }

    /// When the run was planned; for a merged run the first of its instants.
    pub fn planned_time(&self) -> Timestamp {
        self.shared.shard.planned_time
    }

    /// The last instant of a merged run; else the same as [`Self::planned_time`].
    pub fn planned_until(&self) -> Timestamp {
        self.shared.shard.planned_until
    }

    /// How many planned instants the run stands for; `None` when nobody counted them.
    pub fn fires(&self) -> Option<u64> {
        self.shared.shard.fires
    }

    /// When this task was launched.
    pub fn fire_time(&self) -> Timestamp {
        self.shared.shard.fire_time
    }

    /// The free values of the job.
    pub fn props(&self) -> &BTreeMap<String, String> {
        &self.shared.shard.props
    }

    /// One of the free values of the job.
    pub fn prop(&self, name: &str) -> Option<&str> {
        self.shared.shard.props.get(name).map(String::as_str)
    }

    /// All of it as it is sent: the JSON of this is what scripts find in `MUSTER_CONTEXT`.
    pub fn shard(&self) -> &ShardContext {
        &self.shared.shard
    }

    /// Whether the task has been asked to end. A handler that has not returned when the job's
    /// `kill_grace` is over costs its whole process.
    pub fn is_cancelled(&self) -> bool {
        *self.shared.cancelled.borrow()
    }

    /// Waits until the task is asked to end.
    pub async fn cancelled(&self) {
        let mut cancelled = self.shared.cancelled.clone();
        if cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
            // Nobody is left who could ask.
            pending::<()>().await;
        }
    }

    /// Appends a line to the kept output of the task.
    pub fn log(&self, line: &str) {
        self.shared.output.line(line);
    }

    /// Sets the result that is kept with the shard, unless the handler returns one itself. It
    /// fails on more than [`muster_api::limits::RESULT_BYTES`] bytes, and then changes nothing.
    pub fn set_result(&self, result: impl Into<String>) -> Result<(), ResultTooLong> {
        let result = check_result(result.into())?;
        *self.shared.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        Ok(())
    }

    /// Takes what [`Self::set_result`] was given last.
    pub(crate) fn take_result(&self) -> Option<String> {
        self.shared.result.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Context").field(&self.shared.shard).finish()
    }
}

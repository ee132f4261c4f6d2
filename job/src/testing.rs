//! Contexts without an executor, for tests of handlers.
//!
//! ```
//! use muster_job::testing::TestContext;
//!
//! let test = TestContext::new().shard(1, 3).prop("root", "/tmp").build();
//! assert_eq!(test.context.shard_item(), 1);
//! test.context.log("seen");
//! assert_eq!(test.lines(), ["seen"]);
//! ```

use std::sync::{Arc, Mutex, PoisonError};

use muster_api::{IdStream, RunId, TaskId, Timestamp, task::ShardContext};

use crate::{Canceller, Context, Output};

/// Describes a context; what is not said has a plain value.
#[derive(Debug, Clone)]
pub struct TestContext {
    shard: ShardContext,
}

/// A context with the means to cancel it and to read what was logged.
#[derive(Debug)]
pub struct Built {
    /// What the handler is given.
    pub context: Context,
    /// Cancels it.
    pub canceller: Canceller,
    lines: Lines,
}

impl Built {
    /// What was logged so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Default for TestContext {
    fn default() -> Self {
        Self::new()
    }
}

impl TestContext {
    /// The only shard of a job named `test`, at its first attempt.
    pub fn new() -> Self {
        let at = Timestamp::from_millis(1_700_000_000_000);
        let mut ids = IdStream::new(1, 1);
        let shard = ShardContext {
            job: "test".parse().expect("it is a name"),
            run: RunId::from_uuid(ids.uuid(at)),
            task: TaskId::from_uuid(ids.uuid(at)),
            attempt: 1,
            epoch: 1,
            shard_count: 1,
            shard_item: 0,
            shard_parameter: String::new(),
            job_parameter: String::new(),
            planned_time: at,
            planned_until: at,
            fires: Some(1),
            fire_time: at,
            props: std::collections::BTreeMap::new(),
        };
        Self { shard }
    }

    /// Shard `item` of `count`.
    #[must_use]
    pub fn shard(mut self, item: u32, count: u32) -> Self {
        (self.shard.shard_item, self.shard.shard_count) = (item, count);
        self
    }

    /// The parameters of the shard and of the job.
    #[must_use]
    pub fn parameters(mut self, shard: impl Into<String>, job: impl Into<String>) -> Self {
        (self.shard.shard_parameter, self.shard.job_parameter) = (shard.into(), job.into());
        self
    }

    /// A free value of the job.
    #[must_use]
    pub fn prop(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.shard.props.insert(name.into(), value.into());
        self
    }

    /// The context that was described.
    pub fn build(self) -> Built {
        let lines = Lines::default();
        let (context, canceller) = Context::new(self.shard, lines.clone());
        Built { context, canceller, lines }
    }
}

#[derive(Debug, Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Output for Lines {
    fn line(&self, line: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
    }
}

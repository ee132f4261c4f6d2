//! Runs cases: those that want offers one after another, the others beside them.

use std::{sync::Arc, time::Duration};

use muster_api::clock;
use tokio::{sync::Semaphore, task::JoinSet, time::timeout};

use crate::{
    case::{Case, Needs},
    context::{Context, Suite},
    encoding::Encoding,
    outcome::Failure,
};

/// What one case may take, in all: a few times what it may wait for one thing. The slowest one waits
/// for two heartbeats.
const CASE_PATIENCE: Duration = Duration::from_secs(240);
/// What cleaning up after it may take.
const CLEAN_UP_PATIENCE: Duration = Duration::from_secs(60);
/// So many cases that want nothing run at a time.
const BESIDE: usize = 8;

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All is as with Mesos.
    Passed,
    /// Something is not.
    Failed(String),
    /// It was not run, and why.
    Skipped(&'static str),
}

/// A case with what became of it.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// How it spoke.
    pub encoding: Encoding,
    /// What became of it.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
}

/// Which cases to run.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Only names that contain one of these; all if there are none.
    pub only: Vec<String>,
    /// Only in this encoding.
    pub encoding: Option<Encoding>,
}

impl Choice {
    fn includes(&self, case: &Case, encoding: Encoding) -> bool {
        let named = self.only.is_empty() || self.only.iter().any(|part| case.name.contains(part));
        named && case.speaks.includes(encoding) && self.encoding.is_none_or(|it| it == encoding)
    }
}

/// Runs the chosen cases and gives a row for each, in their order.
pub async fn run(suite: &Arc<Suite>, cases: &[Case], choice: &Choice) -> Vec<Row> {
    let chosen: Vec<_> = cases
        .iter()
        .flat_map(|case| Encoding::BOTH.map(|encoding| (*case, encoding)))
        .filter(|(case, encoding)| choice.includes(case, *encoding))
        .collect();
    let beside = Arc::new(Semaphore::new(BESIDE));
    let alone = Arc::new(Semaphore::new(1));
    let mut running = JoinSet::new();
    for (place, (case, encoding)) in chosen.iter().copied().enumerate() {
        let permits = if case.needs.offers() { alone.clone() } else { beside.clone() };
        let suite = suite.clone();
        running.spawn(async move {
            // Permits are given in the order in which they were asked for.
            let _permit = permits.acquire_owned().await;
            (place, one(suite, case, encoding).await)
        });
    }
    let mut rows: Vec<Option<Row>> = chosen.iter().map(|_| None).collect();
    while let Some(ended) = running.join_next().await {
        if let Ok((place, row)) = ended {
            rows[place] = Some(row);
        }
    }
    let lost = |(row, (case, encoding)): (Option<Row>, (Case, Encoding))| {
        let verdict = Verdict::Failed("the case itself broke off".to_owned());
        let lost = Row { name: case.name, encoding, verdict, took: Duration::ZERO };
        row.unwrap_or(lost)
    };
    rows.into_iter().zip(chosen).map(lost).collect()
}

async fn one(suite: Arc<Suite>, case: Case, encoding: Encoding) -> Row {
    let name = case.name;
    if let Some(why) = missing(&suite, case.needs) {
        return Row { name, encoding, verdict: Verdict::Skipped(why), took: Duration::ZERO };
    }
    let context = Context::new(suite, name, encoding);
    let since = clock::mono();
    let outcome = timeout(CASE_PATIENCE, (case.run)(context.clone())).await;
    let took = clock::mono().since(since);
    let _ = timeout(CLEAN_UP_PATIENCE, context.clean_up()).await;
    let verdict = match outcome {
        Ok(Ok(())) => Verdict::Passed,
        Ok(Err(failure)) => Verdict::Failed(told(&failure)),
        Err(_) => Verdict::Failed(format!("it did not end within {CASE_PATIENCE:?}")),
    };
    Row { name, encoding, verdict, took }
}

fn missing(suite: &Suite, needs: Needs) -> Option<&'static str> {
    match needs {
        Needs::Executors if suite.target.agent.is_none() => Some("needs --agent"),
        Needs::Credentials if suite.target.credentials.is_none() => Some("needs --principal"),
        _ => None,
    }
}

fn told(failure: &Failure) -> String {
    let mut told = failure.to_string();
    let mut source = std::error::Error::source(failure);
    while let Some(cause) = source {
        let cause_told = cause.to_string();
        if !told.contains(&cause_told) {
            told = format!("{told}: {cause_told}");
        }
        source = cause.source();
    }
    told
}

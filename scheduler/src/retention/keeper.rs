//! What starts the passes over history, and sees to it that nobody has to wait for them.

use std::{sync::Arc, time::Duration};

use muster_api::{clock, limits};
use muster_engine::query::{Answer, Query};
use tokio::{runtime::Handle, sync::watch, time::timeout};

use super::{
    HistoryLimits,
    sweep::{Interrupted, Keys, Sweep, Swept},
};
use crate::{
    handle::{DriverHandle, Unavailable},
    metrics::Metrics,
    store::History,
};

/// Keeps history within its limits for as long as the scheduler runs.
pub(crate) struct Keeper {
    pub(crate) history: Arc<dyn History>,
    pub(crate) driver: DriverHandle,
    pub(crate) limits: HistoryLimits,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stopping: watch::Receiver<bool>,
}

impl Keeper {
    /// A pass at once, and then one every so often, until it is told to stop.
    pub(crate) async fn run(mut self) {
        loop {
            match self.driver.query(Query::Held).await {
                Ok(Answer::Held(None)) => self.keep().await,
                Err(Unavailable::Stopped) => return,
                // Whoever restored an old copy may have done so for its history, so nothing is
                // forgotten while it is held, nor while nobody says whether it is.
                _ => {}
            }
            if !rests(&mut self.stopping, limits::RETENTION_EVERY).await {
                return;
            }
        }
    }

    /// One pass, on a thread that may wait, and what is to be said of it.
    async fn keep(&self) {
        match tokio::task::spawn_blocking(self.pass()).await {
            Ok(Ok(swept)) => {
                self.metrics.history_swept(swept.runs, swept.jobs, swept.forgotten_records);
                tell(swept);
            }
            Ok(Err(Interrupted::Stopped)) => {}
            Ok(Err(error)) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "history is not kept within its limits");
            }
            Err(error) => tracing::error!(%error, "a pass over history did not end well"),
        }
    }

    /// One pass, for a thread that may wait.
    fn pass(&self) -> impl FnOnce() -> Result<Swept, Interrupted> + use<> {
        let (history, limits) = (Arc::clone(&self.history), self.limits);
        let (driver, mut stopping) = (self.driver.clone(), self.stopping.clone());
        let runtime = Handle::current();
        move || {
            let mut begun = clock::mono();
            let mut hand_over = |keys: Keys| {
                let wait = async {
                    if !keys.is_empty() && driver.forget(keys).await.is_err() {
                        return false;
                    }
                    // As long as it was at work: half of the disk and of a core is for others.
                    let worked = clock::mono().since(begun);
                    rests(&mut stopping, worked.max(limits::RETENTION_REST)).await
                };
                let goes_on = runtime.block_on(wait);
                begun = clock::mono();
                if goes_on { Ok(()) } else { Err(Interrupted::Stopped) }
            };
            Sweep::new(&*history, limits, clock::wall(), &mut hand_over).run()
        }
    }
}

/// Waits for so long; says whether it may go on then.
async fn rests(stopping: &mut watch::Receiver<bool>, time: Duration) -> bool {
    // Whoever could say so may be gone, which says the same.
    timeout(time, stopping.wait_for(|stop| *stop)).await.is_err()
}

fn tell(swept: Swept) {
    let Swept { runs, jobs, forgotten_runs, forgotten_records } = swept;
    if forgotten_records == 0 {
        tracing::debug!(runs, jobs, "history is within its limits");
    } else {
        tracing::info!(runs, jobs, forgotten_runs, forgotten_records, "old history forgotten");
    }
}

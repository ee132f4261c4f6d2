//! The task that sends notices, several at one time, and tells the driver what became of each.

use std::{path::Path, sync::Arc};

use muster_api::limits;
use muster_engine::{Installation, event::Tried, records::NoticeRecord};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{post::Poster, tls::Tls};
use crate::{
    handle::DriverHandle,
    secrets::{self, TokenError},
};

/// What an installation tells by itself, and in which name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notifying {
    /// What is told of every job and host, and where.
    pub installation: Installation,
    /// The name of the installation, which each notice has.
    pub name: String,
}

/// The side of the driver: notices that are to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Deliveries(mpsc::Sender<Arc<NoticeRecord>>);

/// Makes both sides.
pub(crate) fn channel() -> (Deliveries, mpsc::Receiver<Arc<NoticeRecord>>) {
    // The engine has no more under way at one time.
    let (deliveries, inbox) = mpsc::channel(limits::NOTICES_IN_FLIGHT);
    (Deliveries(deliveries), inbox)
}

impl Deliveries {
    /// Has a notice sent, which is durable by now. Only a scheduler that stops sends none: it waits
    /// for the next start.
    pub(crate) fn send(&self, notice: Arc<NoticeRecord>) {
        if let Err(mpsc::error::TrySendError::Full(notice)) = self.0.try_send(notice) {
            tracing::error!(notice = %notice.notice.id, "more notices are sent than may be");
        }
    }
}

/// Sends notices until it is told to stop. What is under way then is not waited for, and is sent
/// again by the next start.
pub(crate) struct Sender {
    poster: Arc<Poster>,
    inbox: mpsc::Receiver<Arc<NoticeRecord>>,
    driver: DriverHandle,
    stopping: watch::Receiver<bool>,
}

impl Sender {
    /// Sends in the name of `name`, with the secret that is kept in the data folder.
    pub(crate) fn new(
        data_dir: &Path,
        name: String,
        inbox: mpsc::Receiver<Arc<NoticeRecord>>,
        driver: DriverHandle,
        stopping: watch::Receiver<bool>,
    ) -> Result<Self, TokenError> {
        let secret = secrets::open_token(data_dir, secrets::NOTICE_SECRET)?;
        let poster = Arc::new(Poster { secret, installation: name, tls: Tls::default() });
        Ok(Self { poster, inbox, driver, stopping })
    }

    pub(crate) async fn run(mut self) {
        let mut under_way = JoinSet::new();
        loop {
            tokio::select! {
                // An error means that whoever could say so is gone.
                _ = self.stopping.wait_for(|stop| *stop) => return,
                Some(record) = self.inbox.recv() => {
                    let (poster, driver) = (Arc::clone(&self.poster), self.driver.clone());
                    under_way.spawn(async move {
                        let notice = record.notice.id;
                        let outcome = outcome(async move { poster.deliver(&record).await }).await;
                        driver.notice_tried(notice, outcome).await;
                    });
                }
                Some(_) = under_way.join_next() => {}
            }
        }
    }
}

/// What a try comes to, even if it panics: a try of which the engine hears nothing would hold up
/// its webhook for ever.
async fn outcome(attempt: impl Future<Output = Tried> + Send + 'static) -> Tried {
    // A set, so that the try ends with whoever waits for it.
    let mut alone = JoinSet::new();
    alone.spawn(attempt);
    match alone.join_next().await {
        Some(Ok(outcome)) => outcome,
        Some(Err(_)) | None => Tried::Failed {
            why: "the scheduler could not try it, by a fault of its own that its log shows".into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_try_that_panics_has_failed() {
        let panics = outcome(async { panic!("on purpose") }).await;
        assert!(matches!(panics, Tried::Failed { .. }), "{panics:?}");
        assert_eq!(outcome(async { Tried::Delivered }).await, Tried::Delivered);
    }
}

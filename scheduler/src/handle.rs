//! How everybody else talks to the driver: bounded, and answered one by one.

use muster_api::{NoticeId, RunId, clock, limits};
use muster_engine::{
    event::{Command, CommandReply, Tried},
    query::{Answer, Query},
};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::trace::Actor;

/// Runs that ended lately and that a slow listener may still hear of; one that is slower looks
/// for itself.
const RUNS_OVER_KEPT: usize = 1_024;

/// What the driver is asked, with the way back for its answer.
#[derive(Debug)]
pub enum Request {
    /// Make a change.
    Command {
        /// Who asks.
        by: Actor,
        /// The change.
        command: Box<Command>,
        /// Where the reply goes, once the change is durable.
        reply: oneshot::Sender<CommandReply>,
    },
    /// Tell about live state.
    Query {
        /// The question.
        query: Query,
        /// Where the answer goes.
        reply: oneshot::Sender<Answer>,
    },
    /// Take in what became of a try to deliver a notice.
    NoticeTried {
        /// Which notice.
        notice: NoticeId,
        /// What became of it.
        outcome: Tried,
    },
    /// Forget records of history: no core knows them any more.
    Forget {
        /// Their keys, at most [`limits::FORGET_KEYS`]. Others than those of history stay.
        keys: Vec<Vec<u8>>,
        /// Told when they are gone for good.
        done: oneshot::Sender<()>,
    },
}

/// A request on its way to the driver.
#[derive(Debug)]
pub struct Waiting {
    /// The request.
    pub request: Request,
    /// Since when it waits, in nanoseconds since boot.
    pub since: u64,
}

/// The driver takes no requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// Too many wait already.
    #[error("the scheduler has more requests than it can serve; try again")]
    Busy,
    /// It did not answer; a change may have been made all the same.
    #[error("the scheduler stopped before it answered; look whether the change was made")]
    Stopped,
}

/// The asking side. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DriverHandle {
    requests: mpsc::Sender<Waiting>,
    runs_over: broadcast::Sender<RunId>,
}

/// The side of the driver that tells who waits that a run is over.
#[derive(Debug, Clone)]
pub struct RunsOver(broadcast::Sender<RunId>);

/// Makes a handle, and the two ends that the driver keeps.
pub fn channel() -> (DriverHandle, mpsc::Receiver<Waiting>, RunsOver) {
    let (requests, inbox) = mpsc::channel(limits::DRIVER_REQUESTS);
    let (runs_over, _) = broadcast::channel(RUNS_OVER_KEPT);
    let announcer = RunsOver(runs_over.clone());
    (DriverHandle { requests, runs_over }, inbox, announcer)
}

impl DriverHandle {
    /// Asks for a change, and waits until it is made and durable, or refused.
    pub async fn command(&self, by: Actor, command: Command) -> Result<CommandReply, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Command { by, command: Box::new(command), reply })?;
        answer.await.map_err(|_| Unavailable::Stopped)
    }

    /// Asks about live state. The answer is later than every change that was acknowledged before.
    pub async fn query(&self, query: Query) -> Result<Answer, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Query { query, reply })?;
        answer.await.map_err(|_| Unavailable::Stopped)
    }

    /// Has records of history forgotten, as soon as there is room for that, and waits until they
    /// are.
    pub(crate) async fn forget(&self, keys: Vec<Vec<u8>>) -> Result<(), Unavailable> {
        let (done, gone) = oneshot::channel();
        let request = waiting(Request::Forget { keys, done });
        self.requests.send(request).await.map_err(|_| Unavailable::Stopped)?;
        gone.await.map_err(|_| Unavailable::Stopped)
    }

    /// Says what became of a try to deliver a notice, as soon as there is room for that.
    pub(crate) async fn notice_tried(&self, notice: NoticeId, outcome: Tried) {
        let request = waiting(Request::NoticeTried { notice, outcome });
        // A driver that has stopped takes nothing in; the notice is sent again by the next start.
        let _ = self.requests.send(request).await;
    }

    /// The runs that are over from now on.
    pub(crate) fn runs_over(&self) -> broadcast::Receiver<RunId> {
        self.runs_over.subscribe()
    }

    fn ask(&self, request: Request) -> Result<(), Unavailable> {
        self.requests.try_send(waiting(request)).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => Unavailable::Busy,
            mpsc::error::TrySendError::Closed(_) => Unavailable::Stopped,
        })
    }
}

fn waiting(request: Request) -> Waiting {
    Waiting { request, since: clock::mono_nanos() }
}

impl RunsOver {
    /// Says that a run is over. What it became must be in the store by now.
    pub fn announce(&self, run: RunId) {
        // An error means that nobody waits for any run.
        let _ = self.0.send(run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_or_stopped_driver_is_unavailable() {
        let (handle, requests, _) = channel();
        let ask = || {
            let (reply, _) = oneshot::channel();
            handle.ask(Request::Query { query: Query::Agents, reply })
        };
        for _ in 0..limits::DRIVER_REQUESTS {
            ask().unwrap();
        }
        assert_eq!(handle.query(Query::Agents).await.unwrap_err(), Unavailable::Busy);
        drop(requests);
        assert_eq!(handle.query(Query::Agents).await.unwrap_err(), Unavailable::Stopped);
    }

    #[tokio::test]
    async fn a_driver_that_stops_answers_nobody() {
        let (handle, mut requests, _) = channel();
        let asking = tokio::spawn(async move { handle.query(Query::Agents).await });
        drop(requests.recv().await.unwrap());
        assert_eq!(asking.await.unwrap().unwrap_err(), Unavailable::Stopped);
    }
}

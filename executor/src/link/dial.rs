//! Dials the agent, again and again.

use std::time::Duration;

use hyper::StatusCode;
use muster_api::{clock, limits};
use muster_proto::executor::Call;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use super::{
    GivenUp,
    error::LinkError,
    patience::{Attempt, Next, Patience},
    plain, upgraded,
};
use crate::{Environment, core::Event};

/// Between two attempts to reach the agent: from this, doubling ...
pub(super) const REDIAL_FIRST: Duration = Duration::from_millis(100);
/// ... to this. An agent that was restarted waits for its executors, though not for long.
const REDIAL_MAX: Duration = Duration::from_secs(1);
/// Messages that were read and not looked at.
const UNHEARD: usize = 256;

/// What happens on the way to the agent.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// A connection stands.
    Up(Line),
    /// The agent says something.
    Heard(Event),
    /// The connection is gone.
    Down,
    /// The agent is dialled no more.
    GivenUp(GivenUp),
}

/// A connection that stands.
#[derive(Debug)]
pub(crate) struct Line {
    /// What is sent here is written to it, in this order. The first is the subscription.
    pub(crate) calls: mpsc::Sender<Vec<Call>>,
    /// Whether a supervisor of ours ends what this process leaves behind.
    pub(crate) supervised: bool,
}

/// How an attempt to speak with the agent has ended.
pub(super) struct Ended {
    /// Why.
    pub(super) error: LinkError,
    /// Whether the agent had taken the subscription.
    pub(super) subscribed: bool,
}

/// What an agent speaks, which does not change any more when it has taken a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speech {
    /// That is not known yet.
    Unknown,
    /// Our stream.
    Upgraded {
        /// Whether we have a lease there. Until it says that we have none we count on one, for
        /// nothing of ours is lost by waiting for it.
        leased: bool,
    },
    /// Mesos v1 and nothing else.
    Plain,
}

/// Starts to dial the agent, and gives what happens. It ends with the receiver. An executor that
/// `hosts_jobs` has a lease under an agent of ours.
pub(crate) fn open(environment: Environment, hosts_jobs: bool) -> mpsc::Receiver<LinkEvent> {
    let (events, receiver) = mpsc::channel(UNHEARD);
    tokio::spawn(async move { dial_for_ever(&environment, hosts_jobs, &events).await });
    receiver
}

/// The pause after this one, between two attempts.
pub(super) fn longer(pause: Duration, environment: &Environment) -> Duration {
    (pause * 2).min(REDIAL_MAX).min(environment.backoff_max)
}

async fn dial_for_ever(
    environment: &Environment,
    hosts_jobs: bool,
    events: &mpsc::Sender<LinkEvent>,
) {
    let mut speech = Speech::Unknown;
    let mut patience =
        Patience::new(environment.agent.clone(), environment.recovery, clock::mono());
    let mut pause = REDIAL_FIRST;
    while !events.is_closed() {
        let ended = attempt(environment, &mut speech, events).await;
        let Ended { error, subscribed } = ended;
        let agent = environment.agent.as_str();
        tracing::warn!(agent, error = &error as &dyn std::error::Error, "no stream to the agent");
        let attempt = Attempt {
            subscribed,
            refusal: error.refusal(),
            unreachable: matches!(error, LinkError::Dial(_)),
            leased: hosts_jobs && speech == Speech::Upgraded { leased: true },
        };
        let last = match patience.after(clock::mono(), attempt) {
            Next::Dial => None,
            Next::End => Some(LinkEvent::Heard(Event::Shutdown)),
            Next::GiveUp(why) => Some(LinkEvent::GivenUp(why)),
        };
        if let Some(last) = last {
            // When nobody listens there is nobody to tell.
            let _ = events.send(last).await;
            return events.closed().await;
        }
        if subscribed {
            pause = REDIAL_FIRST;
        }
        sleep(pause).await;
        pause = longer(pause, environment);
    }
}

/// Speaks with the agent for as long as it does. What it speaks is settled by the first subscription
/// that it takes; until then one that has nothing where our stream would be is spoken to as Mesos.
async fn attempt(
    environment: &Environment,
    speech: &mut Speech,
    events: &mpsc::Sender<LinkEvent>,
) -> Ended {
    if *speech == Speech::Plain {
        return plain::converse(environment, events).await;
    }
    let dialled = timeout(limits::HANDSHAKE, upgraded::dial(environment)).await;
    match dialled.unwrap_or(Err(LinkError::Slow)) {
        Ok(stream) => {
            let leased = !matches!(speech, Speech::Upgraded { leased: false });
            *speech = Speech::Upgraded { leased };
            let (error, said) = upgraded::converse(stream, events).await;
            *speech = Speech::Upgraded { leased: said.unwrap_or(leased) };
            Ended { error, subscribed: true }
        }
        Err(LinkError::Status { status: StatusCode::NOT_FOUND, .. })
            if *speech == Speech::Unknown =>
        {
            let ended = plain::converse(environment, events).await;
            if ended.subscribed {
                *speech = Speech::Plain;
            }
            ended
        }
        Err(error) => Ended { error, subscribed: false },
    }
}

//! Carries out what the link wants, one subscription at a time.

use std::sync::Arc;

use hyper::header::HeaderValue;
use muster_proto::scheduler::Call;
use muster_session::link::{Attempt, Effect, Event, MasterAddress, Outcome};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

use super::{
    calls::{Calls, Outgoing},
    config::MesosConfig,
    counts::LinkCounts,
    dial::authorization,
    subscription::Subscription,
};

/// Events of the link that wait for the driver; when they are this many, the stream is read no
/// further.
const EVENTS: usize = 4096;

/// The driver's way to the shell. The link bounds the calls that are on their way, and each is over as
/// soon as its subscription is given up, so this holds no more than the link lets it.
#[derive(Debug, Clone)]
pub(crate) struct LinkHandle(mpsc::UnboundedSender<Effect>);

/// The shell of the link.
pub(crate) struct Shell {
    effects: mpsc::UnboundedReceiver<Effect>,
    events: mpsc::Sender<Event>,
    authorization: Option<HeaderValue>,
    /// Told why this scheduler must not go on.
    stopped: Option<oneshot::Sender<String>>,
    stopping: watch::Receiver<bool>,
    current: Option<Current>,
    counts: Arc<LinkCounts>,
}

/// The try that goes on.
struct Current {
    attempt: Attempt,
    stream: JoinHandle<()>,
    calls: mpsc::UnboundedSender<Outgoing>,
    _left: oneshot::Sender<()>,
}

/// The ends of the link that others hold.
pub(crate) struct Ends {
    /// For the driver, to send by.
    pub(crate) handle: LinkHandle,
    /// For the driver, to hear by.
    pub(crate) events: mpsc::Receiver<Event>,
    /// Why this scheduler must not go on, once that is so.
    pub(crate) stopped: oneshot::Receiver<String>,
    /// What is done there, for the metrics.
    pub(crate) counts: Arc<LinkCounts>,
}

impl LinkHandle {
    /// Has something done, after all before it.
    pub(crate) fn send(&self, effect: Effect) {
        // A shell that has ended was told to, and nobody waits for what it does.
        let _ = self.0.send(effect);
    }
}

async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error means that whoever could say so is gone.
    let _ = stopping.wait_for(|stop| *stop).await;
}

impl Shell {
    /// A shell for a master, and the ways to it. Reads the secret.
    pub(crate) fn new(
        config: &MesosConfig,
        stopping: watch::Receiver<bool>,
    ) -> anyhow::Result<(Self, Ends)> {
        let authorization = config.credential()?.as_ref().map(authorization);
        let (sender, effects) = mpsc::unbounded_channel();
        let (events, receiver) = mpsc::channel(EVENTS);
        let (stopped, why) = oneshot::channel();
        let (stopped, current) = (Some(stopped), None);
        let counts = Arc::<LinkCounts>::default();
        let ends = Ends {
            handle: LinkHandle(sender),
            events: receiver,
            stopped: why,
            counts: Arc::clone(&counts),
        };
        Ok((Self { effects, events, authorization, stopped, stopping, current, counts }, ends))
    }

    /// Works until it is told to stop. What runs on the agents of the master goes on.
    pub(crate) async fn run(mut self) {
        let stopping = self.stopping.clone();
        let mut stopped = std::pin::pin!(stopped(stopping));
        loop {
            tokio::select! {
                () = &mut stopped => break,
                effect = self.effects.recv() => match effect {
                    Some(effect) => self.carry_out(effect).await,
                    None => break,
                }
            }
        }
        self.leave();
    }

    async fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Subscribe { attempt, master, call } => {
                self.leave();
                self.subscribe(attempt, master, call);
            }
            Effect::Call { attempt, number, stream_id, call } => {
                let current = self.current.as_ref().filter(|current| current.attempt == attempt);
                let outgoing = Outgoing { number, stream_id, call };
                let not_sent = match current {
                    Some(current) => current.calls.send(outgoing).err().map(|back| back.0),
                    None => Some(outgoing),
                };
                if let Some(outgoing) = not_sent {
                    self.not_sent(attempt, &outgoing).await;
                }
            }
            Effect::Leave(attempt) => {
                if self.current.as_ref().is_some_and(|current| current.attempt == attempt) {
                    self.leave();
                }
            }
            Effect::Stop { why } => {
                if let Some(stopped) = self.stopped.take() {
                    // Whoever listened is stopping already.
                    let _ = stopped.send(why);
                }
            }
        }
    }

    fn subscribe(&mut self, attempt: Attempt, master: MasterAddress, call: Call) {
        self.counts.tried();
        let (authorization, events) = (self.authorization.clone(), self.events.clone());
        let counts = Arc::clone(&self.counts);
        let (calls, queue) = mpsc::unbounded_channel();
        let (_left, left) = oneshot::channel();
        let caller = Calls {
            attempt,
            master: master.clone(),
            authorization: authorization.clone(),
            queue,
            left,
            events: events.clone(),
            counts: Arc::clone(&counts),
        };
        tokio::spawn(caller.run());
        let subscription = Subscription { attempt, master, call, authorization, events, counts };
        let stream = tokio::spawn(subscription.run());
        self.current = Some(Current { attempt, stream, calls, _left });
    }

    /// Ends the stream. What became of the calls that are on their way is told by those.
    fn leave(&mut self) {
        if let Some(current) = self.current.take() {
            current.stream.abort();
            self.counts.ended(current.attempt);
        }
    }

    async fn not_sent(&self, attempt: Attempt, outgoing: &Outgoing) {
        let outcome = Outcome::NotSent { why: "the subscription is over".to_owned() };
        self.counts.called(&outgoing.call, &outcome);
        let number = outgoing.number;
        // A driver that has stopped wants to know nothing any more.
        let _ = self.events.send(Event::Called { attempt, number, outcome }).await;
    }
}

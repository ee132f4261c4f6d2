//! The streams of frameworks that are open, and the calls that wait for their answers, for whoever
//! has something to send.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use muster_proto::{
    Address, Form, MasterInfo,
    scheduler::{Event, EventType, Subscribed},
};
use tokio::sync::oneshot;

use super::{
    backlog::Backlog,
    form,
    tally::{Counts, Tally},
};
use crate::core::{Answer, Request, Stream, StreamName};

/// The version of Mesos that this master passes for: clients compare it before they use what came
/// with some version.
pub(super) const MESOS_VERSION: &str = "1.11.0";

/// The open streams of all frameworks, and the calls under way. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Streams {
    inner: Arc<Mutex<Inner>>,
    tally: Arc<Tally>,
}

#[derive(Debug, Default)]
struct Inner {
    open: BTreeMap<Stream, Arc<Open>>,
    names: BTreeMap<String, Stream>,
    streams_made: u64,
    waiting: BTreeMap<Request, oneshot::Sender<Answer>>,
    requests_made: u64,
}

/// An open stream.
#[derive(Debug)]
struct Open {
    /// Its `Mesos-Stream-Id`.
    name: String,
    form: Form,
    backlog: Arc<Backlog>,
    /// The address that its framework reached this master by.
    here: SocketAddr,
    /// Seconds between heartbeats.
    heartbeat: f64,
}

/// A stream that is about to begin.
#[derive(Debug)]
pub(super) struct NewStream {
    pub(super) name: String,
    pub(super) form: Form,
    pub(super) backlog: Arc<Backlog>,
    pub(super) here: SocketAddr,
    pub(super) heartbeat: f64,
}

/// A call on its way; dropping it forgets it.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) request: Request,
    pub(super) answer: oneshot::Receiver<Answer>,
    streams: Streams,
}

impl Streams {
    /// No streams yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends an event. A SUBSCRIBED is told where this master listens and how often it sends
    /// heartbeats, the first of which follows at once. On a stream that has ended it goes nowhere;
    /// the core has heard of that, or soon will.
    pub fn send(&self, stream: Stream, mut event: Event) {
        let open = self.inner().open.get(&stream).map(Arc::clone);
        let Some(open) = open else { return };
        match &mut event.subscribed {
            None => open.backlog.push(form::record(open.form, &event)),
            Some(subscribed) => {
                complete(subscribed, &open);
                open.backlog.push(form::record(open.form, &event));
                open.backlog.push(heartbeat(open.form));
                open.backlog.subscribed();
            }
        }
    }

    /// Ends a stream, after what was sent on it before.
    pub fn end(&self, stream: Stream) {
        if let Some(open) = self.inner().open.get(&stream) {
            open.backlog.end();
        }
    }

    /// Answers a call. Whoever made it may have gone; what it changed is changed all the same.
    pub fn answer(&self, request: Request, answer: Answer) {
        if let Some(waiting) = self.inner().waiting.remove(&request) {
            drop(waiting.send(answer));
        }
    }

    /// What was called, answered and cut off so far.
    pub fn counts(&self) -> Counts {
        self.tally.now()
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// How many streams are open.
    pub fn count(&self) -> usize {
        self.inner().open.len()
    }

    /// Opens a stream, unless there are `most` already.
    pub(super) fn open(&self, most: usize, new: NewStream) -> Option<Stream> {
        let NewStream { name, form, backlog, here, heartbeat } = new;
        let mut inner = self.inner();
        if inner.open.len() >= most {
            return None;
        }
        inner.streams_made += 1;
        let stream = Stream(inner.streams_made);
        inner.names.insert(name.clone(), stream);
        inner.open.insert(stream, Arc::new(Open { name, form, backlog, here, heartbeat }));
        Some(stream)
    }

    /// Nothing is sent on this stream any more.
    pub(super) fn close(&self, stream: Stream) {
        let mut inner = self.inner();
        if let Some(open) = inner.open.remove(&stream) {
            inner.names.remove(&open.name);
        }
    }

    /// The stream that a call says it belongs to.
    pub(super) fn named(&self, name: Option<&str>) -> StreamName {
        match name {
            None => StreamName::Missing,
            Some(name) => {
                self.inner().names.get(name).map_or(StreamName::Unknown, |s| StreamName::Open(*s))
            }
        }
    }

    /// A number for a call, and where its answer will come.
    pub(super) fn ask(&self) -> Asked {
        let mut inner = self.inner();
        inner.requests_made += 1;
        let request = Request(inner.requests_made);
        let (sender, answer) = oneshot::channel();
        inner.waiting.insert(request, sender);
        Asked { request, answer, streams: self.clone() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.streams.inner().waiting.remove(&self.request);
    }
}

/// A heartbeat as a record.
pub(super) fn heartbeat(form: Form) -> bytes::Bytes {
    form::record(form, &Event { r#type: Some(EventType::Heartbeat as i32), ..Event::default() })
}

fn complete(subscribed: &mut Subscribed, open: &Open) {
    subscribed.heartbeat_interval_seconds = Some(open.heartbeat);
    let id = subscribed.master_info.take().unwrap_or_default().id;
    subscribed.master_info = Some(master_info(id, open.here));
}

/// What this master says of itself to whoever reached it at `here`.
pub(super) fn master_info(id: String, here: SocketAddr) -> MasterInfo {
    let ip = here.ip().to_string();
    let octets = match here.ip().to_canonical() {
        IpAddr::V4(ip) => ip.octets(),
        IpAddr::V6(_) => [0; 4],
    };
    MasterInfo {
        id,
        ip: u32::from_le_bytes(octets),
        port: here.port().into(),
        pid: Some(format!("master@{here}")),
        hostname: Some(ip.clone()),
        version: Some(MESOS_VERSION.to_owned()),
        address: Some(Address {
            hostname: Some(ip.clone()),
            ip: Some(ip),
            port: here.port().into(),
        }),
        ..MasterInfo::default()
    }
}

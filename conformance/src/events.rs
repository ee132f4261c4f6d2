//! A stream of events: what came on it, and what of it a case has not yet asked for.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use muster_api::{Mono, clock};
use muster_proto::recordio::Decoder;
use serde_json::Value;
use tokio::{sync::Notify, task::AbortHandle, time::timeout};

use crate::{
    encoding::{Encoding, Side},
    http::{Broken, Connection, Head, Request},
    outcome::{Failure, Outcome},
};

/// The most that a record of a stream may have.
const RECORD_BYTES: usize = 64 << 20;

/// Of what came and was not asked for, so much is told with a failure.
const TOLD_CHARACTERS: usize = 1_500;

/// An event, with its place among those of its stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrived {
    /// How many came before it.
    pub number: usize,
    /// When it came.
    pub at: Mono,
    /// The event.
    pub event: Value,
}

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// With its final chunk, between two records: the server has said all that it had to say.
    Complete,
    /// In any other way.
    Cut(String),
}

/// The reading end.
#[derive(Debug)]
pub struct Events {
    head: Head,
    encoding: Encoding,
    side: Side,
    shared: Arc<Shared>,
    reader: Option<AbortHandle>,
}

/// The writing end: takes the bytes of the stream.
pub struct Feed {
    decoder: Decoder,
    encoding: Encoding,
    side: Side,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Arrived>,
    count: usize,
    end: Option<End>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream whose bytes come from elsewhere.
pub fn stream(head: Head, encoding: Encoding, side: Side) -> (Feed, Events) {
    let shared = Arc::new(Shared::default());
    let decoder = Decoder::new(RECORD_BYTES);
    let feed = Feed { decoder, encoding, side, shared: shared.clone() };
    (feed, Events { head, encoding, side, shared, reader: None })
}

impl Feed {
    /// Takes bytes, wherever they were cut.
    pub fn push(&mut self, bytes: &[u8]) {
        self.decoder.feed(bytes);
        loop {
            let event = match self.decoder.next_record() {
                Ok(Some(record)) => self.encoding.decode_event(self.side, record),
                Ok(None) => return,
                Err(invalid) => return self.end(End::Cut(format!("no RecordIO: {invalid}"))),
            };
            match event {
                Ok(event) => self.shared.add(event),
                Err(invalid) => return self.end(End::Cut(invalid.to_string())),
            }
        }
    }

    /// Whether all that came is whole records.
    pub fn is_between_records(&self) -> bool {
        self.decoder.is_between_records()
    }

    /// Ends the stream; what came first counts.
    pub fn end(&self, end: End) {
        self.shared.state().end.get_or_insert(end);
        self.shared.changed.notify_waiters();
    }

    async fn read(mut self, mut body: Incoming) {
        let end = loop {
            match body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.push(bytes);
                    }
                }
                Some(Err(error)) => break End::Cut(error.to_string()),
                None if self.is_between_records() => break End::Complete,
                None => break End::Cut("it ends within a record".to_owned()),
            }
        };
        self.end(end);
    }
}

impl Shared {
    fn add(&self, event: Value) {
        let mut state = self.state();
        let number = state.count;
        state.count += 1;
        state.waiting.push_back(Arrived { number, at: clock::mono(), event });
        drop(state);
        self.changed.notify_waiters();
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.close();
    }
}

impl Events {
    /// Sends a request whose answer is a stream. Dropping the stream closes its connection.
    pub async fn open(
        address: &str,
        request: &Request,
        encoding: Encoding,
        side: Side,
    ) -> Result<Self, Broken> {
        let mut connection = Connection::open(address).await?;
        let (head, body) = connection.start(request).await?;
        let (feed, mut events) = stream(head, encoding, side);
        let reader = tokio::spawn(async move {
            feed.read(body).await;
            drop(connection);
        });
        events.reader = Some(reader.abort_handle());
        Ok(events)
    }

    /// Closes the connection, without a word to the other side.
    pub fn close(&self) {
        if let Some(reader) = &self.reader {
            reader.abort();
        }
    }

    /// Status and headers of the answer.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// An event of elsewhere as it would be read on this stream.
    pub fn as_read_here(&self, event: &Value) -> Outcome<Value> {
        Ok(self.encoding.complete_event(self.side, event)?)
    }

    /// Waits for an event that is `wanted` and takes it; what else comes stays.
    pub async fn take(
        &self,
        what: &str,
        within: Duration,
        mut wanted: impl FnMut(&Value) -> bool,
    ) -> Outcome<Arrived> {
        let look = self.until(|state| {
            let at = state.waiting.iter().position(|arrived| wanted(&arrived.event));
            let found = at.and_then(|at| state.waiting.remove(at));
            match found {
                Some(arrived) => Some(Some(arrived)),
                None => state.end.is_some().then_some(None),
            }
        });
        let found = timeout(within, look).await.ok().flatten();
        found.ok_or_else(|| Failure::NeverCame {
            what: what.to_owned(),
            within,
            instead: self.told(),
        })
    }

    /// Takes the next event, whatever it is.
    pub async fn next(&self, within: Duration) -> Outcome<Arrived> {
        self.take("event", within, |_| true).await
    }

    /// Holds if no event that is `unwanted` comes for so long, or has come and was not taken.
    pub async fn none(
        &self,
        what: &str,
        during: Duration,
        unwanted: impl FnMut(&Value) -> bool,
    ) -> Outcome {
        match self.take(what, during, unwanted).await {
            Ok(arrived) => {
                let event = shortened(&arrived.event.to_string());
                Err(Failure::Unwanted { what: what.to_owned(), event })
            }
            Err(_) => Ok(()),
        }
    }

    /// Waits for the end of the stream.
    pub async fn end(&self, within: Duration) -> Outcome<End> {
        let ended = timeout(within, self.until(|state| state.end.clone())).await;
        ended.map_err(|_| Failure::NeverCame {
            what: "end of the stream".to_owned(),
            within,
            instead: self.told(),
        })
    }

    /// All that came and was not taken, without waiting.
    pub fn drain(&self) -> Vec<Arrived> {
        self.shared.state().waiting.drain(..).collect()
    }

    /// Takes those that came and are `wanted`, without waiting.
    pub fn drain_matching(&self, wanted: impl Fn(&Value) -> bool) -> Vec<Arrived> {
        let mut state = self.shared.state();
        let (taken, left) =
            state.waiting.drain(..).partition::<Vec<_>, _>(|arrived| wanted(&arrived.event));
        state.waiting = left.into();
        taken
    }

    async fn until<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(seen) = look(&mut self.shared.state()) {
                return seen;
            }
            changed.await;
        }
    }

    fn told(&self) -> String {
        let state = self.shared.state();
        let mut told: Vec<_> =
            state.waiting.iter().map(|arrived| arrived.event.to_string()).collect();
        told.extend(state.end.as_ref().map(|end| format!("the end of the stream ({end:?})")));
        if told.is_empty() { "nothing".to_owned() } else { shortened(&told.join(" ")) }
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(TOLD_CHARACTERS) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use muster_proto::recordio;
    use serde_json::json;

    use super::*;

    fn empty() -> (Feed, Events) {
        let head = Head { status: 200, headers: std::collections::BTreeMap::new() };
        stream(head, Encoding::Json, Side::Scheduler)
    }

    const SOON: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn events_are_taken_out_of_order_and_however_they_were_cut() {
        let (mut feed, events) = empty();
        let mut bytes = Vec::new();
        recordio::encode(br#"{"type":"HEARTBEAT"}"#, &mut bytes);
        recordio::encode(br#"{"type":"ERROR"}"#, &mut bytes);
        bytes.iter().for_each(|byte| feed.push(&[*byte]));
        let taken = events.take("ERROR", SOON, |event| event["type"] == "ERROR").await.unwrap();
        assert_eq!((taken.number, taken.event), (1, json!({"type": "ERROR"})));
        assert!(events.none("ERROR", SOON, |event| event["type"] == "ERROR").await.is_ok());
        assert!(
            events.none("HEARTBEAT", SOON, |event| event["type"] == "HEARTBEAT").await.is_err()
        );
        let missing = events.take("OFFERS", SOON, |_| false).await.unwrap_err().to_string();
        assert!(missing.starts_with("no OFFERS within 20ms"), "{missing}");
    }

    #[tokio::test]
    async fn what_is_no_record_ends_the_stream() {
        for (bytes, told) in [(&b"x"[..], "no RecordIO"), (b"2\n{]", "no JSON")] {
            let (mut feed, events) = empty();
            feed.push(bytes);
            feed.end(End::Complete);
            let End::Cut(why) = events.end(SOON).await.unwrap() else { panic!("it is cut") };
            assert!(why.starts_with(told), "{why}");
        }
    }
}

//! What waits to be sent on the stream of one framework: whole records, bounded.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::Notify;

/// The records of one stream that its connection has not taken yet.
#[derive(Debug)]
pub(super) struct Backlog {
    /// Bytes that may wait.
    bound: usize,
    state: Mutex<State>,
    /// Something has happened that the stream's keeper waits for.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    records: VecDeque<Bytes>,
    bytes: usize,
    /// How many records the connection has taken.
    taken: u64,
    subscribed: bool,
    end: Option<End>,
    reader: Option<Waker>,
}

/// How a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// After what waits was sent.
    Flushed,
    /// At once, because too much waits.
    Overflow,
    /// Its connection has dropped it, or has sent all of it.
    Dropped,
}

/// Where a stream stands, for its keeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) subscribed: bool,
    /// How many records were taken, if more wait.
    pub(super) waiting_after: Option<u64>,
    pub(super) end: Option<End>,
}

impl Backlog {
    pub(super) fn new(bound: usize) -> Arc<Self> {
        Arc::new(Self { bound, state: Mutex::default(), changed: Notify::new() })
    }

    /// Queues a record. After the end nothing is queued any more.
    pub(super) fn push(&self, record: Bytes) {
        let mut state = self.state();
        if state.end.is_some() {
            return;
        }
        state.bytes += record.len();
        state.records.push_back(record);
        if state.bytes > self.bound {
            state.finish(End::Overflow);
            self.changed.notify_one();
        }
        state.wake();
    }

    /// The framework is let in: heartbeats begin.
    pub(super) fn subscribed(&self) {
        self.state().subscribed = true;
        self.changed.notify_one();
    }

    /// Ends the stream once what waits was sent.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.end.get_or_insert(End::Flushed);
        state.wake();
        self.changed.notify_one();
    }

    pub(super) fn progress(&self) -> Progress {
        let state = self.state();
        Progress {
            subscribed: state.subscribed,
            waiting_after: (!state.records.is_empty()).then_some(state.taken),
            end: state.end,
        }
    }

    /// Returns when the stream has ended or its framework was let in.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn finish(&mut self, end: End) {
        (self.records, self.bytes) = (VecDeque::new(), 0);
        self.end = Some(end);
    }

    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// The body of the answer that is a stream: one record is one chunk.
#[derive(Debug)]
pub(super) struct EventBody(pub(super) Arc<Backlog>);

impl Body for EventBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut state = self.0.state();
        if let Some(record) = state.records.pop_front() {
            state.bytes -= record.len();
            state.taken += 1;
            return Poll::Ready(Some(Ok(Frame::data(record))));
        }
        if state.end.is_some() {
            return Poll::Ready(None);
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for EventBody {
    fn drop(&mut self) {
        let mut state = self.0.state();
        // Too slow is still the reason when the connection was cut for that.
        let end = state.end.filter(|end| *end == End::Overflow).unwrap_or(End::Dropped);
        state.finish(end);
        drop(state);
        self.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn records_come_one_by_one_and_the_end_after_them() {
        let backlog = Backlog::new(100);
        let mut body = EventBody(Arc::clone(&backlog));
        backlog.push(Bytes::from_static(b"one"));
        backlog.push(Bytes::from_static(b"two"));
        backlog.end();
        backlog.push(Bytes::from_static(b"late"));
        for wanted in ["one", "two"] {
            let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
            assert_eq!(frame, wanted);
        }
        assert!(body.frame().await.is_none());
        assert_eq!(backlog.progress().end, Some(End::Flushed));
        drop(body);
        assert_eq!(backlog.progress().end, Some(End::Dropped));
    }

    #[tokio::test]
    async fn what_is_taken_makes_room_and_what_is_not_ends_at_the_bound() {
        let backlog = Backlog::new(10);
        let mut body = EventBody(Arc::clone(&backlog));
        for _ in 0..100 {
            backlog.push(Bytes::from_static(b"0123456789"));
            assert!(body.frame().await.is_some());
        }
        assert_eq!(backlog.progress().waiting_after, None);
        backlog.push(Bytes::from_static(b"0123456789"));
        assert_eq!(backlog.progress().waiting_after, Some(100));
        assert_eq!(backlog.progress().end, None);
        backlog.push(Bytes::from_static(b"0"));
        assert_eq!(backlog.progress().end, Some(End::Overflow));
        assert!(body.frame().await.is_none(), "nothing of a cut stream is sent");
        drop(body);
        assert_eq!(backlog.progress().end, Some(End::Overflow));
    }

    #[tokio::test]
    async fn a_reader_that_waits_is_woken() {
        let backlog = Backlog::new(100);
        let mut body = EventBody(Arc::clone(&backlog));
        let reader = tokio::spawn(async move { body.frame().await.is_some() });
        tokio::task::yield_now().await;
        backlog.push(Bytes::from_static(b"one"));
        assert!(reader.await.unwrap());
    }
}

//! What happens, as server-sent events (the HTML standard, section 9.2).
//!
//! Each stream reads from the store what became durable since it read last. So a slow reader costs
//! no memory, one that comes back goes on where it was, and nobody ever sees what a crash undoes.

use std::{
    convert::Infallible,
    fmt::Write as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use hyper::body::Frame;
use muster_api::{
    events::{EventId, EventView},
    limits,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    Rest,
    events::StreamParams,
    input::{Params, text_header},
    problem::{Code, Refusal},
};
use crate::trace::{EventFilter, NewestEvent};

/// How many streams there may be, and how far the log reaches.
#[derive(Debug, Clone)]
pub(super) struct Streams {
    newest: NewestEvent,
    places: Arc<Semaphore>,
}

impl Streams {
    pub(super) fn new(newest: NewestEvent) -> Self {
        Self { newest, places: Arc::new(Semaphore::new(limits::EVENT_STREAMS)) }
    }
}

/// Events as they happen: from now on, or on from the one that is named.
pub(super) async fn stream(
    State(rest): State<Rest>,
    headers: HeaderMap,
    Params(params): Params<StreamParams>,
) -> Result<Response, Refusal> {
    let last = text_header(&headers, &header::HeaderName::from_static("last-event-id"))?;
    let last = last.filter(|id| !id.is_empty()).map(|id| {
        let detail = |_| Refusal::request(format!("`Last-Event-ID: {id}` names no event"));
        id.parse::<EventId>().map_err(detail)
    });
    // A browser that comes back asks for the same address again, and the header says where it was.
    let after = last.transpose()?.or(params.after);
    let filter = params.filter()?;
    let Streams { newest, places } = rest.streams().clone();
    let place = places.try_acquire_owned().map_err(|_| {
        let most = limits::EVENT_STREAMS;
        let detail = format!("{most} streams of events are open, which is all that may; try again");
        Refusal::new(Code::Unavailable, detail)
    })?;
    let now = *newest.borrow();
    // What is named may be of a time that a restored store knows nothing of.
    let after = after.map(|after| after.min(now));
    let (to, body) = mpsc::channel(1);
    let upto = after.unwrap_or(now);
    let follower = Follower { rest, filter, newest, upto, to, told_at: Instant::now() };
    tokio::spawn(follower.run(after, place));
    let kind = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((kind, Body::new(EventBody(body))).into_response())
}

/// What a stream sends. Once nobody wants it any more, its follower knows.
struct EventBody(mpsc::Receiver<Bytes>);

impl hyper::body::Body for EventBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// One stream.
struct Follower {
    rest: Rest,
    filter: EventFilter,
    newest: NewestEvent,
    /// All up to this one was sent, as far as it is wanted.
    upto: EventId,
    to: mpsc::Sender<Bytes>,
    /// When something was sent last.
    told_at: Instant,
}

/// A stream that cannot go on: its reader is gone, or the store.
struct Ended;

impl Follower {
    async fn run(mut self, after: Option<EventId>, place: OwnedSemaphorePermit) {
        if self.begin(after).await.is_ok() {
            while self.send_more().await.is_ok() && self.await_more().await.is_ok() {}
        }
        drop(place);
    }

    /// Says where the stream begins, and whether something is missing before that.
    async fn begin(&mut self, after: Option<EventId>) -> Result<(), Ended> {
        let Some(after) = after else { return self.say_where(": events\n").await };
        let is_forgotten = self.rest.read(move |reader| reader.is_forgotten(after)).await;
        if is_forgotten.map_err(|_| Ended)? {
            let gap = format!("event: gap\ndata: {{\"after\":\"{after}\"}}\n\n");
            self.send(gap).await?;
        }
        self.say_where(": events\n").await
    }

    /// Sends what is durable and was not sent.
    async fn send_more(&mut self) -> Result<(), Ended> {
        loop {
            let newest = *self.newest.borrow_and_update();
            let (filter, after) = (self.filter.clone(), self.upto);
            let read =
                move |reader: &super::reader::Reader| reader.events_after(&filter, after, newest);
            let since = self.rest.read(read).await.map_err(|_| Ended)?;
            let text = since.events.iter().map(render).collect::<String>();
            if !text.is_empty() {
                self.send(text).await?;
            }
            self.upto = since.upto;
            self.keep_alive().await?;
            if !since.more {
                return Ok(());
            }
        }
    }

    /// Waits until there is something new, or the reader is gone.
    async fn await_more(&mut self) -> Result<(), Ended> {
        sleep(limits::EVENT_STREAM_PAUSE).await;
        loop {
            tokio::select! {
                () = self.to.closed() => return Err(Ended),
                changed = self.newest.changed() => {
                    if changed.is_ok() {
                        return Ok(());
                    }
                    // The scheduler stops, and there will be no more than there is.
                    self.send_more().await?;
                    return Err(Ended);
                }
                () = sleep_until(self.told_at + limits::EVENT_KEEP_ALIVE) => {
                    self.keep_alive().await?;
                }
            }
        }
    }

    /// Says that it is there and how far it is, when nothing was said for long: so a reader of few
    /// events need not go over the others again, however much happens that he does not want.
    async fn keep_alive(&mut self) -> Result<(), Ended> {
        if self.to.is_closed() {
            return Err(Ended);
        }
        if self.told_at.elapsed() < limits::EVENT_KEEP_ALIVE {
            return Ok(());
        }
        self.say_where(": keep-alive\n").await
    }

    /// An id without data is no event to a reader, and moves on where it resumes.
    async fn say_where(&mut self, comment: &str) -> Result<(), Ended> {
        self.send(format!("{comment}id: {}\n\n", self.upto)).await
    }

    /// Sends as fast as the reader takes it; one that takes nothing for long is left.
    async fn send(&mut self, text: String) -> Result<(), Ended> {
        let sent = timeout(limits::EVENT_STALL, self.to.send(text.into())).await;
        self.told_at = Instant::now();
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Ended),
        }
    }
}

/// An event as one of the stream: its JSON has no line ends.
fn render(view: &EventView) -> String {
    let mut text = format!("id: {}\nevent: {}\ndata: ", view.id, view.event.kind.as_str());
    let json = serde_json::to_string(view).expect("events always become JSON");
    writeln!(text, "{json}\n").expect("a String grows as needed");
    text
}

#[cfg(test)]
mod tests;

//! The stream of an executor that speaks the API of Mesos: the body of an answer that does not end.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use muster_api::limits;
use muster_proto::{
    Form,
    executor::{Event, EventType},
};
use tokio::{
    sync::mpsc,
    time::{Instant, interval_at},
};

use crate::outbox::Outbox;

/// Records on their way from an outbox to its connection. What waits is to wait in the outbox, where
/// its bound is.
const RECORDS_AHEAD: usize = 1;

/// The body of the answer: one record is one chunk.
#[derive(Debug)]
pub(super) struct EventBody(mpsc::Receiver<Bytes>);

impl Body for EventBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let record = self.0.poll_recv(cx);
        record.map(|record| record.map(|record| Ok(Frame::data(record))))
    }
}

/// How the carrying of a stream came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carried {
    /// All that was put into its outbox is on its way.
    All,
    /// Its connection is gone.
    Dropped,
    /// Its peer does not take what waits.
    NotRead,
}

/// Where records of a stream are put, one by one.
#[derive(Debug)]
pub(super) struct EventFeed(mpsc::Sender<Bytes>);

/// A body, and where its records are put.
pub(super) fn channel() -> (EventFeed, EventBody) {
    let (sender, receiver) = mpsc::channel(RECORDS_AHEAD);
    (EventFeed(sender), EventBody(receiver))
}

impl EventFeed {
    /// Carries what is put into an outbox, and heartbeats, until the outbox is closed or nobody reads
    /// the body any more; says which.
    pub(super) async fn carry(self, outbox: &Outbox, form: Form) -> Carried {
        let first = Instant::now() + limits::FOREIGN_HEARTBEAT;
        let mut heartbeats = interval_at(first, limits::FOREIGN_HEARTBEAT);
        let beating = async {
            loop {
                heartbeats.tick().await;
                let event = Event { r#type: Some(EventType::Heartbeat as i32), ..Event::default() };
                outbox.push(|bytes| form.write_record(&event, bytes));
            }
        };
        tokio::select! {
            biased;
            () = self.0.closed() => Carried::Dropped,
            () = self.carry_records(outbox) => Carried::All,
            () = outbox.cut_off() => Carried::NotRead,
            () = beating => unreachable!("heartbeats have no end"),
        }
    }

    async fn carry_records(&self, outbox: &Outbox) {
        while let Some(mut records) = outbox.take().await {
            while let Some(record) = first_record(&mut records) {
                let length = record.len();
                if self.0.send(record).await.is_err() {
                    return;
                }
                outbox.note_left(length);
            }
        }
    }
}

/// Takes the first of some whole records, its length before it.
fn first_record(records: &mut Bytes) -> Option<Bytes> {
    let digits = records.iter().position(|byte| *byte == b'\n')?;
    let length = std::str::from_utf8(&records[..digits]).ok()?.parse::<usize>().ok()?;
    let end = digits + 1 + length;
    (end <= records.len()).then(|| records.split_to(end))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::BodyExt;

    use super::*;

    async fn next(body: &mut EventBody) -> Option<Bytes> {
        Some(body.frame().await?.unwrap().into_data().unwrap())
    }

    #[tokio::test]
    async fn records_come_one_by_one_and_the_end_after_them() {
        let outbox = Outbox::bounded(1000);
        outbox.push(|bytes| bytes.extend_from_slice(b"3\nabc0\n2\nde"));
        outbox.close();
        let (feed, mut body) = channel();
        let carrying = tokio::spawn(async move { feed.carry(&outbox, Form::Json).await });
        for record in ["3\nabc", "0\n", "2\nde"] {
            assert_eq!(next(&mut body).await.unwrap(), record);
        }
        assert_eq!(next(&mut body).await, None);
        carrying.await.unwrap();
    }

    #[tokio::test]
    async fn nobody_carries_for_a_body_that_is_not_read_any_more() {
        let outbox = Outbox::bounded(1000);
        let (feed, body) = channel();
        drop(body);
        assert_eq!(feed.carry(&outbox, Form::Json).await, Carried::Dropped);
    }

    #[tokio::test]
    async fn a_body_that_is_not_read_ends_at_its_bound() {
        let outbox = Outbox::bounded(10);
        let (feed, body) = channel();
        let carrying = {
            let outbox = outbox.clone();
            tokio::spawn(async move { feed.carry(&outbox, Form::Json).await })
        };
        while !carrying.is_finished() {
            outbox.push(|bytes| bytes.extend_from_slice(b"3\nabc"));
            tokio::task::yield_now().await;
        }
        assert_eq!(carrying.await.unwrap(), Carried::NotRead);
        drop(body);
    }

    /// Little waits for it, so no bound of bytes is reached.
    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_not_read_ends_in_time_and_a_slow_reader_goes_on() {
        for is_read in [true, false] {
            let outbox = Outbox::bounded(1000);
            let (feed, mut body) = channel();
            for _ in 0..4 {
                outbox.push(|bytes| bytes.extend_from_slice(b"3\nabc"));
            }
            let carrying = {
                let outbox = outbox.clone();
                tokio::spawn(async move { feed.carry(&outbox, Form::Json).await })
            };
            let began = Instant::now();
            for _ in 0..4 {
                tokio::time::sleep(limits::STREAM_STALL * 2 / 3).await;
                if is_read {
                    next(&mut body).await.unwrap();
                }
            }
            assert_eq!(carrying.is_finished(), !is_read, "after {:?}", began.elapsed());
            if !is_read {
                assert_eq!(carrying.await.unwrap(), Carried::NotRead);
            }
        }
    }

    /// Another stream of the same executor has taken its place.
    #[tokio::test(start_paused = true)]
    async fn a_closed_body_that_is_not_read_ends_soon() {
        let outbox = Outbox::bounded(1000);
        for _ in 0..4 {
            outbox.push(|bytes| bytes.extend_from_slice(b"3\nabc"));
        }
        outbox.close();
        let (feed, _body) = channel();
        let began = Instant::now();
        assert_eq!(feed.carry(&outbox, Form::Json).await, Carried::NotRead);
        assert_eq!(began.elapsed(), limits::HANDSHAKE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_heartbeat_comes_every_half_hour() {
        let outbox = Outbox::bounded(1000);
        let (feed, mut body) = channel();
        tokio::spawn(async move { feed.carry(&outbox, Form::Json).await });
        let began = Instant::now();
        for number in 1..=3 {
            assert_eq!(next(&mut body).await.unwrap(), "20\n{\"type\":\"HEARTBEAT\"}");
            assert_eq!(began.elapsed(), Duration::from_secs(30 * 60) * number);
        }
    }
}

//! Who looks after the stream of one framework until its end, and tells the core of that.

use std::{sync::Arc, time::Duration};

use muster_proto::Form;
use tokio::{
    sync::mpsc,
    time::{Instant, Interval, MissedTickBehavior, interval_at},
};

use super::{
    backlog::{Backlog, End},
    bounds::Bounds,
    rooms::{Ended, Visitor},
    streams::{Streams, heartbeat},
};
use crate::core::{Event, Stream};

/// Sends heartbeats on a stream, cuts it off when nobody reads it, and tells the core once when it
/// is over, for whatever reason. Nothing is sent on it after that.
pub(super) struct Keeper {
    pub(super) stream: Stream,
    pub(super) backlog: Arc<Backlog>,
    pub(super) form: Form,
    /// The connection that carries the stream.
    pub(super) visitor: Visitor,
    pub(super) streams: Streams,
    pub(super) bounds: Bounds,
    pub(super) events: mpsc::Sender<Event>,
}

impl Keeper {
    pub(super) async fn run(self) {
        let stream = self.stream;
        let end = self.watch().await;
        self.streams.close(stream);
        if end == End::Overflow {
            self.streams.tally().cut_off();
            tracing::warn!(stream = stream.0, "a framework does not read; its stream was cut off");
            self.visitor.end(Ended::NotReading);
        } else {
            self.visitor.close();
        }
        drop(self.events.send(Event::Left { stream }).await);
    }

    async fn watch(&self) -> End {
        let mut beats: Option<Interval> = None;
        let mut looks = every(self.bounds.stall / 4);
        // Since when nothing was taken of what waits, and how much had been taken then.
        let mut stalled: Option<(Instant, u64)> = None;
        loop {
            let progress = self.backlog.progress();
            match progress.end {
                Some(End::Overflow) => return End::Overflow,
                Some(End::Dropped) => return End::Dropped,
                Some(End::Flushed) | None => {}
            }
            if progress.subscribed && beats.is_none() {
                beats = Some(every(self.bounds.heartbeat));
            }
            tokio::select! {
                () = self.backlog.changed() => {}
                () = tick(&mut beats) => self.backlog.push(heartbeat(self.form)),
                _ = looks.tick() => {
                    let now = Instant::now();
                    stalled = self.backlog.progress().waiting_after.map(|taken| {
                        stalled.filter(|(_, before)| *before == taken).unwrap_or((now, taken))
                    });
                    if stalled.is_some_and(|(since, _)| now - since >= self.bounds.stall) {
                        return End::Overflow;
                    }
                }
            }
        }
    }
}

fn every(period: Duration) -> Interval {
    let mut interval = interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

async fn tick(interval: &mut Option<Interval>) {
    match interval {
        Some(interval) => drop(interval.tick().await),
        None => std::future::pending().await,
    }
}

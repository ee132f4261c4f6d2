//! Bytes on their way to a peer: added by the run loop without waiting, written in batches.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use muster_api::limits;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::Notify,
    time::{Instant, interval, sleep},
};

/// Bytes that may wait for one peer. One that reads so slowly that more pile up is cut off; what
/// must reach it is said again on its next connection.
const WAITING_MAX: usize = 256 * 1024 * 1024;
/// Looks at whether a peer still reads, in each time after which one that does not is cut off.
const LOOKS: u32 = 4;

/// The sending side of one connection; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Outbox(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Bytes that may wait.
    bound: usize,
    waiting: Mutex<Waiting>,
    /// Told when something was added, or nothing more will be.
    changed: Notify,
    /// Told when nothing more will be added.
    ended: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// How many were taken out and have not left yet.
    leaving: usize,
    /// How many have left in all.
    left: u64,
    end: Option<End>,
}

/// Why nothing more is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The connection is to end after what was added before.
    Closed,
    /// It is to end at once.
    Cut,
}

impl Waiting {
    fn behind(&self) -> usize {
        self.leaving + self.bytes.len()
    }

    fn cut(&mut self) {
        self.end = Some(End::Cut);
        self.bytes = Vec::new();
    }
}

impl Default for Outbox {
    fn default() -> Self {
        Self::bounded(WAITING_MAX)
    }
}

impl Outbox {
    /// One in which so many bytes may wait; the last record may go beyond.
    pub(crate) fn bounded(bound: usize) -> Self {
        let (waiting, changed, ended) = (Mutex::default(), Notify::new(), Notify::new());
        Self(Arc::new(Shared { bound, waiting, changed, ended }))
    }

    /// Adds what `encode` appends, unless the connection is over.
    pub(crate) fn push(&self, encode: impl FnOnce(&mut Vec<u8>)) {
        let mut waiting = self.waiting();
        if waiting.end.is_some() {
            return;
        }
        if waiting.behind() > self.0.bound {
            // Its peer reads too slowly, or not at all, so that it need not see the end of it either.
            waiting.cut();
            self.0.ended.notify_one();
        } else {
            encode(&mut waiting.bytes);
        }
        drop(waiting);
        self.0.changed.notify_one();
    }

    /// Adds something that is said again if it does not arrive, unless it would wait behind so much
    /// that what comes after it waits for too long; gives whether it was added.
    pub(crate) fn push_unless_full(&self, encode: impl FnOnce(&mut Vec<u8>)) -> bool {
        let fits = self.waiting().behind() <= limits::MESSAGES_BEHIND_BYTES;
        if fits {
            self.push(encode);
        }
        fits
    }

    /// Ends the connection, after what was added so far.
    pub(crate) fn close(&self) {
        self.waiting().end.get_or_insert(End::Closed);
        self.end();
    }

    /// Ends the connection at once. What waits is of no use any more.
    pub(crate) fn cut(&self) {
        self.waiting().cut();
        self.end();
    }

    fn end(&self) {
        self.0.changed.notify_one();
        self.0.ended.notify_one();
    }

    /// Returns when the connection is to end at once, whatever its peer has not taken: that is too
    /// much, or it has taken nothing of it for too long, or it had its time after the end.
    pub(crate) async fn cut_off(&self) {
        tokio::select! {
            () = self.overdue() => {}
            () = self.stalled() => {}
        }
    }

    async fn overdue(&self) {
        loop {
            let end = self.waiting().end;
            match end {
                Some(End::Cut) => return,
                Some(End::Closed) => {
                    let cut = async {
                        while self.waiting().end != Some(End::Cut) {
                            self.0.ended.notified().await;
                        }
                    };
                    tokio::select! {
                        () = sleep(limits::HANDSHAKE) => {}
                        () = cut => {}
                    }
                    return;
                }
                None => self.0.ended.notified().await,
            }
        }
    }

    /// The rule by which the master keeps the streams of frameworks.
    async fn stalled(&self) {
        let mut looks = interval(limits::STREAM_STALL / LOOKS);
        let mut stalled: Option<(Instant, u64)> = None;
        loop {
            looks.tick().await;
            let now = Instant::now();
            let waiting = self.waiting();
            let left = (waiting.behind() > 0).then_some(waiting.left);
            drop(waiting);
            stalled =
                left.map(|left| stalled.filter(|(_, then)| *then == left).unwrap_or((now, left)));
            if stalled.is_some_and(|(since, _)| now - since >= limits::STREAM_STALL) {
                return;
            }
        }
    }

    /// Writes all that is added, as much at once as there is, until the connection is closed.
    pub(crate) async fn write_to(&self, writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        while let Some(mut bytes) = self.take().await {
            while !bytes.is_empty() {
                let written = writer.write_buf(&mut bytes).await?;
                if written == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                self.note_left(written);
            }
            writer.flush().await?;
        }
        Ok(())
    }

    /// Takes all that was added, once there is something; `None` when the connection is closed.
    pub(crate) async fn take(&self) -> Option<Bytes> {
        loop {
            let (bytes, end) = {
                let mut waiting = self.waiting();
                let bytes = std::mem::take(&mut waiting.bytes);
                waiting.leaving += bytes.len();
                (bytes, waiting.end)
            };
            if !bytes.is_empty() {
                return Some(bytes.into());
            }
            if end.is_some() {
                return None;
            }
            self.0.changed.notified().await;
        }
    }

    /// So many of the bytes that were taken have left.
    pub(crate) fn note_left(&self, bytes: usize) {
        let mut waiting = self.waiting();
        waiting.leaving = waiting.leaving.saturating_sub(bytes);
        waiting.left += bytes as u64;
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{
        io::{AsyncReadExt, duplex},
        time::timeout,
    };

    use super::*;

    fn mebibyte(bytes: &mut Vec<u8>) {
        bytes.resize(bytes.len() + 1024 * 1024, 0);
    }

    #[tokio::test]
    async fn messages_wait_behind_a_bounded_number_of_bytes_and_heartbeats_behind_few() {
        let outbox = Outbox::default();
        for _ in 0..5 {
            assert!(outbox.push_unless_full(mebibyte), "it has at most 4 MiB before it");
        }
        assert!(!outbox.push_unless_full(mebibyte));
        outbox.push(|bytes| bytes.push(1));

        // What is being written counts too, until all of it is.
        let (mut near, mut far) = duplex(64);
        let writing = outbox.clone();
        let writing = tokio::spawn(async move { writing.write_to(&mut near).await });
        far.read_u8().await.unwrap();
        assert!(!outbox.push_unless_full(mebibyte));
        outbox.push(|bytes| bytes.push(2));
        outbox.close();
        let mut rest = Vec::new();
        far.read_to_end(&mut rest).await.unwrap();
        writing.await.unwrap().unwrap();
        assert_eq!(rest.len() + 1, 5 * 1024 * 1024 + 2);
        assert_eq!(rest.last(), Some(&2));
    }

    #[tokio::test]
    async fn who_does_not_read_is_cut_off_at_the_bound() {
        let outbox = Outbox::bounded(10);
        outbox.push(mebibyte);
        let mut cut = Box::pin(outbox.cut_off());
        assert!(timeout(Duration::ZERO, &mut cut).await.is_err(), "one record always fits");
        outbox.push(mebibyte);
        cut.await;
        assert_eq!(outbox.take().await, None, "nothing is kept for it");
    }

    /// It reads nothing of the little that waits, so that the bound is not reached.
    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_of_what_waits_is_cut_off_in_time() {
        let began = Instant::now();
        let outbox = Outbox::default();
        assert!(
            timeout(limits::STREAM_STALL * 3, outbox.cut_off()).await.is_err(),
            "nothing waits"
        );
        outbox.push(mebibyte);
        let (mut near, mut far) = duplex(64 * 1024);
        let writing = outbox.clone();
        let writing = tokio::spawn(async move { writing.write_to(&mut near).await });
        let mut some = vec![0; 200 * 1024];
        for _ in 0..4 {
            let slow = outbox.cut_off();
            assert!(timeout(limits::STREAM_STALL * 2 / 3, slow).await.is_err(), "it is slow");
            far.read_exact(&mut some).await.unwrap();
        }
        let last = began.elapsed();
        outbox.cut_off().await;
        let waited = began.elapsed() - last;
        assert!(waited >= limits::STREAM_STALL && waited <= limits::STREAM_STALL * 3 / 2);
        writing.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_end_a_peer_has_a_moment_to_take_the_rest_and_none_when_it_is_cut() {
        let outbox = Outbox::default();
        outbox.push(mebibyte);
        outbox.close();
        let began = Instant::now();
        outbox.cut_off().await;
        assert_eq!(began.elapsed(), limits::HANDSHAKE);
        outbox.cut();
        outbox.cut_off().await;
        assert_eq!(began.elapsed(), limits::HANDSHAKE);
        assert_eq!(outbox.take().await, None);
    }

    #[tokio::test]
    async fn there_is_room_again_when_all_is_written() {
        let outbox = Outbox::default();
        while outbox.push_unless_full(mebibyte) {}
        let (mut near, mut far) = duplex(64 * 1024);
        let writing = outbox.clone();
        let writing = tokio::spawn(async move { writing.write_to(&mut near).await });
        let mut all = vec![0; 5 * 1024 * 1024];
        far.read_exact(&mut all).await.unwrap();
        // The writer counts anew with what it takes next.
        outbox.push(|bytes| bytes.push(1));
        assert_eq!(far.read_u8().await.unwrap(), 1);
        assert!(outbox.push_unless_full(mebibyte));
        outbox.close();
        far.read_to_end(&mut Vec::new()).await.unwrap();
        writing.await.unwrap().unwrap();
    }
}

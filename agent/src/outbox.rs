//! Bytes on their way to a peer: added by the run loop without waiting, written in batches.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use muster_api::limits;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::Notify,
};

/// Bytes that may wait for one peer. One that reads so slowly that more pile up is cut off; what
/// must reach it is said again on its next connection.
const WAITING_MAX: usize = 256 * 1024 * 1024;

/// The sending side of one connection; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outbox(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// How many were taken out and are being written.
    leaving: usize,
    closed: bool,
}

impl Outbox {
    /// Adds what `encode` appends, unless the connection is over.
    pub(crate) fn push(&self, encode: impl FnOnce(&mut Vec<u8>)) {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.closed {
            return;
        }
        encode(&mut waiting.bytes);
        waiting.closed = waiting.bytes.len() > WAITING_MAX;
        drop(waiting);
        self.0.changed.notify_one();
    }

    /// Adds something that is said again if it does not arrive, unless it would wait behind so much
    /// that what comes after it waits for too long; gives whether it was added.
    pub(crate) fn push_unless_full(&self, encode: impl FnOnce(&mut Vec<u8>)) -> bool {
        let behind = {
            let waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.leaving + waiting.bytes.len()
        };
        let fits = behind <= limits::MESSAGES_BEHIND_BYTES;
        if fits {
            self.push(encode);
        }
        fits
    }

    /// Ends the connection, after what was added so far.
    pub(crate) fn close(&self) {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.0.changed.notify_one();
    }

    /// Writes all that is added, as much at once as there is, until the connection is closed.
    pub(crate) async fn write_to(&self, writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        loop {
            let (bytes, closed) = {
                let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                let bytes = std::mem::take(&mut waiting.bytes);
                waiting.leaving = bytes.len();
                (bytes, waiting.closed)
            };
            if !bytes.is_empty() {
                writer.write_all(&bytes).await?;
                writer.flush().await?;
            } else if closed {
                return Ok(());
            } else {
                self.0.changed.notified().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, duplex};

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

//! Bytes on their way to a peer: added by the run loop without waiting, written in batches.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

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
                (std::mem::take(&mut waiting.bytes), waiting.closed)
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

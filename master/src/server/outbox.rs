//! What waits to be sent on one connection: bytes, bounded, many messages to a write.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use muster_api::limits;
use muster_proto::{
    agent::{FromMaster, MasterBody},
    recordio,
};
use tokio::sync::Notify;

/// The queue of one connection.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
    /// There is something to do for the writer.
    changed: Notify,
    /// The end has begun.
    ending: Notify,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    end: Option<End>,
}

/// How a connection is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// After what waits was sent.
    Flushed,
    /// At once: its peer does not read.
    Overflow,
}

impl Outbox {
    /// Queues a message. After the end nothing is queued any more. What frameworks say to their
    /// executors arrives at most once, and is the first to be dropped when an agent is behind: it
    /// must not be what the agent is cut off for.
    pub(super) fn push(&self, message: &FromMaster) {
        let mut state = self.state();
        let may_be_lost = matches!(message.body, Some(MasterBody::FrameworkMessage(_)));
        let is_behind = state.bytes.len() > limits::MESSAGES_BEHIND_BYTES;
        if state.end.is_some() || (may_be_lost && is_behind) {
            return;
        }
        recordio::encode_message(message, &mut state.bytes);
        if state.bytes.len() > limits::AGENT_QUEUE_BYTES {
            *state = State { bytes: Vec::new(), end: Some(End::Overflow) };
            self.ending.notify_one();
        }
        self.changed.notify_one();
    }

    /// Ends the connection once what waits was sent.
    pub(super) fn end(&self) {
        self.state().end.get_or_insert(End::Flushed);
        self.ending.notify_one();
        self.changed.notify_one();
    }

    /// All that waits, as soon as anything does; `None` at the end.
    pub(super) async fn next(&self) -> Option<Vec<u8>> {
        loop {
            {
                let mut state = self.state();
                if !state.bytes.is_empty() {
                    return Some(mem::take(&mut state.bytes));
                }
                if state.end.is_some() {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    /// Returns when the connection must end whether or not its peer reads.
    pub(super) async fn expired(&self) {
        self.ending.notified().await;
        let end = self.state().end;
        if end != Some(End::Overflow) {
            tokio::time::sleep(limits::HANDSHAKE).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use muster_proto::agent::{Challenge, FrameworkMessage};

    use super::*;

    fn message(bytes: usize) -> FromMaster {
        let challenge = Challenge { nonce: vec![0; bytes], ..Challenge::default() };
        FromMaster { term: 1, body: Some(MasterBody::Challenge(challenge)) }
    }

    #[tokio::test]
    async fn many_messages_are_one_write_and_the_end_comes_after_them() {
        let outbox = Outbox::default();
        outbox.push(&message(10));
        outbox.push(&message(10));
        outbox.end();
        outbox.push(&message(10));
        let mut framed = Vec::new();
        recordio::encode_message(&message(10), &mut framed);
        recordio::encode_message(&message(10), &mut framed);
        assert_eq!(outbox.next().await, Some(framed));
        assert_eq!(outbox.next().await, None);
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_is_cut_off() {
        let outbox = Outbox::default();
        outbox.push(&message(limits::AGENT_QUEUE_BYTES));
        outbox.expired().await;
        assert_eq!(outbox.next().await, None);
    }

    /// A framework that sends and sends does not cut off an agent for all others.
    #[tokio::test]
    async fn messages_of_frameworks_wait_behind_a_bounded_number_of_bytes() {
        let outbox = Outbox::default();
        let data = vec![0; limits::CALL_BYTES];
        let said = FrameworkMessage { data, ..FrameworkMessage::default() };
        let body = Some(MasterBody::FrameworkMessage(said));
        let from_framework = FromMaster { term: 1, body };
        for _ in 0..100 {
            outbox.push(&from_framework);
        }
        outbox.push(&message(10));
        let mut last = Vec::new();
        recordio::encode_message(&message(10), &mut last);
        let waiting = outbox.next().await.expect("it is not cut off");
        assert!(waiting.len() < limits::MESSAGES_BEHIND_BYTES + 2 * limits::CALL_BYTES);
        assert!(waiting.ends_with(&last), "what is not of a framework is kept");
        outbox.push(&from_framework);
        assert!(outbox.next().await.is_some(), "there is room again");
    }
}

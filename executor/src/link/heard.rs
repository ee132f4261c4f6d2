//! Bytes of an agent's stream, taken apart into what they mean.

use muster_api::limits;
use muster_proto::{executor, recordio::Decoder};
use prost::Message as _;
use tokio::sync::mpsc;

use super::{LinkEvent, error::LinkError};
use crate::wire::{self, Heard};

/// The receiving end of a stream.
pub(super) struct Ear<'a> {
    decoder: Decoder,
    events: &'a mpsc::Sender<LinkEvent>,
    leased: Option<bool>,
}

impl<'a> Ear<'a> {
    pub(super) fn new(events: &'a mpsc::Sender<LinkEvent>) -> Self {
        Self { decoder: Decoder::new(limits::RECORD_BYTES), events, leased: None }
    }

    /// Whether a lease ends this executor when its agent stays away, as far as the agent has said what
    /// we are to it. What is a container there has none: Mesos has no leases.
    pub(super) fn leased(&self) -> Option<bool> {
        self.leased
    }

    /// Takes bytes as they come, and passes on each message that is whole.
    pub(super) async fn hear(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.decoder.feed(bytes);
        while let Some(record) = self.decoder.next_record()? {
            let event = executor::Event::decode(record)?;
            if let Some(subscribed) = &event.subscribed {
                self.leased = Some(subscribed.container_id.is_none());
            }
            match wire::hear(event) {
                Heard::Nothing => {}
                Heard::Over(why) => return Err(LinkError::Over(why)),
                Heard::Event(event) => {
                    let passed = self.events.send(LinkEvent::Heard(event)).await;
                    passed.map_err(|_| LinkError::Closed)?;
                }
            }
        }
        Ok(())
    }
}

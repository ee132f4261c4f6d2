//! Requests and streams of frameworks, as `POST /api/v1/scheduler` has them
//! (`master/src/server/calls.rs`, `keeper.rs`): a request has one answer, that of SUBSCRIBE may be a
//! stream.

use std::collections::{BTreeMap, BTreeSet};

use muster_api::limits;
use muster_master::core::{Answer, Event, Foreign, Request, Stream, StreamName};
use muster_proto::scheduler::{self, CallType, EventType};
use muster_session::link::Answer as HttpAnswer;

use crate::{
    happening::Happening,
    network::{Packet, Side, WireId},
    stage::Stage,
};

/// Where frameworks come in. It is gone with the process that listens.
#[derive(Debug)]
pub(crate) struct FrameworkDoor {
    term: u64,
    /// Connections by which requests come.
    guests: BTreeSet<WireId>,
    streams: BTreeMap<Stream, WireId>,
    /// Requests without an answer: by which wire it goes, and the stream that the request named.
    asked: BTreeMap<Request, (WireId, String)>,
    numbers: u64,
}

impl FrameworkDoor {
    pub(crate) fn new(term: u64) -> Self {
        let (guests, streams, asked) = Default::default();
        Self { term, guests, streams, asked, numbers: 0 }
    }

    /// Takes a new connection.
    pub(crate) fn accept(&mut self, wire: WireId) {
        self.guests.insert(wire);
    }

    /// A packet of a framework comes out of a wire: what that is to the master.
    pub(crate) fn hear(
        &mut self,
        stage: &mut Stage,
        wire: WireId,
        packet: Packet,
    ) -> Option<Event> {
        let Packet::Call { stream_id, call } = packet else {
            self.guests.remove(&wire);
            stage.hang_up(wire, Side::Listener);
            let stream = self.stream_on(wire)?;
            self.streams.remove(&stream);
            return Some(Event::Left { stream });
        };
        if !self.guests.contains(&wire) {
            stage.close(wire, Side::Listener);
            return None;
        }
        self.numbers += 1;
        let request = Request(self.numbers);
        let named = self.named(stream_id.as_deref());
        self.asked.insert(request, (wire, stream_id.unwrap_or_default()));
        let by = Foreign { request, principal: None, call };
        if by.call.r#type != Some(CallType::Subscribe as i32) {
            return Some(Event::Foreign { by, named });
        }
        let stream = Stream(self.numbers);
        self.guests.remove(&wire);
        self.streams.insert(stream, wire);
        Some(Event::Subscribe { by, stream })
    }

    fn stream_on(&self, wire: WireId) -> Option<Stream> {
        self.streams.iter().find(|(_, known)| **known == wire).map(|(stream, _)| *stream)
    }

    fn name(&self, stream: Stream) -> String {
        format!("stream-{}-{}", self.term, stream.0)
    }

    fn named(&self, name: Option<&str>) -> StreamName {
        let Some(name) = name else { return StreamName::Missing };
        let open = self.streams.keys().find(|stream| self.name(**stream) == name);
        open.map_or(StreamName::Unknown, |stream| StreamName::Open(*stream))
    }

    /// Answers a request. That a stream begins, with whom heartbeats go too, is given back.
    pub(crate) fn answer(
        &mut self,
        stage: &mut Stage,
        request: Request,
        answer: Answer,
    ) -> Option<Stream> {
        let (wire, named) = self.asked.remove(&request)?;
        let (status, body) = match answer {
            Answer::Streaming => {
                let stream = self.stream_on(wire)?;
                let stream_id = self.name(stream);
                stage.send(wire, Side::Listener, Packet::Opened { stream_id });
                return Some(stream);
            }
            Answer::Done => (200, String::new()),
            Answer::Accepted => (202, String::new()),
            Answer::Invalid(words) => (400, words),
            Answer::OtherStream(framework) => (
                400,
                format!(
                    "The stream ID '{named}' included in this request didn't match the stream ID \
                     currently associated with framework ID {framework}"
                ),
            ),
            Answer::Forbidden(words) => (403, words),
            Answer::Conflict(words) => (409, words),
            Answer::Unknown(words) => (501, words),
            Answer::Unauthorized => (401, String::new()),
        };
        let answer = HttpAnswer { status, location: None, body };
        stage.send(wire, Side::Listener, Packet::Answer(answer));
        None
    }

    /// Says something on a stream. To a SUBSCRIBED is added how often there are heartbeats.
    pub(crate) fn tell(&self, stage: &mut Stage, stream: Stream, mut event: scheduler::Event) {
        let Some(wire) = self.streams.get(&stream) else { return };
        if let Some(subscribed) = &mut event.subscribed {
            let seconds = limits::FRAMEWORK_HEARTBEAT.as_secs_f64();
            subscribed.heartbeat_interval_seconds = Some(seconds);
        }
        stage.send(*wire, Side::Listener, Packet::Said(Box::new(event)));
    }

    /// Sends a heartbeat; whether there is such a stream.
    pub(crate) fn beat(&self, stage: &mut Stage, stream: Stream) -> bool {
        let r#type = Some(EventType::Heartbeat as i32);
        self.tell(stage, stream, scheduler::Event { r#type, ..scheduler::Event::default() });
        self.streams.contains_key(&stream)
    }

    /// Plans the next heartbeat of a process on a stream.
    pub(crate) fn beat_later(stage: &mut Stage, process: u64, stream: Stream) {
        let every = u64::try_from(limits::FRAMEWORK_HEARTBEAT.as_millis()).unwrap_or(u64::MAX);
        stage.after(every, Happening::StreamBeats { process, stream });
    }

    /// Ends a stream, after what was said on it; what the master is to be told of that.
    pub(crate) fn end(&mut self, stage: &mut Stage, stream: Stream) -> Option<Event> {
        let wire = self.streams.remove(&stream)?;
        stage.close(wire, Side::Listener);
        Some(Event::Left { stream })
    }

    /// The process is gone, and all wires end.
    pub(crate) fn close(self, stage: &mut Stage) {
        for wire in self.streams.into_values().chain(self.guests) {
            stage.close(wire, Side::Listener);
        }
    }
}

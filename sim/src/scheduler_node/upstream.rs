//! The scheduler's way to a master that is another process: what the link wants is carried out as
//! `scheduler/src/mesos/` does it, one subscription at a time. Its stream and its calls have a
//! connection each; calls go in order, and of each it is told once what became of it.

use std::collections::VecDeque;

use muster_proto::scheduler::{Call, CallType};
use muster_session::link::{
    Answer, Attempt, CallNumber, Effect as LinkEffect, Event as LinkEvent, MasterAddress, Outcome,
};
use muster_turn::Event;

use super::SchedulerNode;
use crate::{
    bugs::Bug,
    happening::Happening,
    network::{Between, Caller, Packet, Side, WireId},
    oracles::{self, Violation},
    setting::STANDBY,
    stage::Stage,
};

/// Calls that are on their way at one time (`scheduler/src/mesos/calls.rs`).
const ON_THEIR_WAY: usize = 64;
/// How long it takes to open a connection, at most.
const DIAL: u64 = 5;

/// What a connection to a master is opened for.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "moved a few times, and soon gone")]
pub(crate) enum Errand {
    /// For SUBSCRIBE, and the stream that may follow.
    Subscribe(Call),
    /// For all other calls.
    Calls,
}

/// The try that goes on.
#[derive(Debug)]
pub(super) struct Upstream {
    attempt: Attempt,
    master: MasterAddress,
    stream: Option<WireId>,
    calls: Option<WireId>,
    /// Whether the connection for calls is being opened.
    dialling: bool,
    waiting: VecDeque<Outgoing>,
    sent: VecDeque<Outgoing>,
}

#[derive(Debug, Clone)]
struct Outgoing {
    number: CallNumber,
    stream_id: Option<String>,
    call: Call,
}

impl Upstream {
    /// Its process is gone.
    pub(super) fn close(self, stage: &mut Stage) {
        for wire in self.stream.into_iter().chain(self.calls) {
            stage.close(wire, Side::Dialler);
        }
    }
}

impl SchedulerNode {
    /// Carries out what the link wants.
    pub(super) fn carry_out(&mut self, stage: &mut Stage, effect: LinkEffect) {
        match effect {
            LinkEffect::Subscribe { attempt, master, call } => {
                self.leave(stage);
                stage.log(format_args!("scheduler subscribes with {master}"));
                let upstream = Upstream {
                    attempt,
                    master,
                    stream: None,
                    calls: None,
                    dialling: false,
                    waiting: VecDeque::new(),
                    sent: VecDeque::new(),
                };
                if let Some(process) = &mut self.process {
                    process.upstream = Some(upstream);
                }
                self.dial_later(stage, attempt, Errand::Subscribe(call));
            }
            LinkEffect::Call { attempt, number, stream_id, call } => {
                stage.judge(oracles::what_is_told_to_a_master_is_stored(
                    &stage.truth,
                    &self.store,
                    &call,
                ));
                let verdict = stage.truth.executors_are_described_alike(&call);
                stage.judge(verdict);
                let outgoing = Outgoing { number, stream_id, call };
                match self.upstream().filter(|upstream| upstream.attempt == attempt) {
                    Some(upstream) => upstream.waiting.push_back(outgoing),
                    None => return self.not_sent(stage, attempt, outgoing.number),
                }
                self.send_calls(stage);
            }
            LinkEffect::Leave(attempt) => {
                if self.upstream().is_some_and(|upstream| upstream.attempt == attempt) {
                    self.leave(stage);
                }
            }
            LinkEffect::Stop { why } => {
                let oracle = "nobody_takes_our_place";
                stage.judge(Err(Violation { oracle, what: why }));
            }
        }
    }

    fn upstream(&mut self) -> Option<&mut Upstream> {
        self.process.as_mut()?.upstream.as_mut()
    }

    fn dial_later(&self, stage: &mut Stage, attempt: Attempt, errand: Errand) {
        let delay = stage.between(0, DIAL);
        let dials = Happening::SchedulerDials { process: self.processes, attempt, errand };
        stage.after(delay, dials);
    }

    /// Something is told to the core, after all that is being done.
    fn told(&self, stage: &mut Stage, event: LinkEvent) {
        let heard = Happening::SchedulerHears { process: self.processes, event: Box::new(event) };
        stage.after(0, heard);
    }

    /// Something of its host reaches the link.
    pub(crate) fn link_hears(&mut self, stage: &mut Stage, process: u64, event: LinkEvent) {
        if process == self.processes {
            self.take(stage, Event::Link(event));
        }
    }

    fn not_sent(&self, stage: &mut Stage, attempt: Attempt, number: CallNumber) {
        let outcome = Outcome::NotSent { why: "the subscription is over".to_owned() };
        self.told(stage, LinkEvent::Called { attempt, number, outcome });
    }

    /// Gives up the try that goes on.
    fn leave(&mut self, stage: &mut Stage) {
        let Some(mut left) = self.process.as_mut().and_then(|process| process.upstream.take())
        else {
            return;
        };
        stage.truth.is_cut_off();
        self.calls_are_over(stage, &mut left, "the subscription is over");
        left.close(stage);
    }

    /// The connection for calls is gone: of those on their way nobody knows, others were not sent.
    fn calls_are_over(&self, stage: &mut Stage, upstream: &mut Upstream, why: &str) {
        let attempt = upstream.attempt;
        for Outgoing { number, .. } in upstream.sent.drain(..) {
            let why = why.to_owned();
            let outcome = match stage.bug {
                Some(Bug::UnclearIsNever) => Outcome::NotSent { why },
                _ => Outcome::Unknown { why },
            };
            self.told(stage, LinkEvent::Called { attempt, number, outcome });
        }
        for Outgoing { number, .. } in upstream.waiting.drain(..) {
            let outcome = Outcome::NotSent { why: why.to_owned() };
            self.told(stage, LinkEvent::Called { attempt, number, outcome });
        }
    }

    /// Opens a connection, where a master listens and `reachable` says that wires get there; gives the
    /// wire. One master of two only says who leads.
    pub(crate) fn dial_master(
        &mut self,
        stage: &mut Stage,
        (process, attempt, errand): (u64, Attempt, Errand),
        (listens, reachable): (bool, bool),
    ) -> Option<WireId> {
        let is_this = process == self.processes;
        let upstream = self.process.as_mut().filter(|_| is_this)?.upstream.as_mut();
        let upstream = upstream.filter(|upstream| upstream.attempt == attempt)?;
        // Where nothing gets through, nobody answers.
        if !reachable {
            return None;
        }
        if upstream.master.host() == STANDBY {
            let answer = if listens { elsewhere() } else { nobody_leads() };
            self.told(stage, LinkEvent::Refused { attempt, answer });
            return None;
        }
        match errand {
            Errand::Subscribe(_) if !listens => {
                let why = "no connection: refused".to_owned();
                self.told(stage, LinkEvent::Closed { attempt, why });
                None
            }
            Errand::Subscribe(call) => {
                let wire = stage.network.open(Between::FrameworkAndMaster(Caller::Scheduler));
                upstream.stream = Some(wire);
                stage.send(wire, Side::Dialler, Packet::Call { stream_id: None, call });
                Some(wire)
            }
            Errand::Calls => {
                upstream.dialling = false;
                if !listens {
                    let mut upstream = self.process.as_mut()?.upstream.take()?;
                    self.calls_are_over(stage, &mut upstream, "no connection: refused");
                    self.process.as_mut()?.upstream = Some(upstream);
                    return None;
                }
                let wire = stage.network.open(Between::FrameworkAndMaster(Caller::Scheduler));
                upstream.calls = Some(wire);
                self.send_calls(stage);
                Some(wire)
            }
        }
    }

    /// Sends as many calls as may be on their way.
    fn send_calls(&mut self, stage: &mut Stage) {
        let Some(upstream) = self.upstream() else { return };
        let Some(wire) = upstream.calls else {
            if !upstream.waiting.is_empty() && !std::mem::replace(&mut upstream.dialling, true) {
                let attempt = upstream.attempt;
                self.dial_later(stage, attempt, Errand::Calls);
            }
            return;
        };
        while upstream.sent.len() < ON_THEIR_WAY
            && let Some(outgoing) = upstream.waiting.pop_front()
        {
            let Outgoing { stream_id, call, .. } = outgoing.clone();
            upstream.sent.push_back(outgoing);
            stage.send(wire, Side::Dialler, Packet::Call { stream_id, call });
        }
    }

    /// A packet of the master comes out of a wire.
    pub(crate) fn hear_master(&mut self, stage: &mut Stage, wire: WireId, packet: Packet) {
        let Some(upstream) = self.upstream() else { return };
        let attempt = upstream.attempt;
        if upstream.stream == Some(wire) {
            let event = match packet {
                Packet::Opened { stream_id } => {
                    LinkEvent::Opened { attempt, stream_id: Some(stream_id) }
                }
                Packet::Said(event) => LinkEvent::Heard { attempt, event: *event },
                Packet::Answer(answer) => LinkEvent::Refused { attempt, answer },
                _ => {
                    upstream.stream = None;
                    stage.hang_up(wire, Side::Dialler);
                    let why = "the master has ended the stream".to_owned();
                    LinkEvent::Closed { attempt, why }
                }
            };
            self.take(stage, Event::Link(event));
        } else if upstream.calls == Some(wire) {
            self.hear_answer(stage, wire, packet);
        }
    }

    fn hear_answer(&mut self, stage: &mut Stage, wire: WireId, packet: Packet) {
        let Some(upstream) = self.upstream() else { return };
        let attempt = upstream.attempt;
        if let Packet::Answer(answer) = packet {
            if let Some(Outgoing { number, .. }) = upstream.sent.pop_front() {
                let outcome = Outcome::Answered(answer);
                self.take(stage, Event::Link(LinkEvent::Called { attempt, number, outcome }));
            }
            return self.send_calls(stage);
        }
        upstream.calls = None;
        stage.hang_up(wire, Side::Dialler);
        if stage.bug == Some(Bug::LaunchResent) {
            let launches = |outgoing: &Outgoing| is_launch(&outgoing.call);
            let again: Vec<_> = upstream.sent.iter().filter(|one| launches(one)).cloned().collect();
            upstream.sent.retain(|one| !launches(one));
            again.into_iter().rev().for_each(|one| upstream.waiting.push_front(one));
        }
        if !upstream.sent.is_empty()
            && let Some(mut upstream) = self.process.as_mut().and_then(|p| p.upstream.take())
        {
            self.calls_are_over(stage, &mut upstream, "the connection broke");
            if let Some(process) = &mut self.process {
                process.upstream = Some(upstream);
            }
        }
        self.send_calls(stage);
    }
}

fn is_launch(call: &Call) -> bool {
    call.r#type == Some(CallType::Accept as i32)
}

/// What a master answers that does not lead.
fn elsewhere() -> Answer {
    let location = Some(format!("//{}:5050/master/api/v1/scheduler", crate::setting::LEADER));
    Answer { status: 307, location, body: String::new() }
}

/// What it answers when it does not know who does.
fn nobody_leads() -> Answer {
    Answer { status: 503, location: None, body: "No leader elected".to_owned() }
}

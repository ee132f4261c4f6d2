//! Whoever has the hosts: the master of this process, or another one at the end of a link.

use std::time::Duration;

use muster_api::{Mono, Now};
use muster_engine::event::{Event as EngineEvent, Signal, TaskUpdate};
use muster_master::core::{Event as MasterEvent, Master};
use muster_proto::scheduler::Call;
use muster_session::{
    Identity, Session,
    link::{Event as LinkEvent, Heard, Link, Masters, Step as LinkStep},
};

use crate::{
    event::{Effect, Turn},
    turn::{Core, Inner},
};

/// What is to be known of a master that is not in this process.
#[derive(Debug, Clone)]
pub struct Foreign {
    /// Where it is.
    pub masters: Masters,
    /// As whom to subscribe.
    pub identity: Identity,
    /// How long a task counts as perhaps alive of which nobody can say whether it lives.
    pub unreachable_wait: Duration,
    /// Where its agents fetch our program.
    pub program: String,
}

/// Whoever has the hosts.
#[derive(Debug)]
pub(crate) enum Upstream {
    /// The master of this process.
    Embedded(Box<Master>),
    /// A master elsewhere.
    Linked {
        /// The link to it.
        link: Box<Link>,
        /// The term of this start, which no master of ours gives out.
        term: u64,
    },
}

impl Upstream {
    /// The master of this process, if there is one.
    pub(crate) fn master(&mut self) -> Option<&mut Master> {
        match self {
            Self::Embedded(master) => Some(master),
            Self::Linked { .. } => None,
        }
    }

    /// The same, to look at.
    pub(crate) fn own_master(&self) -> Option<&Master> {
        match self {
            Self::Embedded(master) => Some(master),
            Self::Linked { .. } => None,
        }
    }

    pub(crate) fn next_wakeup(&self) -> Option<Mono> {
        match self {
            Self::Embedded(master) => master.next_wakeup(),
            Self::Linked { link, .. } => link.next_wakeup(),
        }
    }

    pub(crate) fn term(&self) -> u64 {
        match self {
            Self::Embedded(master) => master.term(),
            Self::Linked { term, .. } => *term,
        }
    }

    /// Panics if something that must always hold does not.
    pub(crate) fn check(&self) {
        if let Self::Embedded(master) = self {
            master.check();
        }
    }
}

impl Core {
    /// Something happens to the master of this process.
    pub(crate) fn master_step(&mut self, now: Now, event: MasterEvent, turn: &mut Turn) {
        if let Some(master) = self.upstream.master() {
            let step = master.step(now, event);
            self.master_did(step, turn);
        }
    }

    /// Something happens to the link to another master.
    pub(crate) fn link_step(&mut self, now: Now, event: LinkEvent, turn: &mut Turn) {
        if let Upstream::Linked { link, .. } = &mut self.upstream {
            let step = link.step(now.mono, event, &self.session);
            self.link_did(step, turn);
        }
    }

    /// A call of our session is for whoever has the hosts.
    pub(crate) fn call(&mut self, now: Now, call: Call, turn: &mut Turn) {
        match &mut self.upstream {
            Upstream::Embedded(master) => {
                let step = master.step(now, MasterEvent::Call(call));
                self.master_did(step, turn);
            }
            Upstream::Linked { link, .. } => {
                let step = link.call(now.mono, call);
                self.link_did(step, turn);
            }
        }
    }

    /// What has time to do is done by whoever has the hosts.
    pub(crate) fn upstream_tick(&mut self, now: Now, turn: &mut Turn) {
        self.master_step(now, MasterEvent::Tick, turn);
        self.link_step(now, LinkEvent::Tick, turn);
    }

    fn link_did(&mut self, step: LinkStep, turn: &mut Turn) {
        turn.link_notes.extend(step.notes);
        turn.effects.extend(step.effects.into_iter().map(Effect::Link));
        for heard in step.heard {
            match heard {
                Heard::Event(event) => self.translate(&event, turn),
                Heard::Broken => self.tell_engine(EngineEvent::Unsubscribed),
                Heard::Removed => {
                    turn.writes.extend(self.session.forget());
                    self.tell_engine(EngineEvent::Disowned);
                }
                Heard::NotLaunched { tasks, why } => {
                    for task in tasks {
                        self.tell_engine(EngineEvent::Task(TaskUpdate {
                            task,
                            agent: None,
                            signal: Signal::NeverStarted,
                            source: Default::default(),
                            at: None,
                            message: why.clone(),
                            report: Default::default(),
                            uuid: None,
                        }));
                    }
                }
            }
        }
    }

    fn tell_engine(&mut self, event: EngineEvent) {
        self.inbox.push_back(Inner::ToEngine(event));
    }
}

/// The link of a session that was loaded.
pub(crate) fn link(foreign: Foreign, seed: u64, session: &mut Session) -> Box<Link> {
    session.identify(foreign.identity);
    Box::new(Link::new(foreign.masters, seed))
}

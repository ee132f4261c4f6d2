//! Both cores in turn, until they are at rest.

use std::{collections::VecDeque, num::NonZeroU32, sync::Arc};

use muster_api::{
    Mono, Now, OfferId,
    events::TraceEvent,
    limits,
    step::{Records, Write},
};
use muster_engine::{
    Engine, EngineConfig, Wakeup,
    effect::{Effect as EngineEffect, Note, Tally},
    event::{CommandReply, Event as EngineEvent, Offer, RequestId},
    query::{Answer, Query},
    records::NoticeRecord,
};
use muster_master::core::{
    Connection, Effect as MasterEffect, Event as MasterEvent, Master, Note as MasterNote,
};
use muster_proto::{
    FrameworkId,
    agent::MasterBody,
    scheduler::{self, Call},
};
use muster_session::Session;

use crate::Loader;

/// What reaches the scheduler.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "moved once, by value, and soon gone")]
pub enum Event {
    /// Something for the engine: a command or a question.
    Engine(EngineEvent),
    /// Something for the master: an agent came, spoke or went.
    Master(MasterEvent),
    /// Time has passed.
    Tick,
}

/// What the scheduler wants done, once the turn is durable.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "moved once, by value, and soon gone")]
pub enum Effect {
    /// Tell a user what became of a change.
    Reply {
        /// Whose.
        request: RequestId,
        /// What.
        reply: CommandReply,
    },
    /// Tell a user about live state.
    Answer {
        /// Who asked.
        request: RequestId,
        /// The answer.
        answer: Answer,
    },
    /// A run is over: whoever waits for it may look.
    RunOver(muster_api::RunId),
    /// Send a notice to its webhook.
    Deliver(Arc<NoticeRecord>),
    /// Tell an agent something.
    ToAgent {
        /// By which connection.
        connection: Connection,
        /// What.
        body: MasterBody,
    },
    /// End the connection of an agent.
    CloseAgent(Connection),
    /// Give this to a framework other than ours.
    ToFramework {
        /// Which.
        framework: FrameworkId,
        /// What.
        event: scheduler::Event,
    },
}

/// What one event led to.
#[derive(Debug, Default)]
pub struct Turn {
    /// The records that changed, in order; of several for one key the last counts.
    pub writes: Vec<Write>,
    /// What is to be done, in order.
    pub effects: Vec<Effect>,
    /// What the engine notes.
    pub notes: Vec<Note>,
    /// What the engine counts.
    pub tally: Tally,
    /// What happened, for those who ask later.
    pub trace: Vec<TraceEvent>,
    /// What the master notes.
    pub master_notes: Vec<MasterNote>,
    /// What the session could not understand.
    pub passed_over: Vec<String>,
}

/// Stored records that the scheduler cannot start from.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Those of the engine.
    #[error("the stored state of the engine is not usable")]
    Engine(#[from] muster_engine::RestoreError),
    /// Those of the master.
    #[error("the stored state of the master is not usable")]
    Master(#[from] muster_master::core::RestoreError),
    /// Those of the session.
    #[error("the stored state of the session is not usable")]
    Session(#[from] muster_session::InvalidSession),
}

/// The engine and its master, with the session between them.
#[derive(Debug)]
pub struct Core {
    pub(crate) engine: Engine,
    pub(crate) session: Session,
    pub(crate) master: Master,
    /// What the cores have to say to each other in this turn.
    inbox: VecDeque<Inner>,
    /// Offers that the engine is told of in the next turn, because this one has grown to a full
    /// commit. Only offers can wait: they are what placement goes on and on with, while other
    /// messages belong to the commit of what they follow from.
    held: Vec<Offer>,
}

/// What passes between the two cores within a turn.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "moved once, by value, and soon gone")]
enum Inner {
    ToEngine(EngineEvent),
    ToMaster(Call),
}

impl Core {
    /// The scheduler as it was when `records` were written. `seed` is fresh entropy.
    pub fn restore(seed: u64, records: &Records, now: Now) -> Result<(Self, Turn), RestoreError> {
        let mut loader = Loader::default();
        for (key, value) in records {
            loader.take(key, value);
        }
        loader.finish(seed, now)
    }

    /// The scheduler of what a loader took in: the engine's records, and all others.
    pub(crate) fn loaded(
        config: EngineConfig,
        seed: u64,
        stored: muster_engine::Loader,
        others: &Records,
        now: Now,
    ) -> Result<(Self, Turn), RestoreError> {
        let (engine, engine_step) = stored.finish(config, seed, now)?;
        let (master, master_step) = Master::restore(seed.rotate_left(32), others, now)?;
        let session = Session::restore(others)?;
        let (inbox, held) = (VecDeque::new(), Vec::new());
        let mut core = Self { engine, session, master, inbox, held };
        let mut turn = Turn::default();
        core.master_did(master_step, &mut turn);
        core.inbox.push_back(Inner::ToMaster(core.session.subscribe()));
        core.run(now, &mut turn);
        // What the engine wants to say could not be said before there was a subscription.
        core.engine_did(engine_step, &mut turn);
        core.run(now, &mut turn);
        turn.writes.extend(core.take_writes(now));
        Ok((core, turn))
    }

    /// Takes in one event, with all of its writes.
    pub fn turn(&mut self, now: Now, event: Event) -> Turn {
        let mut turn = self.advance(now, event);
        turn.writes.extend(self.take_writes(now));
        turn
    }

    /// The writes that [`Core::advance`] kept back, for the commit that its effects wait for.
    pub fn take_writes(&mut self, now: Now) -> Vec<Write> {
        self.engine.take_writes(now)
    }

    /// The engine, to look at.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Every record of the engine, as it would be stored now ([`Engine::all_records`]).
    pub fn all_records(&mut self, now: Now) -> Vec<Write> {
        self.engine.all_records(now)
    }

    /// How many writes are kept back.
    pub fn unwritten(&self) -> usize {
        self.engine.unwritten()
    }

    /// Takes in one event, and keeps back the writes of records that many events change, so that
    /// a commit of many turns holds each record once.
    pub fn advance(&mut self, now: Now, event: Event) -> Turn {
        let mut turn = Turn::default();
        match event {
            Event::Engine(EngineEvent::Query { request, query: Query::Agents }) => {
                let answer = Answer::Agents(self.master.agents(now));
                turn.effects.push(Effect::Answer { request, answer });
            }
            Event::Engine(EngineEvent::Query { request, query: Query::Offers { skip, limit } }) => {
                let answer = Answer::Offers(self.master.offers(now, skip, limit));
                turn.effects.push(Effect::Answer { request, answer });
            }
            Event::Engine(EngineEvent::Command { request, command }) => {
                match self.order(now, request, &command) {
                    Some(ordered) => return ordered,
                    None => {
                        let event = EngineEvent::Command { request, command };
                        self.inbox.push_back(Inner::ToEngine(event));
                    }
                }
            }
            Event::Engine(event) => self.inbox.push_back(Inner::ToEngine(event)),
            Event::Master(event) => {
                let step = self.master.step(now, event);
                self.master_did(step, &mut turn);
            }
            Event::Tick => {
                let step = self.master.step(now, MasterEvent::Tick);
                self.master_did(step, &mut turn);
                self.inbox.push_back(Inner::ToEngine(EngineEvent::Tick));
            }
        }
        self.run(now, &mut turn);
        turn
    }

    /// How many tasks may run at one time, of all apps; none is no bound.
    pub fn limit_tasks(&mut self, most: Option<NonZeroU32>) {
        self.engine.limit_tasks(most);
    }

    /// When something is to be done next.
    pub fn next_wakeup(&self) -> Wakeup {
        if !self.held.is_empty() {
            return Wakeup { wall: None, mono: Some(Mono::default()) };
        }
        let Wakeup { wall, mono } = self.engine.next_wakeup();
        let mono = [mono, self.master.next_wakeup()].into_iter().flatten().min();
        Wakeup { wall, mono }
    }

    /// The term of the master.
    pub fn term(&self) -> u64 {
        self.master.term()
    }

    /// Since when this restored store is held, if it is.
    pub fn held(&self) -> Option<muster_api::Timestamp> {
        self.engine.held()
    }

    /// Panics if something that must always hold does not.
    pub fn check(&self) {
        self.engine.check();
        self.master.check();
    }

    /// Lets the cores speak with each other until they have nothing more to say. Once a commit is
    /// full, offers are held until the next turn, which is due at once.
    pub(crate) fn run(&mut self, now: Now, turn: &mut Turn) {
        if !self.held.is_empty() {
            let offers = std::mem::take(&mut self.held);
            self.inbox.push_front(Inner::ToEngine(EngineEvent::Offers(offers)));
        }
        while let Some(inner) = self.inbox.pop_front() {
            match inner {
                Inner::ToEngine(EngineEvent::Offers(offers)) if self.is_full(turn) => {
                    self.held.extend(offers);
                }
                Inner::ToEngine(EngineEvent::Rescinded(id)) if self.drop_held(&id) => {}
                Inner::ToEngine(event) => {
                    let step = self.engine.advance(now, event);
                    self.engine_did(step, turn);
                }
                Inner::ToMaster(call) => {
                    let step = self.master.step(now, MasterEvent::Call(call));
                    self.master_did(step, turn);
                }
            }
        }
    }

    fn is_full(&self, turn: &Turn) -> bool {
        turn.writes.len() + self.engine.unwritten() >= limits::COMMIT_RECORDS / 2
    }

    /// Whether the withdrawn offer was one that the engine has not been told of.
    fn drop_held(&mut self, id: &OfferId) -> bool {
        let before = self.held.len();
        self.held.retain(|offer| offer.id != *id);
        self.held.len() < before
    }

    fn engine_did(&mut self, step: muster_engine::effect::Step, turn: &mut Turn) {
        turn.writes.extend(step.writes);
        turn.notes.extend(step.notes);
        turn.tally.add(step.tally);
        turn.trace.extend(step.trace);
        for effect in step.effects {
            match effect {
                EngineEffect::Reply { request, reply } => {
                    turn.effects.push(Effect::Reply { request, reply });
                }
                EngineEffect::Answer { request, answer } => {
                    turn.effects.push(Effect::Answer { request, answer });
                }
                EngineEffect::RunOver(run) => turn.effects.push(Effect::RunOver(run)),
                EngineEffect::Deliver(notice) => turn.effects.push(Effect::Deliver(notice)),
                for_master => {
                    self.inbox.extend(self.session.call(&for_master).map(Inner::ToMaster));
                }
            }
        }
    }

    pub(crate) fn master_did(&mut self, step: muster_master::core::Step, turn: &mut Turn) {
        turn.writes.extend(step.writes);
        turn.master_notes.extend(step.notes);
        for effect in step.effects {
            match effect {
                MasterEffect::ToAgent { connection, body } => {
                    turn.effects.push(Effect::ToAgent { connection, body });
                }
                MasterEffect::Close { connection } => {
                    turn.effects.push(Effect::CloseAgent(connection));
                }
                MasterEffect::ToFramework { framework, event }
                    if !self.session.is_ours(&framework) =>
                {
                    turn.effects.push(Effect::ToFramework { framework, event });
                }
                MasterEffect::ToFramework { event, .. } => {
                    let translated = self.session.translate(&event);
                    turn.writes.extend(translated.writes);
                    turn.passed_over.extend(translated.passed_over);
                    self.inbox.extend(translated.events.into_iter().map(Inner::ToEngine));
                }
                MasterEffect::Shared(shared) => {
                    self.inbox.push_back(Inner::ToEngine(EngineEvent::Shared(shared)));
                }
                MasterEffect::Agent(news) => {
                    self.inbox.push_back(Inner::ToEngine(crate::news::event(news)));
                }
            }
        }
    }
}

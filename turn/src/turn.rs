//! Both cores in turn, until they are at rest.

use std::{collections::VecDeque, num::NonZeroU32};

use muster_api::{Mono, Now, OfferId, limits, step::Write, views::AgentView};
use muster_engine::{
    Engine, Wakeup,
    effect::Effect as EngineEffect,
    event::{Event as EngineEvent, Offer},
    query::{Answer, Query},
};
use muster_master::core::Effect as MasterEffect;
use muster_proto::scheduler::{self, Call};
use muster_session::Session;

use crate::{
    event::{Effect, Event, Turn},
    frameworks,
    upstream::Upstream,
};

/// The engine and whoever has the hosts, with the session between them.
#[derive(Debug)]
pub struct Core {
    pub(crate) engine: Engine,
    pub(crate) session: Session,
    pub(crate) upstream: Upstream,
    /// What the cores have to say to each other in this turn.
    pub(crate) inbox: VecDeque<Inner>,
    /// Offers that the engine is told of in the next turn, because this one has grown to a full
    /// commit. Only offers can wait: they are what placement goes on and on with, while other
    /// messages belong to the commit of what they follow from.
    pub(crate) held: Vec<Offer>,
}

/// What passes between the two cores within a turn.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "moved once, by value, and soon gone")]
pub(crate) enum Inner {
    ToEngine(EngineEvent),
    ToMaster(Call),
}

impl Core {
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

    /// The hosts as their master knows them, or else as they are known here.
    pub fn hosts(&self, now: Now) -> Vec<AgentView> {
        match self.upstream.own_master() {
            Some(master) => master.agents(now),
            None => self.engine.hosts(now),
        }
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
            Event::Engine(EngineEvent::Query { request, query }) => {
                match self.answer_of_master(now, &query) {
                    Some(answer) => turn.effects.push(Effect::Answer { request, answer }),
                    None => {
                        let event = EngineEvent::Query { request, query };
                        self.inbox.push_back(Inner::ToEngine(event));
                    }
                }
            }
            Event::Engine(EngineEvent::Command { request, command }) => {
                let ordered = self.order(now, request, &command);
                match ordered.or_else(|| self.order_of_frameworks(now, request, &command)) {
                    Some(ordered) => return ordered,
                    None => {
                        let event = EngineEvent::Command { request, command };
                        self.inbox.push_back(Inner::ToEngine(event));
                    }
                }
            }
            Event::Engine(event) => self.inbox.push_back(Inner::ToEngine(event)),
            Event::Master(event) => self.master_step(now, event, &mut turn),
            Event::Link(event) => self.link_step(now, event, &mut turn),
            Event::Tick => {
                self.upstream_tick(now, &mut turn);
                self.inbox.push_back(Inner::ToEngine(EngineEvent::Tick));
            }
        }
        self.run(now, &mut turn);
        turn
    }

    /// What only the master of this process knows, if there is one.
    fn answer_of_master(&self, now: Now, query: &Query) -> Option<Answer> {
        let master = self.upstream.own_master()?;
        match query {
            Query::Agents => Some(Answer::Agents(master.agents(now))),
            Query::Offers { skip, limit } => {
                Some(Answer::Offers(master.offers(now, *skip, *limit)))
            }
            query => frameworks::answer(master, now, query),
        }
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
        let mono = [mono, self.upstream.next_wakeup()].into_iter().flatten().min();
        Wakeup { wall, mono }
    }

    /// The term of this start.
    pub fn term(&self) -> u64 {
        self.upstream.term()
    }

    /// Since when this restored store is held, if it is.
    pub fn held(&self) -> Option<muster_api::Timestamp> {
        self.engine.held()
    }

    /// Panics if something that must always hold does not.
    pub fn check(&self) {
        self.engine.check();
        self.upstream.check();
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
                    if matches!(event, EngineEvent::Subscribed | EngineEvent::Unsubscribed) {
                        self.held.clear();
                    }
                    let step = self.engine.advance(now, event);
                    self.engine_did(step, turn);
                }
                Inner::ToMaster(call) => self.call(now, call, turn),
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

    pub(crate) fn engine_did(&mut self, step: muster_engine::effect::Step, turn: &mut Turn) {
        turn.writes.extend(step.writes);
        turn.notes.extend(step.notes);
        turn.tally.add(step.tally);
        turn.trace.extend(self.with_hostnames(step.trace));
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

    /// What a master says to us becomes events of the engine.
    pub(crate) fn translate(&mut self, event: &scheduler::Event, turn: &mut Turn) {
        let translated = self.session.translate(event);
        turn.writes.extend(translated.writes);
        turn.passed_over.extend(translated.passed_over);
        self.inbox.extend(translated.events.into_iter().map(Inner::ToEngine));
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
                MasterEffect::ToStream { stream, event } => {
                    turn.effects.push(Effect::ToStream { stream, event });
                }
                MasterEffect::Credentials(principals) => {
                    turn.effects.push(Effect::Credentials(principals));
                }
                MasterEffect::EndStream(stream) => turn.effects.push(Effect::EndStream(stream)),
                MasterEffect::Answer { request, answer } => {
                    turn.effects.push(Effect::AnswerCall { request, answer });
                }
                MasterEffect::ToEmbedded(event) => self.translate(&event, turn),
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

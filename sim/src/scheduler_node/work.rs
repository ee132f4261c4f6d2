//! The driver's work: events are taken in one at a time, and many share one commit.

use muster_api::Now;
use muster_engine::{Wakeup, event::Event as EngineEvent};
use muster_session::link::Event as LinkEvent;
use muster_turn::{Core, Event, Turn};

use super::{Decided, Process, SchedulerNode};
use crate::{happening::Happening, stage::Stage};

/// Turns that share one commit.
const TURNS_PER_COMMIT: usize = 64;

impl SchedulerNode {
    pub(super) fn take(&mut self, stage: &mut Stage, event: Event) {
        if let Some(process) = &mut self.process {
            process.inbox.push_back(event);
            self.work(stage);
        }
    }

    /// The time has come that the core asked to be woken at.
    pub(crate) fn wake(&mut self, stage: &mut Stage) {
        self.take(stage, Event::Tick);
    }

    /// Takes in what waits, unless a commit is under way: the driver has one thread.
    pub(super) fn work(&mut self, stage: &mut Stage) {
        loop {
            let now = self.clock.now(stage);
            let Some(process) = &mut self.process else { return };
            if process.committing.is_some() {
                return;
            }
            let mut decided = Decided { decided_at: now.wall, ..Decided::default() };
            for turns in 0..TURNS_PER_COMMIT {
                // A question is alone in its commit, so that its answer is about what is stored.
                let asks = process.inbox.front().is_some_and(is_question);
                if asks && turns > 0 {
                    break;
                }
                if asks {
                    process.do_what_is_due(now, &mut decided, stage);
                }
                let Some(event) = process.inbox.pop_front() else { break };
                let changes = matches!(event, Event::Engine(EngineEvent::Command { .. }));
                // The driver asks for writes once a commit. Here each change of a document shows,
                // and what was so before, so that it is known which schedule was planned when.
                if changes {
                    decided.writes.extend(process.core.take_writes(now));
                }
                if let Event::Link(LinkEvent::Heard { event, .. }) = &event {
                    stage.truth.heard_of(event);
                }
                let turn = process.core.advance(now, event);
                decided.add(turn, stage);
                if changes {
                    decided.writes.extend(process.core.take_writes(now));
                }
                if asks {
                    break;
                }
            }
            decided.writes.extend(process.core.take_writes(now));
            process.core.check();
            self.commit(stage, decided);
            let more = self.process.as_ref().is_some_and(|process| !process.inbox.is_empty());
            if !more {
                return self.set_alarm(stage);
            }
        }
    }

    fn set_alarm(&mut self, stage: &mut Stage) {
        let Some(process) = &self.process else { return };
        if process.committing.is_some() {
            return;
        }
        let wakeup = process.core.next_wakeup();
        let wall = wakeup.wall.map(|at| self.clock.world_time_of_wall(at));
        let mono = wakeup.mono.map(|at| self.clock.world_time(at));
        let at = wall.into_iter().chain(mono).min();
        self.alarm.set(stage, at, Happening::SchedulerWakes);
    }
}

pub(super) fn is_due(core: &Core, now: Now) -> bool {
    let Wakeup { wall, mono } = core.next_wakeup();
    wall.is_some_and(|at| at <= now.wall) || mono.is_some_and(|at| at <= now.mono)
}

fn is_question(event: &Event) -> bool {
    matches!(event, Event::Engine(EngineEvent::Query { .. }))
}

impl Process {
    /// An answer is about the state before its step does anything that is due, so that is done.
    fn do_what_is_due(&mut self, now: Now, decided: &mut Decided, stage: &mut Stage) {
        for _ in 0..TURNS_PER_COMMIT {
            if !is_due(&self.core, now) {
                return;
            }
            decided.add(self.core.advance(now, Event::Tick), stage);
        }
    }
}

impl Decided {
    pub(super) fn add(&mut self, turn: Turn, stage: &mut Stage) {
        for note in &turn.notes {
            stage.log(format_args!("engine: {note:?}"));
        }
        for note in &turn.master_notes {
            stage.log(format_args!("master: {note}"));
        }
        for note in &turn.link_notes {
            stage.log(format_args!("link: {note}"));
        }
        for what in &turn.passed_over {
            stage.log(format_args!("session passes over {what}"));
        }
        self.writes.extend(turn.writes);
        self.effects.extend(turn.effects);
    }
}

//! What a handler works with.

use muster_api::{Now, events::TraceEvent, limits, step::Write};
use serde::Serialize;

use crate::{
    effect::{Effect, Note, Step},
    engine::EngineConfig,
    held, records,
    world::World,
};

/// The world, the present, and the step that is being made.
pub(crate) struct Cx<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) config: &'a EngineConfig,
    pub(crate) now: Now,
    pub(crate) out: &'a mut Step,
}

impl Cx<'_> {
    /// Wants something done, unless the store is held and it must not be.
    pub(crate) fn effect(&mut self, effect: Effect) {
        if held::keeps_back(&effect) && self.world.held().is_some() {
            return;
        }
        if let Effect::Launch(batch) = &effect {
            self.out.tally.launches += u32::try_from(batch.tasks.len()).unwrap_or(u32::MAX);
        }
        self.out.effects.push(effect);
    }

    /// Whether the commit of this step has grown to half of its bound, so that work that can wait
    /// is left to the next one.
    pub(crate) fn is_full(&self) -> bool {
        self.out.writes.len() + self.world.unwritten() >= limits::COMMIT_RECORDS / 2
    }

    /// How many more runs may wait. Those that do are all that the queue shows.
    pub(crate) fn room_for_runs(&self) -> usize {
        self.config.waiting_runs.saturating_sub(self.world.waiting.len())
    }

    /// Tells those who ask later what happened.
    pub(crate) fn trace(&mut self, event: TraceEvent) {
        debug_assert!(event.kind.has_state(&event.state), "nobody can ask for this: {event:?}");
        self.out.trace.push(event);
    }

    pub(crate) fn note(&mut self, note: Note) {
        self.out.notes.push(note);
    }

    /// Writes a record of history, which no table holds.
    pub(crate) fn history(&mut self, key: Vec<u8>, record: &impl Serialize) {
        self.out.writes.push(Write::Put { key, value: records::encode(record) });
    }
}

//! What a handler works with.

use muster_api::{Now, step::Write};
use serde::Serialize;

use crate::{
    effect::{Effect, Note, Step},
    engine::EngineConfig,
    records,
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
    pub(crate) fn effect(&mut self, effect: Effect) {
        self.out.effects.push(effect);
    }

    pub(crate) fn note(&mut self, note: Note) {
        self.out.notes.push(note);
    }

    /// Writes a record of history, which no table holds.
    pub(crate) fn history(&mut self, key: Vec<u8>, record: &impl Serialize) {
        self.out.writes.push(Write::Put { key, value: records::encode(record) });
    }
}

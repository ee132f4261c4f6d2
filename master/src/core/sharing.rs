//! Whether the embedded scheduler has all hosts for itself.
//!
//! As long as it does it keeps its offers, so that what comes is launched in the very step in which
//! it comes. Once another framework is subscribed it takes part as any other does: what it holds is
//! withdrawn, and it is told, so that it asks for offers only when it can use them.

use super::{
    event::{Effect, Step},
    framework::Framework,
    master::Master,
};

impl Master {
    /// Tells the embedded scheduler when it begins or ceases to be the only one.
    pub(super) fn follow_sharing(&mut self, step: &mut Step) {
        let Some(embedded) = self.embedded.clone() else {
            self.shared = false;
            return;
        };
        let others = self.frameworks.iter().filter(|(id, _)| **id != embedded);
        let shared = others.map(|(_, framework)| framework).any(Framework::is_subscribed);
        if shared == self.shared {
            return;
        }
        self.shared = shared;
        if shared {
            self.rescind_of(&embedded, step);
        }
        step.effects.push(Effect::Shared(shared));
    }
}

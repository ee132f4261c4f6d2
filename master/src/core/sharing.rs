//! Whether the embedded scheduler has all hosts for itself.
//!
//! As long as it does it keeps its offers, so that what comes is launched in the very step in which
//! it comes. Once another framework is subscribed it takes part as any other does: what it holds is
//! withdrawn, and it is told, so that it asks for offers only when it can use them.

use muster_proto::FrameworkId;

use super::{
    event::{Effect, Step},
    framework::{Framework, Standing},
    master::Master,
    wire,
};

impl Master {
    /// The stream of a framework has ended. Its tasks go on, and its offers are for others.
    pub(super) fn left(&mut self, id: &FrameworkId, step: &mut Step) {
        if !self.frameworks.get(id).is_some_and(Framework::is_subscribed) {
            return step.ignore_call(id, "it is not subscribed");
        }
        self.forget_offers_of(id);
        self.clear_filters_of(id);
        self.naming.remove(id);
        if let Some(framework) = self.frameworks.get_mut(id) {
            framework.standing = Standing::Away;
        }
        self.follow_sharing(step);
    }

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

    /// Withdraws the offers of a framework.
    fn rescind_of(&mut self, id: &FrameworkId, step: &mut Step) {
        let offers = self.frameworks.get(id).map(|framework| framework.offers.clone());
        for offer in offers.unwrap_or_default() {
            if self.remove_offer(&offer).is_some() {
                step.tell_framework(id, wire::rescind(offer));
            }
        }
    }
}

//! Offers of now that are yet to stand for one of then.

use muster_api::Mono;
use serde_json::Value;

use crate::events::Arrived;

/// The offers that are held and not used.
#[derive(Debug, Default)]
pub(super) struct Held {
    offers: Vec<(Value, Mono)>,
    /// How many were rescinded that nobody has asked for yet.
    rescinded: usize,
}

impl Held {
    /// Takes in an event of the scheduler's stream, if it is about offers.
    pub(super) fn take(&mut self, Arrived { event, at, .. }: &Arrived) {
        let offers = event["offers"]["offers"].as_array().into_iter().flatten();
        self.offers.extend(offers.map(|offer| (offer.clone(), *at)));
        let rescinded = &event["rescind"]["offer_id"];
        self.offers.retain(|(offer, _)| rescinded.is_null() || offer["id"] != *rescinded);
        self.rescinded += usize::from(!rescinded.is_null());
    }

    /// Whether one was rescinded; each counts once.
    pub(super) fn was_rescinded(&mut self) -> bool {
        let was = self.rescinded > 0;
        self.rescinded = self.rescinded.saturating_sub(1);
        was
    }

    /// All are void: the framework has subscribed anew.
    pub(super) fn clear(&mut self) {
        self.offers.clear();
    }

    /// The one with the most CPUs, the newest of those: it lasts longest. And when it came.
    pub(super) fn best(&mut self) -> Option<(Value, Mono)> {
        let most = |at: &usize| (cpus(&self.offers[*at].0) * 1000.0).round();
        let at = (0..self.offers.len()).max_by(|one, other| most(one).total_cmp(&most(other)))?;
        Some(self.offers.remove(at))
    }
}

/// How many CPUs an offer has.
pub(super) fn cpus(offer: &Value) -> f64 {
    let resources = offer["resources"].as_array().into_iter().flatten();
    let cpus = resources.filter(|resource| resource["name"] == "cpus");
    cpus.filter_map(|resource| resource["scalar"]["value"].as_f64()).sum()
}

//! Offers as users see them.

use muster_api::{Now, Span, views::OfferView};

use super::master::Master;

impl Master {
    /// The outstanding offers by agent, but for the first `skip`: at most `limit`.
    pub fn offers(&self, now: Now, skip: usize, limit: usize) -> Vec<OfferView> {
        let all = self
            .agents
            .iter()
            .flat_map(|(id, agent)| agent.offers.iter().map(move |offer| (id, agent, offer)));
        let rows = all.skip(skip).take(limit).filter_map(|(id, agent, offer)| {
            let made = self.offers.get(offer)?;
            let framework = self.frameworks.get(&made.framework)?;
            let held_for = now.mono.since(made.made);
            let millis = u64::try_from(held_for.as_millis()).unwrap_or(u64::MAX);
            Some(OfferView {
                id: offer.value.parse().ok()?,
                agent: id.clone(),
                hostname: agent.facts.hostname.clone(),
                resources: made.resources.clone(),
                framework: made.framework.value.clone(),
                framework_name: framework.info.name.clone(),
                since: now.wall.before(held_for),
                held_for: Span::from_millis(millis),
            })
        });
        rows.collect()
    }
}

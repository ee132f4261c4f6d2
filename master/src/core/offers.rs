//! Offers: made of what is free, and taken back. Filters: what a framework does not want for now.
//!
//! An agent's free resources go whole into one offer. What becomes free beside an outstanding
//! offer is offered in addition. Of several frameworks that would take an offer, the first by id
//! gets it.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    time::Duration,
};

use muster_api::{AgentId, Now, Resources};
use muster_proto::{self as proto, FrameworkId, OfferId};

use super::{
    agent::Agent,
    event::Step,
    framework::Filter,
    master::{Master, Offer},
    wire,
};

/// Why offers cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidOffers {
    #[error("no offer is named")]
    None,
    #[error("offer `{id}` is named twice")]
    Twice { id: String },
    #[error("offer `{id}` is no longer valid")]
    Dead { id: String },
    #[error("the offers are of several agents")]
    SeveralAgents,
}

impl Master {
    /// Offers what is free on the agents that changed in this step: one event a framework.
    pub(super) fn offer_changed(&mut self, now: Now, step: &mut Step) {
        let mut made = BTreeMap::<FrameworkId, Vec<proto::Offer>>::new();
        for id in mem::take(&mut self.changed) {
            let Some((framework, resources)) = self.taker(&id) else { continue };
            let offer = self.make_offer(now, &framework, &id, resources);
            made.entry(framework).or_default().push(offer);
        }
        for (framework, offers) in made {
            step.tell_framework(&framework, wire::offers(offers));
        }
    }

    /// Who gets what is free on an agent, if there is anything and anybody.
    pub(super) fn taker(&self, id: &AgentId) -> Option<(FrameworkId, Resources)> {
        let agent = self.agents.get(id).filter(|agent| agent.drain.is_none())?;
        agent.launchable()?;
        let free = agent.free();
        if free.is_empty() {
            return None;
        }
        let (framework, _) =
            self.frameworks.iter().find(|(_, framework)| framework.wants(id, &free))?;
        Some((framework.clone(), free))
    }

    fn make_offer(
        &mut self,
        now: Now,
        to: &FrameworkId,
        on: &AgentId,
        resources: Resources,
    ) -> proto::Offer {
        self.offers_made += 1;
        let id = OfferId::new(format!("{}-O{}", self.term, self.offers_made));
        let agent = self.agents.get_mut(on).expect("only what is free on a known agent is offered");
        agent.add_offer(id.clone(), &resources);
        let framework = self.frameworks.get_mut(to).expect("only a known framework takes offers");
        framework.offers.insert(id.clone());
        let message = offer_message(&id, to, on, agent, &resources);
        let (framework, agent, made) = (to.clone(), on.clone(), now.mono);
        self.offers.insert(id, Offer { framework, agent, resources, made });
        message
    }

    /// Takes outstanding offers out of the books: what they held is free again. If any of them
    /// cannot be used, the rest is free again too, and that is an error.
    pub(super) fn take_offers(
        &mut self,
        framework: &FrameworkId,
        ids: &[OfferId],
    ) -> Result<(AgentId, Resources), InvalidOffers> {
        let valid = self.check_offers(framework, ids);
        let mut sum = Resources::none();
        for id in ids {
            if self.offers.get(id).is_some_and(|offer| offer.framework == *framework)
                && let Some(offer) = self.remove_offer(id)
            {
                sum = sum.checked_add(&offer.resources).unwrap_or(sum);
            }
        }
        Ok((valid?, sum))
    }

    /// The one agent that all of these offers are of.
    fn check_offers(
        &self,
        framework: &FrameworkId,
        ids: &[OfferId],
    ) -> Result<AgentId, InvalidOffers> {
        let mut agent: Option<&AgentId> = None;
        let mut seen = BTreeSet::new();
        for id in ids {
            let named = || id.value.clone();
            if !seen.insert(id) {
                return Err(InvalidOffers::Twice { id: named() });
            }
            let offer = self.offers.get(id).filter(|offer| offer.framework == *framework);
            let offer = offer.ok_or_else(|| InvalidOffers::Dead { id: named() })?;
            if *agent.get_or_insert(&offer.agent) != &offer.agent {
                return Err(InvalidOffers::SeveralAgents);
            }
        }
        agent.cloned().ok_or(InvalidOffers::None)
    }

    pub(super) fn remove_offer(&mut self, id: &OfferId) -> Option<Offer> {
        let offer = self.offers.remove(id)?;
        if let Some(agent) = self.agents.get_mut(&offer.agent) {
            agent.remove_offer(id, &offer.resources);
        }
        if let Some(framework) = self.frameworks.get_mut(&offer.framework) {
            framework.offers.remove(id);
        }
        self.changed.insert(offer.agent.clone());
        Some(offer)
    }

    /// Withdraws the offers of an agent.
    pub(super) fn rescind_on(&mut self, id: &AgentId, step: &mut Step) {
        let Some(agent) = self.agents.get(id) else { return };
        for id in agent.offers.iter().cloned().collect::<Vec<_>>() {
            if let Some(offer) = self.remove_offer(&id) {
                step.tell_framework(&offer.framework, wire::rescind(id));
            }
        }
    }

    /// Forgets the offers of a framework, which by the rules of Mesos forgets them as well.
    pub(super) fn forget_offers_of(&mut self, framework: &FrameworkId) {
        let Some(framework) = self.frameworks.get_mut(framework) else { return };
        for id in mem::take(&mut framework.offers) {
            self.remove_offer(&id);
        }
    }

    /// A framework gives offers back. Those that are no longer valid are none of its business.
    pub(super) fn decline(
        &mut self,
        now: Now,
        framework: &FrameworkId,
        ids: &[OfferId],
        refuse: Duration,
    ) {
        for id in ids {
            if self.offers.get(id).is_some_and(|offer| offer.framework == *framework)
                && let Some(offer) = self.remove_offer(id)
            {
                self.add_filter(now, framework, &offer.agent, offer.resources, refuse);
            }
        }
    }

    /// Keeps what lies within `refused` on an agent from a framework for a while.
    pub(super) fn add_filter(
        &mut self,
        now: Now,
        framework_id: &FrameworkId,
        agent: &AgentId,
        refused: Resources,
        refuse: Duration,
    ) {
        let Some(framework) = self.frameworks.get_mut(framework_id) else { return };
        if refused.is_empty() || refuse.is_zero() {
            return;
        }
        let until = now.mono + refuse;
        let filters = framework.filters.entry(agent.clone()).or_default();
        filters.retain(|old| !(refused.covers(&old.refused) && old.until <= until));
        filters.push(Filter { refused, until });
        self.expiries.insert((until, framework_id.clone(), agent.clone()));
    }

    /// Ends the filters whose time has come.
    pub(super) fn end_filters(&mut self, now: Now, framework: &FrameworkId, agent: &AgentId) {
        let Some(framework) = self.frameworks.get_mut(framework) else { return };
        let Some(filters) = framework.filters.get_mut(agent) else { return };
        filters.retain(|filter| filter.until > now.mono);
        if filters.is_empty() {
            framework.filters.remove(agent);
        }
        self.changed.insert(agent.clone());
    }

    /// Ends all filters of a framework.
    pub(super) fn clear_filters_of(&mut self, id: &FrameworkId) {
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        for (agent, filters) in mem::take(&mut framework.filters) {
            for filter in filters {
                self.expiries.remove(&(filter.until, id.clone(), agent.clone()));
            }
        }
    }

    /// Ends all filters that concern an agent: with other attributes it counts as another one.
    pub(super) fn clear_filters_on(&mut self, agent: &AgentId) {
        for (id, framework) in &mut self.frameworks {
            for filter in framework.filters.remove(agent).unwrap_or_default() {
                self.expiries.remove(&(filter.until, id.clone(), agent.clone()));
            }
        }
    }
}

fn offer_message(
    id: &OfferId,
    to: &FrameworkId,
    on: &AgentId,
    agent: &Agent,
    resources: &Resources,
) -> proto::Offer {
    let here = agent.here.get(to);
    proto::Offer {
        id: Some(id.clone()),
        framework_id: Some(to.clone()),
        agent_id: Some(wire::agent_id_out(on)),
        hostname: agent.facts.hostname.clone(),
        resources: wire::resources_out(resources),
        executor_ids: here.map(|here| here.executors.keys().cloned().collect()).unwrap_or_default(),
        attributes: wire::attributes_out(&agent.facts.attributes),
        ..proto::Offer::default()
    }
}

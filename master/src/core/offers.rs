//! Offers: made of what is free, and taken back.
//!
//! An agent's free resources go whole into one offer. What becomes free beside an outstanding
//! offer is offered in addition. Of several frameworks and roles that would take an offer the
//! neediest gets it (`books.rs`).

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

use muster_api::{AgentId, Now, Resources, limits};
use muster_proto::{self as proto, CapabilityType, FrameworkId, OfferId};

use super::{
    agent::Agent,
    event::Step,
    framework::{Door, Framework},
    master::{Master, Offer},
    role::Role,
    wire,
};

/// Why offers cannot be used, in the words of Mesos.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidOffers {
    #[error("No offers specified")]
    None,
    #[error("Duplicate offer {id} in offer list")]
    Twice { id: String },
    #[error("Offer {id} is no longer valid")]
    Dead { id: String },
    #[error(
        "Aggregated offers must belong to one single agent. Offer {id} uses agent {agent} and \
         agent {other}"
    )]
    SeveralAgents { id: String, agent: AgentId, other: AgentId },
    #[error(
        "Aggregated offers must be allocated to the same role. Offer {id} uses role '{role}' but \
         another is using role '{other}'"
    )]
    SeveralRoles { id: String, role: Role, other: Role },
}

/// What was taken out of the books by an ACCEPT: what several offers of one agent and role held.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) agent: AgentId,
    pub(super) role: Role,
    pub(super) room: Resources,
}

impl Master {
    /// Offers what is free on the agents that changed in this step: one event a framework.
    pub(super) fn offer_changed(&mut self, now: Now, step: &mut Step) {
        let mut made = BTreeMap::<FrameworkId, Vec<proto::Offer>>::new();
        for id in mem::take(&mut self.changed) {
            let Some((framework, role, resources)) = self.taker(&id) else { continue };
            let offer = self.make_offer(now, &framework, role, &id, resources);
            made.entry(framework).or_default().push(offer);
        }
        for (framework, offers) in made {
            self.tell(&framework, wire::offers(offers), step);
        }
    }

    /// Who gets what is free on an agent, if there is anything and anybody.
    fn taker(&self, id: &AgentId) -> Option<(FrameworkId, Role, Resources)> {
        let agent = self.agents.get(id).filter(|agent| agent.drain.is_none())?;
        agent.launchable()?;
        let free = agent.free();
        if free.is_empty() {
            return None;
        }
        let (framework, role) = self.next_taker(id, agent, &free)?;
        Some((framework.clone(), role.clone(), free))
    }

    fn next_taker<'a>(
        &'a self,
        id: &AgentId,
        agent: &Agent,
        free: &Resources,
    ) -> Option<(&'a FrameworkId, &'a Role)> {
        let mut wanting = self.frameworks.iter().flat_map(|(framework_id, framework)| {
            framework.wanting(id, agent, free).map(move |role| (framework_id, role))
        });
        let first = wanting.next()?;
        match wanting.next() {
            // Who is alone needs no reckoning.
            None => Some(first),
            Some(second) => {
                let all: Vec<_> = [first, second].into_iter().chain(wanting).collect();
                self.books.neediest(&all)
            }
        }
    }

    fn make_offer(
        &mut self,
        now: Now,
        to: &FrameworkId,
        role: Role,
        on: &AgentId,
        resources: Resources,
    ) -> proto::Offer {
        self.offers_made += 1;
        let id = OfferId::new(format!("{}-O{}", self.term, self.offers_made));
        let agent = self.agents.get_mut(on).expect("only what is free on a known agent is offered");
        agent.add_offer(id.clone(), &resources);
        self.books.take(to, &role, &resources);
        self.books.count_offer(to, &role);
        let framework = self.frameworks.get_mut(to).expect("only a known framework takes offers");
        framework.offers.insert(id.clone());
        let mut ends = None;
        if let (Some(Door::Stream(_)), Some(timeout)) = (framework.door(), self.offer_timeout) {
            let end = now.mono + timeout;
            self.offer_ends.insert((end, id.clone()));
            ends = Some(end);
        }
        let message = offer_message(&id, to, framework, &role, on, agent, &resources);
        let (framework, agent, made) = (to.clone(), on.clone(), now.mono);
        self.offers.insert(id, Offer { framework, role, agent, resources, made, ends });
        message
    }

    /// Takes outstanding offers out of the books: what they held is free again. If any of them
    /// cannot be used, the rest is free again too, and that is an error.
    pub(super) fn take_offers(
        &mut self,
        framework: &FrameworkId,
        ids: &[OfferId],
    ) -> Result<Taken, InvalidOffers> {
        let valid = self.check_offers(framework, ids);
        let mut room = Resources::none();
        for id in ids {
            if self.offers.get(id).is_some_and(|offer| offer.framework == *framework)
                && let Some(offer) = self.remove_offer(id)
            {
                room = room.checked_add(&offer.resources).unwrap_or(room);
            }
        }
        valid.map(|(agent, role)| Taken { agent, role, room })
    }

    /// The one agent and role that all of these offers are of.
    fn check_offers(
        &self,
        framework: &FrameworkId,
        ids: &[OfferId],
    ) -> Result<(AgentId, Role), InvalidOffers> {
        let mut first: Option<&Offer> = None;
        let mut seen = BTreeSet::new();
        for offer_id in ids {
            let id = || offer_id.value.clone();
            if !seen.insert(offer_id) {
                return Err(InvalidOffers::Twice { id: id() });
            }
            let offer = self.offers.get(offer_id).filter(|offer| offer.framework == *framework);
            let offer = offer.ok_or_else(|| InvalidOffers::Dead { id: id() })?;
            let first = *first.get_or_insert(offer);
            if first.agent != offer.agent {
                let (agent, other) = (offer.agent.clone(), first.agent.clone());
                return Err(InvalidOffers::SeveralAgents { id: id(), agent, other });
            }
            if first.role != offer.role {
                let (role, other) = (offer.role.clone(), first.role.clone());
                return Err(InvalidOffers::SeveralRoles { id: id(), role, other });
            }
        }
        first.map(|offer| (offer.agent.clone(), offer.role.clone())).ok_or(InvalidOffers::None)
    }

    pub(super) fn remove_offer(&mut self, id: &OfferId) -> Option<Offer> {
        let offer = self.offers.remove(id)?;
        if let Some(agent) = self.agents.get_mut(&offer.agent) {
            agent.remove_offer(id, &offer.resources);
        }
        if let Some(framework) = self.frameworks.get_mut(&offer.framework) {
            framework.offers.remove(id);
        }
        self.books.give_back(&offer.framework, &offer.role, &offer.resources);
        if let Some(ends) = offer.ends {
            self.offer_ends.remove(&(ends, id.clone()));
        }
        self.changed.insert(offer.agent.clone());
        Some(offer)
    }

    /// Withdraws an offer.
    pub(super) fn rescind(&mut self, id: &OfferId, step: &mut Step) {
        if let Some(offer) = self.remove_offer(id) {
            self.tell(&offer.framework, wire::rescind(id.clone()), step);
        }
    }

    /// An offer has stood for long enough, and its framework has done nothing with it. Others come
    /// first now: one that holds all it is offered and uses none has the smallest share of all.
    pub(super) fn end_offer(&mut self, now: Now, id: &OfferId, step: &mut Step) {
        let Some(Offer { framework, role, agent, resources, .. }) = self.remove_offer(id) else {
            return;
        };
        self.tell(&framework, wire::rescind(id.clone()), step);
        self.add_filter(now, &framework, &role, &agent, resources, limits::REFUSE_DEFAULT);
    }

    /// Withdraws the offers of an agent.
    pub(super) fn rescind_on(&mut self, id: &AgentId, step: &mut Step) {
        let offers = self.agents.get(id).map(|agent| agent.offers.clone());
        for id in offers.unwrap_or_default() {
            self.rescind(&id, step);
        }
    }

    /// Withdraws the offers of a framework.
    pub(super) fn rescind_of(&mut self, id: &FrameworkId, step: &mut Step) {
        let offers = self.frameworks.get(id).map(|framework| framework.offers.clone());
        for offer in offers.unwrap_or_default() {
            self.rescind(&offer, step);
        }
    }

    /// Forgets the offers of a framework, which by the rules of Mesos forgets them as well.
    pub(super) fn forget_offers_of(&mut self, framework: &FrameworkId) {
        let Some(framework) = self.frameworks.get_mut(framework) else { return };
        for id in mem::take(&mut framework.offers) {
            self.remove_offer(&id);
        }
    }

    /// A framework may want more than before: what it wants of what is free is offered. Nobody else
    /// wants any of that, or it would not be free.
    pub(super) fn offer_to(&mut self, id: &FrameworkId) {
        let Some(framework) = self.frameworks.get(id) else { return };
        let wanted = |(id, agent): (&AgentId, &Agent)| {
            let free = agent.free();
            let wanted = !free.is_empty() && framework.wanting(id, agent, &free).next().is_some();
            wanted.then(|| id.clone())
        };
        self.changed.extend(self.agents.iter().filter_map(wanted));
    }
}

/// An offer in the form that its framework understands: roles are named to who can have several,
/// and who knows no refined reservations finds the role of unreserved resources in the old place.
fn offer_message(
    id: &OfferId,
    to: &FrameworkId,
    framework: &Framework,
    role: &Role,
    on: &AgentId,
    agent: &Agent,
    resources: &Resources,
) -> proto::Offer {
    let here = agent.here.get(to);
    let mut resources = wire::resources_out(resources);
    let (mut allocation_info, mut url) = (None, None);
    if framework.stream().is_some() {
        url.clone_from(&agent.url);
        let refined = framework.has(CapabilityType::ReservationRefinement);
        allocation_info = framework.has(CapabilityType::MultiRole).then(|| wire::allocation(role));
        for resource in &mut resources {
            resource.allocation_info.clone_from(&allocation_info);
            resource.role = (!refined).then(|| "*".to_owned());
        }
    }
    proto::Offer {
        id: Some(id.clone()),
        framework_id: Some(to.clone()),
        agent_id: Some(wire::agent_id_out(on)),
        hostname: agent.facts.hostname.clone(),
        url,
        resources,
        executor_ids: here.map(|here| here.executors.keys().cloned().collect()).unwrap_or_default(),
        attributes: wire::attributes_out(&agent.facts.attributes),
        allocation_info,
        ..proto::Offer::default()
    }
}

//! What agents offer, as placement sees it: small integers for names, and a room for each agent
//! that ever made an offer.

use std::collections::BTreeMap;

use muster_api::{AgentId, Mono, OfferId, Resources, spec::HOSTNAME};

use crate::{
    demands::Demands,
    event::Offer,
    place,
    placement::{Amounts, Kind, Room, Rooms},
    sharing::HeldOffer,
    world::{Agent, World},
};

/// The rooms of all agents, and what their numbers stand for.
#[derive(Debug, Default)]
pub(crate) struct Offered {
    pub(crate) rooms: Rooms,
    /// The agent of each room; of one that has none any more, its last one.
    agents: Vec<AgentId>,
    /// The rooms of agents that are forgotten, for others to have.
    vacant: Vec<u32>,
    /// What waiting runs ask of hosts.
    pub(crate) demands: Demands,
    attributes: Names,
    values: Names,
    dimensions: Dimensions,
}

/// Numbers for names, from 1.
#[derive(Debug, Default)]
struct Names(BTreeMap<String, u32>);

impl Names {
    /// The number of a name; zero if it has none.
    fn get(&self, name: &str) -> u32 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// The number of a name, which it gets if it has none.
    fn learn(&mut self, name: &str) -> u32 {
        if let Some(number) = self.0.get(name) {
            return *number;
        }
        let next = u32::try_from(self.0.len() + 1).expect("hosts are far fewer than 2^32");
        self.0.insert(name.to_owned(), next);
        next
    }
}

impl Offered {
    /// The agent of a room.
    pub(crate) fn agent(&self, room: u32) -> &AgentId {
        &self.agents[room as usize]
    }

    /// Gives an agent a room, perhaps that of one which is forgotten; its number.
    fn let_room(&mut self, agent: &AgentId, room: Room) -> u32 {
        let Some(number) = self.vacant.pop() else {
            self.agents.push(agent.clone());
            return self.rooms.add(room);
        };
        self.agents[number as usize] = agent.clone();
        self.rooms.set_attributes(number, room.attributes, room.allowed_by);
        self.rooms.set_warm(number, room.warm);
        self.rooms.set_free(number, room.free);
        number
    }

    /// The number of an attribute; zero if no host ever had it.
    pub(crate) fn attribute(&self, name: &str) -> u32 {
        self.attributes.get(name)
    }

    /// The number of a value of an attribute; zero if no host ever had it.
    pub(crate) fn value(&self, text: &str) -> u32 {
        self.values.get(text)
    }

    /// What a host is like, in numbers.
    fn attributes_of(&mut self, agent: &Agent) -> BTreeMap<u32, u32> {
        let declared = agent.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        // Whatever it declares, its host name is its host name.
        let all = declared.chain([(HOSTNAME, agent.hostname.as_str())]);
        all.map(|(name, value)| (self.attributes.learn(name), self.values.learn(value))).collect()
    }

    /// Resources in numbers; none when an agent never had one of them, for then nobody has enough.
    pub(crate) fn amounts(&self, resources: &Resources) -> Option<Amounts> {
        let mut amounts = Amounts::new();
        for (name, amount) in resources.iter() {
            self.dimensions.add(&mut amounts, name, amount.thousandths())?;
        }
        Some(amounts)
    }

    /// Resources in numbers, and those that no agent ever had: how many, and how much in all.
    pub(crate) fn known_amounts(&self, resources: &Resources) -> (Amounts, (usize, u64)) {
        let (mut amounts, mut missing) = (Amounts::new(), (0, 0));
        for (name, amount) in resources.iter() {
            if self.dimensions.add(&mut amounts, name, amount.thousandths()).is_none() {
                missing = (missing.0 + 1, missing.1 + amount.thousandths());
            }
        }
        (amounts, missing)
    }
}

/// Numbers for the resources that agents have.
#[derive(Debug)]
struct Dimensions(BTreeMap<String, usize>);

impl Default for Dimensions {
    /// What every agent has.
    fn default() -> Self {
        Self(["cpus", "mem"].map(str::to_owned).into_iter().zip(0..).collect())
    }
}

impl Dimensions {
    /// Gives numbers to resources that have none; whether there were any.
    fn learn(&mut self, resources: &Resources) -> bool {
        let before = self.0.len();
        for (name, _) in resources.iter() {
            if !self.0.contains_key(name) {
                self.0.insert(name.to_owned(), self.0.len());
            }
        }
        self.0.len() > before
    }

    /// Adds an amount of a resource, if that has a number.
    fn add(&self, amounts: &mut Amounts, name: &str, amount: u64) -> Option<()> {
        let at = *self.0.get(name)?;
        if amounts.len() <= at {
            amounts.resize(at + 1, 0);
        }
        amounts[at] = amounts[at].saturating_add(amount);
        Some(())
    }

    fn sum<'a>(&self, offers: impl Iterator<Item = &'a Resources>) -> Amounts {
        let mut sum = Amounts::new();
        for (name, amount) in offers.flat_map(Resources::iter) {
            self.add(&mut sum, name, amount.thousandths())
                .expect("what an offer has got its number when it came");
        }
        sum
    }
}

impl World {
    /// Takes in an offer; how many of its agent there are now.
    pub(crate) fn add_offer(&mut self, offer: Offer, since: Mono) -> usize {
        let new_resources = self.offered.dimensions.learn(&offer.resources);
        let held = HeldOffer { agent: offer.agent.clone(), since };
        self.offers.insert(offer.id.clone(), held);
        self.describe_agent(&offer.agent, offer.hostname, offer.attributes);
        let agent = self.agents.entry(offer.agent.clone()).or_default();
        agent.offered = true;
        agent.given_back = None;
        agent.offers.insert(offer.id, offer.resources);
        let offers = agent.offers.len();
        self.offers_changed(&offer.agent);
        if new_resources {
            self.line_up_stranded();
        }
        offers
    }

    /// Takes in what an agent is like. With other attributes others may be allowed there.
    pub(crate) fn describe_agent(
        &mut self,
        id: &AgentId,
        hostname: String,
        attributes: BTreeMap<String, String>,
    ) {
        let agent = self.agents.entry(id.clone()).or_default();
        if (&agent.hostname, &agent.attributes) == (&hostname, &attributes) {
            return;
        }
        (agent.hostname, agent.attributes) = (hostname, attributes);
        if let Some(room) = agent.room {
            let allowed_by = self.offered.demands.that_allow(agent);
            let attributes = self.offered.attributes_of(agent);
            self.offered.rooms.set_attributes(room, attributes, allowed_by);
        }
    }

    /// Forgets an offer.
    pub(crate) fn remove_offer(&mut self, id: &OfferId) {
        let Some(HeldOffer { agent, .. }) = self.offers.remove(id) else { return };
        if let Some(entry) = self.agents.get_mut(&agent) {
            entry.offers.remove(id);
            self.offers_changed(&agent);
        }
    }

    /// Takes all offers of an agent, to use them up or to give them back.
    pub(crate) fn take_offers(&mut self, agent: &AgentId) -> Vec<OfferId> {
        let Some(entry) = self.agents.get_mut(agent) else { return Vec::new() };
        let offers: Vec<_> = std::mem::take(&mut entry.offers).into_keys().collect();
        for offer in &offers {
            self.offers.remove(offer);
        }
        if !offers.is_empty() {
            self.offers_changed(agent);
        }
        offers
    }

    /// Forgets an agent on which nothing of ours is, and which offers nothing.
    pub(crate) fn forget_agent(&mut self, id: &AgentId) {
        let room = self.agents.remove(id).and_then(|agent| agent.room);
        self.offered.vacant.extend(room);
    }

    /// Forgets all offers of all agents.
    pub(crate) fn forget_offers(&mut self) {
        let offers = std::mem::take(&mut self.offers);
        for offer in offers.into_values() {
            self.take_offers(&offer.agent);
        }
        self.forget_given_back();
    }

    /// Forgets what was offered by hosts that offer nothing now: nobody would say that it is so still.
    pub(crate) fn forget_given_back(&mut self) {
        self.agents.values_mut().for_each(|agent| agent.given_back = None);
    }

    /// Makes the room of an agent what its offers say.
    fn offers_changed(&mut self, id: &AgentId) {
        let Some(agent) = self.agents.get(id) else { return };
        let free = self.offered.dimensions.sum(agent.offers.values());
        match agent.room {
            Some(room) => self.offered.rooms.set_free(room, free),
            None => {
                let allowed_by = self.offered.demands.that_allow(agent);
                let attributes = self.offered.attributes_of(agent);
                let warm = self.kinds_of(id).collect();
                let room = Room { free, attributes, allowed_by, held: false, warm };
                let room = self.offered.let_room(id, room);
                if let Some(agent) = self.agents.get_mut(id) {
                    agent.room = Some(room);
                }
            }
        }
    }

    /// Makes the room of an agent what its executors say, one of which changed its state.
    pub(crate) fn executors_changed(&mut self, id: &AgentId) {
        let Some(room) = self.agents.get(id).and_then(|agent| agent.room) else { return };
        let warm = self.kinds_of(id).collect();
        self.offered.rooms.set_warm(room, warm);
    }

    /// The kinds of executor that take tasks on an agent.
    fn kinds_of(&self, id: &AgentId) -> impl Iterator<Item = Kind> {
        let executors = self.agents.get(id).into_iter().flat_map(|agent| &agent.executors);
        let executors = executors.filter_map(|id| self.executors.get(id));
        let usable = executors.filter(|executor| self.takes_more(executor));
        usable.map(|e| place::kind(e.record.app_uid, e.record.revision))
    }
}

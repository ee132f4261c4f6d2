//! The invariants of the master, derived anew from what lives where. Shares no code with the
//! handlers; a broken one is a bug and panics.

use std::collections::BTreeMap;

use muster_api::{AgentId, Mono, Resources};

use super::{
    agent::{Agent, Link},
    framework::{Framework, Standing},
    master::Master,
};

/// Above this many tasks and agents not each step is checked.
const SMALL: usize = 100;
/// How many steps then go by between two checks.
const SELDOM: u64 = 64;

impl Master {
    pub(super) fn check_is_due(&self) -> bool {
        let tasks = self.frameworks.values().map(|framework| framework.tasks.len()).sum::<usize>();
        tasks + self.agents.len() <= SMALL || self.steps.is_multiple_of(SELDOM)
    }

    /// Panics if an invariant does not hold. Debug builds do this after each step, or after some
    /// when there is much to check.
    pub fn check(&self) {
        let watches: BTreeMap<_, _> = self.watches.iter().map(|(at, id)| (id, *at)).collect();
        assert_eq!(watches.len(), self.watches.len(), "an agent is watched twice");
        for (id, agent) in &self.agents {
            self.check_ledger(id, agent);
            self.check_link(id, agent, watches.get(id));
            self.check_offering(id, agent);
            self.check_drain(id, agent);
        }
        for (id, framework) in &self.frameworks {
            for (task, agent) in &framework.tasks {
                let here = &self.agents[agent].here[id];
                assert!(here.tasks.contains_key(task), "task {task} is not where the index says");
            }
            for offer in &framework.offers {
                assert_eq!(&self.offers[offer].framework, id, "offer {offer} is somebody else's");
            }
            if !framework.is_subscribed() {
                assert!(framework.offers.is_empty(), "framework {id} is away and holds offers");
            }
        }
        for (id, offer) in &self.offers {
            assert!(self.agents[&offer.agent].offers.contains(id), "offer {id} is of no agent");
            let framework = &self.frameworks[&offer.framework];
            assert!(framework.offers.contains(id), "offer {id} is of no framework");
        }
        assert!(
            self.gone.keys().all(|id| !self.agents.contains_key(id)),
            "an agent is gone and there"
        );
        assert!(
            self.naming.keys().all(|id| self.frameworks[id].is_subscribed()),
            "a framework that is away is told of its tasks"
        );
        let told = self.shared && self.embedded.is_some();
        let others = self.frameworks.iter().filter(|(id, _)| Some(*id) != self.embedded.as_ref());
        let others = others.filter(|(_, framework)| framework.is_subscribed()).count();
        assert_eq!(told, others > 0 && self.embedded.is_some(), "who shares is told otherwise");
        let missing = self.agents.values().filter(|agent| !agent.came).count();
        assert_eq!(missing, self.missing, "the count of missing agents is wrong");
        let up = self.agents.values().filter(|agent| matches!(agent.link, Link::Up(_))).count();
        assert_eq!(up, self.connections.len(), "a connection is of no agent");
        assert!(self.changed.is_empty(), "agents are left to be offered");
    }

    /// Who is drained is offered to nobody, and its deadline is waited for, unless it is over.
    fn check_drain(&self, id: &AgentId, agent: &Agent) {
        let waits = self.deadlines.iter().filter(|(_, of)| of == id).map(|(at, _)| *at);
        let waits: Vec<_> = waits.collect();
        let Some(drain) = agent.drain else {
            assert!(waits.is_empty(), "{id} is not drained and has a deadline");
            return;
        };
        assert!(agent.offers.is_empty(), "{id} is drained and offered");
        let deadline = drain.deadline.map(|deadline| deadline.mono);
        assert!(waits.iter().all(|at| Some(*at) == deadline), "the deadline of {id} is another");
        assert!(waits.len() <= 1, "{id} has two deadlines");
    }

    /// In each dimension: total = free + offered + used, and none of them is negative.
    fn check_ledger(&self, id: &AgentId, agent: &Agent) {
        let mut used = BTreeMap::<String, u64>::new();
        for (framework, here) in &agent.here {
            assert!(!here.tasks.is_empty() || !here.executors.is_empty(), "an empty entry on {id}");
            for executor in here.executors.values() {
                add(&mut used, &executor.resources);
            }
            for (task_id, task) in &here.tasks {
                let index = self.frameworks[framework].tasks.get(task_id);
                assert_eq!(index, Some(id), "task {task_id} is not in the index");
                if !task.state.is_terminal() {
                    add(&mut used, &task.resources);
                }
            }
        }
        let mut offered = BTreeMap::new();
        for offer in &agent.offers {
            assert_eq!(&self.offers[offer].agent, id, "offer {offer} is of another agent");
            add(&mut offered, &self.offers[offer].resources);
        }
        let mut taken = used.clone();
        add(&mut taken, &agent.offered);
        assert_eq!(amounts(&agent.used), used, "what is used on {id} is booked wrong");
        assert_eq!(amounts(&agent.offered), offered, "what is offered of {id} is booked wrong");
        for (name, amount) in &taken {
            let total = agent.facts.resources.get(name).thousandths();
            assert!(*amount <= total, "{name} of {id}: {amount} of {total} are taken");
        }
    }

    fn check_link(&self, id: &AgentId, agent: &Agent, watched: Option<&Mono>) {
        match &agent.link {
            Link::Away => assert!(watched.is_none(), "{id} is away and watched"),
            Link::Up(up) => {
                assert!(agent.came, "{id} is connected and never came");
                let owner = self.connections.get(&up.connection);
                assert_eq!(owner, Some(id), "{id} has no connection");
                assert_eq!(up.watch.as_ref(), watched, "{id} is watched wrongly");
            }
        }
    }

    /// Nothing is offered where nothing can be launched, and nothing is kept from who wants it.
    fn check_offering(&self, id: &AgentId, agent: &Agent) {
        if agent.launchable().is_none() || agent.drain.is_some() {
            assert!(agent.offers.is_empty(), "{id} cannot launch and is offered");
            return;
        }
        let mut free = amounts(&agent.facts.resources);
        for taken in [&agent.used, &agent.offered] {
            for (name, amount) in amounts(taken) {
                *free.entry(name).or_default() -= amount;
            }
        }
        free.retain(|_, amount| *amount > 0);
        let wants = |framework: &Framework| {
            let refuses = |refused: &Resources| {
                free.iter().all(|(name, amount)| refused.get(name).thousandths() >= *amount)
            };
            let mut filters = framework.filters.get(id).into_iter().flatten();
            framework.standing == Standing::Subscribed { suppressed: false }
                && !filters.any(|filter| refuses(&filter.refused))
        };
        let kept = !free.is_empty() && self.frameworks.values().any(wants);
        assert!(!kept, "free resources of {id} are not offered");
    }
}

fn amounts(resources: &Resources) -> BTreeMap<String, u64> {
    resources.iter().map(|(name, amount)| (name.to_owned(), amount.thousandths())).collect()
}

fn add(sum: &mut BTreeMap<String, u64>, resources: &Resources) {
    for (name, amount) in amounts(resources) {
        *sum.entry(name).or_default() += amount;
    }
}

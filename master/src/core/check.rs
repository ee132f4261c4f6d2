//! The invariants of the master, derived anew from what lives where. Shares no code with the
//! handlers; a broken one is a bug and panics.

use std::collections::{BTreeMap, BTreeSet};

use muster_api::{AgentId, Mono, Resources, limits};
use muster_proto::FrameworkId;

use super::{
    agent::{Agent, Link},
    books::Held,
    framework::{Door, Framework, Interest, Standing},
    master::Master,
    role::Role,
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
            self.check_roles(id, framework);
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
            self.questions.askers().all(|id| self.frameworks[id].is_subscribed()),
            "a framework that is away is told of its tasks"
        );
        assert!(
            self.lost.agents().all(|id| self.agents[id].connection().is_none()),
            "an agent that has said what lives there has lost tasks"
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
        self.check_books();
        self.check_times();
    }

    /// What a framework is offered is in a role of its own, and it refuses nothing while it is away.
    fn check_roles(&self, id: &FrameworkId, framework: &Framework) {
        for interest in framework.roles.values() {
            for (agent, filters) in &interest.filters {
                let count = filters.len();
                assert!((1..=limits::FILTERS_PER_AGENT).contains(&count), "{count} of {agent}");
            }
            let refuses = !interest.filters.is_empty();
            assert!(framework.is_subscribed() || !refuses, "framework {id} is away and refuses");
        }
        for offer in &framework.offers {
            let role = &self.offers[offer].role;
            assert!(framework.roles.contains_key(role), "{id} is offered in {role}, not its own");
        }
    }

    /// Who holds what is the sum of what lives and is offered anywhere.
    fn check_books(&self) {
        type Sums = BTreeMap<(Role, FrameworkId), BTreeMap<String, u64>>;
        let mut sums = Sums::new();
        let mut total = BTreeMap::new();
        for agent in self.agents.values() {
            if agent.came {
                add(&mut total, &agent.facts.resources);
            }
            for (framework, here) in &agent.here {
                let executors = here.executors.values().map(|one| (&one.role, &one.resources));
                let tasks = here.tasks.values().filter(|task| !task.state.is_terminal());
                for (role, what) in executors.chain(tasks.map(|one| (&one.role, &one.resources))) {
                    let sum = sums.entry((role.clone(), framework.clone())).or_default();
                    add(sum, what);
                }
            }
        }
        for offer in self.offers.values() {
            let sum = sums.entry((offer.role.clone(), offer.framework.clone())).or_default();
            add(sum, &offer.resources);
        }
        sums.retain(|_, sum| !sum.is_empty());
        let booked = self.books.held().iter().flat_map(|(role, of_role)| {
            let key = |framework: &FrameworkId| (role.clone(), framework.clone());
            let one = move |(framework, held): (&FrameworkId, &Held)| {
                (key(framework), amounts(&held.resources))
            };
            of_role.iter().map(one).collect::<Vec<_>>()
        });
        let booked: Sums = booked.filter(|(_, sum)| !sum.is_empty()).collect();
        assert_eq!(booked, sums, "the books are wrong");
        for (role, of_role) in self.books.held() {
            for (framework, held) in of_role {
                let known = self.frameworks.get(framework).filter(|one| !one.is_removed());
                let has_role = known.is_some_and(|known| known.roles.contains_key(role));
                assert!(has_role || !held.has_role, "{framework} has not {role}");
                assert!(held.has_role || !amounts(&held.resources).is_empty(), "{role} is booked");
            }
        }
        assert_eq!(amounts(self.books.total()), total, "the cluster is counted wrong");
    }

    /// What is waited for is what there is to wait for.
    fn check_times(&self) {
        let mut refused = BTreeSet::new();
        for (id, framework) in &self.frameworks {
            for (role, interest) in &framework.roles {
                for (agent, filter) in interest
                    .filters
                    .iter()
                    .flat_map(|(agent, all)| all.iter().map(move |one| (agent, one)))
                {
                    refused.insert((filter.until, id.clone(), role.clone(), agent.clone()));
                }
            }
        }
        assert_eq!(refused, self.expiries, "filters end otherwise");
        let ends = self.offers.iter().filter_map(|(id, offer)| Some((offer.ends?, id.clone())));
        assert_eq!(ends.collect::<BTreeSet<_>>(), self.offer_ends, "offers end otherwise");
        let away = |(id, framework): (&FrameworkId, &Framework)| match framework.standing {
            Standing::Away { until, .. } => Some((until, id.clone())),
            Standing::Subscribed { .. } | Standing::Removed { .. } => None,
        };
        let away: BTreeSet<_> = self.frameworks.iter().filter_map(away).collect();
        assert_eq!(away, self.failovers, "frameworks are awaited otherwise");
        let losses = self.agents.iter().filter_map(|(id, agent)| Some((agent.loss?, id.clone())));
        assert_eq!(losses.collect::<BTreeSet<_>>(), self.losses, "agents are awaited otherwise");
        for (id, agent) in &self.agents {
            let awaited = agent.loss.is_some() || agent.unreachable.is_some();
            assert_eq!(awaited, agent.is_silent(), "{id} is lost at a wrong time");
        }
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
        let open = |interest: &Interest| {
            let refuses = |refused: &Resources| {
                free.iter().all(|(name, amount)| refused.get(name).thousandths() >= *amount)
            };
            let mut filters = interest.filters.get(id).into_iter().flatten();
            !interest.suppressed && !filters.any(|filter| refuses(&filter.refused))
        };
        // Those over HTTP have more to say of what they want; who says nothing is judged here.
        let wants = |framework: &Framework| match framework.door() {
            Some(Door::Embedded) => framework.roles.values().any(open),
            Some(Door::Stream(_)) => {
                let worth = |name: &str, least| free.get(name).is_some_and(|free| *free >= least);
                let plain = |one: &&Interest| one.least.is_none() && one.constraints.is_none();
                (worth("cpus", 10) || worth("mem", 32_000))
                    && agent.facts.resources.get("gpus").thousandths() == 0
                    && framework.roles.values().filter(plain).any(open)
            }
            None => false,
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

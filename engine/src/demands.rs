//! What jobs ask of hosts, as placement sees it: a number for each set of constraints, and which
//! rooms each of them allows.

use std::collections::{BTreeMap, BTreeSet};

use muster_api::{
    RunId,
    spec::{Constraint, HOSTNAME, Rule},
};

use crate::{
    placement::{Bits, SetId},
    world::{Agent, World},
};

/// Sets that nobody uses any more and that are kept all the same, beside as many as are used.
const SPARE: usize = 256;

/// The sets of constraints that runs have or had, in numbers.
#[derive(Debug, Default)]
pub(crate) struct Demands {
    numbers: BTreeMap<Vec<Constraint>, SetId>,
    rules: BTreeMap<SetId, Vec<Rule>>,
    /// Beyond so many the unused ones are forgotten.
    most: usize,
}

impl Demands {
    /// The number of a set; none if it was never learnt.
    pub(crate) fn number(&self, constraints: &[Constraint]) -> Option<SetId> {
        if constraints.is_empty() {
            return Some(SetId::NONE);
        }
        self.numbers.get(constraints).copied()
    }

    /// What a set asks for.
    pub(crate) fn rules(&self, set: SetId) -> &[Rule] {
        self.rules.get(&set).map_or(&[], Vec::as_slice)
    }

    /// The sets that allow a host.
    pub(crate) fn that_allow(&self, agent: &Agent) -> Bits {
        let allowing = self.rules.iter().filter(|(_, rules)| allow(rules, agent));
        allowing.map(|(set, _)| set.0).collect()
    }

    /// Gives the least number that is free.
    fn add(&mut self, constraints: &[Constraint]) -> SetId {
        let taken = (SetId::NONE.0 + 1..).zip(self.rules.keys());
        let gap = taken.into_iter().find(|(number, set)| *number != set.0);
        let last = self.rules.last_key_value().map_or(SetId::NONE, |(set, _)| *set);
        let number = SetId(gap.map_or(last.0 + 1, |(number, _)| number));
        self.numbers.insert(constraints.to_vec(), number);
        self.rules.insert(number, constraints.iter().map(Rule::new).collect());
        number
    }

    /// Forgets all sets but these.
    fn keep(&mut self, used: &BTreeSet<SetId>) {
        self.numbers.retain(|_, set| used.contains(set));
        self.rules.retain(|set, _| used.contains(set));
        self.most = 2 * self.rules.len() + SPARE;
    }
}

fn allow(rules: &[Rule], agent: &Agent) -> bool {
    rules.iter().all(|rule| holds(rule, agent))
}

/// Whether a constraint holds for a host.
pub(crate) fn holds(rule: &Rule, agent: &Agent) -> bool {
    let name = rule.constraint().attribute.as_str();
    let value = match name {
        HOSTNAME => Some(agent.hostname.as_str()),
        name => agent.attributes.get(name).map(String::as_str),
    };
    rule.holds(value)
}

impl World {
    /// Makes sure that the constraints of a run have a number, before it is asked for.
    /// Whether they had none: then others may have lost theirs.
    pub(crate) fn learn_constraints(&mut self, run: RunId) -> bool {
        let Some(spec) = self.runs.get(&run).and_then(|run| self.spec_of(run)) else {
            return false;
        };
        if self.offered.demands.number(&spec.constraints).is_some() {
            return false;
        }
        if self.offered.demands.rules.len() >= self.offered.demands.most {
            let used = self.queue.sets();
            self.offered.demands.keep(&used);
            self.offered.rooms.forget_orders_but_of(&used);
        }
        let set = self.offered.demands.add(&spec.constraints);
        let rules = self.offered.demands.rules(set);
        for agent in self.agents.values() {
            if let Some(room) = agent.room {
                self.offered.rooms.allow(room, set, allow(rules, agent));
            }
        }
        true
    }
}

//! What a framework does not want: offers declined for a while, and roles without offers at all.

use std::{collections::BTreeSet, time::Duration};

use muster_api::{AgentId, Now, Resources, limits};
use muster_proto::{FrameworkId, OfferId};

use super::{
    event::Step,
    framework::{Door, Filter, Framework, Interest},
    master::Master,
    role::Role,
};

impl Master {
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
                let (role, agent) = (&offer.role, &offer.agent);
                self.add_filter(now, framework, role, agent, offer.resources, refuse);
            }
        }
    }

    /// Keeps what lies within `refused` on an agent from a framework in one of its roles for a
    /// while. One that calls over HTTP is not offered the same at once, whatever it says: as on a
    /// real master it waits for the next allocation, or giving back would go round and round.
    pub(super) fn add_filter(
        &mut self,
        now: Now,
        framework_id: &FrameworkId,
        role: &Role,
        agent: &AgentId,
        refused: Resources,
        refuse: Duration,
    ) {
        let Some(framework) = self.frameworks.get(framework_id) else { return };
        let at_least = match framework.door() {
            Some(Door::Stream(_)) => limits::ALLOCATION_INTERVAL,
            Some(Door::Embedded) | None => Duration::ZERO,
        };
        let refuse = refuse.max(at_least);
        if refused.is_empty() || refuse.is_zero() {
            return;
        }
        if framework.refusals() >= limits::FILTERS {
            // Also those that should last a moment longer: else each of thousands that come now
            // would be the occasion to look through all of them.
            self.changed.extend(self.refused_by(framework_id, None).into_iter().map(|(_, on)| on));
            self.clear_filters_of(framework_id);
        }
        let (until, at_least) = (now.mono + refuse, now.mono + at_least);
        self.change_filters(framework_id, role, agent, |filters| {
            filters.retain(|old| !(refused.covers(&old.refused) && old.until <= until));
            if filters.len() >= limits::FILTERS_PER_AGENT {
                filters.remove(0);
            }
            filters.push(Filter { refused, until, at_least });
        });
    }

    /// Ends the filters whose time has come.
    pub(super) fn end_filters(
        &mut self,
        now: Now,
        framework: &FrameworkId,
        role: &Role,
        agent: &AgentId,
    ) {
        self.change_filters(framework, role, agent, |filters| {
            filters.retain(|filter| filter.until > now.mono);
        });
        self.changed.insert(agent.clone());
    }

    /// Ends all filters of a framework.
    pub(super) fn clear_filters_of(&mut self, id: &FrameworkId) {
        for (role, agent) in self.refused_by(id, None) {
            self.change_filters(id, &role, &agent, Vec::clear);
        }
    }

    /// Ends all filters of a framework in one of its roles.
    pub(super) fn clear_filters_in(&mut self, id: &FrameworkId, role: &Role) {
        for (role, agent) in self.refused_by(id, Some(role)) {
            self.change_filters(id, &role, &agent, Vec::clear);
        }
    }

    /// Ends all filters that concern an agent: with other attributes it counts as another one.
    pub(super) fn clear_filters_on(&mut self, agent: &AgentId) {
        for id in self.frameworks.keys().cloned().collect::<Vec<_>>() {
            let roles = self.frameworks[&id].roles.iter();
            let refuses = roles.filter(|(_, interest)| interest.filters.contains_key(agent));
            for role in refuses.map(|(role, _)| role.clone()).collect::<Vec<_>>() {
                self.change_filters(&id, &role, agent, Vec::clear);
            }
        }
    }

    /// Ends the filters of a framework in one of its roles as soon as may be: each lasts for as long
    /// as it must, or who always asks for what he has just given back would be offered the same as
    /// fast as the wire goes.
    fn lift_filters(&mut self, now: Now, id: &FrameworkId, role: &Role) {
        let interest = self.frameworks.get(id).and_then(|framework| framework.roles.get(role));
        // Those that end as soon as may be are left alone: who revives all the time changes nothing.
        let lasting = |filters: &Vec<Filter>| filters.iter().any(|one| one.until > one.at_least);
        let refused = interest.into_iter().flat_map(|interest| &interest.filters);
        let refused = refused.filter(|(_, filters)| lasting(filters));
        for agent in refused.map(|(agent, _)| agent.clone()).collect::<Vec<_>>() {
            self.change_filters(id, role, &agent, |filters| {
                filters.iter_mut().for_each(|one| one.until = one.until.min(one.at_least));
                filters.retain(|filter| filter.until > now.mono);
            });
            self.changed.insert(agent);
        }
    }

    /// Where a framework has filters, in one of its roles or in all.
    fn refused_by(&self, id: &FrameworkId, role: Option<&Role>) -> Vec<(Role, AgentId)> {
        let roles = self.frameworks.get(id).into_iter().flat_map(|framework| &framework.roles);
        let roles = roles.filter(|(one, _)| role.is_none_or(|role| role == *one));
        let of_role = |(role, interest): (&Role, &Interest)| {
            let place = |agent: &AgentId| (role.clone(), agent.clone());
            interest.filters.keys().map(place).collect::<Vec<_>>()
        };
        roles.flat_map(of_role).collect()
    }

    /// Changes what a framework refuses of an agent, and with that what is waited for.
    fn change_filters(
        &mut self,
        id: &FrameworkId,
        role: &Role,
        agent: &AgentId,
        change: impl FnOnce(&mut Vec<Filter>),
    ) {
        let framework = self.frameworks.get_mut(id);
        let Some(interest) = framework.and_then(|one| one.roles.get_mut(role)) else { return };
        let mut filters = interest.filters.remove(agent).unwrap_or_default();
        let end = |filter: &Filter| (filter.until, id.clone(), role.clone(), agent.clone());
        for filter in &filters {
            self.expiries.remove(&end(filter));
        }
        change(&mut filters);
        self.expiries.extend(filters.iter().map(end));
        if !filters.is_empty() {
            interest.filters.insert(agent.clone(), filters);
        }
    }

    /// Offers again, without filters, in these roles or, if none is named, in all.
    pub(super) fn revive(&mut self, now: Now, id: &FrameworkId, roles: &[String], step: &mut Step) {
        for role in self.roles_named(id, roles, step).unwrap_or_default() {
            self.lift_filters(now, id, &role);
            self.set_suppressed(id, &role, false);
        }
        self.offer_to(id);
    }

    /// No offers for now in these roles or, if none is named, in all. Outstanding ones stay.
    pub(super) fn suppress(&mut self, id: &FrameworkId, roles: &[String], step: &mut Step) {
        for role in self.roles_named(id, roles, step).unwrap_or_default() {
            self.set_suppressed(id, &role, true);
        }
    }

    fn set_suppressed(&mut self, id: &FrameworkId, role: &Role, wanted: bool) {
        let framework = self.frameworks.get_mut(id);
        if let Some(interest) = framework.and_then(|one| one.roles.get_mut(role)) {
            interest.suppressed = wanted;
        }
    }

    /// The roles that a call is about. One that the framework has not voids the whole call.
    fn roles_named(
        &self,
        id: &FrameworkId,
        names: &[String],
        step: &mut Step,
    ) -> Option<BTreeSet<Role>> {
        let framework: &Framework = self.frameworks.get(id)?;
        if names.is_empty() {
            return Some(framework.roles.keys().cloned().collect());
        }
        let known = |name: &String| framework.roles.get_key_value(name.as_str());
        let named: Option<BTreeSet<Role>> =
            names.iter().map(|name| known(name).map(|(role, _)| role.clone())).collect();
        if named.is_none() {
            step.ignore_call(id, "it names a role that the framework has not");
        }
        named
    }
}

#[cfg(test)]
mod tests {
    use muster_api::{Mono, Timestamp, step::Records};
    use muster_proto::FrameworkInfo;

    use super::*;
    use crate::core::{Stream, framework::Standing};

    const F: &str = "f";

    fn at(millis: u64) -> Now {
        Now { wall: Timestamp::from_millis(0), mono: Mono::from_millis(millis) }
    }

    /// A master that knows one framework over HTTP, in the role of all.
    fn master() -> Master {
        let (mut master, _) =
            Master::restore(1, &Records::new(), at(0)).expect("nothing is stored");
        let (door, since) = (Door::Stream(Stream(1)), Timestamp::from_millis(0));
        let standing = Standing::Subscribed { door, since, principal: None };
        let roles = [(Role::any(), Interest::default())].into();
        let id = FrameworkId::new(F);
        let framework = Framework::new(&id, FrameworkInfo::default(), roles, standing);
        master.frameworks.insert(id, framework);
        master
    }

    fn refuse(master: &mut Master, now: Now, agent: usize, what: &str, seconds: u64) {
        let agent = format!("a{agent}").parse().expect("it is valid");
        let what = what.parse().expect("they are valid");
        let refuse = Duration::from_secs(seconds);
        master.add_filter(now, &FrameworkId::new(F), &Role::any(), &agent, what, refuse);
    }

    fn refused(master: &Master) -> Vec<Filter> {
        let all = master.frameworks[&FrameworkId::new(F)].roles.values();
        all.flat_map(|interest| interest.filters.values().flatten().cloned()).collect()
    }

    #[test]
    fn who_refuses_the_same_again_and_again_is_remembered_once() {
        let mut master = master();
        for time in 0..1_000 {
            refuse(&mut master, at(time), 1, "cpus:1;mem:100", 365 * 24 * 3600);
        }
        assert_eq!((refused(&master).len(), master.expiries.len()), (1, 1));
    }

    #[test]
    fn of_one_agent_a_few_amounts_are_refused_and_the_first_of_more_is_forgotten() {
        let mut master = master();
        for cpus in 1..1_000 {
            let what = format!("cpus:{cpus};mem:{}", 2_000 - cpus);
            refuse(&mut master, at(0), 1, &what, 3_600 + cpus);
        }
        let all = refused(&master);
        assert_eq!(all.len(), limits::FILTERS_PER_AGENT);
        assert_eq!(all[0].refused.get("cpus").as_f64(), 992.0);
        assert_eq!(master.expiries.len(), limits::FILTERS_PER_AGENT);
    }

    #[test]
    fn who_refuses_too_much_is_offered_all_of_it_again() {
        let mut master = master();
        for agent in 0..limits::FILTERS {
            refuse(&mut master, at(0), agent, "cpus:1", 3_600);
        }
        assert_eq!(master.expiries.len(), limits::FILTERS);
        refuse(&mut master, at(0), limits::FILTERS, "cpus:1", 3_600);
        assert_eq!((refused(&master).len(), master.expiries.len()), (1, 1));
        assert_eq!(master.changed.len(), limits::FILTERS);
    }
}

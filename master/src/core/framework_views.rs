//! Frameworks and roles as users see them.

use std::collections::{BTreeMap, BTreeSet};

use muster_api::{
    Now, Resources, Span,
    views::{FrameworkState, FrameworkTaskView, FrameworkView, RoleView},
};
use muster_proto::{CapabilityType, FrameworkId};

use super::{
    books::Held,
    framework::{Framework, Standing},
    master::Master,
    role::Role,
};

/// What one framework has on all hosts.
#[derive(Default)]
struct Has {
    tasks: usize,
    executors: usize,
    /// What it uses and is offered.
    held: Resources,
}

impl Master {
    /// The frameworks that are known, also those that were removed, by id.
    pub fn frameworks(&self, now: Now) -> Vec<FrameworkView> {
        let (has, nothing) = (self.has(), Has::default());
        let view = |(id, framework): (&FrameworkId, &Framework)| {
            self.framework(id, framework, has.get(id).unwrap_or(&nothing), now)
        };
        self.frameworks.iter().map(view).collect()
    }

    /// What each framework has, in one walk over the hosts and one over the roles.
    fn has(&self) -> BTreeMap<&FrameworkId, Has> {
        let mut all = BTreeMap::<_, Has>::new();
        for (id, here) in self.agents.values().flat_map(|agent| &agent.here) {
            let has = all.entry(id).or_default();
            has.tasks += here.tasks.values().filter(|task| !task.state.is_terminal()).count();
            has.executors += here.executors.len();
        }
        for (id, held) in self.books.held().values().flatten() {
            let has = all.entry(id).or_default();
            has.held = sum([&has.held, &held.resources].into_iter());
        }
        all
    }

    fn framework(
        &self,
        id: &FrameworkId,
        framework: &Framework,
        has: &Has,
        now: Now,
    ) -> FrameworkView {
        let info = &framework.info;
        let (state, since, failover_in) = match &framework.standing {
            Standing::Subscribed { since, .. } => (FrameworkState::Active, Some(*since), None),
            Standing::Away { since, until } => {
                let left = until.since(now.mono).as_millis();
                let left = Span::from_millis(u64::try_from(left).unwrap_or(u64::MAX));
                (FrameworkState::Away, *since, Some(left))
            }
            Standing::Removed { at } => (FrameworkState::Removed, Some(*at), None),
        };
        let offered = sum(framework.offers.iter().map(|id| &self.offers[id].resources));
        let capability = |one: &muster_proto::Capability| {
            let kind = one.r#type.and_then(|kind| CapabilityType::try_from(kind).ok())?;
            Some(kind.as_str_name().to_owned())
        };
        FrameworkView {
            id: id.value.clone(),
            name: info.name.clone(),
            user: info.user.clone(),
            state,
            embedded: self.embedded.as_ref() == Some(id),
            principal: info.principal.clone(),
            roles: framework.roles.keys().map(Role::to_string).collect(),
            suppressed: self.suppressed(framework),
            capabilities: info.capabilities.iter().filter_map(capability).collect(),
            hostname: info.hostname.clone(),
            webui_url: info.webui_url.clone(),
            checkpoint: framework.keeps_executors(),
            failover_timeout: Span::from_millis(
                u64::try_from(framework.failover().as_millis()).unwrap_or(u64::MAX),
            ),
            since,
            removed_in: failover_in,
            used: has.held.checked_sub(&offered).unwrap_or_default(),
            offered,
            offers: count(framework.offers.len()),
            tasks: count(has.tasks),
            executors: count(has.executors),
        }
    }

    fn suppressed(&self, framework: &Framework) -> Vec<String> {
        let suppressed = framework.roles.iter().filter(|(_, interest)| interest.suppressed);
        suppressed.map(|(role, _)| role.to_string()).collect()
    }

    /// The roles that somebody has, or that have a weight of their own, by name.
    pub fn roles(&self) -> Vec<RoleView> {
        let mut of_role = BTreeMap::<&Role, BTreeSet<&FrameworkId>>::new();
        for (id, framework) in &self.frameworks {
            if !framework.is_removed() {
                for role in framework.roles.keys() {
                    of_role.entry(role).or_default().insert(id);
                }
            }
        }
        let held =
            self.books.held().iter().filter(|(_, held)| !held.values().all(Held::is_nothing));
        held.map(|(role, _)| role).chain(self.books.weights().keys()).for_each(|role| {
            of_role.entry(role).or_default();
        });
        let mut offers = BTreeMap::<_, Vec<_>>::new();
        for offer in self.offers.values() {
            offers.entry(&offer.role).or_default().push(&offer.resources);
        }
        let view = |(role, frameworks): (&Role, BTreeSet<&FrameworkId>)| {
            let held = self.books.held().get(role).into_iter().flat_map(BTreeMap::values);
            let held = sum(held.map(|held| &held.resources));
            let offered = sum(offers.remove(role).unwrap_or_default().into_iter());
            RoleView {
                role: role.to_string(),
                weight_thousandths: self.books.weight(role.as_str()),
                share_thousandths: self.books.thousandths(&held),
                used: held.checked_sub(&offered).unwrap_or_default(),
                offered,
                frameworks: frameworks.into_iter().map(|id| id.value.clone()).collect(),
            }
        };
        of_role.into_iter().map(view).collect()
    }

    /// The tasks of all frameworks by agent, but for the first `skip`: at most `limit`.
    pub fn framework_tasks(&self, skip: usize, limit: usize) -> Vec<FrameworkTaskView> {
        let all = self.agents.iter().flat_map(|(agent, facts)| {
            facts.here.iter().flat_map(move |(framework, here)| {
                here.tasks.iter().map(move |(id, task)| FrameworkTaskView {
                    id: id.value.clone(),
                    framework: framework.value.clone(),
                    agent: agent.clone(),
                    executor: task.executor.as_ref().map(|id| id.value.clone()),
                    role: task.role.to_string(),
                    state: task.state.as_str_name().to_owned(),
                    resources: task.resources.clone(),
                })
            })
        });
        all.skip(skip).take(limit).collect()
    }
}

impl Held {
    fn is_nothing(&self) -> bool {
        self.resources.is_empty()
    }
}

fn sum<'a>(all: impl Iterator<Item = &'a Resources>) -> Resources {
    all.fold(Resources::none(), |sum, one| sum.checked_add(one).unwrap_or(sum))
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

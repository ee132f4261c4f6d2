//! Why a run waits for room, reckoned when somebody asks.

use std::collections::BTreeMap;

use muster_api::{
    AgentId, Resources,
    spec::{Constraint, Rule},
    views::WaitReason,
};

use crate::{
    demands,
    place::{self, Shards},
    placement::{Amounts, Kind},
    queue::Limited,
    run::Run,
    shortage::{Shortage, missing, shortage_words},
    world::{Agent, World},
};

/// What is free on the hosts that are there, looked at once for all rows of an answer.
pub(crate) struct Reasons<'a> {
    world: &'a World,
    hosts: Vec<(&'a AgentId, &'a Agent)>,
    /// What was found out about constraints so far: many runs have the same, or none.
    known: BTreeMap<Vec<Constraint>, Allowed<'a>>,
}

/// The hosts that some constraints allow.
struct Allowed<'a> {
    hosts: Vec<(&'a AgentId, &'a Agent)>,
    /// For each constraint: how many hosts it excludes.
    excluded: Vec<usize>,
    /// The best hosts found so far, by what was needed: many runs need the same.
    best: BTreeMap<Amounts, Option<(Shortage, &'a AgentId)>>,
}

/// What a run is short of on the host that is short of the least.
pub(crate) struct Best<'a> {
    pub(crate) id: &'a AgentId,
    pub(crate) agent: &'a Agent,
    /// What must fit.
    pub(crate) need: Resources,
    /// Whether the executor lives there already.
    pub(crate) at_home: bool,
    fits: bool,
}

/// The shards of a run that start all at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Together {
    /// How many these are.
    pub(crate) wanted: u32,
    /// How many of them have room now.
    pub(crate) fit: u64,
    /// How many would if nothing else ran, where it is known what all hosts have.
    pub(crate) most: Option<u64>,
}

impl Best<'_> {
    /// What is missing there.
    pub(crate) fn missing(&self) -> Resources {
        missing(&self.need, &self.agent.known_free())
    }
}

impl<'a> Reasons<'a> {
    pub(crate) fn of(world: &'a World) -> Self {
        let present = world.agents.iter().filter(|(_, agent)| is_usable(agent));
        Self { world, hosts: present.collect(), known: BTreeMap::new() }
    }

    /// How many hosts are known of which nothing is heard. One that is gone is none of them.
    pub(crate) fn silent_hosts(&self) -> usize {
        let silent = |agent: &&Agent| agent.silent_since.is_some() && !agent.gone;
        self.world.agents.values().filter(silent).count()
    }

    /// Which hosts are being drained, so that nothing starts there.
    pub(crate) fn drained(&self) -> Option<String> {
        let drained = |agent: &&Agent| agent.drain.is_some() && agent.silent_since.is_none();
        let hosts = self.world.agents.values().filter(drained);
        let hosts: Vec<_> = hosts.map(|agent| agent.hostname.as_str()).collect();
        match hosts[..] {
            [] => None,
            [host] => Some(format!("{host} is being drained")),
            [host, other] => Some(format!("{host} and {other} are being drained")),
            [host, ..] => Some(format!("{host} and {} more are being drained", hosts.len() - 1)),
        }
    }

    /// Which dimension is short by how much on the best host. Nothing when the documents of the run
    /// are gone.
    pub(crate) fn reason(&mut self, run: &Run) -> Option<(WaitReason, String)> {
        let shards = place::shards_of(self.world, run)?;
        if self.hosts.is_empty() {
            let drained = self.drained();
            let detail = match self.silent_hosts() {
                0 if drained.is_some() => "no host takes tasks".to_owned(),
                0 if self.world.unreachable_wait.is_some() => {
                    "the master has offered no host yet".to_owned()
                }
                0 => "no executor host is there; start one with `muster agent`".to_owned(),
                1 => "1 host is known and it is not heard".to_owned(),
                known => format!("{known} hosts are known and none is heard"),
            };
            let drained = drained.map(|drained| format!(": {drained}")).unwrap_or_default();
            return Some((WaitReason::NoAgents, format!("{detail}{drained}")));
        }
        let constraints = &shards.job.constraints;
        let hosts = self.hosts.len();
        let allowed = self.allowed(constraints);
        let excluding = excluding(constraints, allowed, hosts);
        if allowed.hosts.is_empty() {
            let drained = self.drained().map(|drained| format!("; {drained}")).unwrap_or_default();
            let detail = format!("no host is what its constraints ask for: {excluding}{drained}");
            return Some((WaitReason::Constrained, detail));
        }
        if let Some(detail) = self.limit(run, &shards) {
            return Some((WaitReason::Limit, detail));
        }
        if let Some(detail) = self.held_for_another(run) {
            return Some((WaitReason::Blocked, detail));
        }
        let (reason, mut detail) = self.room(run, &shards);
        if !excluding.is_empty() && reason == WaitReason::NoRoom {
            detail = format!("{detail}; {excluding}");
        }
        if let Some(drained) = self.drained().filter(|_| reason == WaitReason::NoRoom) {
            detail = format!("{detail}; {drained}");
        }
        Some((reason, detail))
    }

    /// How many hosts a run holds, if it does.
    fn held_for_itself(&self, run: &Run) -> String {
        match self.world.blocker.holding() {
            Some(holding) if holding.place.3 == run.record().id => match holding.rooms.len() {
                1 => "; 1 host is held for it".to_owned(),
                hosts => format!("; {hosts} hosts are held for it"),
            },
            _ => String::new(),
        }
    }

    /// The hosts that have room and are held for a run before this one, if there are some.
    fn held_for_another(&self, run: &Run) -> Option<String> {
        let holding = self.world.blocker.holding()?;
        let place = self.world.place_of(run);
        let need = place::need_of(self.world, run).filter(|_| place > holding.place)?;
        let rooms = holding.rooms.iter().map(|room| (room, self.world.offered.rooms.get(*room)));
        let with_room = rooms.filter(|(_, room)| room.fits(&need.shape) > 0);
        let hosts = with_room
            .map(|(room, _)| self.world.agents[self.world.offered.agent(*room)].hostname.as_str());
        let hosts: Vec<_> = hosts.collect();
        let first = hosts.first()?;
        let (run, job) = (holding.place.3, &holding.place.2);
        let others = match hosts.len() {
            1 => String::new(),
            all => format!(" and {} more hosts", all - 1),
        };
        let held = "which others overtook for too long";
        Some(format!("{first}{others} with room is held for run {run} of job `{job}`, {held}"))
    }

    fn room(&mut self, run: &Run, shards: &Shards) -> (WaitReason, String) {
        if let Some(room) = self.room_for_some(run) {
            return (WaitReason::NoRoom, room);
        }
        let Some(best) = self.best(run, shards) else {
            return (WaitReason::NoRoom, "it needs more than any host can have".to_owned());
        };
        let (host, id) = (&best.agent.hostname, best.id);
        let was_then = best.agent.offered_last().is_some();
        if best.fits {
            let detail = match was_then {
                false => "it is next".to_owned(),
                true => {
                    format!("{host} ({id}) had room when it was offered last; it is next there")
                }
            };
            return (WaitReason::NotTried, detail);
        }
        let whom = if best.at_home { "a shard" } else { "a shard and its executor" };
        let words = shortage_words(&best.need, &best.agent.known_free());
        let then = if was_then { ", as it was offered last" } else { "" };
        let words = format!("{words}{then}{}", self.held_for_itself(run));
        let detail = format!("no host has room for {whom}: the best, {host} ({id}), {words}");
        (WaitReason::NoRoom, detail)
    }

    /// The host that is short of the least.
    pub(crate) fn best(&mut self, run: &Run, shards: &Shards) -> Option<Best<'a>> {
        let (shard, app) = (&shards.job.resources, &shards.app.resources);
        let both = shard.checked_add(app)?;
        let kind = place::kind(shards.app_uid, shards.revision);
        let anywhere = self.best_host(&shards.job.constraints, &both);
        let at_home = Some(kind).filter(|_| !run.waits_alone());
        let at_home = at_home.and_then(|kind| self.best_home(&shards.job.constraints, shard, kind));
        let ((short, id), need, at_home) = match (anywhere, at_home) {
            (Some(best), Some(home)) if home.0 <= best.0 => (home, shard.clone(), true),
            (None, Some(home)) => (home, shard.clone(), true),
            (Some(best), _) => (best, both, false),
            (None, None) => return None,
        };
        Some(Best { id, agent: &self.world.agents[id], need, at_home, fits: short.is_none() })
    }

    /// Whose tasks are as many as may be, so that a run waits for the end of one of them.
    pub(crate) fn limited(&self, run: &Run, shards: &Shards) -> Option<Limited> {
        let all = place::need_of(self.world, run).and_then(|need| need.together);
        let count = all.unwrap_or(1) as usize;
        Some(self.world.limit_for(&shards.app, shards.app_uid, count)?.whose)
    }

    /// The limit that a run is at, in words.
    fn limit(&self, run: &Run, shards: &Shards) -> Option<String> {
        let all = place::need_of(self.world, run).and_then(|need| need.together);
        let count = all.unwrap_or(1);
        let limit = self.world.limit_for(&shards.app, shards.app_uid, count as usize)?;
        let (who, running, flag) = match limit.whose {
            Limited::App(_) => {
                let running = self.world.running.of_app(shards.app_uid) as usize;
                (format!("app `{}` has", shards.app.name), running, "max_tasks")
            }
            Limited::All => {
                ("all apps together have".to_owned(), self.world.tasks.len(), "--max-tasks")
            }
        };
        let most = limit.most;
        let together =
            all.map(|all| format!(", and all {all} shards start at once")).unwrap_or_default();
        Some(format!("{who} {running} of at most {most} tasks ({flag}){together}"))
    }

    /// For a run that starts all at once: how many of its shards have room, if not all have.
    fn room_for_some(&self, run: &Run) -> Option<String> {
        let Together { wanted, fit, .. } = self.together(run)?;
        (0 < fit && fit < u64::from(wanted))
            .then(|| format!("all {wanted} shards start at once, and there is room for {fit} now"))
    }

    /// Of a run that starts all at once: how many of its shards find room.
    pub(crate) fn together(&self, run: &Run) -> Option<Together> {
        let need = place::need_of(self.world, run)?;
        let wanted = need.together?;
        let offered = &self.world.offered;
        let rooms = self.hosts.iter().filter_map(|(_, agent)| agent.room);
        let fit = rooms.map(|room| offered.rooms.get(room).fits(&need.shape));
        let when_empty = |(_, agent): &(&AgentId, &Agent)| {
            let (all, _) = offered.known_amounts(agent.total.as_ref()?);
            Some(offered.rooms.get(agent.room?).capacity(&need.shape, &all))
        };
        let mut most = self.hosts.iter().map(when_empty);
        Some(Together {
            wanted,
            fit: fit.fold(0, u64::saturating_add),
            most: most.try_fold(0, |sum: u64, one| Some(sum.saturating_add(one?))),
        })
    }

    /// The hosts that some constraints allow, and what excludes the others.
    fn allowed(&mut self, constraints: &[Constraint]) -> &mut Allowed<'a> {
        if !self.known.contains_key(constraints) {
            let rules: Vec<_> = constraints.iter().map(Rule::new).collect();
            let mut excluded = vec![0; rules.len()];
            let mut hosts = Vec::new();
            for (id, agent) in &self.hosts {
                let before: usize = excluded.iter().sum();
                for (rule, excluded) in rules.iter().zip(&mut excluded) {
                    *excluded += usize::from(!demands::holds(rule, agent));
                }
                if excluded.iter().sum::<usize>() == before {
                    hosts.push((*id, *agent));
                }
            }
            let allowed = Allowed { hosts, excluded, best: BTreeMap::new() };
            self.known.insert(constraints.to_vec(), allowed);
        }
        self.known.get_mut(constraints).expect("it was put there a moment ago")
    }

    /// The hosts that the constraints of a run allow.
    pub(crate) fn allowed_hosts(&mut self, shards: &Shards) -> &[(&'a AgentId, &'a Agent)] {
        &self.allowed(&shards.job.constraints).hosts
    }

    /// The host that is short of the least.
    fn best_host(
        &mut self,
        constraints: &[Constraint],
        need: &Resources,
    ) -> Option<(Shortage, &'a AgentId)> {
        let world = self.world;
        let (amounts, unknown) = world.offered.known_amounts(need);
        let Allowed { hosts, best, .. } = self.allowed(constraints);
        let best = best.entry(amounts).or_insert_with_key(|amounts| {
            let shortages =
                hosts.iter().map(|(id, agent)| (Shortage::of(world, need, amounts, agent), *id));
            shortages.min()
        });
        best.map(|(shortage, id)| (shortage.and(unknown), id))
    }

    /// The same of those where the executor lives.
    fn best_home(
        &mut self,
        constraints: &[Constraint],
        need: &Resources,
        kind: Kind,
    ) -> Option<(Shortage, &'a AgentId)> {
        let world = self.world;
        let (amounts, unknown) = world.offered.known_amounts(need);
        let rules: Vec<_> = constraints.iter().map(Rule::new).collect();
        let homes = world.offered.rooms.homes(kind).filter_map(|room| {
            let id = world.offered.agent(room);
            let agent = world.agents.get(id).filter(|agent| is_usable(agent))?;
            if !rules.iter().all(|rule| demands::holds(rule, agent)) {
                return None;
            }
            Some((Shortage::of(world, need, &amounts, agent).and(unknown), id))
        });
        homes.min()
    }
}

/// Whether tasks may start on a host: it is heard, and nobody wants it empty.
fn is_usable(agent: &Agent) -> bool {
    agent.silent_since.is_none() && agent.drain.is_none()
}

/// Which constraints exclude how many of the hosts.
fn excluding(constraints: &[Constraint], allowed: &Allowed<'_>, hosts: usize) -> String {
    let excluding = constraints.iter().zip(&allowed.excluded).filter(|(_, count)| **count > 0);
    let words = excluding
        .map(|(constraint, count)| format!("`{constraint}` excludes {count} of {hosts} hosts"));
    words.collect::<Vec<_>>().join(", ")
}

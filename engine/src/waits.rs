//! Why a run waits for room, reckoned when somebody asks.

use std::collections::BTreeMap;

use muster_api::{AgentId, Amount, Resources, views::WaitReason};

use crate::{
    place,
    placement::{Amounts, Kind},
    run::Run,
    world::{Agent, World},
};

/// How many dimensions are short, and by how much in all: the least is the best host.
type Shortage = (usize, u64);

/// What is free on the hosts that are there, looked at once for all rows of an answer.
pub(crate) struct Reasons<'a> {
    world: &'a World,
    hosts: Vec<(&'a AgentId, &'a Agent)>,
    /// The best hosts found so far, by what was needed: many runs need the same.
    known: BTreeMap<Amounts, Option<(Shortage, &'a AgentId)>>,
}

impl<'a> Reasons<'a> {
    pub(crate) fn of(world: &'a World) -> Self {
        let present = world.agents.iter().filter(|(_, agent)| agent.silent_since.is_none());
        Self { world, hosts: present.collect(), known: BTreeMap::new() }
    }

    /// Which dimension is short by how much on the best host. Nothing when the documents of the run
    /// are gone.
    pub(crate) fn reason(&mut self, run: &Run) -> Option<(WaitReason, String)> {
        let shards = place::shards_of(self.world, run)?;
        if self.hosts.is_empty() {
            let detail = "no executor host is there; start one with `muster agent`".to_owned();
            return Some((WaitReason::NoAgents, detail));
        }
        if let Some(room) = self.room_for_some(run) {
            return Some((WaitReason::NoRoom, room));
        }
        let (shard, app) = (&shards.job.resources, &shards.app.resources);
        let Some(both) = shard.checked_add(app) else {
            let detail = "it needs more than any host can have".to_owned();
            return Some((WaitReason::NoRoom, detail));
        };
        let anywhere = self.best_host(&both);
        let at_home = self.best_home(shard, place::kind(shards.app_uid, shards.revision));
        let (best, need, whom) = match (anywhere, at_home) {
            (Some(best), Some(home)) if home.0 <= best.0 => (Some(home), shard, "a shard"),
            (best, _) => (best, &both, "a shard and its executor"),
        };
        let Some((_, id)) = best.filter(|((dimensions, _), _)| *dimensions > 0) else {
            return Some((WaitReason::NotTried, "it is next".to_owned()));
        };
        let agent = &self.world.agents[id];
        let words = shortage_words(need, &agent.free());
        let hostname = &agent.hostname;
        let detail = format!("no host has room for {whom}: the best, {hostname} ({id}), {words}");
        Some((WaitReason::NoRoom, detail))
    }

    /// For a run that starts all at once: how many of its shards have room, if not all have.
    fn room_for_some(&self, run: &Run) -> Option<String> {
        let need = place::need_of(self.world, run)?;
        let wanted = need.together?;
        let rooms = self.hosts.iter().filter_map(|(_, agent)| agent.room);
        let fit = rooms.map(|room| self.world.offered.rooms.get(room).fits(&need.shape));
        let fit = fit.fold(0, u64::saturating_add);
        (0 < fit && fit < u64::from(wanted))
            .then(|| format!("all {wanted} shards start at once, and there is room for {fit} now"))
    }

    /// The host that is short of the least.
    fn best_host(&mut self, need: &Resources) -> Option<(Shortage, &'a AgentId)> {
        let (need, missing) = self.world.offered.known_amounts(need);
        let (world, hosts) = (self.world, &self.hosts);
        let best = self.known.entry(need).or_insert_with_key(|need| {
            let shortages = hosts.iter().map(|(id, agent)| (shortage(world, need, agent), *id));
            shortages.min()
        });
        best.map(|((dimensions, sum), id)| ((dimensions + missing.0, sum + missing.1), id))
    }

    /// The same of those where the executor lives.
    fn best_home(&self, need: &Resources, kind: Kind) -> Option<(Shortage, &'a AgentId)> {
        let (need, missing) = self.world.offered.known_amounts(need);
        let homes = self.world.offered.rooms.homes(kind);
        let homes = homes.filter_map(|room| {
            let id = self.world.offered.agent(room);
            let agent = self.world.agents.get(id).filter(|a| a.silent_since.is_none())?;
            let (dimensions, sum) = shortage(self.world, &need, agent);
            Some(((dimensions + missing.0, sum + missing.1), id))
        });
        homes.min()
    }
}

fn shortage(world: &World, need: &Amounts, agent: &Agent) -> Shortage {
    let free: &[u64] = agent.room.map_or(&[], |room| &world.offered.rooms.get(room).free);
    let short = need.iter().enumerate().filter_map(|(dimension, need)| {
        let free = free.get(dimension).copied().unwrap_or(0);
        need.checked_sub(free).filter(|short| *short > 0)
    });
    short.fold((0, 0), |(n, sum), short| (n + 1, sum + short))
}

fn shortage_words(need: &Resources, free: &Resources) -> String {
    let words = need.iter().filter_map(|(name, amount)| {
        let has = free.get(name);
        let short = amount.thousandths().checked_sub(has.thousandths()).filter(|n| *n > 0)?;
        let short = Amount::from_thousandths(short);
        Some(format!("is short of {short} {name} ({amount} needed, {has} free)"))
    });
    words.collect::<Vec<_>>().join(" and ")
}

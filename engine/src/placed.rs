//! Where the shards of a run are, why there, and what is known of a host that is silent.

use std::collections::BTreeMap;

use muster_api::{
    AgentId, Now,
    explain::{PlacedShards, items_in_words},
    limits,
    spec::{Lease, Spread},
    views::ShardState,
};

use crate::{items::Items, placement::Chosen, run::Run, task::Task, world::World};

/// The shards of a run with a task, by host, state and why they are there.
pub(crate) fn placed(world: &World, now: Now, run: &Run) -> Vec<PlacedShards> {
    type Key = (AgentId, ShardState, String, Option<String>);
    let mut groups: BTreeMap<Key, (String, Items)> = BTreeMap::new();
    let spread = world.spec_of(run).map(|spec| spec.spread.clone()).unwrap_or_default();
    for (item, live) in run.live() {
        let Some(task) = world.tasks.get(&live.task) else { continue };
        let (why, silent) = (because(&spread, task), silence(world, now, task));
        let key = (task.agent.clone(), live.state, why, silent);
        if groups.len() == limits::EXPLAINED_GROUPS && !groups.contains_key(&key) {
            continue;
        }
        groups
            .entry(key)
            .or_insert_with(|| (task.hostname.clone(), Items::default()))
            .1
            .insert(item);
    }
    let rows = groups.into_iter().map(|((agent, state, because, silent), (hostname, items))| {
        let (shards, items) = (items.len(), items_in_words(items.ranges()));
        PlacedShards { shards, items, state, agent, hostname, because, silent }
    });
    rows.collect()
}

/// Where nothing is heard of the host of a task: since when, and what becomes of the task.
pub(crate) fn silence(world: &World, now: Now, task: &Task) -> Option<String> {
    let agent = world.agents.get(&task.agent)?;
    let since = agent.silent_since?;
    let host = &task.hostname;
    // Both are memory only, and are known of every host that was heard since the start.
    let heard = match agent.total.is_some() || agent.room.is_some() {
        true => format!("{host} has been silent for {} s", now.mono.since(since).as_secs()),
        false => format!("{host} was not heard since this scheduler started"),
    };
    let record = world.executors.get(&task.executor).map(|executor| &executor.record);
    let app = record.and_then(|of| world.revisions.get(&(of.app_uid, of.revision)));
    Some(match app.map(|app| app.lease).unwrap_or_default() {
        Lease::Off => format!(
            "{heard}; lease off: they keep their place until it is back, has booted again, or \
             `muster agents gone {host}`"
        ),
        Lease::For(lease) => {
            let fenced = since + limits::fenced_after(lease.duration());
            let at = now.wall + fenced.since(now.mono);
            format!("{heard}; they count as dead at {at} at the latest (lease {lease})")
        }
    })
}

/// Why a task is where it is.
fn because(spread: &Spread, task: &Task) -> String {
    let Some(Chosen { avoided, beside, warm, .. }) = task.chosen else {
        return "it was placed before this scheduler started".to_owned();
    };
    let mut words = Vec::new();
    if avoided {
        words.push("it died there before, and no other host had room".to_owned());
    }
    if beside.is_some() {
        words.push(match spread {
            Spread::Attribute(name) => {
                format!("its run is spread: no value of {name} with room had fewer of its shards")
            }
            _ => "its run is spread: no host with room had fewer of its shards".to_owned(),
        });
    }
    if task.tries.alone {
        words.push("it has an executor of its own".to_owned());
    } else if warm {
        words.push("its executor lived there".to_owned());
    }
    words.push(match words.is_empty() {
        true => "of the hosts with room it is the tightest fit".to_owned(),
        false => "of those it is the tightest fit".to_owned(),
    });
    words.join("; ")
}

//! Where the shards of a run are, why there, and what is known of a host that is silent.

use std::{collections::BTreeMap, time::Duration};

use muster_api::{
    AgentId, Mono, Now, Span,
    explain::{PlacedShards, items_in_words},
    limits,
    spec::{Lease, Spread},
    views::ShardState,
};

use crate::{
    drains,
    items::Items,
    placement::Chosen,
    run::Run,
    task::{KillCause, Phase, Task},
    unreachable::Doubt,
    world::{Agent, World},
};

/// What the shards of one row have in common.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Placed {
    agent: AgentId,
    state: ShardState,
    because: String,
    ending: Option<String>,
    drained: Option<String>,
    silent: Option<String>,
}

/// The shards of a run with a task, by host, state and why they are there.
pub(crate) fn placed(world: &World, now: Now, run: &Run) -> Vec<PlacedShards> {
    let mut groups: BTreeMap<Placed, (String, Items)> = BTreeMap::new();
    let spread = world.spec_of(run).map(|spec| spec.spread.clone()).unwrap_or_default();
    for (item, live) in run.live() {
        let Some(task) = world.tasks.get(&live.task) else { continue };
        let key = Placed {
            agent: task.agent.clone(),
            state: live.state,
            because: because(&spread, task),
            ending: ending(run, task),
            drained: drains::what_becomes_of(world, now, task),
            silent: silence(world, now, task),
        };
        if groups.len() == limits::EXPLAINED_GROUPS && !groups.contains_key(&key) {
            continue;
        }
        groups
            .entry(key)
            .or_insert_with(|| (task.hostname.clone(), Items::default()))
            .1
            .insert(item);
    }
    let rows = groups.into_iter().map(|(placed, (hostname, items))| {
        let Placed { agent, state, because, ending, drained, silent } = placed;
        let (shards, items) = (items.len(), items_in_words(items.ranges()));
        PlacedShards { shards, items, state, agent, hostname, because, ending, drained, silent }
    });
    rows.collect()
}

/// Why a task is being ended, if it is.
fn ending(run: &Run, task: &Task) -> Option<String> {
    let Phase::Killing(cause) = task.phase else { return None };
    Some(match cause {
        KillCause::Restart => {
            let why = task.tries.reason.as_deref().unwrap_or("it is to start anew");
            format!("being ended to be replaced: {why}")
        }
        KillCause::Asked => {
            let why = run.record().reason.as_deref().unwrap_or("its run is to end");
            format!("being ended: {why}")
        }
        KillCause::Operator => "being ended: an operator wants that".to_owned(),
        KillCause::Timeout => "being ended: it took longer than its timeout".to_owned(),
        KillCause::Launching => "being ended: it was launching for too long".to_owned(),
    })
}

/// Where nothing is heard of the host of a task: since when, and what becomes of the task.
pub(crate) fn silence(world: &World, now: Now, task: &Task) -> Option<String> {
    let agent = world.agents.get(&task.agent)?;
    if let Some(wait) = world.unreachable_wait {
        return perhaps_alive(now, agent, task, wait);
    }
    let since = agent.silent_since?;
    let (host, heard) = (&task.hostname, heard(now, agent, task, since));
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

/// What is known where the master is another one, and what becomes of the task.
fn perhaps_alive(now: Now, agent: &Agent, task: &Task, wait: Duration) -> Option<String> {
    let heard = match agent.silent_since {
        Some(since) => heard(now, agent, task, since),
        None => {
            task.doubt?;
            format!("{} is there, and its master cannot say what became of it", task.hostname)
        }
    };
    let wait = Span::from_secs(wait.as_secs());
    Some(match task.doubt {
        None => format!("{heard}; its master has not said yet what became of it"),
        Some(Doubt::Until(at)) => {
            let at = now.wall + at.since(now.mono);
            format!("{heard}; perhaps alive until {at} (--unreachable-wait {wait})")
        }
        Some(Doubt::Left(left)) => {
            let left = Span::from_secs(left.as_secs());
            format!(
                "{heard}; perhaps alive for {left} more from when the master says again that it \
                 does not know (--unreachable-wait {wait})"
            )
        }
    })
}

/// For how long nothing is heard of the host of a task.
fn heard(now: Now, agent: &Agent, task: &Task, since: Mono) -> String {
    let host = &task.hostname;
    // Both are memory only, and are known of every host that was heard since the start.
    match agent.total.is_some() || agent.room.is_some() {
        true => format!("{host} has been silent for {} s", now.mono.since(since).as_secs()),
        false => format!("{host} was not heard since this scheduler started"),
    }
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

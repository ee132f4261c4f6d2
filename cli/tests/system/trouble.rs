//! Hosts with one shard each, and what befalls them.

use std::{collections::BTreeMap, time::Duration};

use muster_api::views::{RunState, RunView};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::cluster::{
    Cluster, LIVES, LOCK, Life, PRELUDE, Part, Process, Wire, script, wait_for_a_while, wait_until,
    with,
};

/// What befalls a host.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Trouble {
    /// Nothing.
    Nothing,
    /// These processes stand still.
    Frozen(&'static [Part]),
    /// These processes are killed.
    Killed(&'static [Part]),
    /// Its wire to the master is at fault.
    Wire(Wire),
}

impl Trouble {
    /// The processes on a host that it befalls.
    fn victims(self, cluster: &Cluster, host: &str) -> Vec<Process> {
        let (Self::Frozen(parts) | Self::Killed(parts)) = self else { return Vec::new() };
        let all = cluster.parts(host, parts);
        assert!(all.len() >= parts.len(), "not all of {parts:?} are on {host}: {all:?}");
        all
    }

    fn strike(self, cluster: &mut Cluster, host: &str, victims: &[Process]) {
        match self {
            Self::Nothing => {}
            Self::Frozen(_) => victims.iter().for_each(|victim| victim.signal(Signal::STOP)),
            Self::Killed(parts) => {
                victims.iter().for_each(|victim| victim.signal(Signal::KILL));
                if parts.contains(&Part::Agent) {
                    cluster.agent(host).end(Signal::KILL);
                }
            }
            Self::Wire(wire) => cluster.wire(host).set(wire),
        }
    }

    fn mend(self, cluster: &mut Cluster, host: &str) {
        match self {
            Self::Nothing => {}
            Self::Frozen(_) => cluster.thaw(host),
            Self::Killed(parts) => {
                if parts.contains(&Part::Agent) {
                    cluster.agent(host).start();
                }
            }
            Self::Wire(_) => cluster.wire(host).set(Wire::Flows),
        }
    }
}

/// A host of this name, and what befalls it.
pub(crate) type Row = (&'static str, Trouble);

/// Hosts with one shard each, of the job [`Hosts::JOB`], that says again and again that it lives.
pub(crate) struct Hosts {
    pub(crate) cluster: Cluster,
    run: String,
    rows: Vec<Row>,
    /// Which shard began where.
    items: BTreeMap<&'static str, u32>,
}

impl Hosts {
    /// The job.
    pub(crate) const JOB: &str = "lives";

    /// Starts all, and the job with what else its document is to say.
    pub(crate) fn start(rows: &[Row], lease: &str, more: &Value) -> Self {
        let mut cluster = Cluster::new();
        for (host, _) in rows {
            cluster.add_agent_on_a_wire(host, "cpus:2;mem:2048");
        }
        cluster.wait_for_agents(rows.len());
        // Nothing is launched before a first heartbeat is answered: with it each host has a shard.
        wait_for_a_while(Duration::from_secs(1));
        cluster.put_app("scripts", &json!({"lease": lease}));
        let shards = u32::try_from(rows.len()).unwrap();
        let job = script(Self::JOB, shards, &format!("{PRELUDE}{LOCK}{LIVES}"));
        cluster.put_job(&with(with(job, &json!({"spread": "host"})), more));
        let run = cluster.trigger(Self::JOB);
        let witness = cluster.witness();
        wait_until("all shards run", || {
            (0..shards).all(|item| {
                witness.acts(Self::JOB).iter().any(|act| act.item == item && act.word == "alive")
            })
        });
        let shards = cluster.run(&run).shards.unwrap();
        let item_on = |host| shards.iter().find(|s| s.hostname.as_deref() == Some(host));
        let items = rows.iter().map(|(host, _)| {
            (*host, item_on(*host).unwrap_or_else(|| panic!("none on {host}: {shards:?}")).item)
        });
        let items = items.collect();
        Self { items, cluster, run, rows: rows.to_vec() }
    }

    /// Lets all befall what must.
    pub(crate) fn strike(&mut self) {
        // All are found before any is struck, or a shard might be struck again where it went.
        let find = |(host, trouble): &Row| trouble.victims(&self.cluster, host);
        let victims: Vec<_> = self.rows.iter().map(find).collect();
        for ((host, trouble), victims) in self.rows.iter().zip(victims) {
            trouble.strike(&mut self.cluster, host, &victims);
        }
    }

    /// Ends it.
    pub(crate) fn mend(&mut self) {
        for (host, trouble) in &self.rows {
            trouble.mend(&mut self.cluster, host);
        }
    }

    /// Waits until all agents are back.
    pub(crate) fn wait_for_agents(&self) {
        self.cluster.wait_for_agents(self.rows.len());
    }

    /// The shard that began on a host.
    pub(crate) fn item(&self, host: &str) -> u32 {
        self.items[host]
    }

    /// The tasks of the shard that began on a host.
    pub(crate) fn lives(&self, host: &str) -> Vec<Life> {
        let mut lives = self.cluster.witness().lives(Self::JOB);
        lives.retain(|life| life.item == self.items[host]);
        lives
    }

    /// The executors, which must not be replaced where nothing is touched.
    pub(crate) fn executor_pids(&self) -> Vec<i32> {
        let executors = self.cluster.executors();
        let mut pids: Vec<_> = executors.iter().map(|(_, executor)| executor.pid).collect();
        pids.sort_unstable();
        pids
    }

    /// Says in lines that can be quoted when each shard was last heard of where it began, and when
    /// it began elsewhere, counted from `since`.
    pub(crate) fn tell(&self, since: f64) {
        eprintln!("seconds after the trouble began   last sign of life   elsewhere   epochs");
        for (host, _) in &self.rows {
            let lives = self.lives(host);
            let second =
                lives.get(1).map_or("-".into(), |life| format!("{:.2}", life.began - since));
            let epochs: Vec<_> = lives.iter().map(|life| life.epoch).collect();
            let last = lives[0].last - since;
            eprintln!("{host:<33} {last:>18.2} {second:>11}   {epochs:?}");
        }
    }

    /// Lets all shards come to their end.
    pub(crate) fn let_go(&self) -> RunView {
        self.cluster.witness().let_go();
        let view = self.cluster.wait_for_run(&self.run);
        assert_eq!(view.state, RunState::Succeeded, "{view:#?}");
        for life in self.items.keys().filter_map(|host| self.lives(host).pop()) {
            let shard = &view.shards.as_ref().unwrap()[life.item as usize];
            assert!(life.ended, "{life:?}");
            assert_eq!(shard.task.as_ref().map(ToString::to_string), Some(life.task));
        }
        view
    }
}

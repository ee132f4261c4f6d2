//! Hosts in trouble: parts of them frozen or killed, their wire held or broken. For less than the
//! lease nothing is touched. For more, shards begin elsewhere, but only when nothing is left of
//! them where they were.

use std::{collections::BTreeMap, time::Duration};

use muster_api::{
    clock,
    views::{RunState, RunView},
};
use rustix::process::Signal;
use serde_json::json;

use crate::cluster::{
    Cluster, LOCK, Life, PRELUDE, Part, Wire, script, wait_for_a_while, wait_until, with,
};

/// What befalls a host.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Trouble {
    Nothing,
    Frozen(&'static [Part]),
    AgentKilled,
    Wire(Wire),
}

/// A host of this name, and what befalls it.
type Row = (&'static str, Trouble);

impl Trouble {
    fn strike(self, cluster: &mut Cluster, host: &str) {
        match self {
            Self::Nothing => {}
            Self::Frozen(parts) => cluster.freeze(host, parts),
            Self::AgentKilled => {
                cluster.agent(host).end(Signal::KILL);
            }
            Self::Wire(wire) => cluster.wire(host).set(wire),
        }
    }

    fn mend(self, cluster: &mut Cluster, host: &str) {
        match self {
            Self::Nothing => {}
            Self::Frozen(_) => cluster.thaw(host),
            Self::AgentKilled => cluster.agent(host).start(),
            Self::Wire(_) => cluster.wire(host).set(Wire::Flows),
        }
    }
}

/// A shard that says ten times in two seconds that it lives, and ends when it is let go. To be
/// asked to end means nothing to it.
const LIVES: &str = r#"
trap '' TERM
until [ -e "$WITNESS/go" ]; do
    note alive
    sleep 0.2
done
note end
"#;

/// Hosts with one shard each.
struct Hosts {
    cluster: Cluster,
    run: String,
    rows: &'static [Row],
    /// Which shard began where.
    items: BTreeMap<&'static str, u32>,
}

impl Hosts {
    fn start(rows: &'static [Row], lease: &str) -> Self {
        let mut cluster = Cluster::new();
        for (host, _) in rows {
            cluster.add_agent_on_a_wire(host, "cpus:2;mem:2048");
        }
        cluster.wait_for_agents(rows.len());
        // Nothing is launched before a first heartbeat is answered: with it each host has a shard.
        wait_for_a_while(Duration::from_secs(1));
        cluster.put_app("scripts", &json!({"lease": lease}));
        let shards = u32::try_from(rows.len()).unwrap();
        let job = script("lives", shards, &format!("{PRELUDE}{LOCK}{LIVES}"));
        cluster.put_job(&with(job, &json!({"spread": "host"})));
        let run = cluster.trigger("lives");
        let witness = cluster.witness();
        wait_until("all shards run", || {
            (0..shards).all(|item| {
                witness.acts("lives").iter().any(|act| act.item == item && act.word == "alive")
            })
        });
        let shards = cluster.run(&run).shards.unwrap();
        let item_on = |host| shards.iter().find(|s| s.hostname.as_deref() == Some(host));
        let items = rows.iter().map(|(host, _)| {
            (*host, item_on(*host).unwrap_or_else(|| panic!("none on {host}: {shards:?}")).item)
        });
        let items = items.collect();
        Self { items, cluster, run, rows }
    }

    fn strike(&mut self) {
        for (host, trouble) in self.rows {
            trouble.strike(&mut self.cluster, host);
        }
    }

    fn mend(&mut self) {
        for (host, trouble) in self.rows {
            trouble.mend(&mut self.cluster, host);
        }
        self.cluster.wait_for_agents(self.rows.len());
    }

    /// The tasks of the shard that began on a host.
    fn lives(&self, host: &str) -> Vec<Life> {
        let mut lives = self.cluster.witness().lives("lives");
        lives.retain(|life| life.item == self.items[host]);
        lives
    }

    /// Lets all shards come to their end.
    fn let_go(&self) -> RunView {
        std::fs::write(self.cluster.witness().folder().join("go"), "").unwrap();
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

const WITHIN: &[Row] = &[
    ("well", Trouble::Nothing),
    ("agent-frozen", Trouble::Frozen(&[Part::Agent])),
    ("supervisor-frozen", Trouble::Frozen(&[Part::Supervisor])),
    ("executor-frozen", Trouble::Frozen(&[Part::Executor])),
    ("code-frozen", Trouble::Frozen(&[Part::Code])),
    ("agent-supervisor-frozen", Trouble::Frozen(&[Part::Agent, Part::Supervisor])),
    ("agent-executor-frozen", Trouble::Frozen(&[Part::Agent, Part::Executor])),
    ("supervisor-executor-frozen", Trouble::Frozen(&[Part::Supervisor, Part::Executor])),
    ("host-frozen", Trouble::Frozen(&Part::ALL)),
    ("agent-killed", Trouble::AgentKilled),
    ("silent", Trouble::Wire(Wire::Holds)),
    ("mute", Trouble::Wire(Wire::HoldsAgent)),
    ("deaf", Trouble::Wire(Wire::HoldsMaster)),
    ("reset", Trouble::Wire(Wire::Resets)),
];

#[test]
fn trouble_of_less_than_the_lease_touches_nothing() {
    let mut hosts = Hosts::start(WITHIN, "20s");
    let pids = |cluster: &Cluster| {
        let mut pids: Vec<_> = cluster.executors().iter().map(|(_, child)| child.pid).collect();
        pids.sort_unstable();
        pids
    };
    let before = pids(&hosts.cluster);
    hosts.strike();
    // A lease less 8 s is what is promised; the rest is for a machine that is busy.
    wait_for_a_while(Duration::from_secs(9));
    hosts.mend();
    assert_eq!(pids(&hosts.cluster), before, "executors were replaced");
    let view = hosts.let_go();
    assert!(view.shards.unwrap().iter().all(|shard| shard.attempt == 1));
    assert_eq!(hosts.cluster.witness().lives("lives").len(), WITHIN.len());
    hosts.cluster.witness().nothing_ran_twice_at_one_time("lives");
}

/// What becomes of a shard whose host is in trouble for longer than the lease.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    /// Nothing.
    Stays,
    /// It is ended where it is, and then begins elsewhere.
    Moves,
    /// Nobody is there to end it: it begins elsewhere with a higher epoch, and is ended where it
    /// is as soon as its supervisor can.
    Doubled,
}

const BEYOND: &[Row] = &[
    ("well", Trouble::Nothing),
    ("supervisor-frozen", Trouble::Frozen(&[Part::Supervisor])),
    ("code-frozen", Trouble::Frozen(&[Part::Code])),
    ("agent-frozen", Trouble::Frozen(&[Part::Agent])),
    ("agent-executor-frozen", Trouble::Frozen(&[Part::Agent, Part::Executor])),
    ("agent-code-frozen", Trouble::Frozen(&[Part::Agent, Part::Code])),
    ("agent-killed", Trouble::AgentKilled),
    ("silent", Trouble::Wire(Wire::Holds)),
    ("mute", Trouble::Wire(Wire::HoldsAgent)),
    ("deaf", Trouble::Wire(Wire::HoldsMaster)),
    ("reset", Trouble::Wire(Wire::Resets)),
    ("agent-supervisor-frozen", Trouble::Frozen(&[Part::Agent, Part::Supervisor])),
    ("host-frozen", Trouble::Frozen(&Part::ALL)),
];

fn fate(host: &str) -> Fate {
    match host {
        "well" | "supervisor-frozen" | "code-frozen" => Fate::Stays,
        "agent-supervisor-frozen" | "host-frozen" => Fate::Doubled,
        _ => Fate::Moves,
    }
}

#[test]
fn trouble_beyond_the_lease_moves_shards_only_when_nothing_is_left_of_them() {
    let mut hosts = Hosts::start(BEYOND, "15s");
    let struck = clock::mono();
    hosts.strike();
    wait_until("all that must move has moved", || {
        let moved = |host| fate(host) == Fate::Stays || hosts.lives(host).len() == 2;
        BEYOND.iter().all(|(host, _)| moved(host))
    });
    let struck = Duration::from_millis(struck.as_millis()).as_secs_f64();
    eprintln!("seconds after the trouble began   last sign of life   elsewhere");
    for (host, _) in BEYOND {
        let lives = hosts.lives(host);
        let second =
            lives.get(1).map_or(String::new(), |life| format!("{:.2}", life.began - struck));
        eprintln!("{host:<33} {:>18.2} {second:>11}", lives[0].last - struck);
    }
    for (host, _) in BEYOND.iter().filter(|(host, _)| fate(host) == Fate::Moves) {
        let left = hosts.cluster.parts(host, &[Part::Supervisor, Part::Executor, Part::Code]);
        let first = &hosts.lives(host)[0];
        assert!(
            left.iter().all(|process| !process.has_variable("MUSTER_TASK", &first.task)),
            "{host}: {left:?}"
        );
    }
    hosts.mend();
    wait_until("nothing is left of tasks that were replaced", || {
        let doubled = BEYOND.iter().filter(|(host, _)| fate(host) == Fate::Doubled);
        doubled.map(|(host, _)| (host, hosts.lives(host))).all(|(host, lives)| {
            let left = hosts.cluster.parts(host, &[Part::Code]);
            left.iter().all(|process| !process.has_variable("MUSTER_TASK", &lives[0].task))
        })
    });
    let view = hosts.let_go();
    for (host, _) in BEYOND {
        let lives = hosts.lives(host);
        let attempts: Vec<_> = lives.iter().map(|life| (life.attempt, life.ended)).collect();
        let hostname = view.shards.as_ref().unwrap()[lives[0].item as usize].hostname.clone();
        if fate(host) == Fate::Stays {
            assert_eq!(attempts, [(1, true)], "{host}: {lives:?}");
            assert_eq!(hostname.as_deref(), Some(*host));
            continue;
        }
        assert_eq!(attempts, [(1, false), (2, true)], "{host}: {lives:?}");
        assert_ne!(hostname.as_deref(), Some(*host));
        assert!(lives[0].epoch < lives[1].epoch, "{host}: {lives:?}");
        if fate(host) == Fate::Moves {
            assert!(lives[0].last < lives[1].began, "{host}: {lives:?}");
        }
    }
    let acts = hosts.cluster.witness().acts("lives");
    for act in acts.iter().filter(|act| act.word == "overlap") {
        let doubled = |host: &str| fate(host) == Fate::Doubled && hosts.items[host] == act.item;
        assert!(BEYOND.iter().any(|(host, _)| doubled(host)), "{act:?}");
    }
}

#[test]
fn frozen_code_is_ended_by_its_timeout() {
    let cluster = Cluster::with_agents(1, "cpus:1;mem:1024");
    cluster.put_app("scripts", &json!({}));
    let job = script("stands", 2, &format!("{PRELUDE}{LOCK} sleep 300 & wait; note end"));
    cluster.put_job(&with(job, &json!({"timeout": "2s", "kill_grace": "300ms"})));
    let run = cluster.trigger("stands");
    let witness = cluster.witness();
    wait_until("both shards run", || witness.count("stands", "start") == 2);
    cluster.freeze("a1", &[Part::Code]);
    let view = cluster.wait_for_run(&run);
    assert_eq!((view.state, view.counts.timed_out), (RunState::TimedOut, 2), "{view:#?}");
    assert!(cluster.parts("a1", &[Part::Code]).is_empty());
    assert_eq!(witness.count("stands", "end"), 0);
}

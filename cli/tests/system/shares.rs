//! Muster's own engine and frameworks from elsewhere share one master: each of them gets, of a cluster
//! that all of them could fill, what its role is worth.
//!
//! What everybody had is read from what its tasks wrote while they ran. All tasks take one CPU, so a
//! second of a task is a second of a CPU.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use muster_conformance::{
    context::{Context, Suite, fresh_ids},
    encoding::Encoding,
    framework::{Framework, Offer},
    outcome::Outcome,
    remote::Remotes,
    target::Target,
    tasks::{self, command_task, resources},
};
use serde_json::{Value, json};
use tokio::{runtime::Runtime, task::JoinHandle};

use crate::cluster::{
    Cluster, PATIENCE, PRELUDE, Witness, script, uptime, wait_for_a_while, wait_until, with,
};

/// Each of two agents has room for six tasks, and for an executor of Muster beside them. Much memory
/// is left over then, and counts as the share of whoever holds it.
const ROOM: &str = "cpus:6.1;mem:8192";
/// Tasks that run at one time.
const TASKS: f64 = 12.0;
const CPUS: f64 = 1.0;
const MEM: f64 = 16.0;
/// How long everybody's share is measured. A task takes two to four seconds of it.
const WHILE: Duration = Duration::from_secs(24);
/// Once everybody has had so many ends, what the first of them took of the idle cluster is over.
const SETTLED: usize = 6;

/// A cluster, and those who want all of it.
struct Crowd {
    cluster: Cluster,
    runtime: Runtime,
    context: Context,
    players: Vec<JoinHandle<Outcome>>,
}

impl Crowd {
    fn new() -> Self {
        let mut cluster = Cluster::not_started();
        cluster.scheduler().add_argument("--anonymous-frameworks");
        cluster.start_scheduler();
        for name in ["a1", "a2"] {
            cluster.add_agent(name, ROOM);
        }
        cluster.wait_for_agents(2);
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let target = Target {
            master: cluster.scheduler().flag("--master-listen").to_owned(),
            agent: None,
            credentials: None,
            program: "none".into(),
        };
        let remotes = runtime.block_on(Remotes::listen()).unwrap();
        let suite = Arc::new(Suite::new(target, remotes, None, fresh_ids()));
        let context = Context::new(suite, "shares", Encoding::Protobuf);
        Self { cluster, runtime, context, players: Vec::new() }
    }

    /// A framework that takes all that its role is offered.
    fn add(&mut self, role: &str) {
        let info = tasks::with(self.context.framework_info(), "roles", json!([role]));
        let subscribe = Framework::subscribe_as(&self.context, info);
        let framework = self.runtime.block_on(subscribe).unwrap();
        let play = play(framework, role.to_owned(), self.cluster.witness());
        self.players.push(self.runtime.spawn(play));
    }

    /// Says what a role is worth.
    fn set_weight(&self, role: &str, weight: &str) {
        let set = self.cluster.muster(&["roles", "set", role, "--weight", weight]);
        assert!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
    }

    /// A job of Muster that takes all that the engine is offered.
    fn add_ours(&self) {
        let cluster = &self.cluster;
        cluster.put_app("scripts", &json!({"resources": {"cpus": 0.1, "mem": 8}}));
        let text = format!("{PRELUDE} sleep $((2 + MUSTER_SHARD_ITEM % 3)); note end");
        let cpus = json!({"resources": {"cpus": CPUS, "mem": MEM}});
        cluster.put_job(&with(script("ours", 300, &text), &cpus));
        cluster.trigger("ours");
    }

    /// The share of each in what all of them had, in percent, over a while of which each second
    /// somebody wanted more than there was.
    fn shares(&mut self, names: &[&'static str]) -> BTreeMap<&'static str, f64> {
        let witness = self.cluster.witness();
        for name in names {
            wait_until(&format!("{name} has its share"), || witness.count(name, "end") >= SETTLED);
        }
        let began = uptime();
        wait_for_a_while(WHILE);
        let ended = uptime();
        let ran = names.iter().map(|name| (*name, seconds(&witness, name, began, ended)));
        let ran: BTreeMap<_, _> = ran.collect();
        if let Some(at) = self.players.iter().position(JoinHandle::is_finished) {
            let why = self.runtime.block_on(self.players.remove(at));
            panic!("a framework has given up: {why:?}");
        }
        let sum: f64 = ran.values().sum();
        let room = TASKS * CPUS * (ended - began);
        assert!(sum > 0.7 * room, "of {room} s of CPUs they had {ran:?}: not all was wanted");
        ran.into_iter().map(|(name, of)| (name, 100.0 * of / sum)).collect()
    }
}

/// Takes all of each offer, and acknowledges what becomes of it.
async fn play(framework: Framework, role: String, witness: Witness) -> Outcome {
    let mut launched = 0;
    loop {
        let event = framework.events.next(PATIENCE).await?.event;
        for offer in event["offers"]["offers"].as_array().into_iter().flatten() {
            let offer = Offer::of(offer);
            let mut tasks = Vec::new();
            let mut room = offer.scalar("cpus");
            while room >= CPUS {
                tasks.push(task(&role, launched, &offer, &witness));
                (launched, room) = (launched + 1, room - CPUS);
            }
            match tasks.is_empty() {
                true => framework.decline(&offer, 5.0).await?,
                false => framework.launch(&offer, tasks).await?,
            }
        }
        let status = &event["update"]["status"];
        if !status["uuid"].is_null() {
            framework.acknowledge(status).await?;
        }
    }
}

/// A command that writes what a shard of Muster would, were the role a job.
fn task(role: &str, number: u32, offer: &Offer, witness: &Witness) -> Value {
    let file = witness.folder().join(format!("{role}.{number}"));
    let text = format!(
        "note() {{ read -r up _ </proc/uptime; echo \"$1 {number} 1 1 {role}-{number} $up .\"; }}\n\
         exec >>{}; note start; sleep {}; note end",
        file.display(),
        span(number),
    );
    let task = command_task(&format!("{role}-{number}"), &offer.agent, &text);
    tasks::with(task, "resources", resources(CPUS, MEM))
}

/// Tasks of three lengths, so that they do not all end at one time.
fn span(number: u32) -> u32 {
    2 + number % 3
}

/// How many seconds tasks ran, between two moments.
fn seconds(witness: &Witness, name: &str, began: f64, ended: f64) -> f64 {
    let lives = witness.lives(name).into_iter();
    let within = lives.map(|life| {
        let last = if life.ended { life.last } else { ended };
        (last.min(ended) - life.began.max(began)).max(0.0)
    });
    within.sum()
}

/// Checks that each has its fair share, within a tenth of it.
#[track_caller]
fn are_about(shares: &BTreeMap<&str, f64>, fair: &[(&str, f64)]) {
    for (name, fair) in fair {
        let off = (shares[name] - fair).abs();
        assert!(off <= 0.1 * fair, "{name} is to have {fair} %: {shares:?}");
    }
}

#[test]
fn frameworks_and_the_engine_get_equal_shares() {
    let mut crowd = Crowd::new();
    crowd.add("a");
    crowd.add("b");
    crowd.add_ours();
    let shares = crowd.shares(&["a", "b", "ours"]);
    let third = 100.0 / 3.0;
    are_about(&shares, &[("a", third), ("b", third), ("ours", third)]);
}

#[test]
fn a_role_of_three_times_the_weight_gets_three_times_as_much() {
    let mut crowd = Crowd::new();
    crowd.set_weight("b", "3");
    crowd.add("a");
    crowd.add("b");
    let shares = crowd.shares(&["a", "b"]);
    are_about(&shares, &[("a", 25.0), ("b", 75.0)]);
}

#[test]
fn the_engine_gets_three_times_as_much_when_its_role_has_three_times_the_weight() {
    let mut crowd = Crowd::new();
    crowd.set_weight("*", "3");
    crowd.add("a");
    crowd.add_ours();
    let shares = crowd.shares(&["a", "ours"]);
    are_about(&shares, &[("a", 25.0), ("ours", 75.0)]);
}

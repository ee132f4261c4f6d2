//! Real partitions: packets between network namespaces that are dropped without a word.

use std::time::Duration;

use muster_api::views::RunState;
use serde_json::json;

use crate::cluster::{
    Cluster, LIVES, LOCK, Life, Network, PRELUDE, script, uptime, wait_for_a_while, wait_until,
    with,
};

/// The agents: the one beside the scheduler is never cut off.
const AGENTS: [&str; 3] = ["near", "briefly", "long"];

/// A scheduler and agents, each host in a namespace of its own but for `near`.
fn cluster_on(network: &mut Network) -> Cluster {
    let mut cluster = Cluster::not_started();
    let scheduler = cluster.scheduler();
    scheduler.move_into(network.hub());
    scheduler.set_flag("--master-listen", &format!("{}:0", Network::HUB));
    scheduler.add_argument("--plaintext");
    cluster.start_scheduler();
    for name in AGENTS {
        let namespace = if name == "near" { network.hub().clone() } else { network.add_host() };
        let agent = cluster.new_agent(name, "cpus:2;mem:2048");
        agent.move_into(&namespace);
        agent.add_argument("--plaintext");
        agent.start();
    }
    cluster.wait_for_agents(AGENTS.len());
    cluster
}

#[test]
fn a_partition_moves_shards_only_when_nothing_is_left_of_them() {
    let Some(mut network) = Network::new() else { return };
    let cluster = cluster_on(&mut network);
    cluster.put_app("scripts", &json!({"lease": "20s"}));
    let job = script("lives", 3, &format!("{PRELUDE}{LOCK}{LIVES}"));
    cluster.put_job(&with(job, &json!({"spread": "host"})));
    let run = cluster.trigger("lives");
    let witness = cluster.witness();
    wait_until("all shards run", || witness.count("lives", "alive") >= 6);
    wait_until("each host has a shard", || {
        let shards = cluster.run(&run).shards.unwrap();
        AGENTS.iter().all(|name| shards.iter().any(|s| s.hostname.as_deref() == Some(name)))
    });
    let shards = cluster.run(&run).shards.unwrap();
    let item = |host: &str| {
        shards.iter().find(|s| s.hostname.as_deref() == Some(host)).expect("each has one").item
    };
    let lives = |host: &str| -> Vec<Life> {
        let all = cluster.witness().lives("lives").into_iter();
        all.filter(|life| life.item == item(host)).collect()
    };

    let [briefly, long] = ["briefly", "long"].map(|host| {
        let namespace = cluster.agent_namespace(host);
        network.cut(&namespace);
        namespace
    });
    let cut = uptime();
    wait_for_a_while(Duration::from_secs(9));
    network.mend(&briefly);
    wait_until("the shard of the host that stays away runs elsewhere", || lives("long").len() == 2);
    eprintln!("host      cut at     last sign of life   elsewhere   epochs");
    for host in AGENTS {
        let (first, second) = (&lives(host)[0], lives(host).get(1).cloned());
        let began = second.as_ref().map_or("-".into(), |life| format!("+{:.2}", life.began - cut));
        let epochs: Vec<_> = lives(host).iter().map(|life| life.epoch).collect();
        eprintln!("{host:<9} {cut:<10.2} +{:<18.2} {began:<11} {epochs:?}", first.last - cut);
    }
    network.mend(&long);
    cluster.wait_for_agents(AGENTS.len());
    assert!(cluster.executors_on("long").is_empty());
    witness.let_go();
    let view = cluster.wait_for_run(&run);
    assert_eq!(view.state, RunState::Succeeded, "{view:#?}");
    witness.nothing_ran_twice_at_one_time("lives");
    for host in AGENTS {
        let attempts: Vec<_> = lives(host).iter().map(|l| (l.attempt, l.ended)).collect();
        if host == "long" {
            assert_eq!(attempts, [(1, false), (2, true)], "{host}: {:?}", lives(host));
        } else {
            assert_eq!(attempts, [(1, true)], "{host}: {:?}", lives(host));
        }
    }
}

//! The fire ledger: one outcome for each planned instant, restarts and all.

use std::collections::BTreeMap;

use muster_api::{
    Timestamp,
    views::{FireOutcome, FireView},
};
use rustix::process::Signal;
use serde_json::json;

use crate::cluster::{Cluster, PRELUDE, script, wait_until, with};

/// All of the ledger of a job.
pub(crate) fn fires(cluster: &Cluster, job: &str) -> Vec<FireView> {
    let mut fires = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/jobs/{job}/fires?limit=3{cursor}");
        let page = cluster.api().get(&path).expect(200..=200).body;
        let items: Vec<FireView> = serde_json::from_value(page["items"].clone()).unwrap();
        fires.extend(items);
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return fires,
        }
    }
}

/// Checks that the instants are those of a job that fires each second, each with one outcome.
pub(crate) fn each_second_has_one_outcome(fires: &[FireView]) -> BTreeMap<Timestamp, FireView> {
    let by_time: BTreeMap<_, _> =
        fires.iter().map(|fire| (fire.planned_at, fire.clone())).collect();
    assert_eq!(by_time.len(), fires.len(), "an instant has two outcomes: {fires:#?}");
    let times: Vec<_> = by_time.keys().map(|time| time.as_millis()).collect();
    assert!(
        times.windows(2).all(|two| two[1] - two[0] == 1000),
        "an instant is missing: {fires:#?}"
    );
    by_time
}

#[test]
fn each_planned_instant_has_one_outcome_also_those_of_a_downtime() {
    let mut cluster = Cluster::with_agents(1, "cpus:1;mem:1024");
    cluster.put_app("scripts", &json!({}));
    // Every second run takes longer than there is between two.
    let text = format!("{PRELUDE} sleep 1.3; note end \"$MUSTER_PLANNED_TIME\"");
    let every_second = json!({"schedule": {"every": "1s"}});
    cluster.put_job(&with(script("clock", 1, &text), &every_second));
    let witness = cluster.witness();
    wait_until("some fires", || witness.count("clock", "end") >= 2);
    cluster.scheduler().end(Signal::KILL);
    let last = muster_api::clock::wall();
    wait_until("several instants come due in the downtime", || {
        muster_api::clock::wall().as_millis() - last.as_millis() > 3500
    });
    cluster.scheduler().start();
    cluster.scheduler().wait_until_ready();
    let before = witness.count("clock", "end");
    wait_until("fires after the restart", || witness.count("clock", "end") >= before + 2);
    cluster.api().post("/v1/jobs/clock/disable", None).expect(200..=200);
    wait_until("all is settled", || {
        let runs = cluster.api().get("/v1/runs?job=clock").body;
        let runs = runs["items"].as_array().unwrap();
        runs.iter().all(|run| run["ended_at"].is_string())
    });
    let fires = each_second_has_one_outcome(&fires(&cluster, "clock"));
    let outcome = |fire: &FireView| fire.outcome;
    assert!(fires.values().all(|fire| outcome(fire) != FireOutcome::Waiting), "{fires:#?}");
    let ran = fires.values().filter(|fire| outcome(fire) == FireOutcome::Ran).count();
    assert_eq!(ran, witness.count("clock", "start"), "{fires:#?}");
    assert!(fires.values().any(|fire| outcome(fire) == FireOutcome::Coalesced));
    for fire in fires.values() {
        match fire.outcome {
            FireOutcome::Ran => assert!(fire.run.is_some()),
            FireOutcome::Coalesced => assert!(fire.run.is_some() && fire.reason.is_some()),
            _ => assert!(fire.reason.is_some(), "{fire:?}"),
        }
    }
    // No run of it ever overlapped another.
    let acts = witness.acts("clock");
    let words: Vec<_> = acts.iter().map(|act| act.word.as_str()).collect();
    assert_eq!(words, ["start", "end"].repeat(ran));
    // And a shard was told the first of the instants that it stands for.
    for act in acts.iter().filter(|act| act.word == "end") {
        let planned: Timestamp = act.more.parse().unwrap();
        assert_eq!(fires[&planned].outcome, FireOutcome::Ran, "{act:?}");
    }
}

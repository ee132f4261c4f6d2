//! The examples of daemon jobs, as their documents are.

use std::{fs, path::Path};

use tempfile::TempDir;

use crate::{
    cluster::{Cluster, wait_until},
    sharing::example,
};

#[test]
fn the_examples_of_daemon_jobs_beat() {
    let cluster = Cluster::with_agents(1, "cpus:2;mem:2048");
    let (out, documents) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let built = example("heartbeat");
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/heartbeat");
    for name in ["script.yaml", "handler.yaml"] {
        let text = fs::read_to_string(examples.join(name)).unwrap();
        let text = text.replace("@OUT@", out.path().to_str().unwrap());
        let text = text.replace("@BIN@", built.parent().unwrap().to_str().unwrap());
        let filled = documents.path().join(name);
        fs::write(&filled, text).unwrap();
        let applied = cluster.muster(&["apply", "-f", filled.to_str().unwrap()]);
        assert!(applied.status.success(), "{applied:?}");
    }
    for shard in ["script-0", "script-1", "handler-0", "handler-1"] {
        let file = out.path().join(shard);
        wait_until(&format!("three beats of {shard}"), || {
            let beats = fs::read_to_string(&file).unwrap_or_default();
            beats.lines().count() >= 3
        });
    }
    for (job, same_process) in [("script", false), ("handler", true)] {
        let beats = fs::read_to_string(out.path().join(format!("{job}-0"))).unwrap();
        let mut beats = beats.lines().map(|beat| {
            let at: muster_api::Timestamp = beat.split(' ').next().unwrap().parse().unwrap();
            (at, beat.rsplit(' ').next().unwrap().to_owned())
        });
        let (first, second) = (beats.next().unwrap(), beats.next().unwrap());
        assert!(second.0 > first.0, "{first:?} and {second:?}");
        assert_eq!(first.1 == second.1, same_process, "{first:?} and {second:?}");
    }
    for job in ["heartbeat-script", "heartbeat-handler"] {
        let path = format!("/v1/jobs/{job}/disable");
        cluster.api().post(&path, None).expect(200..=200);
        wait_until(&format!("the end of {job}"), || {
            let runs = cluster.api().get(&format!("/v1/runs?job={job}")).expect(200..=200).body;
            let runs = runs["items"].as_array().unwrap();
            runs.len() == 1 && runs.iter().all(|run| run["state"] == "cancelled")
        });
    }
}

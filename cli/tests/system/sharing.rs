//! Jobs of one app on one agent share one process, each shard with a context of its own.

use std::{collections::BTreeSet, path::PathBuf, process::Command};

use muster_api::views::RunState;
use serde_json::{Value, json};

use crate::cluster::{Cluster, job, with};

/// The example programs, built by the cargo that built these tests, into the same folder.
pub(crate) fn example(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_BIN_EXE_muster"));
    let folder = folder.parent().unwrap();
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--quiet", "--package", "muster-examples", "--bin", name]);
    if folder.ends_with("release") {
        build.arg("--release");
    }
    let built = build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap();
    assert!(built.success(), "cannot build the example `{name}`");
    folder.join(name)
}

#[test]
fn jobs_of_one_app_share_a_process_and_no_context() {
    let cluster = Cluster::with_agents(1, "cpus:4;mem:4096");
    let uri = format!("file://{}", example("noop").display());
    cluster.put_app(
        "shared",
        &json!({
            "command": "exec ./noop",
            "artifacts": [{"uri": uri, "extract": false, "executable": true}],
        }),
    );
    let mut runs = Vec::new();
    for (name, shards, parameter) in [("one", 2, "first"), ("two", 3, "second")] {
        let more = json!({
            "handler": "pid", "parameter": parameter, "props": {"of": name},
            "sharding": {"count": shards, "parameters": {"0": "null", "1": "eins"}},
        });
        cluster.put_job(&with(job(name, "shared", "simple", shards), &more));
        runs.push((name, parameter, shards, cluster.trigger(name)));
    }
    let (mut pids, mut tasks) = (BTreeSet::new(), BTreeSet::new());
    for (name, parameter, shards, run) in runs {
        let view = cluster.wait_for_run(&run);
        assert_eq!(view.state, RunState::Succeeded, "{view:?}");
        for shard in view.shards.unwrap() {
            let result: Value = serde_json::from_str(&shard.result.unwrap()).unwrap();
            let context = &result["context"];
            assert_eq!(context["job"], name);
            assert_eq!(context["run"], run);
            assert_eq!(context["shard_item"], shard.item);
            assert_eq!(context["shard_count"], shards);
            assert_eq!(context["shard_parameter"], ["null", "eins", ""][shard.item as usize]);
            assert_eq!(context["job_parameter"], parameter);
            assert_eq!(context["props"], json!({"of": name}));
            assert_eq!(context["task"], shard.task.unwrap().to_string());
            assert_eq!(context["epoch"].as_u64(), shard.epoch);
            tasks.insert(context["task"].as_str().unwrap().to_owned());
            pids.insert(result["pid"].as_i64().unwrap());
        }
    }
    assert_eq!(tasks.len(), 5);
    let executor = cluster.executors_on("a1").pop().expect("an executor").1;
    assert_eq!(pids, [i64::from(executor.pid)].into(), "one process hosts all");
}

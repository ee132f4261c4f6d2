//! How runs end, and what is known about it.

use std::process::Output;

use muster_api::views::{RunState, RunView, ShardState};
use serde_json::{Value, json};

use crate::cluster::{Cluster, PRELUDE, Process, WAITS, script, wait_until, with};

fn cluster() -> Cluster {
    let cluster = Cluster::with_agents(1, "cpus:2;mem:1024");
    cluster.put_app("scripts", &json!({}));
    cluster
}

/// Runs a job of one shard.
fn run(cluster: &Cluster, name: &str, text: &str, more: &Value) -> RunView {
    cluster.put_job(&with(script(name, 1, &format!("{PRELUDE}{text}")), more));
    cluster.wait_for_run(&cluster.trigger(name))
}

#[test]
fn a_failing_script_says_how_and_what_it_said_last() {
    let cluster = cluster();
    let text = "echo out-words; echo err-words >&2; echo the-result >\"$MUSTER_RESULT\"; exit 7";
    let view = run(&cluster, "fails", text, &json!({}));
    assert_eq!(view.state, RunState::Failed);
    let shard = &view.shards.as_ref().unwrap()[0];
    assert_eq!((shard.state, shard.exit_code), (ShardState::Failed, Some(7)));
    assert_eq!((shard.attempt, shard.result.as_deref()), (1, Some("the-result\n")));
    assert!(shard.reason.as_ref().unwrap().contains('7'), "{shard:?}");
    let output = shard.output.as_ref().unwrap();
    assert!(output.contains("out-words") || output.contains("err-words"), "{shard:?}");

    let view = run(&cluster, "dies", "kill -SEGV $$", &json!({}));
    let shard = &view.shards.as_ref().unwrap()[0];
    assert_eq!((view.state, shard.exit_code), (RunState::Failed, None), "{shard:?}");
    let reason = shard.reason.as_ref().unwrap();
    assert!(reason.contains("signal") || reason.contains("SEGV"), "{shard:?}");
}

#[test]
fn a_shard_that_fails_is_retried_as_often_as_its_job_says() {
    let cluster = cluster();
    let retry = |more: u32| json!({"retry": {"max_attempts": more, "backoff": "100ms..1s"}});
    let text = "[ \"$MUSTER_ATTEMPT\" -ge 3 ] || exit 1; note end";
    let view = run(&cluster, "third-time", text, &retry(2));
    assert_eq!(view.state, RunState::Succeeded);
    assert_eq!(view.shards.unwrap()[0].attempt, 3);
    let acts = cluster.witness().acts("third-time");
    let attempts: Vec<_> = acts.iter().map(|act| (act.attempt, act.word.as_str())).collect();
    assert_eq!(attempts, [(1, "start"), (2, "start"), (3, "start"), (3, "end")]);
    assert!(acts.windows(2).all(|two| two[0].epoch <= two[1].epoch && two[0].at <= two[1].at));
    let tasks: std::collections::BTreeSet<_> = acts.iter().map(|act| &act.task).collect();
    let epochs: std::collections::BTreeSet<_> = acts.iter().map(|act| act.epoch).collect();
    assert_eq!((tasks.len(), epochs.len()), (3, 3));
    assert!(acts[2].at - acts[1].at > 0.15, "the back-off doubles: {acts:?}");

    let view = run(&cluster, "too-often", "exit 1", &retry(1));
    assert_eq!(view.state, RunState::Failed);
    assert_eq!(cluster.witness().count("too-often", "start"), 2);
}

#[test]
fn a_task_that_takes_too_long_is_ended_and_so_is_all_that_it_started() {
    let cluster = cluster();
    let text = "trap '' TERM; sleep 300 & wait; wait; sleep 300";
    let more = json!({"timeout": "500ms", "kill_grace": "300ms"});
    let view = run(&cluster, "slow", text, &more);
    assert_eq!(view.state, RunState::TimedOut, "{view:?}");
    let shard = &view.shards.as_ref().unwrap()[0];
    assert_eq!(shard.state, ShardState::TimedOut);
    assert!(shard.reason.is_some());
    let left = cluster.processes().into_iter().filter(|process| process.words[0] == "sleep");
    assert_eq!(left.count(), 0, "something of it lives on");
    let more = json!({"timeout": "300ms", "retry": {"max_attempts": 1, "backoff": "100ms..1s"}});
    let view = run(&cluster, "slow-twice", "exec sleep 300", &more);
    assert_eq!(view.state, RunState::TimedOut);
    assert_eq!(cluster.witness().count("slow-twice", "start"), 2);
}

#[test]
fn without_failover_a_shard_runs_at_most_once() {
    let cluster = cluster();
    let text = format!("{PRELUDE} exec sleep 300");
    let more = json!({"failover": {"enabled": false}, "retry": {"max_attempts": 3}});
    cluster.put_job(&with(script("once", 2, &text), &more));
    let run = cluster.trigger("once");
    let witness = cluster.witness();
    wait_until("both shards run", || witness.count("once", "start") == 2);
    cluster.executors_on("a1")[0].1.signal(rustix::process::Signal::KILL);
    let view = cluster.wait_for_run(&run);
    assert_eq!((view.state, view.counts.failed), (RunState::Failed, 2), "{view:?}");
    assert_eq!(witness.count("once", "start"), 2);
    for shard in view.shards.unwrap() {
        assert_eq!((shard.attempt, shard.state), (1, ShardState::Failed));
        assert!(shard.reason.as_ref().unwrap().contains("signal 9"), "{shard:?}");
    }
}

#[test]
fn an_app_that_cannot_start_fails_its_shards_with_the_reason() {
    let cluster = cluster();
    let missing = json!({"artifacts": [{"uri": "file:///no/such/file", "extract": false}]});
    cluster.put_app("missing", &missing);
    let view = run(&cluster, "no-artifact", "true", &json!({"app": "missing"}));
    assert_eq!(view.state, RunState::Failed);
    let reason = view.shards.unwrap()[0].reason.clone().unwrap();
    assert!(reason.contains("/no/such/file"), "{reason}");
    cluster.put_app("quits", &json!({"command": "echo last-words; exit 3"}));
    let more = json!({"app": "quits", "failover": {"backoff": "100ms..100ms"}});
    let view = run(&cluster, "no-executor", "true", &more);
    assert_eq!(view.state, RunState::Failed);
    let reason = view.shards.unwrap()[0].reason.clone().unwrap();
    assert!(reason.contains("status 3"), "{reason}");
}

#[test]
fn the_command_line_waits_shows_output_and_tells_by_its_exit_code() {
    let cluster = cluster();
    let text = "echo \"out $MUSTER_SHARD_ITEM $MUSTER_JOB_PARAMETER\"; echo err >&2; \
                [ \"$MUSTER_JOB_PARAMETER\" != bad ]";
    cluster.put_job(&script("speaks", 2, text));
    let good = cluster.muster(&["run", "speaks", "--wait", "--parameter", "well"]);
    assert_eq!(good.status.code(), Some(0), "{good:?}");
    let bad = cluster.muster(&["run", "speaks", "--wait", "--parameter", "bad", "-o", "json"]);
    assert_eq!(bad.status.code(), Some(1), "{bad:?}");
    let none = cluster.muster(&["run", "nobody", "--wait"]);
    assert_eq!(none.status.code(), Some(2), "{none:?}");
    assert!(lines(&none.stderr).last().unwrap().contains("nobody"), "{none:?}");

    let runs = cluster.api().get("/v1/runs?job=speaks&state=succeeded").body;
    let run = runs["items"][0]["id"].as_str().unwrap();
    let logs = cluster.muster(&["logs", run]);
    assert_eq!(lines(&logs.stdout), ["[0] out 0 well", "[1] out 1 well"], "{logs:?}");
    assert_eq!(lines(&logs.stderr), ["[0] err", "[1] err"]);
    let logs = cluster.muster(&["logs", run, "1", "--stream", "stdout"]);
    assert_eq!(lines(&logs.stdout), ["out 1 well"], "{logs:?}");
    let followed = cluster.muster(&["run", "speaks", "--follow", "--parameter", "live"]);
    assert_eq!(followed.status.code(), Some(0), "{followed:?}");
    for line in ["[0] out 0 live", "[1] out 1 live"] {
        assert!(lines(&followed.stdout).contains(&line.to_owned()), "{followed:?}");
    }
}

fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect()
}

/// Waiting clients outlive a restart of the scheduler.
#[test]
fn a_waiting_client_does_not_mind_a_restart() {
    let mut cluster = cluster();
    cluster.put_job(&script("long", 1, &format!("{PRELUDE} sleep 2; note end")));
    let url = format!("http://{}", cluster.scheduler().flag("--http"));
    let token_file = cluster.data_dir().join("admin.token");
    let client = std::thread::spawn(move || -> Output {
        let mut command = crate::cluster::muster();
        command.args(["--server", &url, "run", "long", "--wait", "--token-file"]);
        command.arg(token_file).output().unwrap()
    });
    let witness = cluster.witness();
    wait_until("the shard runs", || witness.count("long", "start") == 1);
    cluster.crash_scheduler();
    let output = client.join().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    witness.each_ran_once("long", 1);
}

/// The scheduler is killed while the run goes on, and again while it is being stopped.
#[test]
fn a_run_that_takes_too_long_is_ended_and_what_is_left_of_it_runs_again() {
    let mut cluster = cluster();
    let text = format!("{PRELUDE}[ $MUSTER_SHARD_ITEM != 0 ] || {{ note end; exit; }}\n{WAITS}");
    let more = json!({"run_timeout": "6s", "retry": {"max_attempts": 5}, "parameter": "p"});
    cluster.put_job(&with(script("bounded", 3, &text), &more));
    let run = cluster.trigger("bounded");
    let witness = cluster.witness();
    wait_until("all shards have started", || witness.count("bounded", "start") == 3);
    cluster.crash_scheduler();
    wait_until("the run is stopped", || cluster.run(&run).state != RunState::Running);
    cluster.crash_scheduler();
    let view = cluster.wait_for_run(&run);
    assert_eq!((view.state, view.counts.succeeded), (RunState::TimedOut, 1), "{view:?}");
    assert_eq!(view.counts.timed_out, 2);
    let reason = view.reason.as_ref().unwrap();
    assert!(reason.contains("run_timeout of 6s"), "{reason}");
    let took = view.ended_at.unwrap().since(view.started_at.unwrap());
    assert!(took >= std::time::Duration::from_secs(6), "{took:?}");
    assert_eq!(cluster.processes().into_iter().filter(Process::is_sleep).count(), 0);
    assert_eq!(witness.count("bounded", "start"), 3, "nothing of it was tried again");

    let waits = cluster.muster(&["rerun", &run, "--items", "0,7"]);
    assert_eq!(waits.status.code(), Some(2), "{waits:?}");
    assert!(String::from_utf8_lossy(&waits.stderr).contains("no shard 7"), "{waits:?}");
    witness.let_go();
    let again = cluster.muster(&["rerun", &run, "--failed", "--wait", "-o", "json"]);
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    let runs = cluster.api().get("/v1/runs?job=bounded").body;
    let newest = &runs["items"][0];
    assert_eq!((&newest["cause"], &newest["rerun_of"]), (&json!("rerun"), &json!(run)));
    assert_eq!(newest["planned_at"], json!(view.planned_at));
    let mut starts: Vec<_> = witness.acts("bounded").into_iter().collect();
    starts.retain(|act| act.word == "start");
    let items: Vec<_> = starts.iter().map(|act| act.item).collect();
    assert_eq!(items, [0, 1, 1, 2, 2]);
    witness.nothing_ran_twice_at_one_time("bounded");
    let shown = cluster.muster(&["runs", newest["id"].as_str().unwrap()]);
    assert!(
        String::from_utf8_lossy(&shown.stdout).contains(&format!("rerun of {run}")),
        "{shown:?}"
    );
}

//! The death of an executor: nothing of it lives on beside the shards' next attempts.

use muster_api::views::RunState;
use rustix::process::Signal;
use serde_json::json;

use crate::cluster::{Cluster, PRELUDE, Process, script, wait_until, with};

const SHARDS: usize = 4;

/// A script whose first attempt leaves children of every kind behind and never ends, and whose
/// later attempts look for them, as their first act.
const STRAYS: &str = r#"
pids=$WITNESS/pids.$MUSTER_SHARD_ITEM
stray='trap "" TERM HUP; echo $$ >>"$0"; echo x >>"$0.ready"; while :; do sleep 100; done'
if [ "$MUSTER_ATTEMPT" = 1 ]; then
    echo $$ >>"$pids"
    bash -c "$stray" "$pids" &
    setsid bash -c "$stray" "$pids" &
    (setsid bash -c 'bash -c "$0" "$1" & disown' "$stray" "$pids" &)
    # One that shows nothing of where it comes from can only be known by its parents.
    (cd / && setsid $MUSTER_JOB_PARAMETER bash -c 'bash -c "$0" "$1" & disown' "$stray" "$pids" &)
    # One whose first thread has ended looks dead to whoever looks only once.
    "$WITNESS/headless" "$pids" "$pids.ready" &
    while :; do sleep 100; done
fi
while read -r pid; do
    for thread in /proc/$pid/task/*/status; do
        # A thread that is gone by now has no state.
        case $(grep '^State' "$thread" 2>/dev/null) in
        "" | State:?[ZX]*) ;;
        *) note alive "$pid" ;;
        esac
    done
done <"$pids"
note end
"#;

/// A process in a session of its own whose first thread ends, and another goes on.
const HEADLESS: &str = r#"
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
static void *stay(void *nothing) { for (;;) pause(); return nothing; }
static void append(const char *path, int number) {
    FILE *file = fopen(path, "a");
    fprintf(file, "%d\n", number);
    fclose(file);
}
int main(int count, char **words) {
    pthread_t thread;
    setsid();
    if (count != 3 || pthread_create(&thread, NULL, stay, NULL) != 0) return 1;
    append(words[1], getpid());
    append(words[2], 1);
    pthread_exit(NULL);
}
"#;

/// Compiles [`HEADLESS`] with the C compiler by which Rust links.
fn compile_headless(folder: &std::path::Path) {
    let source = folder.join("headless.c");
    std::fs::write(&source, HEADLESS).unwrap();
    let mut cc = std::process::Command::new("cc");
    cc.arg("-pthread").arg("-o").arg(folder.join("headless")).arg(source);
    assert!(cc.status().unwrap().success(), "cannot compile the headless process");
}

/// Strays of one shard.
const STRAYS_EACH: usize = 5;

/// Without any variable of ours in its environment.
const NAMELESS: &str = "env -i PATH=/usr/bin:/bin";

/// Two agents, and on one of them an executor whose shards have left strays; and their run.
/// `disguise` is the command that the last stray of each shard is started by.
fn with_strays(disguise: &str, lease: &str) -> (Cluster, String) {
    let cluster = Cluster::with_agents(2, "cpus:1;mem:1024");
    compile_headless(cluster.witness().folder());
    cluster.put_app("scripts", &json!({"lease": lease}));
    let strays = script("strays", u32::try_from(SHARDS).unwrap(), &format!("{PRELUDE}{STRAYS}"));
    let more = json!({"failover": {"backoff": "1s..1s"}, "parameter": disguise});
    cluster.put_job(&with(strays, &more));
    let run = cluster.trigger("strays");
    let folder = cluster.witness().folder().to_owned();
    wait_until("all strays are there", || {
        (0..SHARDS).all(|item| {
            let ready = std::fs::read_to_string(folder.join(format!("pids.{item}.ready")));
            ready.unwrap_or_default().lines().count() == STRAYS_EACH
        })
    });
    (cluster, run)
}

/// Checks that all shards ran again on the other agent after everything of the former attempts
/// was dead.
fn nothing_was_left(cluster: &Cluster, run: &str, from: &str) {
    let view = cluster.wait_for_run(run);
    assert_eq!(view.state, RunState::Succeeded, "{view:?}");
    for shard in view.shards.unwrap() {
        assert_eq!(shard.attempt, 2);
        assert_ne!(shard.hostname.as_deref(), Some(from), "it stayed where its executor died");
    }
    let acts = cluster.witness().acts("strays");
    let words: Vec<_> = acts.iter().map(|act| act.word.as_str()).collect();
    assert_eq!(words, ["start", "start", "end"].repeat(SHARDS), "{acts:?}");
    assert!(strays(cluster).is_empty());
}

/// Processes of the former attempts that live.
fn strays(cluster: &Cluster) -> Vec<Process> {
    let files = (0..SHARDS).map(|item| cluster.witness().folder().join(format!("pids.{item}")));
    let texts: Vec<_> = files.map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let pids = texts.iter().flat_map(|text| text.lines()).map(|pid| pid.parse().unwrap());
    pids.filter_map(Process::read).collect()
}

fn only_executor(cluster: &Cluster) -> (String, Process, Process) {
    let mut all = Vec::new();
    for agent in ["a1", "a2"] {
        let executors = cluster.executors_on(agent);
        all.extend(executors.into_iter().map(|(parent, child)| (agent.to_owned(), parent, child)));
    }
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[test]
fn a_killed_executor_leaves_nothing_behind() {
    let (cluster, run) = with_strays(NAMELESS, "2m");
    assert_eq!(strays(&cluster).len(), SHARDS * (STRAYS_EACH + 1));
    let (agent, _, executor) = only_executor(&cluster);
    executor.signal(Signal::KILL);
    nothing_was_left(&cluster, &run, &agent);
}

/// The agent is away when it happens, and hears of it later.
#[test]
fn an_executor_killed_in_the_absence_of_its_agent_leaves_nothing_behind() {
    let (mut cluster, run) = with_strays(NAMELESS, "2m");
    let (agent, supervisor, executor) = only_executor(&cluster);
    cluster.agent(&agent).end(Signal::KILL);
    executor.signal(Signal::KILL);
    wait_until("its supervisor is done", || !supervisor.is_alive());
    assert!(strays(&cluster).is_empty(), "the supervisor left something behind");
    cluster.agent(&agent).start();
    nothing_was_left(&cluster, &run, &agent);
}

/// Nobody is left to kill the strays but the agent, and it has to find them.
#[test]
fn a_killed_supervisor_leaves_nothing_behind() {
    let (cluster, run) = with_strays("env", "2m");
    let (agent, supervisor, _) = only_executor(&cluster);
    supervisor.signal(Signal::KILL);
    nothing_was_left(&cluster, &run, &agent);
}

#[test]
fn a_killed_agent_supervisor_and_executor_leave_nothing_behind() {
    let (mut cluster, run) = with_strays("env", "2m");
    let (agent, supervisor, executor) = only_executor(&cluster);
    cluster.agent(&agent).end(Signal::KILL);
    supervisor.signal(Signal::KILL);
    executor.signal(Signal::KILL);
    cluster.agent(&agent).start();
    nothing_was_left(&cluster, &run, &agent);
}

/// A host that is cut off: its lease ends, its supervisor kills, and only then others begin.
#[test]
fn a_silent_agent_loses_its_shards_to_another_and_nothing_runs_twice() {
    let (mut cluster, run) = with_strays(NAMELESS, "15s");
    let (agent, supervisor, _) = only_executor(&cluster);
    cluster.agent(&agent).signal(Signal::STOP);
    nothing_was_left(&cluster, &run, &agent);
    assert!(!supervisor.is_alive());
    // Back again it knows that its tasks are over, and takes new ones.
    cluster.agent(&agent).signal(Signal::CONT);
    cluster.wait_for_agents(2);
}

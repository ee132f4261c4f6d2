//! `muster explain`.

use muster_api::{
    JobName, RunId,
    explain::{JobExplanation, OverShards, PlacedShards, RunExplanation, WaitingShards},
};
use serde::Deserialize as _;

use super::Session;
use crate::{
    client::Call,
    screen::{printable, word},
};

/// Says why a job or a run is as it is. An id of a run is a name too; it is taken for the run.
pub(super) async fn explain(session: &Session, what: &JobName) -> anyhow::Result<()> {
    let path = match what.as_str().parse::<RunId>() {
        Ok(run) => format!("/v1/runs/{run}/explain"),
        Err(_) => format!("/v1/jobs/{what}/explain"),
    };
    let of_run = path.starts_with("/v1/runs/");
    let answer = session.client.send(Call::get(path)).await?.body;
    session.screen.answer(&answer, || {
        Ok::<_, serde_json::Error>(match of_run {
            true => run_tree(&RunExplanation::deserialize(&answer)?, "").join("\n"),
            false => job_tree(&JobExplanation::deserialize(&answer)?).join("\n"),
        })
    })
}

fn job_tree(job: &JobExplanation) -> Vec<String> {
    let mut lines = vec![format!("job {}: {}", job.job, printable(&job.detail))];
    if job.runs.is_empty() {
        lines.push("  no run of it waits or goes on".to_owned());
    }
    lines.extend(job.runs.iter().flat_map(|run| run_tree(run, "  ")));
    if job.more_runs > 0 {
        lines.push(format!("  and {} more runs that wait for their turn", job.more_runs));
    }
    if let Some(missed) = &job.last_missed {
        let (at, how) = (missed.planned_at, word(missed.outcome));
        let why = missed.reason.as_deref().map(|why| format!(": {}", printable(why)));
        lines.push(format!("  the fire of {at} was {how}{}", why.unwrap_or_default()));
    }
    lines
}

fn run_tree(run: &RunExplanation, indent: &str) -> Vec<String> {
    let why = run.reason.as_deref().map(|why| format!(": {}", printable(why)));
    let (id, job, state) = (run.run, &run.job, word(run.state));
    let mut lines =
        vec![format!("{indent}run {id} of {job} is {state}{}", why.unwrap_or_default())];
    lines.extend(run.deadlines.iter().map(|line| format!("{indent}  {}", printable(line))));
    for WaitingShards { items, detail, unblock, .. } in &run.waiting {
        lines.push(format!("{indent}  shards {items} wait: {}", printable(detail)));
        let ways = unblock.iter().map(|way| format!("{indent}    unblocked by {}", printable(way)));
        lines.extend(ways);
    }
    for placed in &run.placed {
        let PlacedShards { items, agent, because, .. } = placed;
        let (state, hostname) = (word(placed.state), printable(&placed.hostname));
        lines.push(format!("{indent}  shards {items} are {state} on {hostname} ({agent})"));
        lines.push(format!("{indent}    placed there because {}", printable(because)));
        let more = [&placed.ending, &placed.drained, &placed.silent].into_iter().flatten();
        lines.extend(more.map(|words| format!("{indent}    {}", printable(words))));
    }
    for OverShards { items, state, reason, .. } in &run.over {
        let why = reason.as_deref().map(|why| format!(": {}", printable(why)));
        let why = why.unwrap_or_default();
        lines.push(format!("{indent}  shards {items} are over, {}{why}", word(*state)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_is_a_short_tree() {
        let run = json!({"run": "019a0000-0000-7000-8000-000000000000", "job": "j",
            "state": "running", "planned_at": "2026-01-31T02:00:00Z",
            "deadlines": ["ended at T if not over (run_timeout 1h)"],
            "waiting": [{"shards": 2, "items": "2-3", "reason": "no_room",
                "detail": "no host has room", "unblock": ["cpus:1 more on h1"]}],
            "placed": [{"shards": 1, "items": "1", "state": "running", "agent": "agent-1",
                "hostname": "h1", "because": "its executor lived there",
                "drained": "h1 is being drained; moved at the deadline of the drain if not over",
                "silent": "h1 has been silent for 9 s"},
                {"shards": 1, "items": "4", "state": "killing", "agent": "agent-1", "hostname": "h1",
                "because": "of the hosts with room it is the tightest fit",
                "ending": "being ended to be replaced: its job has another document now"}],
            "over": [{"shards": 1, "items": "0", "state": "failed", "reason": "exit code 3"}]});
        let job = json!({"job": "j", "fires": true, "detail": "it fires next for ...",
            "next_fire": null, "runs": [run], "more_runs": 1,
            "last_missed": {"planned_at": "2026-01-30T02:00:00Z", "outcome": "skipped",
                "reason": "older than the grace", "run": null}});
        let lines = job_tree(&JobExplanation::deserialize(&job).unwrap());
        assert_eq!(
            lines,
            [
                "job j: it fires next for ...",
                "  run 019a0000-0000-7000-8000-000000000000 of j is running",
                "    ended at T if not over (run_timeout 1h)",
                "    shards 2-3 wait: no host has room",
                "      unblocked by cpus:1 more on h1",
                "    shards 1 are running on h1 (agent-1)",
                "      placed there because its executor lived there",
                "      h1 is being drained; moved at the deadline of the drain if not over",
                "      h1 has been silent for 9 s",
                "    shards 4 are killing on h1 (agent-1)",
                "      placed there because of the hosts with room it is the tightest fit",
                "      being ended to be replaced: its job has another document now",
                "    shards 0 are over, failed: exit code 3",
                "  and 1 more runs that wait for their turn",
                "  the fire of 2026-01-30T02:00:00Z was skipped: older than the grace",
            ]
        );
    }
}

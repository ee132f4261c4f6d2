//! `muster runs`, `cancel` and `kill`.

use muster_api::{
    RunId, Span, limits,
    views::{RunView, ShardCounts, ShardState, ShardView},
};
use serde_json::json;

use super::{Session, rows};
use crate::{
    args::RunsArgs,
    client::{Call, ClientError},
    screen::{Rows, or_dash, printable, word},
};

/// Lists runs, or shows one.
pub(super) async fn runs(session: &Session, args: &RunsArgs) -> anyhow::Result<()> {
    if let Some(run) = args.run {
        return show(session, run).await;
    }
    let call = Call::get("/v1/runs")
        .query_if("job", args.job.as_ref())
        .query_if("state", args.state.map(word));
    let page = session.client.list(call, args.limit).await?;
    session.screen.answer(&json!(page), || {
        let runs: Vec<RunView> = rows(&page.items)?;
        Ok::<_, serde_json::Error>(render_list(&runs))
    })?;
    session.screen.cut(&page, "`--limit N` shows more, `--job` and `--state` fewer")?;
    Ok(())
}

/// Ends a run.
pub(super) async fn cancel(session: &Session, run: RunId) -> anyhow::Result<()> {
    let answer = session.client.send(Call::post(format!("/v1/runs/{run}/cancel"))).await?;
    session.screen.answer(&answer.body, || {
        let view: RunView = answer.read()?;
        Ok::<_, ClientError>(format!("run {run} of {} is {}", view.job, word(view.state)))
    })
}

/// Ends the task of one shard.
pub(super) async fn kill(session: &Session, run: RunId, item: u32) -> anyhow::Result<()> {
    let path = format!("/v1/runs/{run}/shards/{item}/kill");
    let answer = session.client.send(Call::post(path)).await?;
    session.screen.answer(&answer.body, || {
        let view: RunView = answer.read()?;
        let job = &view.job;
        Ok::<_, ClientError>(format!(
            "the task of shard {item} of run {run} of {job} is told to end"
        ))
    })
}

async fn show(session: &Session, run: RunId) -> anyhow::Result<()> {
    let answer = session.client.send(Call::get(format!("/v1/runs/{run}"))).await?;
    if session.screen.is_json() {
        session.screen.line(format!("{:#}", answer.body))?;
        return Ok(());
    }
    let view: RunView = answer.read()?;
    let mut shards = view.shards.clone().unwrap_or_default();
    if shards.len() < view.counts.total() as usize {
        shards = all_shards(session, run).await?;
    }
    session.screen.line(render_run(&view, &shards))?;
    Ok(())
}

/// Every shard of a run, also beyond those that the run itself lists.
async fn all_shards(session: &Session, run: RunId) -> anyhow::Result<Vec<ShardView>> {
    let call = Call::get(format!("/v1/runs/{run}/shards"));
    let page = session.client.list(call, limits::SHARDS_MAX as usize).await?;
    Ok(rows(&page.items)?)
}

fn render_list(runs: &[RunView]) -> String {
    let mut table =
        Rows::new(["RUN", "JOB", "STATE", "CAUSE", "SUCCEEDED", "PLANNED", "TOOK", "REASON"]);
    for run in runs {
        table.add([
            run.id.to_string(),
            run.job.to_string(),
            word(run.state),
            word(run.cause),
            format!("{} of {}", run.counts.succeeded, run.counts.total()),
            run.planned_at.to_string(),
            or_dash(took(run)),
            run.reason.clone().unwrap_or_default(),
        ]);
    }
    table.render("no such runs")
}

/// From the launch of the first task to the end.
pub(super) fn took(run: &RunView) -> Option<Span> {
    let span = run.ended_at?.since(run.started_at?);
    Some(Span::from_millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
}

fn render_run(run: &RunView, shards: &[ShardView]) -> String {
    let mut facts = vec![
        ("run", run.id.to_string()),
        ("job", format!("{} (version {})", run.job, or_dash(run.version))),
        ("state", word(run.state)),
        ("cause", word(run.cause)),
        ("planned", run.planned_at.to_string()),
        ("started", or_dash(run.started_at)),
        ("ended", or_dash(run.ended_at)),
        ("took", or_dash(took(run))),
        ("shards", render_counts(&run.counts)),
    ];
    if run.planned_until != run.planned_at {
        facts.insert(5, ("until", run.planned_until.to_string()));
    }
    if let Some(former) = run.rerun_of {
        facts.insert(4, ("rerun of", former.to_string()));
    }
    if let Some(reason) = &run.reason {
        facts.insert(3, ("reason", printable(reason)));
    }
    let facts: String = facts.iter().map(|(name, fact)| format!("{name:9}{fact}\n")).collect();
    format!("{facts}\n{}", render_shards(shards))
}

/// How many shards are in which state, as in `2 running, 1 succeeded`.
pub(super) fn render_counts(counts: &ShardCounts) -> String {
    let mut counts = *counts;
    let parts: Vec<_> = ShardState::ALL
        .into_iter()
        .map(|state| (*counts.of(state), word(state)))
        .filter(|(count, _)| *count > 0)
        .map(|(count, state)| format!("{count} {state}"))
        .collect();
    parts.join(", ")
}

/// The shards as a table, and under it the last output of those that failed.
pub(super) fn render_shards(shards: &[ShardView]) -> String {
    let mut table = Rows::new([
        "ITEM",
        "PARAMETER",
        "STATE",
        "ATTEMPT",
        "HOST",
        "STARTED",
        "ENDED",
        "EXIT",
        "RESULT",
    ]);
    for shard in shards {
        let host = shard.hostname.clone().or_else(|| shard.agent.as_ref().map(ToString::to_string));
        table.add([
            shard.item.to_string(),
            shard.parameter.clone(),
            word(shard.state),
            shard.attempt.to_string(),
            or_dash(host),
            or_dash(shard.started_at),
            or_dash(shard.ended_at),
            or_dash(shard.exit_code),
            shard.reason.clone().or_else(|| shard.result.clone()).unwrap_or_default(),
        ]);
    }
    let mut text = table.render("no shards");
    for shard in shards {
        if let Some(output) = shard.output.as_ref().filter(|output| !output.trim().is_empty()) {
            text += &format!("\n\nlast output of shard {}:", shard.item);
            output.lines().for_each(|line| text += &format!("\n  {}", printable(line)));
        }
    }
    text
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::Value;

    use super::*;

    pub(crate) fn run(changes: &Value) -> RunView {
        let mut run = json!({
            "id": "019a0000-0000-7000-8000-000000000000", "job": "j", "version": 2,
            "cause": "trigger", "state": "failed", "reason": null,
            "planned_at": "2026-01-31T02:00:00Z", "planned_until": "2026-01-31T02:00:00Z",
            "created_at": "2026-01-31T02:00:00Z", "started_at": "2026-01-31T02:00:01Z",
            "ended_at": "2026-01-31T02:00:02.5Z",
            "counts": {"pending": 0, "launching": 0, "running": 0, "killing": 0, "backing_off": 0,
                       "succeeded": 1, "failed": 1, "timed_out": 0, "cancelled": 0},
            "shards": [{
                "item": 0, "parameter": "beijing", "state": "succeeded", "task": null,
                "agent": "a1", "hostname": "h1", "executor": null, "attempt": 1, "epoch": null,
                "started_at": "2026-01-31T02:00:01Z", "ended_at": "2026-01-31T02:00:02Z",
                "exit_code": 0, "reason": null, "result": "42",
            }, {
                "item": 1, "parameter": "", "state": "failed", "task": null,
                "agent": "a2", "hostname": null, "executor": null, "attempt": 3, "epoch": null,
                "started_at": null, "ended_at": null, "exit_code": 7,
                "reason": "exit code 7", "result": null, "output": "one\nt\u{1b}wo\n",
            }],
        });
        for (field, value) in changes.as_object().unwrap() {
            run[field] = value.clone();
        }
        serde_json::from_value(run).unwrap()
    }

    #[test]
    fn a_list_has_a_line_for_each_run() {
        assert_eq!(
            render_list(&[run(&json!({"shards": null}))]),
            "RUN                                   JOB  STATE   CAUSE    SUCCEEDED  PLANNED               TOOK     REASON\n\
             019a0000-0000-7000-8000-000000000000  j    failed  trigger  1 of 2     2026-01-31T02:00:00Z  1s500ms"
        );
    }

    #[test]
    fn a_run_shows_its_shards_and_why_they_failed() {
        let view = run(&json!({}));
        let text = render_run(&view, view.shards.as_deref().unwrap());
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[1], "job      j (version 2)");
        assert_eq!(lines[7], "took     1s500ms");
        assert_eq!(lines[8], "shards   1 succeeded, 1 failed");
        assert!(lines[11].starts_with("0     beijing    succeeded  1        h1    2026-01"));
        assert!(lines[12].ends_with("-                     7     exit code 7"), "{text}");
        assert_eq!(&lines[13..], ["", "last output of shard 1:", "  one", "  t wo"]);
        let former = "019a0000-0000-7000-8000-000000000001";
        let again = run(&json!({"cause": "rerun", "rerun_of": former, "reason": "x"}));
        let text = render_run(&again, &[]);
        assert!(
            text.contains(&format!("\nreason   x\ncause    rerun\nrerun of {former}\n")),
            "{text}"
        );
        let merged = run(&json!({"planned_until": "2026-01-31T03:00:00Z", "reason": "x"}));
        let text = render_run(&merged, &[]);
        assert!(
            text.contains("\nreason   x\n") && text.contains("\nuntil    2026-01-31T03:00:00Z")
        );
    }
}

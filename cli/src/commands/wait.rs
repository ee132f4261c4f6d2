//! Waiting for the end of a run.

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use muster_api::{
    RunId, clock,
    views::{RunState, RunView, ShardState, ShardView},
};
use serde_json::Value;

use super::{
    Session,
    runs::{render_counts, render_shards, took},
    why::Why,
};
use crate::{
    client::{Answer, Call, ClientError},
    screen::{Screen, printable, word},
};

/// How long the scheduler holds back an answer when nothing is over: how old what we show may be.
const REFRESH: Duration = Duration::from_secs(1);
/// Between two calls of a scheduler that is away.
const RETRY: Duration = Duration::from_millis(500);
/// How long a scheduler may be away before we give up: far longer than its restart.
const PATIENCE: Duration = Duration::from_secs(120);

/// Results that are shown at the end of a run.
const RESULTS_MAX: usize = 20;

/// A run that is over.
pub(super) struct Over {
    /// The run.
    pub(super) run: RunView,
    /// The same as the server said it.
    pub(super) json: Value,
}

/// Waits until a run is over; `seen` is told each view of it on the way and the last, and why it
/// does not start when that is news.
///
/// A scheduler that goes away is waited for: runs outlive its restarts.
pub(super) async fn until_over(
    session: &Session,
    run: RunId,
    mut seen: impl FnMut(&RunView, Option<&str>) -> io::Result<()>,
) -> anyhow::Result<Over> {
    let mut patience = Patience::new(session.screen);
    let mut why = Why::new();
    loop {
        let call = Call::get(format!("/v1/runs/{run}")).waiting(REFRESH);
        let answer = match session.client.send(call).await {
            Ok(answer) => answer,
            Err(error) => {
                patience.after(error).await?;
                continue;
            }
        };
        patience = Patience::new(session.screen);
        let view: RunView = answer.read()?;
        seen(&view, why.news(session, &view).await)?;
        if view.state.is_over() {
            return Ok(Over { run: view, json: answer.body });
        }
    }
}

/// How long failures have been going on that may pass.
pub(super) struct Patience {
    screen: Option<Screen>,
    failing_since: Option<muster_api::Mono>,
}

impl Patience {
    /// Nothing has failed yet.
    pub(super) fn new(screen: Screen) -> Self {
        Self { screen: Some(screen), failing_since: None }
    }

    /// The same without a word, beside something that waits for the same scheduler and says so.
    pub(super) fn silent() -> Self {
        Self { screen: None, failing_since: None }
    }

    /// Waits a moment after a failure that may pass; gives any other back, and each after a while.
    pub(super) async fn after(&mut self, error: ClientError) -> anyhow::Result<()> {
        let now = clock::mono();
        let since = *self.failing_since.get_or_insert(now);
        if !error.may_pass() || now.since(since) > PATIENCE {
            return Err(error.into());
        }
        if let Some(screen) = self.screen.filter(|_| since == now) {
            screen.note(format_args!("{error}; trying again"))?;
        }
        tokio::time::sleep(RETRY).await;
        Ok(())
    }
}

/// Sends a call again and again while its failures may pass. Only for calls that change nothing
/// the second time.
pub(super) async fn send_patiently(session: &Session, call: Call) -> anyhow::Result<Answer> {
    let mut patience = Patience::new(session.screen);
    loop {
        match session.client.send(call.clone()).await {
            Ok(answer) => return Ok(answer),
            Err(error) => patience.after(error).await?,
        }
    }
}

/// Shows how a run goes, on standard error.
pub(super) enum Progress {
    /// A bar, for a terminal.
    Bar(ProgressBar),
    /// A line for each change.
    Lines {
        /// Where.
        screen: Screen,
        /// What was said last.
        last: String,
    },
}

impl Progress {
    /// A bar where there is a terminal, else lines.
    pub(super) fn new(screen: Screen) -> Self {
        if !io::stderr().is_terminal() {
            return Self::Lines { screen, last: String::new() };
        }
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} shards  {elapsed}  {msg}");
        let style = style.expect("the template is well formed").progress_chars("=> ");
        let bar = ProgressBar::no_length().with_style(style);
        bar.enable_steady_tick(Duration::from_millis(250));
        Self::Bar(bar)
    }

    /// Shows a view of the run, and why it waits if that is news. How it ended is said elsewhere.
    pub(super) fn show(&mut self, run: &RunView, why: Option<&str>) -> io::Result<()> {
        match self {
            Self::Bar(bar) => {
                if let Some(why) = why {
                    bar.println(format!("waiting: {why}"));
                }
                bar.set_length(u64::from(run.counts.total()));
                bar.set_position(u64::from(run.counts.over()));
                bar.set_message(describe(run));
                if run.state.is_over() {
                    bar.finish_and_clear();
                }
            }
            Self::Lines { screen, last } => {
                if let Some(why) = why {
                    screen.note(format_args!("waiting: {why}"))?;
                }
                let line = describe(run);
                if line != *last && !run.state.is_over() {
                    screen.note(&line)?;
                    *last = line;
                }
            }
        }
        Ok(())
    }
}

/// The state of a run in one line, as in `running: 1 running, 2 succeeded`.
fn describe(run: &RunView) -> String {
    format!("{}: {}", word(run.state), render_counts(&run.counts))
}

/// Shows the end of a run, and makes the exit code of it.
pub(super) fn conclude(session: &Session, over: &Over) -> anyhow::Result<ExitCode> {
    let run = &over.run;
    session.screen.answer(&over.json, || Ok::<_, io::Error>(render_end(run)))?;
    Ok(if run.state == RunState::Succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn render_end(run: &RunView) -> String {
    let mut text = format!("{} ({})", word(run.state), render_counts(&run.counts));
    if let Some(took) = took(run) {
        text += &format!(" in {took}");
    }
    if let Some(reason) = &run.reason {
        text += &format!(": {reason}");
    }
    let shards = run.shards.clone().unwrap_or_default();
    let (good, bad): (Vec<_>, Vec<_>) =
        shards.into_iter().partition(|shard| shard.state == ShardState::Succeeded);
    if !bad.is_empty() {
        return text + &format!("\n{}", render_shards(&bad));
    }
    text + &render_results(run.id, &good)
}

/// What shards returned, each in a line of its own.
fn render_results(run: RunId, shards: &[ShardView]) -> String {
    let results = shards.iter().filter_map(|shard| Some((shard.item, shard.result.as_ref()?)));
    let results: Vec<_> = results.filter(|(_, result)| !result.trim().is_empty()).collect();
    let shown = results.iter().take(RESULTS_MAX);
    let mut text = String::new();
    shown.for_each(|(item, result)| text += &format!("\n  {item}: {}", printable(result)));
    if let Some(more @ 1..) = results.len().checked_sub(RESULTS_MAX) {
        text += &format!("\n  and {more} more; `muster runs {run}` shows all");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::runs::tests::run, *};

    #[test]
    fn the_end_names_the_shards_that_failed() {
        let text = render_end(&run(&json!({})));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "failed (1 succeeded, 1 failed) in 1s500ms");
        assert!(lines[1].starts_with("ITEM") && lines[2].starts_with("1  "));
        assert!(text.ends_with("last output of shard 1:\n  one\n  t wo"));
        let good = run(&json!({"state": "succeeded", "shards": []}));
        assert_eq!(render_end(&good), "succeeded (1 succeeded, 1 failed) in 1s500ms");
        let mut good = run(&json!({"state": "succeeded"}));
        let shard = good.shards.as_ref().unwrap()[0].clone();
        good.shards = Some((0..25).map(|item| ShardView { item, ..shard.clone() }).collect());
        let text = render_end(&good);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!((lines.len(), lines[1], lines[20]), (22, "  0: 42", "  19: 42"));
        assert_eq!(lines[21], format!("  and 5 more; `muster runs {}` shows all", good.id));
    }

    #[test]
    fn a_run_in_progress_is_one_line() {
        let view = run(&json!({"state": "running"}));
        assert_eq!(describe(&view), "running: 1 succeeded, 1 failed");
    }
}

//! `muster events`.

use std::time::Duration;

use muster_api::events::{EventView, TraceEvent};
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::{Session, rows, wait::Patience};
use crate::{
    args::EventsArgs,
    client::{Call, ClientError, ServerEvents},
    screen::{Rows, or_dash, printable, word},
};

/// A stream says that it is there each 15 s; one that says nothing for so long is opened again.
const QUIET: Duration = Duration::from_secs(45);
/// Between the end of a stream and the next one.
const AGAIN: Duration = Duration::from_millis(500);

/// Shows what happened, or what happens.
pub(super) async fn events(session: &Session, args: &EventsArgs) -> anyhow::Result<()> {
    if args.follow {
        return follow(session, args).await;
    }
    let page = session.client.list(filtered("/v1/events", args), args.limit).await?;
    session.screen.answer(&json!(page), || {
        let events: Vec<EventView> = rows(&page.items)?;
        Ok::<_, serde_json::Error>(render(&events))
    })?;
    session.screen.cut(&page, "`--limit N` shows more, `--job`, `--from` and others fewer")?;
    Ok(())
}

fn filtered(path: &str, args: &EventsArgs) -> Call {
    Call::get(path)
        .query_if("app", args.app.as_ref())
        .query_if("job", args.job.as_ref())
        .query_if("run", args.run)
        .query_if("task", args.task)
        .query_if("agent", args.agent.as_ref())
        .query_if("kind", args.kind.map(word))
        .query_if("state", args.state.as_ref())
        .query_if("actor", args.actor.as_ref())
        .query_if("from", args.from)
        .query_if("to", args.to)
}

/// Shows events as they happen, until somebody ends it. A stream that breaks, as with a restart of
/// the scheduler, is opened again where it was.
async fn follow(session: &Session, args: &EventsArgs) -> anyhow::Result<()> {
    let mut after = args.after.map(|id| id.to_string());
    let mut patience = Patience::new(session.screen);
    loop {
        match follow_once(session, args, &mut after).await {
            Ok(()) => patience = Patience::new(session.screen),
            Err(Failure::Call(error)) => {
                patience.after(error).await?;
                continue;
            }
            Err(Failure::Other(error)) => return Err(error),
        }
        sleep(AGAIN).await;
    }
}

/// Why events cannot be shown.
enum Failure {
    /// The scheduler does not answer, which may pass.
    Call(ClientError),
    /// The screen is gone, or what came is not understood.
    Other(anyhow::Error),
}

async fn follow_once(
    session: &Session,
    args: &EventsArgs,
    after: &mut Option<String>,
) -> Result<(), Failure> {
    let mut call = filtered("/v1/events/stream", args);
    if let Some(after) = after {
        call = call.header("last-event-id", after.clone());
    }
    let mut stream = session.client.stream(call).await.map_err(Failure::Call)?;
    let mut events = ServerEvents::default();
    // A stream that breaks off ends as one that is ended: the next one goes on.
    while let Ok(Ok(Some(bytes))) = timeout(QUIET, stream.next()).await {
        let complete = events.take(&bytes).map_err(|error| Failure::Other(error.into()))?;
        for (event, id) in complete {
            if event.kind == "gap" {
                let text = "some events are forgotten already: what follows does not begin where \
                            it should";
                session.screen.note(text).map_err(|error| Failure::Other(error.into()))?;
            } else {
                show(session, &event.data).map_err(Failure::Other)?;
            }
            go_on_behind(id.as_deref(), after);
        }
        go_on_behind(events.last_id(), after);
    }
    Ok(())
}

/// What comes before the first id, as a gap does, says nothing of where to go on.
fn go_on_behind(id: Option<&str>, after: &mut Option<String>) {
    if let Some(id) = id {
        *after = Some(id.to_owned());
    }
}

/// A line for an event: as it came for programs, with less for people.
fn show(session: &Session, data: &str) -> anyhow::Result<()> {
    if session.screen.is_json() {
        session.screen.line(data)?;
        return Ok(());
    }
    let EventView { event, .. } = serde_json::from_str(data)?;
    let [at, kind, state, subject, host, message] = cells(&event);
    let line = format!("{at:24}  {kind:9}  {state:13}  {subject:40}  {host:16}  {message}");
    session.screen.line(printable(&line))?;
    Ok(())
}

fn render(events: &[EventView]) -> String {
    let mut table = Rows::new(["AT", "KIND", "STATE", "WHAT", "HOST", "MESSAGE"]);
    for view in events {
        table.add(cells(&view.event));
    }
    table.render("no such events")
}

fn cells(event: &TraceEvent) -> [String; 6] {
    let host = event.hostname.clone().or_else(|| event.agent.as_ref().map(ToString::to_string));
    [
        event.at.to_string(),
        word(event.kind),
        event.state.to_string(),
        subject(event),
        or_dash(host),
        message(event),
    ]
}

/// What an event is about, by its names: the shard of a task, the run of a job.
fn subject(event: &TraceEvent) -> String {
    let mut words = Vec::new();
    match (&event.job, &event.app) {
        (Some(job), _) => words.push(match event.item {
            Some(item) => format!("{job}#{item}"),
            None => job.to_string(),
        }),
        (None, Some(app)) => words.push(format!("app {app}")),
        (None, None) => {}
    }
    if let Some(run) = event.run.filter(|_| event.task.is_none()) {
        words.push(format!("run {run}"));
    }
    if let Some(attempt) = event.attempt.filter(|attempt| *attempt > 1) {
        words.push(format!("attempt {attempt}"));
    }
    if words.is_empty() { "-".to_owned() } else { words.join(" ") }
}

fn message(event: &TraceEvent) -> String {
    let mut words = Vec::new();
    words.extend(event.actor.as_ref().map(|actor| format!("by {actor}")));
    if let Some(planned) = event.planned_at {
        words.push(match (event.count, event.planned_until) {
            (Some(1), _) | (None, None) => format!("planned {planned}"),
            (count, Some(until)) => {
                format!("{} planned {planned} to {until}", or_dash(count))
            }
            (Some(count), None) => format!("{count} planned {planned}"),
        });
    } else if let Some(count) = event.count {
        // What an executor counted instead of telling of each.
        words.push(format!("{count} execution(s)"));
    }
    words.extend(event.message.clone());
    // Most messages of user code that failed say the code themselves.
    let said = event.message.as_deref().unwrap_or_default();
    let code = event.exit_code.filter(|code| *code != 0 && !said.contains(&format!("code {code}")));
    words.extend(code.map(|code| format!("exit code {code}")));
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(json: serde_json::Value) -> EventView {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_gap_that_comes_first_does_not_forget_where_to_go_on() {
        let (mut events, mut after) = (ServerEvents::default(), Some("5-0".to_owned()));
        for (bytes, wanted) in [
            ("event: gap\ndata: {\"after\":\"5-0\"}\n\n", "5-0"),
            (": events\nid: 7-1\n\nevent: gap\ndata: {}\n\n", "7-1"),
        ] {
            for (_, id) in events.take(bytes.as_bytes()).unwrap() {
                go_on_behind(id.as_deref(), &mut after);
            }
            assert_eq!(after.as_deref(), Some(wanted));
        }
    }

    #[test]
    fn events_name_what_they_are_about() {
        let run = "019a0000-0000-7000-8000-000000000000";
        let task = view(json!({
            "id": "7-0", "at": "2026-01-31T02:00:00Z", "kind": "task", "state": "failed",
            "source": "executor", "app": "a", "job": "j", "run": run, "task": run, "item": 3,
            "attempt": 2, "agent": "x", "hostname": "h1", "exit_code": 3, "message": "its code failed",
        }));
        let change = view(json!({
            "id": "6-1", "at": "2026-01-31T01:00:00Z", "kind": "change", "state": "put_app",
            "source": "scheduler", "app": "a", "actor": "admin", "version": 2,
        }));
        let fire = view(json!({
            "id": "6-0", "at": "2026-01-31T01:00:00Z", "kind": "fire", "state": "skipped",
            "source": "scheduler", "job": "j", "planned_at": "2026-01-31T00:00:00Z",
            "planned_until": "2026-01-31T00:30:00Z", "count": 31, "message": "too old",
        }));
        assert_eq!(
            render(&[task, change, fire]),
            "AT                    KIND    STATE    WHAT           HOST  MESSAGE\n\
             2026-01-31T02:00:00Z  task    failed   j#3 attempt 2  h1    its code failed, exit code 3\n\
             2026-01-31T01:00:00Z  change  put_app  app a          -     by admin\n\
             2026-01-31T01:00:00Z  fire    skipped  j              -     31 planned \
             2026-01-31T00:00:00Z to 2026-01-31T00:30:00Z, too old"
        );
        assert_eq!(render(&[]), "no such events");

        let execution = |count| {
            let event = view(json!({
                "id": "5-0", "at": "2026-01-31T00:00:01Z", "kind": "execution", "state": "failed",
                "source": "executor", "job": "j", "item": 0, "planned_at": "2026-01-31T00:00:00Z",
                "planned_until": "2026-01-31T00:00:00Z", "count": count, "exit_code": 1,
                "message": "exited with code 1",
            }));
            message(&event.event)
        };
        assert_eq!(execution(1), "planned 2026-01-31T00:00:00Z, exited with code 1");
        assert!(execution(2).starts_with("2 planned 2026-01-31T00:00:00Z to "));
        let sampled = view(json!({
            "id": "5-1", "at": "2026-01-31T00:01:00Z", "kind": "execution", "state": "sampled",
            "source": "executor", "job": "j", "item": 0, "count": 59,
        }));
        assert_eq!(message(&sampled.event), "59 execution(s)");
        let later = view(json!({
            "id": "5-2", "at": "2026-01-31T00:01:00Z", "kind": "moon", "state": "full",
            "source": "scheduler",
        }));
        assert_eq!(cells(&later.event)[1], "other");
    }
}

//! `muster fires`.

use muster_api::{
    JobName,
    views::{FireView, JobView},
};
use serde_json::json;

use super::{Session, rows};
use crate::{
    args::FiresArgs,
    client::Call,
    screen::{Rows, or_dash, word},
};

/// Shows the fire ledger of a job.
pub(super) async fn fires(session: &Session, args: &FiresArgs) -> anyhow::Result<()> {
    let call = Call::get(format!("/v1/jobs/{}/fires", args.job));
    let call = call.query_if("from", args.from).query_if("to", args.to);
    let page = session.client.list(call, args.limit).await?;
    let none = match (args.from, args.to) {
        (None, None) => "no fires yet",
        _ => "no fires in that time",
    };
    let none = match page.items.is_empty() && !session.screen.is_json() {
        true => {
            let call = Call::get(format!("/v1/jobs/{}", args.job));
            let job: JobView = session.client.send(call).await?.read()?;
            words_for_none(job.spec.is_daemon().then_some(&args.job), none)
        }
        false => none.to_owned(),
    };
    session.screen.answer(&json!(page), || {
        let fires: Vec<FireView> = rows(&page.items)?;
        Ok::<_, serde_json::Error>(render_fires(&fires, &none))
    })?;
    session.screen.cut(&page, "`--limit N` shows more, `--from` and `--to` those of a time")?;
    Ok(())
}

/// What is said instead of an empty table. A daemon job has fires only from when it was none.
fn words_for_none(daemon: Option<&JobName>, none: &str) -> String {
    let Some(name) = daemon else { return none.to_owned() };
    format!(
        "a daemon job has no fires; `muster events --kind execution --job {name}` shows its \
         executions"
    )
}

fn render_fires(fires: &[FireView], none: &str) -> String {
    let mut table = Rows::new(["PLANNED", "OUTCOME", "RUN", "REASON"]);
    for fire in fires {
        table.add([
            fire.planned_at.to_string(),
            word(fire.outcome),
            or_dash(fire.run),
            fire.reason.clone().unwrap_or_default(),
        ]);
    }
    table.render(none)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fires_show_their_outcome() {
        let fire = json!({"planned_at": "2026-01-31T02:00:00Z", "outcome": "skipped",
            "reason": "older than grace", "run": null});
        assert_eq!(
            render_fires(&rows(&[fire]).unwrap(), "none"),
            "PLANNED               OUTCOME  RUN  REASON\n\
             2026-01-31T02:00:00Z  skipped  -    older than grace"
        );
        assert_eq!(render_fires(&[], "no fires yet"), "no fires yet");
    }

    #[test]
    fn who_asks_for_the_fires_of_a_daemon_job_is_told_of_executions() {
        assert_eq!(words_for_none(None, "no fires yet"), "no fires yet");
        assert_eq!(
            words_for_none(Some(&"beat".parse().unwrap()), "no fires yet"),
            "a daemon job has no fires; `muster events --kind execution --job beat` shows its \
             executions"
        );
    }
}

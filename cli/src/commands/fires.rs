//! `muster next` and `fires`.

use muster_api::{
    JobName,
    views::{FireView, NextFire},
};
use serde_json::json;

use super::{Session, rows};
use crate::{
    client::Call,
    screen::{Rows, or_dash, word},
};

/// Shows when a job fires next.
pub(super) async fn next(session: &Session, job: &JobName, count: u32) -> anyhow::Result<()> {
    let call = Call::get(format!("/v1/jobs/{job}/next")).query("count", count);
    let answer = session.client.send(call).await?;
    session.screen.answer(&answer.body, || {
        let items = answer.body["items"].as_array().map_or(&[][..], Vec::as_slice);
        let fires: Vec<NextFire> = rows(items)?;
        Ok::<_, serde_json::Error>(render_next(&fires))
    })
}

fn render_next(fires: &[NextFire]) -> String {
    if fires.is_empty() {
        return "it does not fire by itself any more".to_owned();
    }
    let lines: Vec<_> = fires.iter().map(|fire| fire.planned_at.to_string()).collect();
    lines.join("\n")
}

/// Shows the fire ledger of a job.
pub(super) async fn fires(session: &Session, job: &JobName, limit: usize) -> anyhow::Result<()> {
    let page = session.client.list(Call::get(format!("/v1/jobs/{job}/fires")), limit).await?;
    session.screen.answer(&json!(page), || {
        let fires: Vec<FireView> = rows(&page.items)?;
        Ok::<_, serde_json::Error>(render_fires(&fires))
    })
}

fn render_fires(fires: &[FireView]) -> String {
    let mut table = Rows::new(["PLANNED", "OUTCOME", "RUN", "REASON"]);
    for fire in fires {
        table.add([
            fire.planned_at.to_string(),
            word(fire.outcome),
            or_dash(fire.run),
            fire.reason.clone().unwrap_or_default(),
        ]);
    }
    table.render("no fires yet")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fires_show_their_outcome() {
        let fire = json!({"planned_at": "2026-01-31T02:00:00Z", "outcome": "skipped",
            "reason": "older than grace", "run": null});
        assert_eq!(
            render_fires(&rows(&[fire]).unwrap()),
            "PLANNED               OUTCOME  RUN  REASON\n\
             2026-01-31T02:00:00Z  skipped  -    older than grace"
        );
        let next = [json!({"planned_at": "2026-01-31T02:00:00Z"})];
        assert_eq!(render_next(&rows(&next).unwrap()), "2026-01-31T02:00:00Z");
        assert!(render_next(&[]).contains("any more"));
    }
}

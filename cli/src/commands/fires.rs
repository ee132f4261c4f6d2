//! `muster fires`.

use muster_api::{JobName, views::FireView};
use serde_json::json;

use super::{Session, rows};
use crate::{
    client::Call,
    screen::{Rows, or_dash, word},
};

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
    }
}

//! `muster fires`.

use muster_api::views::FireView;
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
    session.screen.answer(&json!(page), || {
        let fires: Vec<FireView> = rows(&page.items)?;
        Ok::<_, serde_json::Error>(render_fires(&fires, none))
    })?;
    session.screen.cut(&page, "`--limit N` shows more, `--from` and `--to` those of a time")?;
    Ok(())
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
}

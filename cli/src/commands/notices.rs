//! `muster notices`.

use muster_api::{limits, notices::NoticeView};
use serde_json::json;

use super::{Session, rows};
use crate::{client::Call, screen::Rows};

/// Lists the notices that wait to be delivered.
pub(super) async fn notices(session: &Session) -> anyhow::Result<()> {
    let page = session.client.list(Call::get("/v1/notices"), 10 * limits::PAGE_ROWS).await?;
    session.screen.answer(&json!(page), || {
        let notices: Vec<NoticeView> = rows(&page.items)?;
        Ok::<_, serde_json::Error>(render(&notices))
    })
}

fn render(notices: &[NoticeView]) -> String {
    let mut table =
        Rows::new(["DECIDED", "KIND", "ABOUT", "WEBHOOK", "TRIES", "NEXT TRY", "LAST ERROR"]);
    for view in notices {
        let notice = &view.notice;
        let host = notice.hostname.clone().or(notice.agent.as_ref().map(ToString::to_string));
        let about = notice.job.as_ref().map(ToString::to_string).or(host);
        table.add([
            notice.at.to_string(),
            notice.kind.as_str().to_owned(),
            about.unwrap_or_default(),
            view.webhook.clone(),
            view.tries.to_string(),
            view.next_try_at.map_or_else(|| "in its turn".to_owned(), |at| at.to_string()),
            view.last_error.clone().unwrap_or_default(),
        ]);
    }
    table.render("no notice waits to be delivered")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_shows_what_became_of_the_tries() {
        let id = "018cc251-f400-7000-8000-000000000001";
        let late = json!({"id": id, "kind": "late", "at": "2026-01-31T02:00:00Z",
            "state": "running", "reason": "", "link": "/", "job": "nightly",
            "webhook": "http://h", "tries": 3, "last_error": "it answered 500",
            "next_try_at": "2026-01-31T02:00:04Z"});
        let lost = json!({"id": id, "kind": "host_lost", "at": "2026-01-31T02:00:00Z",
            "state": "unreachable", "reason": "", "link": "/", "hostname": "box",
            "webhook": "http://h", "tries": 0});
        let rows = [late, lost].map(|row| serde_json::from_value(row).unwrap());
        let text = render(&rows);
        for word in ["nightly", "late", "500", "02:00:04", "host_lost", "in its turn", "box"] {
            assert!(text.contains(word), "`{word}` is not in\n{text}");
        }
        assert!(render(&[]).contains("no notice waits"));
    }
}

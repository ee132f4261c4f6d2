//! `muster resume`, and what says that a store is held.

use muster_api::views::HeldView;
use serde::Deserialize;
use serde_json::json;

use super::Session;
use crate::client::Call;

/// What the scheduler says about being ready.
#[derive(Debug, Deserialize)]
struct Ready {
    held: Option<HeldView>,
}

/// Lets a restored scheduler fire, launch and kill again.
pub(super) async fn resume(session: &Session, replay: bool) -> anyhow::Result<()> {
    let call = Call::post("/v1/resume").body(json!({"replay": replay}));
    let answer = session.client.send(call).await?;
    let what = if replay {
        "resumed; fires that were missed follow the misfire rule of their jobs"
    } else {
        "resumed; fires that were missed are passed over"
    };
    session.screen.answer(&answer.body, || Ok::<_, std::io::Error>(what.to_owned()))
}

/// Says beside an answer that nothing will come of it for now, if the store is held.
pub(super) async fn note(session: &Session) -> anyhow::Result<()> {
    let ready: Ready = session.client.send(Call::get("/readyz")).await?.read()?;
    if let Some(held) = ready.held {
        session.screen.note(format!(
            "this scheduler was restored and is held since {}: nothing fires, is launched or is \
             killed until `muster resume`",
            held.since
        ))?;
    }
    Ok(())
}

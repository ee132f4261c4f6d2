//! `muster run` and `rerun`.

use std::{fmt::Write as _, process::ExitCode};

use anyhow::Context as _;
use muster_api::views::{RerunRequest, RunView, TriggerRequest};
use serde_json::json;

use super::{
    Session, follow,
    wait::{self, Progress},
};
use crate::{
    args::{RerunArgs, RunArgs, StayArgs, Stream},
    client::Call,
};

/// Starts a run, and stays with it if that is wished.
pub(super) async fn trigger(session: &Session, args: RunArgs) -> anyhow::Result<ExitCode> {
    let request = TriggerRequest { parameter: args.parameter, items: args.items };
    let call = Call::post(format!("/v1/jobs/{}/trigger", args.job)).body(json!(request));
    start(session, call, args.stay).await
}

/// Starts a run once more that is over, and stays with it if that is wished.
pub(super) async fn rerun(session: &Session, args: RerunArgs) -> anyhow::Result<ExitCode> {
    let request = RerunRequest { items: args.items, failed: args.failed };
    let call = Call::post(format!("/v1/runs/{}/rerun", args.run)).body(json!(request));
    start(session, call, args.stay).await
}

async fn start(session: &Session, call: Call, stay: StayArgs) -> anyhow::Result<ExitCode> {
    // The key makes it safe to send the call again when no answer came.
    let call = call.header("idempotency-key", random_key()?);
    let answer = wait::send_patiently(session, call).await?;
    let run: RunView = answer.read()?;
    if !stay.wait && !stay.follow {
        session.screen.answer(&answer.body, || Ok::<_, std::io::Error>(run.id.to_string()))?;
        return Ok(ExitCode::SUCCESS);
    }
    session.screen.say(run.id)?;
    let over = if stay.follow {
        follow::follow(session, run.id, None, &[Stream::Stdout, Stream::Stderr]).await?
    } else {
        let mut progress = Progress::new(session.screen);
        wait::until_over(session, run.id, |view, why| progress.show(view, why)).await?
    };
    wait::conclude(session, &over)
}

fn random_key() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).context("the system has no random bytes")?;
    let mut key = String::new();
    for byte in bytes {
        write!(key, "{byte:02x}")?;
    }
    Ok(key)
}

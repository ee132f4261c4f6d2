//! A scheduler that goes away, comes back, or is replaced.

use std::time::Duration;

use muster_api::clock;
use serde_json::{Value, json};

use crate::{
    case::{Case, case},
    context::{Context, SOON},
    events::End,
    framework::{Framework, Offer},
    outcome::{Outcome, differs, equal, holds},
    tasks::{command_task, with},
};

/// Between two looks at what a call is answered.
const LOOK: Duration = Duration::from_millis(20);

pub(super) const CASES: &[Case] = &[
    case!(Nothing, Both, "failover/a-disconnected-framework-is-not-subscribed", disconnected),
    case!(Nothing, Both, "failover/a-framework-comes-back-with-its-id", comes_back),
    case!(Nothing, Both, "failover/the-former-stream-is-over", former_stream),
    case!(Nothing, Both, "failover/the-second-subscriber-wins", second_subscriber),
    case!(Nothing, Json, "failover/the-framework-is-removed-after-its-timeout", removed),
    case!(Nothing, Json, "failover/without-a-timeout-it-is-removed-at-once", removed_at_once),
    case!(Offers, Both, "failover/an-unacknowledged-update-comes-again", update_again),
    case!(Offers, Json, "failover/offers-are-void-after-it", offers_are_void),
    case!(Offers, Json, "failover/a-running-task-lives-on", task_lives_on),
    case!(Offers, Json, "failover/removal-gives-resources-back", resources_back),
];

/// A framework that may be away for as long as any case takes.
fn staying(context: &Context) -> Value {
    staying_for(context, 3600.0)
}

fn staying_for(context: &Context, seconds: f64) -> Value {
    with(context.framework_info(), "failover_timeout", json!(seconds))
}

/// Waits until the master knows that the stream is gone: calls are refused with this status then.
async fn until_known(framework: &Framework, status: u16) -> Outcome {
    let since = clock::mono();
    loop {
        let answer = framework.send(&framework.call("SUPPRESS", None)).await?;
        if answer.head.status == status {
            return Ok(());
        }
        if clock::mono().since(since) >= SOON {
            let last = json!(answer.head.status);
            let what = "status of a call after the stream is closed";
            return Err(differs(what, &last, &status.to_string()));
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn disconnected(context: &Context) -> Outcome {
    let framework = Framework::suppressed_as(context, staying(context)).await?;
    framework.disconnect();
    until_known(&framework, 403).await?;
    let answer = framework.send(&framework.call("SUPPRESS", None)).await?;
    answer.is(403, "Framework is not subscribed")
}

async fn comes_back(context: &Context) -> Outcome {
    let framework = Framework::suppressed_as(context, staying(context)).await?;
    framework.disconnect();
    until_known(&framework, 403).await?;
    let again = framework.subscribe_again().await?;
    equal("id", again.id.clone(), framework.id.clone())?;
    let streams = json!([framework.stream, again.stream]);
    holds("stream ids", framework.stream != again.stream, &streams, "two different ones")?;
    again.tell_only("SUPPRESS").await
}

async fn former_stream(context: &Context) -> Outcome {
    let framework = Framework::suppressed_as(context, staying(context)).await?;
    framework.disconnect();
    framework.subscribe_again().await?;
    let text = super::calls::other_stream(&framework.stream, &framework.id);
    framework.send(&framework.call("SUPPRESS", None)).await?.is(400, &text)
}

async fn second_subscriber(context: &Context) -> Outcome {
    let first = Framework::suppressed_as(context, staying(context)).await?;
    let second = first.subscribe_again().await?;
    let event = first.events.take("ERROR", SOON, |event| event["type"] == "ERROR").await?.event;
    let expected = json!({"type": "ERROR", "error": {"message": "Framework failed over"}});
    equal("what the first is told", event, expected)?;
    let end = first.events.end(SOON).await?;
    holds("end", end == End::Complete, &json!(format!("{end:?}")), "its final chunk")?;
    equal("id", second.id.clone(), first.id.clone())?;
    second.tell_only("SUPPRESS").await
}

/// Removed, and not before its time. That it is first refused as not subscribed is the subject of
/// another case: a suite that looks late does not see it here.
async fn removed(context: &Context) -> Outcome {
    let framework = Framework::suppressed_as(context, staying_for(context, 2.0)).await?;
    let since = clock::mono();
    framework.disconnect();
    until_known(&framework, 400).await?;
    let took = clock::mono().since(since).as_secs_f64();
    holds("time until it is removed", took >= 2.0, &json!(took), "2 s and more")?;
    let call = super::calls::again(&framework);
    super::subscriptions::error_of(context, &call, "Framework has been removed").await
}

async fn removed_at_once(context: &Context) -> Outcome {
    let framework = Framework::subscribe_suppressed(context).await?;
    framework.disconnect();
    until_known(&framework, 400).await?;
    let answer = framework.send(&framework.call("SUPPRESS", None)).await?;
    answer.is(400, "Framework cannot be found")
}

async fn launched(context: &Context, command: &str) -> Outcome<(Framework, Offer)> {
    let framework = Framework::subscribe_as(context, staying(context)).await?;
    let offer = framework.offer().await?;
    framework.launch(&offer, vec![command_task("t", &offer.agent, command)]).await?;
    Ok((framework, offer))
}

async fn update_again(context: &Context) -> Outcome {
    let (framework, _) = launched(context, "sleep 1000").await?;
    let status = framework.status("t").await?;
    framework.acknowledge(&status).await?;
    let running = framework.status("t").await?;
    framework.disconnect();
    until_known(&framework, 403).await?;
    let again = framework.subscribe_again().await?;
    let repeated = again.status("t").await?;
    equal("the repeated status", repeated, running.clone())?;
    again.acknowledge(&running).await
}

async fn offers_are_void(context: &Context) -> Outcome {
    let framework = Framework::subscribe_as(context, staying(context)).await?;
    let offer = framework.offer().await?;
    let again = framework.subscribe_again().await?;
    again.launch(&offer, vec![command_task("t", &offer.agent, "exit 0")]).await?;
    let status = again.status("t").await?;
    equal("state", status["state"].clone(), "TASK_LOST")?;
    equal("reason", status["reason"].clone(), "REASON_INVALID_OFFERS")?;
    // It is offered anew.
    again.offer().await?;
    Ok(())
}

async fn task_lives_on(context: &Context) -> Outcome {
    let (framework, _) = launched(context, "sleep 1000").await?;
    framework.reach("t", "TASK_RUNNING").await?;
    framework.disconnect();
    until_known(&framework, 403).await?;
    let again = framework.subscribe_again().await?;
    again.tell("RECONCILE", json!({"tasks": [{"task_id": {"value": "t"}}]})).await?;
    let status = again.status("t").await?;
    equal("state", status["state"].clone(), "TASK_RUNNING")?;
    again.kill("t").await?;
    again.reach("t", "TASK_KILLED").await?;
    Ok(())
}

async fn resources_back(context: &Context) -> Outcome {
    let (framework, offer) = launched(context, "sleep 1000").await?;
    framework.reach("t", "TASK_RUNNING").await?;
    framework.tell_only("TEARDOWN").await?;
    let other = Framework::subscribe(context).await?;
    let since = clock::mono();
    // The first offers may be made while the task still ends.
    loop {
        let now = other.offer().await?;
        let (seen, whole) = (now.scalar("cpus"), offer.scalar("cpus"));
        if seen >= whole {
            return Ok(());
        }
        if clock::mono().since(since) >= SOON {
            return Err(differs("cpus after the removal", &json!(seen), &whole.to_string()));
        }
        other.decline(&now, 0.2).await?;
    }
}

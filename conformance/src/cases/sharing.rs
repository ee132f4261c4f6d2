//! Several frameworks at one master.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    case::{Case, case},
    context::Context,
    framework::Framework,
    outcome::{Outcome, equal, holds},
    tasks::command_task,
};

pub(super) const CASES: &[Case] = &[
    case!(Offers, Json, "sharing/what-is-offered-is-not-offered-to-others", exclusive),
    case!(Offers, Json, "sharing/a-disconnected-framework-gives-its-offers-back", given_back),
    case!(Offers, Json, "sharing/task-ids-are-per-framework", task_ids),
    case!(Offers, Json, "sharing/nobody-kills-the-tasks-of-others", foreign_kill),
    case!(Nothing, Json, "sharing/a-stream-id-is-of-one-framework", foreign_stream),
];

/// Holds if nothing of this agent is offered for a while.
async fn nothing_of(framework: &Framework, agent: &str) -> Outcome {
    let of_it = |event: &Value| {
        let offers = event["offers"]["offers"].as_array();
        offers.is_some_and(|offers| offers.iter().any(|it| it["agent_id"]["value"] == agent))
    };
    framework.events.none("offer of what another has", Duration::from_secs(2), of_it).await
}

async fn exclusive(context: &Context) -> Outcome {
    let one = Framework::subscribe(context).await?;
    let offer = one.steady_offer().await?;
    let other = Framework::subscribe(context).await?;
    nothing_of(&other, &offer.agent).await?;
    // Once it is out of the way, the other gets all of it.
    one.tell_only("SUPPRESS").await?;
    one.decline(&offer, 3600.0).await?;
    let handed_on = other.offer().await?;
    let whole = handed_on.scalar("cpus") + 0.0005 >= offer.scalar("cpus");
    holds("cpus of the offer", whole, &handed_on.value["resources"], "all that the first had")
}

async fn given_back(context: &Context) -> Outcome {
    let one = Framework::subscribe(context).await?;
    one.offer().await?;
    let other = Framework::subscribe(context).await?;
    one.disconnect();
    other.offer().await?;
    Ok(())
}

async fn task_ids(context: &Context) -> Outcome {
    for _ in 0..2 {
        let framework = Framework::subscribe(context).await?;
        let offer = framework.offer().await?;
        framework.launch(&offer, vec![command_task("same", &offer.agent, "sleep 1000")]).await?;
        framework.reach("same", "TASK_RUNNING").await?;
        framework.tell_only("SUPPRESS").await?;
    }
    Ok(())
}

async fn foreign_kill(context: &Context) -> Outcome {
    let one = Framework::subscribe(context).await?;
    let offer = one.offer().await?;
    one.launch(&offer, vec![command_task("mine", &offer.agent, "sleep 1000")]).await?;
    one.reach("mine", "TASK_RUNNING").await?;
    let other = Framework::subscribe_suppressed(context).await?;
    other.kill("mine").await?;
    let status = other.status("mine").await?;
    equal("state for the other", status["state"].clone(), "TASK_LOST")?;
    let is_end = |event: &Value| event["update"]["status"]["state"] == "TASK_KILLED";
    one.events.none("TASK_KILLED", Duration::from_secs(1), is_end).await
}

async fn foreign_stream(context: &Context) -> Outcome {
    let one = Framework::subscribe_suppressed(context).await?;
    let other = Framework::subscribe_suppressed(context).await?;
    let call = json!({"type": "SUPPRESS", "framework_id": {"value": one.id}});
    let text = super::calls::other_stream(&other.stream, &one.id);
    other.send(&call).await?.is(400, &text)
}

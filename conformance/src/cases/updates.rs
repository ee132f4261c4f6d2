//! Status updates: at least once, and one after another.

use std::time::Duration;

use muster_api::clock;
use serde_json::{Value, json};

use crate::{
    case::{Case, case},
    context::{Context, SOON},
    framework::{Framework, Offer},
    outcome::{Outcome, equal, holds},
    tasks::command_task,
};

/// The first repetition comes after so long.
const REPEATED: Duration = Duration::from_secs(10);

pub(super) const CASES: &[Case] = &[
    case!(Offers, Json, "updates/come-again-until-acknowledged", again),
    case!(Offers, Both, "updates/one-is-under-way-at-a-time", one_at_a_time),
    case!(Offers, Json, "updates/another-uuid-acknowledges-nothing", wrong_uuid),
    case!(Offers, Json, "updates/an-acknowledgement-twice-is-taken", acknowledged_twice),
    case!(Offers, Json, "updates/resources-are-free-before-the-acknowledgement", freed_early),
];

async fn started(context: &Context, command: &str) -> Outcome<Framework> {
    let framework = Framework::subscribe(context).await?;
    let offer = framework.offer().await?;
    framework.launch(&offer, vec![command_task("t", &offer.agent, command)]).await?;
    Ok(framework)
}

/// Holds if nothing follows a status that is not acknowledged; itself it may come again.
async fn nothing_after(framework: &Framework, status: &Value) -> Outcome {
    framework.no_update_but(&[status], Duration::from_secs(1)).await
}

/// Not before its time, reckoned from before the launch: that holds however late the first one is.
async fn again(context: &Context) -> Outcome {
    let since = clock::mono();
    let framework = started(context, "sleep 1000").await?;
    framework.tell_only("SUPPRESS").await?;
    let first = framework.update("t").await?;
    let second = framework.update("t").await?;
    equal("the repeated update", second.event, first.event)?;
    let took = second.at.since(since);
    let expected = "10 s and more";
    holds("time until it is repeated", took >= REPEATED, &json!(took.as_secs_f64()), expected)
}

async fn one_at_a_time(context: &Context) -> Outcome {
    let framework = started(context, "exit 0").await?;
    let mut status = framework.status("t").await?;
    equal("first state", status["state"].clone(), "TASK_STARTING")?;
    for state in ["TASK_RUNNING", "TASK_FINISHED"] {
        nothing_after(&framework, &status).await?;
        framework.acknowledge(&status).await?;
        status = framework.status("t").await?;
        equal("next state", status["state"].clone(), state)?;
    }
    framework.acknowledge(&status).await
}

async fn wrong_uuid(context: &Context) -> Outcome {
    let framework = started(context, "sleep 1000").await?;
    let status = framework.status("t").await?;
    let mut wrong = status.clone();
    wrong["uuid"] = json!(context.uuid());
    framework.acknowledge(&wrong).await?;
    nothing_after(&framework, &status).await?;
    framework.acknowledge(&status).await?;
    equal("next state", framework.status("t").await?["state"].clone(), "TASK_RUNNING")
}

async fn acknowledged_twice(context: &Context) -> Outcome {
    let framework = started(context, "sleep 1000").await?;
    let starting = framework.status("t").await?;
    framework.acknowledge(&starting).await?;
    framework.acknowledge(&starting).await?;
    let running = framework.status("t").await?;
    equal("next state", running["state"].clone(), "TASK_RUNNING")?;
    // The second one was not taken for an acknowledgement of this.
    framework.acknowledge(&starting).await?;
    framework.kill("t").await?;
    nothing_after(&framework, &running).await?;
    framework.acknowledge(&running).await?;
    equal("last state", framework.status("t").await?["state"].clone(), "TASK_KILLED")
}

/// The end of a task frees what it held as soon as the master hears of it.
async fn freed_early(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let whole = framework.offer().await?;
    framework.launch(&whole, vec![command_task("t", &whole.agent, "sleep 1")]).await?;
    for state in ["TASK_STARTING", "TASK_RUNNING"] {
        let status = framework.status("t").await?;
        equal("state", status["state"].clone(), state)?;
        framework.acknowledge(&status).await?;
    }
    let last = framework.status("t").await?;
    equal("state", last["state"].clone(), "TASK_FINISHED")?;
    framework.tell_only("REVIVE").await?;
    let mut offered = 0.0;
    while offered + 0.0005 < whole.scalar("cpus") {
        offered += framework
            .events
            .take("OFFERS", SOON, |event| event["type"] == "OFFERS")
            .await
            .map(|arrived| {
            let offers = arrived.event["offers"]["offers"].as_array().cloned();
            let of_it = offers.unwrap_or_default().into_iter().map(|offer| Offer::of(&offer));
            of_it
                .filter(|offer| offer.agent == whole.agent)
                .map(|it| it.scalar("cpus"))
                .sum::<f64>()
        })?;
    }
    framework.acknowledge(&last).await
}

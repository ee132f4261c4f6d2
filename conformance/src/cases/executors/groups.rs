//! Task groups on a custom executor.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    case::{Case, case},
    context::Context,
    executor::{A_LONG_TIME, Planned, Subscribed},
    framework::{Framework, Offer},
    outcome::{Outcome, equal},
    tasks::{self, bare_task, launch_group, with},
};

pub(super) const CASES: &[Case] = &[
    case!(Executors, Both, "executor/a-group-comes-as-one", one_event),
    case!(Executors, Json, "executor/one-killed-before-delivery-kills-its-group", killed_before),
];

/// Launches two tasks as a group, on an executor that has disk as Mesos wants.
async fn launched(framework: &Framework) -> Outcome<(Offer, Planned)> {
    let offer = framework.offer().await?;
    let mut planned = Planned::new(framework, "e").with_grace(A_LONG_TIME);
    let has_disk = offer.scalar("disk") >= tasks::MEM;
    let disk = if has_disk { tasks::MEM } else { 0.0 };
    if has_disk {
        let resources = tasks::resources_with_disk(tasks::CPUS, tasks::MEM, disk);
        planned.info = with(planned.info, "resources", resources);
    }
    let group = vec![bare_task("g1", &offer.agent), bare_task("g2", &offer.agent)];
    framework.accept(&offer, vec![launch_group(&planned.info, group)]).await?;
    Ok((offer, planned))
}

async fn one_event(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let (_, planned) = launched(&framework).await?;
    let executor = planned.start(context).await?.subscribe().await?;
    let event = executor.event("LAUNCH_GROUP").await?.event;
    let group = event["launch_group"]["task_group"]["tasks"].as_array().cloned();
    let ids: Vec<_> = group.into_iter().flatten().map(|task| task["task_id"].clone()).collect();
    equal("tasks", Value::from(ids), json!([{"value": "g1"}, {"value": "g2"}]))?;
    for task in ["g1", "g2"] {
        finish(&framework, &executor, task).await?;
    }
    Ok(())
}

async fn finish(framework: &Framework, executor: &Subscribed, task: &str) -> Outcome {
    for state in ["TASK_RUNNING", "TASK_FINISHED"] {
        executor.say(task, state).await?;
        framework.reach(task, state).await?;
    }
    Ok(())
}

async fn killed_before(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let (_, planned) = launched(&framework).await?;
    let executor = planned.start(context).await?;
    framework.kill("g1").await?;
    for task in ["g1", "g2"] {
        let status = framework.status(task).await?;
        equal(&format!("state of {task}"), status["state"].clone(), "TASK_KILLED")?;
        let reason = &status["reason"];
        equal(&format!("reason of {task}"), reason.clone(), "REASON_TASK_KILLED_DURING_LAUNCH")?;
        framework.acknowledge(&status).await?;
    }
    let body = json!({"unacknowledged_tasks": [], "unacknowledged_updates": []});
    let (_, events) = executor.open(body).await?;
    let is_launch = |event: &Value| event["type"] == "LAUNCH_GROUP";
    events.none("LAUNCH_GROUP", Duration::from_secs(1), is_launch).await
}

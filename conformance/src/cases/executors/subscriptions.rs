//! The stream of an executor.

use serde_json::{Value, json};

use crate::{
    case::{Case, case},
    context::{Context, SOON},
    executor::{A_LONG_TIME, Planned, Stage},
    framework::{Framework, same_amount},
    outcome::{Outcome, equal, holds},
    tasks::{executor_task, with},
};

pub(super) const CASES: &[Case] = &[
    case!(Executors, Both, "executor/the-answer-is-a-stream-without-an-id", head),
    case!(Executors, Both, "executor/subscribed-says-who-is-who", subscribed),
    case!(Executors, Both, "executor/two-tasks-are-launched-in-order", two_tasks),
    case!(Executors, Json, "executor/a-further-task-joins-it", further_task),
    case!(Executors, Json, "executor/another-description-is-refused", other_description),
    case!(Executors, Json, "executor/a-second-subscription-ends-the-first", second_subscription),
    case!(Executors, Json, "executor/a-task-that-it-does-not-list-is-lost", not_listed),
    case!(Executors, Both, "executor/unacknowledged-updates-are-forwarded", unacknowledged),
    case!(Executors, Json, "executor/one-id-is-used-again", used_again),
    case!(Executors, Json, "executor/kill-before-it-subscribes", kill_before),
];

async fn head(context: &Context) -> Outcome {
    let stage = Stage::set(context, "t").await?;
    let head = stage.executor.events.head();
    equal("Transfer-Encoding", head.header("transfer-encoding"), "chunked")?;
    let content_type = head.header("content-type");
    equal("Content-Type", content_type, context.encoding().content_type())?;
    equal("Mesos-Stream-Id", head.header("mesos-stream-id"), Value::Null)
}

async fn subscribed(context: &Context) -> Outcome {
    let stage = Stage::set(context, "t").await?;
    let body = &stage.executor.body;
    let info = &body["executor_info"];
    equal("executor_id", info["executor_id"].clone(), stage.info["executor_id"].clone())?;
    let framework = json!({"value": stage.framework.id});
    equal("framework_id of the executor", info["framework_id"].clone(), framework.clone())?;
    let command = &info["command"]["value"];
    equal("command", command.clone(), stage.info["command"]["value"].clone())?;
    equal("id of the framework", body["framework_info"]["id"].clone(), framework)?;
    let name = &stage.framework.info["name"];
    equal("name of the framework", body["framework_info"]["name"].clone(), name.clone())?;
    let agent = &body["agent_info"];
    equal("id of the agent", agent["id"].clone(), json!({"value": stage.offer.agent}))?;
    equal("hostname", agent["hostname"].clone(), stage.offer.value["hostname"].clone())?;
    let container = &body["container_id"]["value"];
    holds("container_id", container.is_string(), container, "an id")
}

async fn two_tasks(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let offer = framework.offer().await?;
    let planned = Planned::new(&framework, "e");
    let task = |id| executor_task(id, &offer.agent, &planned.info);
    framework.launch(&offer, vec![task("t1"), task("t2")]).await?;
    let executor = planned.start(context).await?.subscribe().await?;
    for id in ["t1", "t2"] {
        let event = executor.event("LAUNCH").await?.event;
        equal("task", event["launch"]["task"]["task_id"]["value"].clone(), id)?;
        executor.say(id, "TASK_RUNNING").await?;
        framework.reach(id, "TASK_RUNNING").await?;
    }
    Ok(())
}

async fn further_task(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let whole = framework.steady_offer().await?;
    framework.decline(&whole, 0.0).await?;
    let stage = Stage::set_for(framework, "t1").await?;
    let offer = stage.framework.offer().await?;
    let id = stage.info["executor_id"]["value"].as_str().unwrap_or_default();
    equal("executor_ids of the offer", offer.executors(), json!([id]))?;
    let task = executor_task("t2", &offer.agent, &stage.info);
    stage.framework.launch(&offer, vec![task]).await?;
    stage.executor.launched("t2").await?;
    // Only the task is charged, for the executor is there.
    let left = stage.framework.offer().await?;
    let expected = offer.scalar("cpus") - crate::tasks::CPUS;
    let is_less = same_amount(left.scalar("cpus"), expected);
    holds("cpus that are left", is_less, &json!(left.scalar("cpus")), &expected.to_string())
}

async fn other_description(context: &Context) -> Outcome {
    let stage = Stage::set(context, "t1").await?;
    let offer = stage.framework.offer().await?;
    let other = with(stage.info.clone(), "name", json!("changed"));
    let task = executor_task("t2", &offer.agent, &other);
    stage.framework.launch(&offer, vec![task]).await?;
    let status = stage.framework.status("t2").await?;
    equal("state", status["state"].clone(), "TASK_ERROR")?;
    equal("reason", status["reason"].clone(), "REASON_TASK_INVALID")?;
    let message = status["message"].as_str().unwrap_or_default();
    let words = "ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID.";
    holds("message", message.starts_with(words), &status["message"], words)
}

async fn second_subscription(context: &Context) -> Outcome {
    let stage = Stage::set(context, "t").await?;
    // A task that is not listed would be taken for one that never arrived.
    let task = executor_task("t", &stage.offer.agent, &stage.info);
    let body = json!({"unacknowledged_tasks": [task], "unacknowledged_updates": []});
    let second = stage.executor.executor.subscribe_with(body).await?;
    stage.executor.events.end(SOON).await?;
    second.say("t", "TASK_RUNNING").await?;
    stage.framework.reach("t", "TASK_RUNNING").await?;
    Ok(())
}

/// A task that a returning executor does not list, and that it has said nothing of, did not reach
/// it: the agent says so.
async fn not_listed(context: &Context) -> Outcome {
    let stage = Stage::set(context, "t").await?;
    let _second = stage.executor.executor.subscribe().await?;
    let status = stage.framework.status("t").await?;
    equal("state", status["state"].clone(), "TASK_LOST")?;
    equal("source", status["source"].clone(), "SOURCE_AGENT")?;
    equal("reason", status["reason"].clone(), "REASON_AGENT_RESTARTED")?;
    stage.framework.acknowledge(&status).await
}

/// The first attempt to send it never reached the agent; it comes with the next subscription.
async fn unacknowledged(context: &Context) -> Outcome {
    let stage = Stage::set(context, "t").await?;
    let executor = &stage.executor.executor;
    let status = executor.status("t", "TASK_RUNNING");
    let task = executor_task("t", &stage.offer.agent, &stage.info);
    let body = json!({
        "unacknowledged_tasks": [task],
        "unacknowledged_updates": [{"status": status}],
    });
    let second = executor.subscribe_with(body).await?;
    second.acknowledged(&status).await?;
    let seen = stage.framework.status("t").await?;
    equal("state", seen["state"].clone(), "TASK_RUNNING")?;
    equal("uuid", seen["uuid"].clone(), status["uuid"].clone())?;
    stage.framework.acknowledge(&seen).await
}

async fn used_again(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let mut folders = Vec::new();
    for task in ["t1", "t2"] {
        let planned = Planned::new(&framework, "the-same");
        let stage = Stage::set_planned(framework.clone(), task, planned).await?;
        stage.run(task).await?;
        stage.executor.say(task, "TASK_FINISHED").await?;
        framework.reach(task, "TASK_FINISHED").await?;
        let remote = &stage.executor.executor.remote;
        folders.push(remote.hello.folder.clone());
        remote.exit(0).await?;
        let is_failure = |event: &Value| event["type"] == "FAILURE";
        framework.events.take("FAILURE", SOON, is_failure).await?;
    }
    holds("folders", folders[0] != folders[1], &json!(folders), "one for each life")
}

async fn kill_before(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let offer = framework.offer().await?;
    let planned = Planned::new(&framework, "e").with_grace(A_LONG_TIME);
    let task = executor_task("t", &offer.agent, &planned.info);
    framework.launch(&offer, vec![task]).await?;
    let executor = planned.start(context).await?;
    framework.kill("t").await?;
    let status = framework.status("t").await?;
    equal("state", status["state"].clone(), "TASK_KILLED")?;
    equal("source", status["source"].clone(), "SOURCE_AGENT")?;
    equal("reason", status["reason"].clone(), "REASON_TASK_KILLED_DURING_LAUNCH")?;
    equal("message", status["message"].clone(), "Killed before delivery to the executor")?;
    framework.acknowledge(&status).await?;
    // Nothing is left to do for it.
    let body = json!({"unacknowledged_tasks": [], "unacknowledged_updates": []});
    let (_, events) = executor.open(body).await?;
    let is_shutdown = |event: &Value| event["type"] == "SHUTDOWN";
    events.take("SHUTDOWN", SOON, is_shutdown).await?;
    Ok(())
}

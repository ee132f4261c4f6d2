//! What is refused of a launch, and how.

use serde_json::{Value, json};

use crate::{
    case::{Case, case},
    context::Context,
    framework::{Framework, Offer},
    outcome::{Outcome, equal, holds},
    tasks::{self, bare_task, command_task, executor, executor_task, launch, launch_group, with},
};

pub(super) const CASES: &[Case] = &[
    case!(Offers, Both, "launch/more-than-is-offered", too_much),
    case!(Offers, Both, "launch/an-id-has-no-slash", bad_id),
    case!(Offers, Json, "launch/a-task-has-a-command-or-an-executor", neither),
    case!(Offers, Json, "launch/a-task-has-not-both", both),
    case!(Offers, Both, "launch/a-task-takes-something", no_resources),
    case!(Offers, Json, "launch/a-task-may-take-cpus-only", only_cpus),
    case!(Offers, Json, "launch/allocation-may-be-said", allocation_said),
    case!(Offers, Json, "launch/ids-are-unique-in-a-launch", twice_in_one),
    case!(Offers, Json, "launch/ids-are-unique-among-the-living", of_a_living_task),
    case!(Offers, Json, "launch/an-id-is-free-after-its-task", after_its_task),
    case!(Offers, Json, "launch/the-agent-is-the-offer's", other_agent),
    case!(Offers, Json, "launch/nothing-of-a-resource-refuses-the-operation", zero),
    case!(Offers, Both, "launch/valid-tasks-beside-invalid-ones-run", valid_beside_invalid),
    case!(Offers, Json, "launch/operations-share-what-was-offered", two_operations),
    case!(Offers, Json, "launch/an-executor-has-a-command", executor_without_command),
    case!(Offers, Json, "launch/a-default-executor-takes-no-single-task", default_executor),
    case!(Offers, Json, "launch/executor-and-task-fit-together", executor_too_big),
    case!(Offers, Json, "launch/a-group-that-does-not-fit-is-refused-whole", group_too_big),
    case!(Offers, Json, "launch/an-operation-without-a-body-is-a-wrong-call", no_body),
];

async fn with_offer(context: &Context) -> Outcome<(Framework, Offer)> {
    let framework = Framework::subscribe(context).await?;
    let offer = framework.offer().await?;
    Ok((framework, offer))
}

/// Holds if a task is refused with this message, exactly as a master tells it.
async fn refused(framework: &Framework, task: &str, agent: &str, message: &str) -> Outcome {
    let status = framework.status(task).await?;
    let expected = json!({
        "task_id": {"value": task},
        "state": "TASK_ERROR",
        "message": message,
        "source": "SOURCE_MASTER",
        "reason": "REASON_TASK_INVALID",
        "agent_id": {"value": agent},
    });
    equal("status", tasks::without(status, "timestamp"), expected)
}

/// Holds if a task is refused, in whatever words.
async fn refused_somehow(framework: &Framework, task: &str) -> Outcome<Value> {
    let status = framework.status(task).await?;
    equal("state", status["state"].clone(), "TASK_ERROR")?;
    equal("source", status["source"].clone(), "SOURCE_MASTER")?;
    equal("reason", status["reason"].clone(), "REASON_TASK_INVALID")?;
    equal("uuid", status["uuid"].clone(), Value::Null)?;
    Ok(status)
}

async fn too_much(context: &Context) -> Outcome {
    let (framework, offer) = with_offer(context).await?;
    let task = command_task("too-big", &offer.agent, "exit 0");
    let cpus = offer.scalar("cpus") + 1.0;
    let task = with(task, "resources", tasks::resources(cpus, tasks::MEM));
    framework.launch(&offer, vec![task]).await?;
    let status = refused_somehow(&framework, "too-big").await?;
    let message = status["message"].as_str().unwrap_or_default();
    let cpus = cpus.to_string();
    let fits = message.starts_with(&format!("Total resources cpus(allocated: *):{cpus}; "))
        && message.contains(" required by task and its executor is more than available ");
    holds("message", fits, &status["message"], "Total resources ... is more than available ...")?;
    // What was not used comes back.
    let again = framework.offer().await?;
    // What others held before may have come back meanwhile.
    let whole = again.scalar("cpus") + 0.0005 >= offer.scalar("cpus");
    holds("cpus of the next offer", whole, &again.value["resources"], "no less than before")
}

async fn bad_id(context: &Context) -> Outcome {
    let (framework, offer) = with_offer(context).await?;
    framework.launch(&offer, vec![command_task("a/b", &offer.agent, "exit 0")]).await?;
    refused(&framework, "a/b", &offer.agent, "'a/b' contains invalid characters").await
}

const ONE_OF: &str =
    "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present";

async fn neither(context: &Context) -> Outcome {
    let (framework, offer) = with_offer(context).await?;
    framework.launch(&offer, vec![bare_task("neither", &offer.agent)]).await?;
    refused(&framework, "neither", &offer.agent, ONE_OF).await
}

async fn both(context: &Context) -> Outcome {
    let (framework, offer) = with_offer(context).await?;
    let executor = executor("e", &framework.id, "exit 0");
    let task = with(command_task("both", &offer.agent, "exit 0"), "executor", executor);
    framework.launch(&offer, vec![task]).await?;
    refused(&framework, "both", &offer.agent, ONE_OF).await
}

async fn no_resources(context: &Context) -> Outcome {
    let (framework, offer) = with_offer(context).await?;
    let task = with(command_task("nothing", &offer.agent, "exit 0"), "resources", json!([]));
    framework.launch(&offer, vec![task]).await?;
    refused(&framework, "nothing", &offer.agent, "Task uses no resources").await
}

async fn only_cpus(context: &Context) -> Outcome {
    let (framework, offer) = with_offer(context).await?;
    let resources = json!([tasks::scalar("cpus", tasks::CPUS)]);
    let task = with(command_task("cpus", &offer.agent, "exit 0"), "resources", resources);
    framework.launch(&offer, vec![task]).await?;
    framework.reach("cpus", "TASK_FINISHED").await?;
    Ok(())
}

async fn allocation_said(context: &Context) -> Outcome {
    let (framework, offer) = with_offer(context).await?;
    let said =
        |name, value| with(tasks::scalar(name, value), "allocation_info", json!({"role": "*"}));
    let resources = json!([said("cpus", tasks::CPUS), said("mem", tasks::MEM)]);
    let task = with(command_task("said", &offer.agent, "exit 0"), "resources", resources);
    framework.launch(&offer, vec![task]).await?;
    framework.reach("said", "TASK_FINISHED").await?;
    Ok(())
}

async fn twice_in_one(context: &Context) -> Outcome {
    let (framework, offer) = with_offer(context).await?;
    let task = command_task("dup", &offer.agent, "exit 0");
    framework.launch(&offer, vec![task.clone(), task]).await?;
    refused(&framework, "dup", &offer.agent, "Task has duplicate ID: dup").await?;
    framework.reach("dup", "TASK_FINISHED").await?;
    Ok(())
}

async fn of_a_living_task(context: &Context) -> Outcome {
    let (framework, offer) = with_offer(context).await?;
    framework.launch(&offer, vec![command_task("dup", &offer.agent, "sleep 1000")]).await?;
    framework.reach("dup", "TASK_RUNNING").await?;
    let offer = framework.offer().await?;
    framework.launch(&offer, vec![command_task("dup", &offer.agent, "exit 0")]).await?;
    refused(&framework, "dup", &offer.agent, "Task has duplicate ID: dup").await
}

async fn after_its_task(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    for _ in 0..2 {
        let offer = framework.offer().await?;
        framework.launch(&offer, vec![command_task("again", &offer.agent, "exit 0")]).await?;
        framework.reach("again", "TASK_FINISHED").await?;
    }
    Ok(())
}

async fn other_agent(context: &Context) -> Outcome {
    let (framework, offer) = with_offer(context).await?;
    framework.launch(&offer, vec![command_task("lost", "no-such-agent", "exit 0")]).await?;
    refused_somehow(&framework, "lost").await?;
    Ok(())
}

/// A scalar of 0 is no valid resource, and the master then takes none of the operation's tasks.
async fn zero(context: &Context) -> Outcome {
    let (framework, offer) = with_offer(context).await?;
    let nothing = json!([tasks::scalar("cpus", 0.0), tasks::scalar("mem", tasks::MEM)]);
    let zero = with(command_task("zero", &offer.agent, "exit 0"), "resources", nothing);
    let good = command_task("good", &offer.agent, "exit 0");
    framework.launch(&offer, vec![zero, good]).await?;
    for task in ["zero", "good"] {
        let status = framework.status(task).await?;
        equal(&format!("state of {task}"), status["state"].clone(), "TASK_ERROR")?;
    }
    Ok(())
}

async fn valid_beside_invalid(context: &Context) -> Outcome {
    let (framework, offer) = with_offer(context).await?;
    let tasks = vec![
        bare_task("bad", &offer.agent),
        command_task("good", &offer.agent, "exit 0"),
        command_task("a/b", &offer.agent, "exit 0"),
    ];
    framework.launch(&offer, tasks).await?;
    refused(&framework, "bad", &offer.agent, ONE_OF).await?;
    refused(&framework, "a/b", &offer.agent, "'a/b' contains invalid characters").await?;
    framework.reach("good", "TASK_FINISHED").await?;
    Ok(())
}

/// What the first operation took, the second has not.
async fn two_operations(context: &Context) -> Outcome {
    let (framework, offer) = with_offer(context).await?;
    let of = |id: &str, cpus: f64| {
        let task = command_task(id, &offer.agent, "exit 0");
        with(task, "resources", tasks::resources(cpus, tasks::MEM))
    };
    let cpus = offer.scalar("cpus");
    let fits = vec![of("most", cpus - 0.5)];
    let not = vec![of("rest", 1.0)];
    framework.accept(&offer, vec![launch(fits), launch(not)]).await?;
    refused_somehow(&framework, "rest").await?;
    framework.reach("most", "TASK_FINISHED").await?;
    Ok(())
}

async fn executor_without_command(context: &Context) -> Outcome {
    let (framework, offer) = with_offer(context).await?;
    let executor = tasks::without(executor("e", &framework.id, "exit 0"), "command");
    framework.launch(&offer, vec![executor_task("t", &offer.agent, &executor)]).await?;
    refused_somehow(&framework, "t").await?;
    Ok(())
}

async fn default_executor(context: &Context) -> Outcome {
    let (framework, offer) = with_offer(context).await?;
    let executor = with(executor("e", &framework.id, "exit 0"), "type", json!("DEFAULT"));
    framework.launch(&offer, vec![executor_task("t", &offer.agent, &executor)]).await?;
    refused_somehow(&framework, "t").await?;
    Ok(())
}

async fn executor_too_big(context: &Context) -> Outcome {
    let (framework, offer) = with_offer(context).await?;
    let big = tasks::resources(offer.scalar("cpus"), tasks::MEM);
    let executor = with(executor("e", &framework.id, "exit 0"), "resources", big);
    framework.launch(&offer, vec![executor_task("t", &offer.agent, &executor)]).await?;
    refused_somehow(&framework, "t").await?;
    Ok(())
}

/// The second task alone would be too much: neither is started.
async fn group_too_big(context: &Context) -> Outcome {
    let (framework, offer) = with_offer(context).await?;
    let executor = executor("e", &framework.id, "exit 0");
    let executor = with(executor, "resources", tasks::resources(tasks::CPUS, tasks::MEM));
    let big = with(
        command_task("big", &offer.agent, "exit 0"),
        "resources",
        tasks::resources(offer.scalar("cpus"), tasks::MEM),
    );
    let small = command_task("small", &offer.agent, "exit 0");
    framework.accept(&offer, vec![launch_group(&executor, vec![small, big])]).await?;
    for task in ["small", "big"] {
        let status = framework.status(task).await?;
        equal(&format!("state of {task}"), status["state"].clone(), "TASK_ERROR")?;
        let reason = &status["reason"];
        equal(&format!("reason of {task}"), reason.clone(), "REASON_TASK_GROUP_INVALID")?;
    }
    Ok(())
}

async fn no_body(context: &Context) -> Outcome {
    let (framework, offer) = with_offer(context).await?;
    let operation = json!({"type": "LAUNCH", "launch": {"task_infos": [{"name": "t"}]}});
    let body = json!({"offer_ids": [{"value": offer.id}], "operations": [operation]});
    let answer = framework.send(&framework.call("ACCEPT", Some(body))).await?;
    answer.has_status(400)?;
    let told = answer.text();
    let missing = "Missing required fields: ";
    let path = "accept.operations[0].launch.task_infos[0].task_id";
    holds("body", told.contains(missing) && told.contains(path), &json!(told), path)
}

//! The life of an offer.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    case::{Case, case},
    context::{Context, SOON},
    framework::{Framework, Offer, same_amount},
    outcome::{Outcome, equal, holds},
    tasks::{self, CPUS, command_task, launch, with},
};

pub(super) const CASES: &[Case] = &[
    case!(Offers, Both, "offers/an-offer-says-what-it-is", fields),
    case!(Offers, Both, "offers/roles-are-said-with-multi-role", with_multi_role),
    case!(Offers, Both, "offers/roles-are-not-said-without", without_multi_role),
    case!(Offers, Json, "offers/reservations-are-said-where-refined", refined),
    case!(Offers, Both, "offers/suppress-keeps-what-is-held", suppress_keeps),
    case!(Offers, Both, "offers/none-come-while-suppressed", suppressed),
    case!(Offers, Both, "offers/revive-brings-them-at-once", revive),
    case!(Offers, Json, "offers/roles-are-suppressed-and-revived", roles),
    case!(Offers, Json, "offers/an-unknown-role-voids-the-call", unknown_role),
    case!(Offers, Both, "offers/accept-without-operations-declines", accept_nothing),
    case!(Offers, Both, "offers/an-unknown-one-loses-the-task", unknown_offer),
    case!(Offers, Both, "offers/an-unknown-one-drops-the-task-of-the-aware", unknown_offer_aware),
    case!(Offers, Both, "offers/one-is-used-once", used_twice),
    case!(Offers, Json, "offers/a-declined-one-is-dead", declined_is_dead),
    case!(Offers, Json, "offers/what-is-left-comes-back", leftovers),
    case!(Offers, Json, "offers/what-a-task-held-comes-back", freed),
    case!(Offers, Json, "offers/two-of-an-agent-are-accepted-together", two_together),
    case!(Offers, Json, "offers/a-dead-one-takes-the-others-along", dead_with_living),
];

async fn fields(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let offer = framework.offer().await?;
    equal("framework_id", offer.value["framework_id"].clone(), json!({"value": framework.id}))?;
    for field in ["id", "agent_id"] {
        let value = &offer.value[field]["value"];
        holds(field, value.as_str().is_some_and(|id| !id.is_empty()), value, "an id")?;
    }
    let hostname = &offer.value["hostname"];
    holds("hostname", hostname.as_str().is_some_and(|name| !name.is_empty()), hostname, "a name")?;
    for name in ["cpus", "mem"] {
        holds(name, offer.scalar(name) > 0.0, &offer.value["resources"], "more than nothing")?;
    }
    has_url(context, &offer.value["url"])?;
    equal("executor_ids", offer.executors(), json!([]))
}

/// Holds if an offer says where its agent is: it is that of this host, if there is one.
fn has_url(context: &Context, url: &Value) -> Outcome {
    let scheme = &url["scheme"];
    holds("url.scheme", scheme == "http" || scheme == "https", url, "http or https")?;
    holds("url.path", url["path"] == "/slave(1)", url, "/slave(1)")?;
    let port = url["address"]["port"].to_string();
    let fits = match &context.target().agent {
        Some(agent) => agent.ends_with(&format!(":{port}")),
        None => port != "0",
    };
    holds("url.address.port", fits, url, "that of the agent")
}

async fn with_multi_role(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let offer = framework.offer().await?;
    let role = json!({"role": "*"});
    equal("allocation_info of the offer", offer.value["allocation_info"].clone(), role.clone())?;
    for resource in resources(&offer) {
        equal("allocation_info", resource["allocation_info"].clone(), role.clone())?;
        equal("role", resource["role"].clone(), "*")?;
    }
    Ok(())
}

async fn without_multi_role(context: &Context) -> Outcome {
    let info = tasks::without(context.framework_info(), "roles");
    let framework = Framework::subscribe_as(context, with(info, "capabilities", json!([]))).await?;
    let offer = framework.offer().await?;
    equal("allocation_info of the offer", offer.value["allocation_info"].clone(), Value::Null)?;
    for resource in resources(&offer) {
        equal("allocation_info", resource["allocation_info"].clone(), Value::Null)?;
    }
    Ok(())
}

async fn refined(context: &Context) -> Outcome {
    let capabilities = json!([{"type": "MULTI_ROLE"}, {"type": "RESERVATION_REFINEMENT"}]);
    let info = with(context.framework_info(), "capabilities", capabilities);
    let framework = Framework::subscribe_as(context, info).await?;
    for resource in resources(&framework.offer().await?) {
        equal("role", resource["role"].clone(), Value::Null)?;
    }
    Ok(())
}

fn resources(offer: &Offer) -> Vec<Value> {
    offer.value["resources"].as_array().cloned().unwrap_or_default()
}

async fn suppress_keeps(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let offer = framework.offer().await?;
    framework.tell_only("SUPPRESS").await?;
    let is_rescind = |event: &Value| event["type"] == "RESCIND";
    framework.events.none("RESCIND", Duration::from_millis(1_500), is_rescind).await?;
    framework.launch(&offer, vec![command_task("held", &offer.agent, "exit 0")]).await?;
    framework.reach("held", "TASK_FINISHED").await?;
    Ok(())
}

async fn suppressed(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let offer = framework.offer().await?;
    framework.tell_only("SUPPRESS").await?;
    framework.decline(&offer, 0.0).await?;
    no_offers(&framework, 3.0).await
}

pub(super) async fn no_offers(framework: &Framework, seconds: f64) -> Outcome {
    let during = Duration::from_secs_f64(seconds);
    framework.events.none("OFFERS", during, |event| event["type"] == "OFFERS").await
}

async fn revive(context: &Context) -> Outcome {
    let framework = Framework::subscribe_suppressed(context).await?;
    no_offers(&framework, 1.5).await?;
    framework.tell_only("REVIVE").await?;
    framework.offer().await?;
    Ok(())
}

async fn roles(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let offer = framework.offer().await?;
    framework.tell("SUPPRESS", json!({"roles": ["*"]})).await?;
    framework.decline(&offer, 0.0).await?;
    no_offers(&framework, 2.0).await?;
    framework.tell("REVIVE", json!({"roles": ["*"]})).await?;
    framework.offer().await?;
    Ok(())
}

async fn unknown_role(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let offer = framework.offer().await?;
    framework.tell("SUPPRESS", json!({"roles": ["*", "other"]})).await?;
    framework.decline(&offer, 0.0).await?;
    framework.offer().await?;
    Ok(())
}

async fn accept_nothing(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let offer = framework.offer().await?;
    framework.accept(&offer, Vec::new()).await?;
    let again = framework.offer().await?;
    holds("id of the next offer", again.id != offer.id, &json!(again.id), "another")
}

async fn unknown_offer(context: &Context) -> Outcome {
    lost_by_unknown(&Framework::subscribe(context).await?, "TASK_LOST").await
}

async fn unknown_offer_aware(context: &Context) -> Outcome {
    lost_by_unknown(&Framework::subscribe_aware(context).await?, "TASK_DROPPED").await
}

async fn lost_by_unknown(framework: &Framework, state: &str) -> Outcome {
    let offer = framework.offer().await?;
    let unknown = Offer { id: "no-such-offer".to_owned(), ..offer };
    framework.launch(&unknown, vec![command_task("t", &unknown.agent, "sleep 1")]).await?;
    is_lost(framework, "t", state, "no-such-offer", &unknown.agent).await
}

/// Holds if a task is lost for an offer that is no longer valid, exactly as a master tells it.
async fn is_lost(
    framework: &Framework,
    task: &str,
    state: &str,
    offer: &str,
    agent: &str,
) -> Outcome {
    let status = framework.status(task).await?;
    let message = format!("Task launched with invalid offers: Offer {offer} is no longer valid");
    let expected = json!({
        "task_id": {"value": task},
        "state": state,
        "message": message,
        "source": "SOURCE_MASTER",
        "reason": "REASON_INVALID_OFFERS",
        "agent_id": {"value": agent},
    });
    equal("status", tasks::without(status, "timestamp"), expected)
}

async fn used_twice(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let offer = framework.offer().await?;
    framework.launch(&offer, vec![command_task("one", &offer.agent, "exit 0")]).await?;
    framework.launch(&offer, vec![command_task("two", &offer.agent, "exit 0")]).await?;
    is_lost(&framework, "two", "TASK_LOST", &offer.id, &offer.agent).await?;
    framework.reach("one", "TASK_FINISHED").await?;
    Ok(())
}

async fn declined_is_dead(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let offer = framework.offer().await?;
    framework.decline(&offer, 0.0).await?;
    framework.launch(&offer, vec![command_task("late", &offer.agent, "exit 0")]).await?;
    is_lost(&framework, "late", "TASK_LOST", &offer.id, &offer.agent).await
}

fn same(what: &str, got: f64, expected: f64) -> Outcome {
    holds(what, same_amount(got, expected), &json!(got), &expected.to_string())
}

async fn leftovers(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let offer = framework.steady_offer().await?;
    framework.launch(&offer, vec![command_task("long", &offer.agent, "sleep 1000")]).await?;
    let left = framework.offer().await?;
    same("cpus that are left", left.scalar("cpus"), offer.scalar("cpus") - CPUS)?;
    same("mem that is left", left.scalar("mem"), offer.scalar("mem") - tasks::MEM)?;
    // A command task has no executor that another task could join.
    equal("executor_ids", left.executors(), json!([]))
}

async fn freed(context: &Context) -> Outcome {
    let (framework, first, second) = two_offers(context).await?;
    let (cpus, mem) = (second.scalar("cpus"), second.scalar("mem"));
    same("cpus of the second offer", cpus, CPUS)?;
    same("mem of the second offer", mem, tasks::MEM)?;
    framework.decline(&first, 0.0).await?;
    framework.decline(&second, 0.0).await
}

/// Two offers of one agent: the second is what a task held that ended after the first was made.
async fn two_offers(context: &Context) -> Outcome<(Framework, Offer, Offer)> {
    let framework = Framework::subscribe(context).await?;
    let whole = framework.steady_offer().await?;
    framework.launch(&whole, vec![command_task("held", &whole.agent, "sleep 1000")]).await?;
    let first = framework.offer().await?;
    framework.kill("held").await?;
    framework.reach("held", "TASK_KILLED").await?;
    let of_it = |offer: &Value| offer["agent_id"]["value"] == first.agent;
    let is_offer = |event: &Value| {
        event["offers"]["offers"].as_array().is_some_and(|offers| offers.iter().any(of_it))
    };
    let event = framework.events.take("OFFERS", SOON, is_offer).await?.event;
    let offers = event["offers"]["offers"].as_array().into_iter().flatten();
    let second = offers.filter(|offer| of_it(offer)).map(Offer::of).next();
    Ok((framework, first.clone(), second.expect("the event was taken for it")))
}

async fn two_together(context: &Context) -> Outcome {
    let (framework, first, second) = two_offers(context).await?;
    // More than the first has alone.
    let cpus = first.scalar("cpus") + CPUS / 2.0;
    let task = command_task("both", &first.agent, "exit 0");
    let task = with(task, "resources", tasks::resources(cpus, tasks::MEM));
    accept_both(&framework, &first.id, &second.id, task).await?;
    framework.reach("both", "TASK_FINISHED").await?;
    Ok(())
}

async fn accept_both(framework: &Framework, one: &str, other: &str, task: Value) -> Outcome {
    let body = json!({
        "offer_ids": [{"value": one}, {"value": other}],
        "operations": [launch(vec![task])],
        "filters": {"refuse_seconds": 0.0},
    });
    framework.tell("ACCEPT", body).await
}

async fn dead_with_living(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let offer = framework.offer().await?;
    let task = command_task("t1", &offer.agent, "exit 0");
    accept_both(&framework, "no-such-offer", &offer.id, task).await?;
    is_lost(&framework, "t1", "TASK_LOST", "no-such-offer", &offer.agent).await?;
    framework.launch(&offer, vec![command_task("t2", &offer.agent, "exit 0")]).await?;
    is_lost(&framework, "t2", "TASK_LOST", &offer.id, &offer.agent).await?;
    let is_rescind = |event: &Value| event["type"] == "RESCIND";
    framework.events.none("RESCIND", Duration::from_millis(500), is_rescind).await?;
    framework.offer().await?;
    Ok(())
}

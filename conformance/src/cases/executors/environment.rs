//! What an executor finds when it starts.

use serde_json::{Value, json};

use crate::{
    case::{Case, case},
    context::Context,
    executor::{Planned, Stage},
    framework::Framework,
    outcome::{Outcome, equal, holds},
    remote::Hello,
    session::Membership,
    tasks::{executor_task, with},
};

pub(super) const CASES: &[Case] = &[
    case!(Executors, Json, "executor/its-environment", environment),
    case!(Executors, Json, "executor/the-environment-of-a-checkpointing-framework", checkpointing),
    case!(Executors, Json, "executor/its-grace-period-is-told", grace_period),
    case!(Executors, Json, "executor/its-own-session", own_session),
    case!(Executors, Json, "executor/its-folder-has-its-output", folder),
    case!(Executors, Json, "executor/the-task-is-passed-on-whole", whole_task),
];

fn variable(hello: &Hello, name: &str) -> Value {
    hello.environment.get(name).cloned().map_or(Value::Null, Value::String)
}

async fn environment(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let mut planned = Planned::new(&framework, "e");
    planned.info["command"]["environment"] =
        json!({"variables": [{"name": "MY_VAR", "value": "my value"}]});
    let stage = Stage::set_planned(framework, "t", planned).await?;
    let executor = &stage.executor.executor;
    let hello = &executor.remote.hello;
    let expected = [
        ("MESOS_FRAMEWORK_ID", stage.framework.id.as_str()),
        ("MESOS_EXECUTOR_ID", "e"),
        ("MESOS_SLAVE_ID", stage.offer.agent.as_str()),
        ("MESOS_DIRECTORY", hello.folder.as_str()),
        ("MESOS_SANDBOX", hello.folder.as_str()),
        ("LIBPROCESS_PORT", "0"),
        ("MY_VAR", "my value"),
    ];
    for (name, value) in expected {
        equal(name, variable(hello, name), value)?;
    }
    let pid = format!("slave(1)@{}", executor.agent);
    equal("MESOS_SLAVE_PID", variable(hello, "MESOS_SLAVE_PID"), pid)?;
    let grace = variable(hello, "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD");
    let is_duration = grace.as_str().is_some_and(|text| text.ends_with("secs"));
    holds("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", is_duration, &grace, "5secs or so")?;
    // Unset is false for all clients; real agents say 0.
    let checkpoint = variable(hello, "MESOS_CHECKPOINT");
    let is_off = checkpoint.is_null() || checkpoint == "0";
    holds("MESOS_CHECKPOINT", is_off, &checkpoint, "0 or nothing")?;
    for name in ["MESOS_RECOVERY_TIMEOUT", "MESOS_SUBSCRIPTION_BACKOFF_MAX"] {
        equal(name, variable(hello, name), Value::Null)?;
    }
    let path = variable(hello, "PATH");
    holds("PATH", path.is_string(), &path, "set")
}

async fn checkpointing(context: &Context) -> Outcome {
    let info = with(context.framework_info(), "checkpoint", json!(true));
    let stage = Stage::set_for(Framework::subscribe_as(context, info).await?, "t").await?;
    let hello = &stage.executor.executor.remote.hello;
    equal("MESOS_CHECKPOINT", variable(hello, "MESOS_CHECKPOINT"), "1")?;
    equal("MESOS_RECOVERY_TIMEOUT", variable(hello, "MESOS_RECOVERY_TIMEOUT"), "15mins")?;
    let backoff = variable(hello, "MESOS_SUBSCRIPTION_BACKOFF_MAX");
    equal("MESOS_SUBSCRIPTION_BACKOFF_MAX", backoff, "2secs")
}

async fn grace_period(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let planned = Planned::new(&framework, "e").with_grace(7);
    let stage = Stage::set_planned(framework, "t", planned).await?;
    let hello = &stage.executor.executor.remote.hello;
    let grace = variable(hello, "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD");
    equal("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", grace, "7secs")
}

async fn own_session(context: &Context) -> Outcome {
    let stage = Stage::set(context, "t").await?;
    let hello = &stage.executor.executor.remote.hello;
    let ids = json!([hello.session, hello.group]);
    // Whoever ends its process group must not end the agent's.
    let ours = Membership::ours().map_or(0, |it| it.session);
    holds("session", hello.session != ours && hello.session > 1, &ids, "its own")?;
    equal("process group", hello.group, hello.session)
}

async fn folder(context: &Context) -> Outcome {
    let stage = Stage::set(context, "t").await?;
    let hello = &stage.executor.executor.remote.hello;
    for file in ["stderr", "stdout"] {
        holds(file, hello.files.iter().any(|name| name == file), &json!(hello.files), "there")?;
    }
    Ok(())
}

/// What the master and the agent do not look at reaches the executor unharmed.
async fn whole_task(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let offer = framework.offer().await?;
    let planned = Planned::new(&framework, "e");
    let task = executor_task("t", &offer.agent, &planned.info);
    let more = [
        ("data", json!("AAECAw==")),
        ("labels", json!({"labels": [{"key": "k", "value": "v"}, {"key": "alone"}]})),
        (
            "discovery",
            json!({
                "visibility": "CLUSTER",
                "name": "somebody",
                "ports": {"ports": [{"number": 80, "name": "http", "protocol": "tcp"}]},
            }),
        ),
        ("kill_policy", json!({"grace_period": {"nanoseconds": 3_000_000_000_u64}})),
    ];
    let task = more.iter().fold(task, |task, (field, value)| with(task, field, value.clone()));
    framework.launch(&offer, vec![task]).await?;
    let executor = planned.start(context).await?.subscribe().await?;
    let launched = executor.launched("t").await?;
    for (field, value) in more {
        equal(field, launched[field].clone(), value)?;
    }
    equal("task_id", launched["task_id"].clone(), json!({"value": "t"}))?;
    equal("executor_id", launched["executor"]["executor_id"].clone(), json!({"value": "e"}))?;
    let cpus = &launched["resources"][0];
    equal("cpus", cpus["scalar"]["value"].clone(), crate::tasks::CPUS)?;
    equal("allocation_info", cpus["allocation_info"].clone(), json!({"role": "*"}))
}

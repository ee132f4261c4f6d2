//! What the agent says of itself to whoever looks.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{
    answers::{self, Refusal, Reply},
    server::ExecutorApi,
};
use crate::{core::Overview, run::Input};

/// The version of Mesos that this agent passes for.
const MESOS_VERSION: &str = "1.11.0";

/// What runs here, for whoever asked.
pub(crate) type StateView = oneshot::Sender<Overview>;

impl ExecutorApi {
    /// What runs here, with the names that consoles of Mesos look for.
    pub(super) async fn state(self: &Arc<Self>) -> Result<Reply, Refusal> {
        let (view, viewed) = oneshot::channel();
        self.inputs.send(Input::Viewed(view)).await.map_err(|_| Refusal::stopping())?;
        let overview = viewed.await.map_err(|_| Refusal::stopping())?;
        Ok(answers::json(&state(&overview)))
    }
}

/// Which programs this is.
pub(super) fn version() -> Reply {
    answers::json(&json!({
        "version": MESOS_VERSION,
        "muster_version": env!("CARGO_PKG_VERSION"),
    }))
}

fn state(overview: &Overview) -> Value {
    let amounts = |resources: &muster_api::Resources| -> Value {
        resources.iter().map(|(name, amount)| (name.to_owned(), json!(amount.as_f64()))).collect()
    };
    let executors = overview.executors.iter().map(|executor| {
        json!({
            "id": executor.key.executor.value,
            "framework_id": executor.key.framework.value,
            "name": executor.name,
            "container": executor.container.as_str(),
            "resources": amounts(&executor.resources),
            "tasks": executor.tasks.iter().map(|(task, state)| json!({
                "id": task.value,
                "framework_id": executor.key.framework.value,
                "executor_id": executor.key.executor.value,
                "state": state.as_str_name(),
            })).collect::<Value>(),
        })
    });
    let mut frameworks: Vec<(String, Vec<Value>)> = Vec::new();
    for (executor, value) in overview.executors.iter().zip(executors) {
        let id = &executor.key.framework.value;
        match frameworks.last_mut().filter(|(last, _)| last == id) {
            Some((_, executors)) => executors.push(value),
            None => frameworks.push((id.clone(), vec![value])),
        }
    }
    let frameworks = frameworks.into_iter();
    let endpoint = format!("{}:{}", overview.ip, overview.port);
    json!({
        "version": MESOS_VERSION,
        "id": overview.agent.as_ref().map(muster_api::AgentId::as_str).unwrap_or_default(),
        "pid": format!("slave(1)@{endpoint}"),
        "hostname": overview.hostname,
        "resources": amounts(&overview.resources),
        "attributes": overview.attributes,
        "frameworks": frameworks
            .map(|(id, executors)| json!({ "id": id, "executors": executors }))
            .collect::<Value>(),
        "completed_frameworks": [],
    })
}

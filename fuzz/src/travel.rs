//! What was taken from a framework or an executor goes on inside of other messages, which must be
//! readable where they arrive: a connection ends at a message that is not.

use muster_proto::{
    TaskInfo,
    agent::{
        AgentBody, ExecutorHere, FromAgent, FromMaster, Hello, Launch, MasterBody, Status, TaskHere,
    },
    executor::{self, Update},
    scheduler,
};
use prost::Message;

/// What a framework says, on its way to an executor and in what an agent says of itself.
pub(crate) fn of_framework(call: &scheduler::Call) {
    let framework = call.subscribe.as_ref().and_then(|subscribe| subscribe.framework_info.clone());
    let tasks: Vec<TaskInfo> = call
        .accept
        .iter()
        .flat_map(|accept| &accept.operations)
        .filter_map(|operation| operation.launch.as_ref())
        .flat_map(|launch| launch.task_infos.clone())
        .collect();
    for task in &tasks {
        let task = Some(task.clone());
        let (framework, task) = (framework.clone(), task.clone());
        let launch = Launch { framework, task: task.clone(), ..Launch::default() };
        arrives(&FromMaster { term: 1, body: Some(MasterBody::Launch(launch)) });
        let launch = Some(executor::Launch { task });
        arrives(&executor::Event { launch, ..executor::Event::default() });
    }
    let executors = tasks
        .iter()
        .map(|task| ExecutorHere {
            framework: framework.clone(),
            executor: task.executor.clone(),
            ..ExecutorHere::default()
        })
        .collect();
    let tasks = tasks
        .into_iter()
        .map(|task| TaskHere { framework_id: None, task: Some(task), state: 0 })
        .collect();
    let hello = Hello { executors, tasks, ..Hello::default() };
    arrives(&FromAgent { term: 1, body: Some(AgentBody::Hello(hello)) });
}

/// What an executor says, on its way to its framework.
pub(crate) fn of_executor(call: &executor::Call) {
    let unacknowledged = call.subscribe.iter().flat_map(|call| &call.unacknowledged_updates);
    for Update { status } in call.update.iter().chain(unacknowledged) {
        let status = status.clone();
        let said = Status { framework_id: None, status: status.clone(), latest_state: 0 };
        arrives(&FromAgent { term: 1, body: Some(AgentBody::Status(said)) });
        let update = Some(scheduler::Update { status });
        arrives(&scheduler::Event { update, ..scheduler::Event::default() });
    }
}

fn arrives<M: Message + Default>(message: &M) {
    M::decode(message.encode_to_vec().as_slice()).expect("what is sent on can be read");
}

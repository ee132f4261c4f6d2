//! What agents say, for [`super::master`].

use muster_proto::{
    AgentInfo, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, Resource, TaskId, TaskInfo,
    TaskState, TaskStatus,
    agent::{
        AgentBody, ExecutorExited, ExecutorHere, ExecutorMessage, FromAgent, Heartbeat, Hello,
        Status, TaskHere,
    },
};
use prost::Message;

use super::{master::World, stream};

/// Each thing on its own, and the life of an agent. Ids of agents and frameworks are those that a
/// master with its seed gives, so that what is said can be about something.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut world = World::new();
    world.hear(&said(AgentBody::Hello(hello())).encode_to_vec());
    let (frameworks, agent) = world.ids();
    let info = hello()
        .info
        .map(|info| AgentInfo { id: Some(muster_proto::AgentId::new(agent.as_str())), ..info });
    let mut life = vec![AgentBody::Hello(hello()), AgentBody::Heartbeat(Heartbeat { number: 1 })];
    for framework_id in &frameworks {
        for (number, state) in [(0, TaskState::Running), (0, TaskState::Finished)] {
            life.push(AgentBody::Status(status(framework_id.clone(), number, state)));
            life.push(AgentBody::Status(status(framework_id.clone(), number + 2, state)));
        }
        let executor_id = Some(ExecutorId::new("e"));
        let (framework_id, data) = (framework_id.clone(), b"hi".to_vec());
        life.push(AgentBody::ExecutorMessage(ExecutorMessage {
            framework_id: framework_id.clone(),
            executor_id: executor_id.clone(),
            data,
            number: Some(1),
        }));
        life.push(AgentBody::ExecutorExited(ExecutorExited {
            framework_id,
            executor_id,
            status: 9,
        }));
    }
    let back = frameworks.iter().flatten().flat_map(|id| {
        let framework = FrameworkInfo { id: Some(id.clone()), ..FrameworkInfo::default() };
        let executor = ExecutorInfo {
            executor_id: Some(ExecutorId::new("e")),
            resources: vec![Resource::scalar("cpus", 0.5)],
            ..ExecutorInfo::default()
        };
        let task = TaskInfo {
            task_id: Some(TaskId::new("t7")),
            resources: vec![Resource::scalar("cpus", 1.0)],
            executor: Some(executor.clone()),
            ..TaskInfo::default()
        };
        let state = TaskState::Running as i32;
        let task = TaskHere { framework_id: Some(id.clone()), task: Some(task), state };
        let here = ExecutorHere {
            framework: Some(framework),
            executor: Some(executor),
            ..ExecutorHere::default()
        };
        let hello =
            Hello { info: info.clone(), executors: vec![here], tasks: vec![task], ..hello() };
        [AgentBody::Hello(hello), AgentBody::Heartbeat(Heartbeat { number: 1 })]
    });
    life.extend(back);
    let life: Vec<_> = life.into_iter().map(said).collect();
    let mut seeds: Vec<_> = life.iter().map(|one| stream(std::slice::from_ref(one))).collect();
    seeds.extend([stream(&life[..6]), stream(&life)]);
    seeds
}

fn said(body: AgentBody) -> FromAgent {
    FromAgent { term: 1, body: Some(body) }
}

fn hello() -> Hello {
    let resources = vec![Resource::scalar("cpus", 4.0), Resource::scalar("mem", 1024.0)];
    let info = AgentInfo { hostname: "h".into(), resources, ..AgentInfo::default() };
    Hello { version: 1, info: Some(info), boot_id: "b".into(), ..Hello::default() }
}

fn status(framework_id: Option<FrameworkId>, number: usize, state: TaskState) -> Status {
    let status = TaskStatus {
        task_id: Some(TaskId::new(format!("t{number}"))),
        state: state as i32,
        uuid: Some(vec![number as u8; 16]),
        ..TaskStatus::default()
    };
    Status { framework_id, status: Some(status), latest_state: state as i32 }
}

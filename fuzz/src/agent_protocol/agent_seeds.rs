//! What a master says, for [`super::agent`].

use muster_api::task;
use muster_proto::{
    AgentId, CommandInfo, DurationInfo, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo,
    KillPolicy, Labels, Resource, TaskId, TaskInfo,
    agent::{
        Acknowledge, FrameworkMessage, FromMaster, HeartbeatAnswer, Kill, Launch, LaunchGroup,
        MasterBody, MessageTaken, ReadLog, ShutdownExecutor,
    },
};

use super::{agent::TERM, stream};

/// Each thing on its own, and a life of several executors.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let framework_id = || Some(FrameworkId::new("f"));
    let task_id = |name: &str| Some(TaskId::new(name));
    let executor_id = || Some(ExecutorId::new("e"));
    let framework = |checkpoint| {
        let id = framework_id();
        Some(FrameworkInfo { id, checkpoint: Some(checkpoint), ..FrameworkInfo::default() })
    };
    let launch = |task: TaskInfo, checkpoint| {
        let (framework, task) = (framework(checkpoint), Some(task));
        MasterBody::Launch(Launch { framework, task, heartbeat: 1, ..Launch::default() })
    };
    let grouped =
        |name: &str| TaskInfo { agent_id: Some(AgentId::new("agent-1")), ..foreign(name) };
    let policy = KillPolicy { grace_period: Some(DurationInfo { nanoseconds: 3_000_000_000 }) };
    let life = [
        launch(ours("t1", "15s"), true),
        launch(ours("t2", "off"), true),
        launch(foreign("t3"), false),
        launch(command("t4"), false),
        MasterBody::LaunchGroup(LaunchGroup {
            framework: framework(true),
            tasks: vec![grouped("t5"), grouped("t6")],
            heartbeat: 1,
            ..LaunchGroup::default()
        }),
        MasterBody::HeartbeatAnswer(HeartbeatAnswer { number: 2 }),
        MasterBody::Acknowledge(Acknowledge {
            framework_id: framework_id(),
            task_id: task_id("t1"),
            uuid: vec![0; 16],
        }),
        MasterBody::Kill(Kill {
            framework_id: framework_id(),
            task_id: task_id("t3"),
            kill_policy: Some(policy),
        }),
        MasterBody::FrameworkMessage(FrameworkMessage {
            framework_id: framework_id(),
            executor_id: executor_id(),
            data: b"hi".to_vec(),
        }),
        MasterBody::MessageTaken(MessageTaken {
            framework_id: framework_id(),
            executor_id: executor_id(),
            number: 1,
        }),
        MasterBody::ReadLog(ReadLog { request: 1, task_id: "t1".into(), ..ReadLog::default() }),
        MasterBody::ShutdownExecutor(ShutdownExecutor {
            framework_id: framework_id(),
            executor_id: executor_id(),
        }),
    ]
    .map(|body| FromMaster { term: TERM, body: Some(body) });
    let mut seeds: Vec<_> = life.iter().map(|one| stream(std::slice::from_ref(one))).collect();
    seeds.extend([stream(&life[..5]), stream(&life)]);
    seeds
}

fn ours(name: &str, lease: &str) -> TaskInfo {
    let executor = ExecutorInfo {
        executor_id: Some(ExecutorId::new(format!("of-{name}"))),
        labels: Some(Labels::of([(task::LABEL_LEASE, lease)])),
        ..ExecutorInfo::default()
    };
    let labels = Some(Labels::of([(task::LABEL_EXPECT, task::EXPECT_NEW)]));
    TaskInfo { executor: Some(executor), labels, ..plain(name) }
}

fn foreign(name: &str) -> TaskInfo {
    let executor =
        ExecutorInfo { executor_id: Some(ExecutorId::new("e")), ..ExecutorInfo::default() };
    TaskInfo { executor: Some(executor), ..plain(name) }
}

fn command(name: &str) -> TaskInfo {
    let command = CommandInfo { value: Some("true".into()), ..CommandInfo::default() };
    TaskInfo { command: Some(command), ..plain(name) }
}

fn plain(name: &str) -> TaskInfo {
    TaskInfo {
        name: name.into(),
        task_id: Some(TaskId::new(name)),
        resources: vec![Resource::scalar("cpus", 0.1)],
        ..TaskInfo::default()
    }
}

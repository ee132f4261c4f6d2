//! The agent is restarted under the processes of foreign executors.

use muster_proto::TaskState;
use serde_json::json;

use crate::support::{
    Master, RunningAgent, WorkDir, eventually,
    foreign::{Begun, FOREVER, Foreign},
    foreign_task, framework, framework_with_checkpoint, is_alive, listen_of, pid_in,
};

#[test]
fn with_checkpoints_an_executor_outlives_the_agent_and_loses_nothing() {
    let (work, master) = (WorkDir::new(), Master::bind());
    let agent = RunningAgent::start(work.path(), &master);
    let mut link = master.register(5);
    link.first_heartbeat();
    link.launch_for(framework_with_checkpoint(), foreign_task("t1", "e1", FOREVER));
    let begun = Begun::of(work.path(), "e1");
    let executor = Foreign::of(work.path(), "e1");
    let (mut events, _) = executor.subscribe();
    events.expect("LAUNCH");
    assert_eq!(executor.update("t1", "TASK_RUNNING", 1).status, 202);
    link.raw_status();
    let pid = pid_in(&begun.sandbox.join("pid"));
    agent.stop();
    assert!(events.next().is_none_or(|event| event["type"] == "ACKNOWLEDGED"));
    drop(link);

    let agent = RunningAgent::start(work.path(), &master);
    let mut link = master.register(6);
    assert_eq!(link.hello.executors.len(), 1);
    assert_eq!(link.hello.tasks[0].state(), TaskState::Running);
    link.first_heartbeat();
    let listen = eventually("ready again", || listen_of(work.path()));
    assert_eq!(listen, executor.listen, "or it would not be found");
    assert_eq!(link.raw_status().uuid, Some(vec![1; 16]), "sent again");
    let early = executor.update("t1", "TASK_FINISHED", 2);
    assert_eq!((early.status, early.text()), (503, "Agent has not finished recovery"));
    let updates = [("TASK_RUNNING", 1), ("TASK_FINISHED", 2)];
    let updates =
        updates.map(|(state, uuid)| json!({"status": executor.status("t1", state, uuid)}));
    let (mut events, first) = executor.subscribe_with(json!({"unacknowledged_updates": updates}));
    assert_eq!(first["type"], "SUBSCRIBED");
    events.expect("ACKNOWLEDGED");
    events.expect("ACKNOWLEDGED");
    assert!(is_alive(pid));
    link.acknowledge_uuid("t1", vec![1; 16]);
    let finished = link.status();
    assert_eq!((finished.state(), finished.uuid), (TaskState::Finished, Some(vec![2; 16])));
    agent.stop();
}

#[test]
fn without_checkpoints_an_executor_does_not_outlive_the_next_agent() {
    let (work, master) = (WorkDir::new(), Master::bind());
    let agent = RunningAgent::start(work.path(), &master);
    let mut link = master.register(5);
    link.first_heartbeat();
    link.launch_for(framework(), foreign_task("t1", "e1", FOREVER));
    let begun = Begun::of(work.path(), "e1");
    let executor = Foreign::of(work.path(), "e1");
    let (mut events, _) = executor.subscribe();
    events.expect("LAUNCH");
    let pid = pid_in(&begun.sandbox.join("pid"));
    agent.stop();
    drop(link);
    assert!(is_alive(pid));

    let agent = RunningAgent::start(work.path(), &master);
    let mut link = master.register(6);
    assert_eq!(link.hello.tasks.len(), 0, "they are lost, and their master knows that");
    eventually("it is ended", || (!is_alive(pid)).then_some(()));
    link.first_heartbeat();
    link.launch_for(framework(), foreign_task("t2", "e2", FOREVER));
    Begun::of(work.path(), "e2");
    agent.stop();
}

#[test]
fn one_that_does_not_come_back_in_time_is_ended() {
    let (work, master) = (WorkDir::new(), Master::bind());
    let agent = RunningAgent::start(work.path(), &master);
    let mut link = master.register(5);
    link.first_heartbeat();
    link.launch_for(framework_with_checkpoint(), foreign_task("t1", "e1", FOREVER));
    let begun = Begun::of(work.path(), "e1");
    let pid = pid_in(&begun.sandbox.join("pid"));
    agent.stop();
    drop(link);
    let agent = RunningAgent::start(work.path(), &master);
    let mut link = master.register(6);
    link.first_heartbeat();
    let (raw, told) = link.ended();
    assert_eq!((raw, told.state()), (9, TaskState::Gone));
    assert!(!is_alive(pid));
    agent.stop();
}

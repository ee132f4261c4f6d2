//! The executor that runs the command of one task.

use muster_proto::{CommandInfo, DurationInfo, KillPolicy};

use super::*;

const ID: &str = "any id / at all";

impl Desk {
    /// A command executor with a subscription that stands.
    fn of_command(killing_state: bool) -> Self {
        let executor = Executor::of_command(Duration::from_secs(5), IdStream::new(1, 1));
        let mut desk = Self { executor, ..Self::unconnected() };
        desk.step(Event::Connected);
        desk.written();
        desk.step(Event::Subscribed { killing_state });
        desk
    }

    /// One whose command runs, as its agent knows.
    fn of_running(killing_state: bool, policy: Option<i64>) -> Self {
        let mut desk = Self::of_command(killing_state);
        desk.step(Event::Launch(Box::new(command(ID, policy))));
        let at = desk.now().wall;
        desk.step(Event::Started { task: TaskId::new(ID), at });
        desk.after(10);
        for update in desk.updates() {
            desk.acknowledge(&update);
        }
        desk
    }

    fn kill_within(&mut self, millis: Option<u64>) -> Vec<Effect> {
        let grace = millis.map(Duration::from_millis);
        self.step(Event::Kill { task: TaskId::new(ID), grace })
    }

    fn command_ends(&mut self, success: bool) -> Vec<Effect> {
        let message = Some("Command exited with status 0".to_owned());
        let end = End { success, message, report: TaskReport::default() };
        self.step(Event::Ended { task: TaskId::new(ID), end })
    }
}

fn command(id: &str, grace_ms: Option<i64>) -> TaskInfo {
    let command = CommandInfo { value: Some("true".to_owned()), ..CommandInfo::default() };
    let grace_period = grace_ms.map(|ms| DurationInfo { nanoseconds: ms * 1_000_000 });
    TaskInfo {
        task_id: Some(TaskId::new(id)),
        command: Some(command),
        kill_policy: grace_ms.map(|_| KillPolicy { grace_period }),
        ..TaskInfo::default()
    }
}

fn exits(effects: &[Effect]) -> bool {
    effects == [Effect::Exit(Exit { code: 0, abandons: false })]
}

#[test]
fn every_state_of_a_command_is_told_and_its_end_ends_the_executor() {
    let mut desk = Desk::of_command(false);
    let effects = desk.step(Event::Launch(Box::new(command(ID, None))));
    let info = Box::new(command(ID, None).command.unwrap());
    assert_eq!(effects, [Effect::StartCommand { task: TaskId::new(ID), command: info }]);
    let at = desk.now().wall;
    desk.step(Event::Started { task: TaskId::new(ID), at });
    assert_eq!(desk.command_ends(true), []);

    let updates = desk.updates();
    let states: Vec<_> = updates.iter().map(|update| update.state).collect();
    assert_eq!(states, [TaskState::Starting, TaskState::Running, TaskState::Finished]);
    assert!(updates.iter().all(|update| update.report.is_none() && update.label.is_none()));
    assert_eq!(updates[2].message.as_deref(), Some("Command exited with status 0"));
    assert_eq!(desk.acknowledge(&updates[2]), [], "the agent does not know of the others");
    assert_eq!(desk.acknowledge(&updates[0]), []);
    assert!(exits(&desk.acknowledge(&updates[1])));
}

#[test]
fn it_waits_for_its_agent_and_tells_it_all_again() {
    let mut desk = Desk::of_running(false, None);
    desk.step(Event::Disconnected);
    assert_eq!(desk.command_ends(false), []);
    let (_, updates) = desk.connect();
    assert_eq!(updates.len(), 1);
    assert_eq!(updates[0].state, TaskState::Failed);
    assert!(exits(&desk.acknowledge(&updates[0])));
}

#[test]
fn a_kill_gives_the_grace_of_the_kill_or_of_the_task_or_three_seconds() {
    for (of_kill, of_task, expected) in [
        (None, None, 3_000),
        (None, Some(700), 700),
        (Some(200), Some(700), 200),
        (Some(0), None, 0),
        (None, Some(-5), 0),
    ] {
        let mut desk = Desk::of_running(false, of_task);
        let cancel = Effect::Cancel { task: TaskId::new(ID) };
        let force = Effect::Force { task: TaskId::new(ID) };
        let effects = desk.kill_within(of_kill);
        if expected == 0 {
            assert_eq!(effects, [cancel, force]);
            continue;
        }
        assert_eq!(effects, [cancel], "{of_kill:?} {of_task:?}");
        assert_eq!(desk.after(expected - 1), [], "{of_kill:?} {of_task:?}");
        assert_eq!(desk.after(1), [force], "{of_kill:?} {of_task:?}");
        desk.command_ends(false);
        assert_eq!(desk.states(), [TaskState::Killed]);
    }
}

#[test]
fn a_second_kill_may_be_more_urgent_and_never_less() {
    let mut desk = Desk::of_running(false, None);
    desk.kill_within(Some(1_000));
    assert_eq!(desk.kill_within(Some(60_000)), []);
    assert_eq!(desk.kill_within(Some(300)), []);
    assert_eq!(desk.after(300), [Effect::Force { task: TaskId::new(ID) }]);
}

#[test]
fn that_it_is_being_killed_is_told_once_and_to_those_who_want_to_know() {
    for (killing_state, states) in
        [(true, vec![TaskState::Killing, TaskState::Killed]), (false, vec![TaskState::Killed])]
    {
        let mut desk = Desk::of_running(killing_state, None);
        desk.kill_within(None);
        desk.kill_within(Some(100));
        // What was asked to end and ends well was killed all the same.
        desk.command_ends(true);
        assert_eq!(desk.states(), states);
    }
}

#[test]
fn it_takes_one_task_and_no_other() {
    let mut desk = Desk::of_running(false, None);
    assert_eq!(desk.step(Event::Launch(Box::new(command("another", None)))), []);
    let updates = desk.updates();
    assert_eq!((updates.len(), updates[0].state), (1, TaskState::Failed));
    let words = "Attempted to run multiple tasks using a \"command\" executor";
    assert_eq!(updates[0].message.as_deref(), Some(words));
    assert_eq!(desk.acknowledge(&updates[0]), [], "the first one goes on");
}

#[test]
fn a_shutdown_ends_the_command_in_time_to_tell_of_it() {
    let mut desk = Desk::of_running(true, Some(60_000));
    assert_eq!(
        desk.step(Event::Shutdown),
        [Effect::Cancel { task: TaskId::new(ID) }],
        "its own grace would be longer than there is"
    );
    assert_eq!(desk.after(4_000), [Effect::Force { task: TaskId::new(ID) }]);
    desk.command_ends(false);
    let updates = desk.updates();
    let states: Vec<_> = updates.iter().map(|update| update.state).collect();
    assert_eq!(states, [TaskState::Killing, TaskState::Killed]);
    desk.acknowledge(&updates[0]);
    assert!(exits(&desk.acknowledge(&updates[1])));

    let mut idle = Desk::of_command(false);
    assert!(exits(&idle.step(Event::Shutdown)));
}

//! What the agent is told, when, and over which connection.

use super::*;

#[test]
fn a_new_connection_is_told_all_that_is_not_acknowledged() {
    let mut desk = Desk::new();
    let known = desk.running();
    desk.end(&known, success());
    let ends = desk.updates();
    let (quiet, _) = desk.started(script());
    desk.step(Event::Disconnected);
    assert_eq!(desk.written(), [], "there is nobody to write to");
    let (missed, _) = desk.started(script());
    desk.end(&missed, failure());

    let (tasks, updates) = desk.connect();
    let mut ids: Vec<_> = tasks.into_iter().map(|task| task.task_id.unwrap()).collect();
    ids.sort();
    let mut expected = [known.clone(), quiet.clone(), missed.clone()];
    expected.sort();
    assert_eq!(ids, expected);
    let states = |task: &TaskId| -> Vec<_> {
        updates.iter().filter(|u| u.task == *task).map(|u| u.state).collect()
    };
    assert_eq!(states(&known), [TaskState::Running, TaskState::Finished], "in order");
    assert_eq!(states(&quiet), [TaskState::Running]);
    assert_eq!(states(&missed), [TaskState::Failed]);
    desk.after(10);
    assert_eq!(desk.updates(), [], "nothing is told twice on one connection");

    desk.acknowledge(&ends[0]);
    for update in &updates {
        desk.acknowledge(update);
    }
    desk.step(Event::Disconnected);
    assert_eq!(desk.connect(), (vec![], vec![]), "one runs, and the agent knows");
    desk.end(&quiet, success());
    assert_eq!(desk.states(), [TaskState::Finished]);
}

#[test]
fn a_launch_that_may_not_have_been_heard_of_is_named_again() {
    let mut desk = Desk::new();
    let payload = desk.payload(script());
    desk.launch(&payload);
    desk.step(Event::Disconnected);
    let (tasks, updates) = desk.connect();
    assert_eq!((tasks.len(), updates.len()), (1, 0));
}

#[test]
fn a_backlog_goes_in_batches() {
    let mut desk = Desk::new();
    for _ in 0..1_500 {
        let (task, _) = desk.started(handler());
        desk.end(&task, success());
    }
    assert_eq!(desk.updates().len(), 1_000);
    assert_eq!(desk.updates().len(), 500);
    assert_eq!(desk.updates(), []);
}

#[test]
fn what_is_due_wakes_nobody_who_waits_to_write() {
    let mut desk = Desk::new();
    let (task, _) = desk.started(script());
    let due = desk.executor.next_wakeup();
    assert_eq!(due, Some(Mono::from_millis(1_010)));
    desk.after(500);
    let now = desk.now().mono;
    assert!(desk.executor.wants_to_write(now));
    let alarm = desk.executor.next_alarm();
    assert!(alarm.is_some_and(|at| at > now), "the time-out of {task} rings: {alarm:?}");
    assert_eq!(desk.states(), [TaskState::Running]);
    assert_eq!(desk.executor.next_wakeup(), alarm, "nothing is left to be sent");
}

#[test]
fn nothing_is_written_before_there_is_a_connection() {
    let mut desk = Desk::unconnected();
    assert_eq!(desk.written(), []);
    desk.step(Event::Subscribed { killing_state: false });
    assert_eq!(desk.written(), [], "an answer to nothing opens nothing");
}

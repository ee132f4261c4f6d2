//! Tasks that arrive, run and end by themselves.

use super::*;

#[test]
fn a_task_runs_and_is_forgotten_when_its_end_is_acknowledged() {
    let mut desk = Desk::new();
    let (task, payload) = desk.started(handler());
    assert_eq!(desk.states(), [], "that it runs is kept back for a moment");
    desk.after(10);
    let running = desk.updates();
    assert_eq!(running[0].state, TaskState::Running);
    assert_eq!(running[0].uuid.get_version_num(), 4, "agents of Mesos know no younger version");
    desk.acknowledge(&running[0]);
    desk.after(50);
    desk.end(&task, success());
    let ends = desk.updates();
    assert_eq!((ends.len(), ends[0].state), (1, TaskState::Finished));
    let report = ends[0].report.clone().unwrap();
    assert_eq!(report.result.as_deref(), Some("42"));
    assert_eq!(report.started_at, Some(Timestamp::from_millis(1_000)));
    let (_, effects) = desk.launch(&payload);
    assert_eq!(effects, [], "a launch that comes again starts nothing");
    desk.acknowledge(&ends[0]);
    assert_eq!(desk.executor.next_wakeup(), None);
    desk.step(Event::Disconnected);
    assert_eq!(desk.connect(), (vec![], vec![]));
}

#[test]
fn a_task_is_told_to_run_since_its_code_began_however_late_that_is_heard() {
    let mut desk = Desk::new();
    let payload = desk.payload(handler());
    let (task, _) = desk.launch(&payload);
    let at = desk.now().wall;
    desk.after(5);
    desk.step(Event::Started { task: task.clone(), at });
    desk.after(10);
    assert_eq!(desk.updates()[0].at, at);
    desk.after(50);
    desk.end(&task, success());
    let end = &desk.updates()[0];
    assert_eq!(end.report.as_ref().unwrap().started_at, Some(at));
    assert_eq!(end.at, desk.now().wall);
}

#[test]
fn a_task_that_is_over_before_its_running_left_sends_its_end_only() {
    let mut desk = Desk::new();
    let (task, _) = desk.started(handler());
    desk.end(&task, failure());
    let updates = desk.updates();
    assert_eq!((updates.len(), updates[0].state), (1, TaskState::Failed));
    assert_eq!(updates[0].message.as_deref(), Some("exited with code 3"));
    desk.after(10);
    assert_eq!(desk.updates(), []);
}

#[test]
fn a_launch_that_is_known_changes_nothing() {
    let mut desk = Desk::new();
    let (_, payload) = desk.started(script());
    assert_eq!(desk.launch(&payload).1, []);
}

#[test]
fn what_cannot_be_started_says_why() {
    let mut desk = Desk::new();
    let unknown = desk.payload(Work::Simple { handler: "nope".to_owned() });
    let good = desk.payload(handler());
    let id = |n: &str| Some(TaskId::new(n));
    let other = TaskInfo { task_id: id("../../etc"), ..info(&good) };
    let damaged = TaskInfo { task_id: id("d"), data: Some(b"\x01{".to_vec()), ..info(&good) };
    let empty = TaskInfo { task_id: id("e"), data: None, ..info(&good) };
    for (info, state, words) in [
        (
            info(&unknown),
            TaskState::Failed,
            "no handler `nope` is registered; registered: `crunch`, `digest`",
        ),
        (other, TaskState::Error, "the payload is that of task"),
        (damaged, TaskState::Error, "the message cannot be read: EOF while parsing"),
        (empty, TaskState::Error, "begins with version None"),
    ] {
        assert_eq!(desk.step(Event::Launch(Box::new(info))), []);
        let updates = desk.updates();
        let message = updates[0].message.clone().unwrap();
        assert_eq!((updates.len(), updates[0].state), (1, state), "{message}");
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(desk.step(Event::Launch(Box::default())), [], "no id, no answer");
}

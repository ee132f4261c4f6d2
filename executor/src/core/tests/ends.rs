//! Tasks that are ended, and the end of the executor.

use super::*;

#[test]
fn a_kill_asks_and_then_forces() {
    let mut desk = Desk::new();
    let (task, _) = desk.started(script());
    assert_eq!(desk.kill(&task), [Effect::Cancel { task: task.clone() }]);
    assert_eq!(desk.kill(&task), [], "once");
    assert_eq!(desk.after(199), []);
    assert_eq!(desk.after(1), [Effect::Force { task: task.clone() }]);
    assert_eq!(desk.after(10_000), [], "a script that hangs in the kernel is waited for");
    desk.end(&task, failure());
    let updates = desk.updates();
    assert_eq!((updates.len(), updates[0].state), (1, TaskState::Killed));
    assert_eq!(updates[0].label, None);
    assert_eq!(updates[0].report.as_ref().unwrap().exit_code, Some(3));
}

#[test]
fn a_kill_may_bring_its_own_grace_and_shorten_it_later() {
    let mut desk = Desk::new();
    let (task, _) = desk.started(script());
    let kill = |grace| Event::Kill { task: task.clone(), grace: Some(grace) };
    desk.step(kill(Duration::from_secs(60)));
    desk.step(kill(Duration::from_millis(30)));
    desk.step(kill(Duration::from_secs(90)));
    assert_eq!(desk.executor.next_wakeup(), Some(Mono::from_millis(1_010)));
    desk.updates();
    assert_eq!(desk.after(30), [Effect::Force { task: task.clone() }]);
}

#[test]
fn a_kill_before_the_start_ends_as_killed() {
    let mut desk = Desk::new();
    let payload = desk.payload(script());
    let (task, _) = desk.launch(&payload);
    assert_eq!(desk.kill(&task), [Effect::Cancel { task: task.clone() }]);
    let at = desk.now().wall;
    desk.step(Event::Started { task: task.clone(), at });
    desk.end(&task, success());
    assert_eq!(desk.states(), [TaskState::Killed]);
    assert_eq!(desk.kill(&task), [], "over is over");
    assert_eq!(desk.kill(&TaskId::new("unknown")), []);
}

#[test]
fn a_time_out_counts_from_the_start_of_user_code() {
    let mut desk = Desk::new();
    let payload = desk.payload(script());
    let (task, _) = desk.launch(&payload);
    assert_eq!(desk.after(5_000), [], "it has not started");
    let at = desk.now().wall;
    desk.step(Event::Started { task: task.clone(), at });
    assert_eq!(desk.after(999), []);
    assert_eq!(desk.after(1), [Effect::Cancel { task: task.clone() }]);
    assert_eq!(desk.kill(&task), [], "a kill does not change why it ends");
    assert_eq!(desk.after(200), [Effect::Force { task: task.clone() }]);
    desk.end(&task, failure());
    let updates = desk.updates();
    let end = updates.last().unwrap();
    assert_eq!((end.state, end.label), (TaskState::Failed, Some((LABEL_TIMEOUT, "true"))));
    assert_eq!(end.message.as_deref(), Some("timed out after 1s"));
}

#[test]
fn an_end_at_the_very_time_out_counts() {
    let mut desk = Desk::new();
    let (task, _) = desk.started(script());
    desk.millis += 1_000;
    desk.end(&task, success());
    assert_eq!(desk.states(), [TaskState::Finished]);
    assert_eq!(desk.executor.next_wakeup(), None);
}

#[test]
fn a_shutdown_ends_all_tasks_tells_it_and_exits() {
    let mut desk = Desk::new();
    let (first, _) = desk.started(script());
    let (second, _) = desk.started(handler());
    let mut effects = desk.step(Event::Shutdown);
    effects.sort_by_key(|effect| format!("{effect:?}"));
    let mut expected = [first.clone(), second.clone()].map(|task| Effect::Cancel { task });
    expected.sort_by_key(|effect| format!("{effect:?}"));
    assert_eq!(effects, expected);
    assert_eq!(desk.step(Event::Shutdown), []);
    let payload = desk.payload(script());
    desk.launch(&payload);
    desk.end(&first, failure());
    desk.end(&second, failure());
    let updates = desk.updates();
    let states: Vec<_> = updates.iter().map(|update| update.state).collect();
    assert_eq!(states, [TaskState::Dropped, TaskState::Killed, TaskState::Killed]);
    assert_eq!(desk.acknowledge(&updates[0]), []);
    assert_eq!(desk.acknowledge(&updates[1]), []);
    let exit = Effect::Exit(Exit { code: 0, abandons: false });
    assert_eq!(desk.acknowledge(&updates[2]), [exit]);
}

#[test]
fn a_shutdown_waits_no_longer_than_its_grace() {
    let mut desk = Desk::new();
    let mut payload = desk.payload(script());
    payload.kill_grace = Span::from_secs(3_600);
    let (task, _) = desk.launch(&payload);
    desk.step(Event::Shutdown);
    assert_eq!(desk.after(3_999), []);
    assert_eq!(desk.after(1), [Effect::Force { task }], "in time to be told");
    let exit = Effect::Exit(Exit { code: 0, abandons: true });
    assert_eq!(desk.after(1_000), [exit]);
}

#[test]
fn an_idle_executor_shuts_down_at_once() {
    let mut desk = Desk::new();
    let exit = Effect::Exit(Exit { code: 0, abandons: false });
    assert_eq!(desk.step(Event::Shutdown), [exit]);
    assert_eq!(desk.executor.next_wakeup(), None);
}

/// Who sent SIGTERM knows what that makes of a task. What ended by itself has an end of its own.
#[test]
fn a_task_that_ends_by_the_signal_for_its_executor_says_so() {
    let mut desk = Desk::new();
    let [done, failed, ended] = [(); 3].map(|()| desk.started(script()).0);
    desk.end(&done, success());
    desk.end(&failed, failure());
    assert_eq!(desk.states(), [TaskState::Finished, TaskState::Failed]);
    desk.after(10);
    desk.updates();
    assert_eq!(desk.step(Event::Terminated), [Effect::Cancel { task: ended.clone() }]);
    assert_eq!(desk.step(Event::Shutdown), [], "it is on its way out");
    desk.end(&ended, failure());
    let [update] = &desk.updates()[..] else { panic!("one end") };
    assert_eq!((&update.task, update.state), (&ended, TaskState::Killed));
    assert_eq!(update.label, Some((LABEL_ENDED, ENDED_BY_ORDER)));
}

/// A time-out that was reached before is why the task ends.
#[test]
fn a_time_out_stays_one_when_the_executor_is_sent_a_signal() {
    let mut desk = Desk::new();
    let (task, _) = desk.started(script());
    desk.after(1_000);
    desk.updates();
    desk.step(Event::Terminated);
    desk.end(&task, failure());
    let [update] = &desk.updates()[..] else { panic!("one end") };
    assert_eq!((update.state, update.label), (TaskState::Failed, Some((LABEL_TIMEOUT, "true"))));
}

//! Handlers that do not end when they have to.

use super::*;

/// What is told of a task that does not end.
fn stuck(task: &TaskId, cause: &'static str) -> (TaskId, TaskState, Option<&'static str>) {
    (task.clone(), TaskState::Killing, Some(cause))
}

impl Desk {
    /// The updates that are written, as [`stuck`] has them.
    fn told(&mut self) -> Vec<(TaskId, TaskState, Option<&'static str>)> {
        let short = |update: Update| {
            let label = update.label.map(|(name, value)| {
                assert_eq!(name, LABEL_STUCK);
                value
            });
            (update.task, update.state, label)
        };
        self.updates().into_iter().map(short).collect()
    }
}

#[test]
fn a_handler_that_does_not_end_costs_the_executor() {
    let mut desk = Desk::new();
    let (first, neighbour) = (desk.running(), desk.running());
    desk.kill(&first);
    assert_eq!(desk.after(200), [], "nothing ends a thread");
    desk.after(10);
    assert_eq!(desk.told(), [stuck(&first, STUCK_KILLED)]);
    let payload = desk.payload(script());
    assert_eq!(desk.launch(&payload).1, []);
    assert_eq!(desk.states(), [TaskState::Dropped]);
    desk.after(90);
    desk.end(&neighbour, success());
    let updates = desk.updates();
    assert_eq!(updates[0].state, TaskState::Finished);
    assert_eq!(desk.after(29_899), []);
    let exit = Effect::Exit(Exit { code: EXIT_STUCK, abandons: true });
    assert_eq!(desk.after(1), [exit], "its other tasks had 30 s");
    assert_eq!(desk.after(1), [], "once");
}

#[test]
fn each_handler_that_does_not_end_is_named_with_its_cause() {
    let mut desk = Desk::new();
    let (slow, killed) = (desk.running(), desk.running());
    desk.after(980);
    desk.kill(&killed);
    desk.after(200);
    desk.after(10);
    let mut told = desk.told();
    told.sort_by(|a, b| a.0.cmp(&b.0));
    let mut expected = [stuck(&slow, STUCK_TIMED_OUT), stuck(&killed, STUCK_KILLED)];
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(told, expected);
}

/// It ends before anybody was told that it does not. The executor ends for it all the same.
#[test]
fn a_handler_that_ends_just_too_late_is_named_before_its_end() {
    let mut desk = Desk::new();
    let (late, neighbour) = (desk.running(), desk.running());
    desk.kill(&late);
    assert_eq!(desk.after(200), []);
    desk.end(&late, success());
    let expected = [stuck(&late, STUCK_KILLED), (late.clone(), TaskState::Killed, None)];
    assert_eq!(desk.told(), expected);
    desk.after(10);
    assert_eq!(desk.told(), [], "once");
    desk.end(&neighbour, success());
    assert_eq!(desk.states(), [TaskState::Finished]);
    let exit = Effect::Exit(Exit { code: EXIT_STUCK, abandons: false });
    assert_eq!(desk.after(29_990), [exit]);
}

/// The same while the agent is away: the new connection hears both, in order.
#[test]
fn a_handler_that_ends_too_late_while_nobody_listens_is_named_on_the_next_connection() {
    let mut desk = Desk::new();
    let late = desk.running();
    desk.step(Event::Disconnected);
    desk.kill(&late);
    desk.after(200);
    desk.end(&late, success());
    let (_, updates) = desk.connect();
    let seen: Vec<_> = updates.iter().map(|update| (update.state, update.label)).collect();
    let word = Some((LABEL_STUCK, STUCK_KILLED));
    let expected =
        [(TaskState::Running, None), (TaskState::Killing, word), (TaskState::Killed, None)];
    assert_eq!(seen, expected);
}

#[test]
fn a_stuck_executor_ends_as_soon_as_nobody_waits_for_it() {
    let mut desk = Desk::new();
    let (stuck, neighbour) = (desk.running(), desk.running());
    desk.step(Event::Disconnected);
    let (_, told) = desk.connect();
    for update in &told {
        desk.acknowledge(update);
    }
    desk.kill(&stuck);
    desk.after(200);
    desk.after(10);
    let giving_up = desk.updates();
    desk.end(&neighbour, success());
    let updates = desk.updates();
    assert_eq!(desk.acknowledge(&updates[0]), [], "it is not known yet whose fault it is");
    let exit = Effect::Exit(Exit { code: EXIT_STUCK, abandons: true });
    assert_eq!(desk.acknowledge(&giving_up[0]), [exit]);
}

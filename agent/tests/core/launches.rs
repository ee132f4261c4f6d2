//! Which launches start something.

use muster_agent::{core::Event, supervise::Why};
use muster_proto::TaskState;

use super::world::{World, events, only_status, states, statuses, task};

#[test]
fn what_a_launch_expects_of_its_executor_must_hold() {
    let mut world = World::new();
    world.register(true);
    let status = only_status(&world.launch(task("t0", "e1", "1h", Some("alive"))));
    assert_eq!(status.state(), TaskState::Dropped);
    world.launch(task("t1", "e1", "1h", Some("new")));
    let sibling = world.launch(task("t2", "e1", "1h", Some("new")));
    assert_eq!(statuses(&sibling), [], "of the same start");
    world.step(Event::Disconnected { connection: world.connection() });
    world.register(true);
    let late = world.launch(task("t3", "e1", "1h", Some("new")));
    assert_eq!(only_status(&late).state(), TaskState::Dropped);
    assert_eq!(statuses(&world.launch(task("t4", "e1", "1h", Some("alive")))), []);
    world.exit(Why::Exited);
    let late = world.launch(task("t5", "e1", "1h", Some("new")));
    assert_eq!(only_status(&late).message(), "executor e1 has ended", "ids are not used again");
}

#[test]
fn a_launch_that_comes_twice_starts_once() {
    let mut world = World::new();
    world.register(true);
    world.running("1h");
    assert_eq!(world.launch(task("t1", "e1", "1h", None)), []);
    world.update(1, TaskState::Running, 1);
    let again = world.launch(task("t1", "e1", "1h", None));
    assert_eq!(states(&again), [(TaskState::Running, TaskState::Running)]);
    assert_eq!(events(&again), []);
}

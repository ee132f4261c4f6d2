//! Reports of tasks that nobody has launched.

use muster_agent::core::{Answer, Bearer, Note, Request, What};
use muster_api::limits;
use muster_proto::{TaskState, executor::EventType};

use super::{
    guest::{Guest, key, status, task},
    world::{SECOND, events, only_status, statuses},
};

#[test]
fn a_report_of_a_task_that_nobody_launched_is_passed_on_and_repeated() {
    let mut guest = Guest::new(true);
    guest.running();
    let (answer, effects) = guest.update(status("stray", TaskState::Running, 9));
    assert_eq!((answer, events(&effects)), (Answer::Accepted, Vec::new()), "as with Mesos");
    let told = only_status(&effects);
    assert_eq!((told.state(), told.container_status), (TaskState::Running, None));
    let (_, second) = guest.update(status("stray", TaskState::Running, 8));
    assert_eq!(statuses(&second).len(), 0, "it waits for the first");
    let again = guest.tick_after(SECOND * 10);
    assert_eq!(only_status(&again).uuid, Some(vec![9; 16]));
    let tasks = guest.hello().1;
    assert_eq!(tasks, [("t1".to_owned(), TaskState::Staging)], "it is no task of this host");
    let next = guest.acknowledge("stray", vec![9; 16]);
    assert_eq!(only_status(&next).uuid, Some(vec![8; 16]));
    guest.acknowledge("stray", vec![8; 16]);
    let (_, anew) = guest.update(status("stray", TaskState::Running, 8));
    assert_eq!(statuses(&anew).len(), 1, "nothing of it is kept");
}

#[test]
fn what_waits_of_a_stray_task_outlives_the_agent_if_its_framework_wants_that() {
    for checkpoint in [true, false] {
        let mut guest = Guest::new(checkpoint);
        guest.running();
        guest.update(status("stray", TaskState::Running, 9));
        guest.world.restart();
        let effects = guest.world.register(true);
        assert_eq!(statuses(&effects).len(), usize::from(checkpoint));
        guest.acknowledge("stray", vec![9; 16]);
        guest.world.restart();
        assert_eq!(statuses(&guest.world.register(true)).len(), 0);
    }
}

#[test]
fn a_task_that_is_launched_takes_the_place_of_a_stray_one() {
    let mut guest = Guest::new(true);
    guest.running();
    guest.update(status("t2", TaskState::Running, 9));
    let effects = guest.launch(task("t2", "e1"));
    assert_eq!(events(&effects), [EventType::Launch]);
    assert_eq!(statuses(&guest.tick_after(SECOND * 10)).len(), 0, "that was about something else");
    let (_, effects) = guest.update(status("t2", TaskState::Starting, 1));
    assert_eq!(only_status(&effects).state(), TaskState::Starting);
    guest.world.restart();
    assert!(guest.hello().1.contains(&("t2".to_owned(), TaskState::Starting)));
}

#[test]
fn code_of_users_cannot_make_up_tasks_without_end() {
    let mut guest = Guest::new(false);
    guest.running();
    for number in 0..limits::STRAY_TASKS {
        let (_, effects) = guest.update(status(&format!("s{number}"), TaskState::Running, 1));
        assert_eq!(statuses(&effects).len(), 1);
    }
    let one_more = What::Update(Box::new(status("one-more", TaskState::Running, 1)));
    let call =
        muster_agent::core::Call { by: key("f", "e1"), bearer: Bearer::Nobody, what: one_more };
    let event = muster_agent::core::Event::Called { request: Request(0), call };
    let step = guest.world.agent.step(guest.world.now, event);
    assert_eq!((statuses(&step.effects).len(), events(&step.effects).len()), (0, 0));
    assert_eq!(step.notes, [Note::TooManyStrays { executor: key("f", "e1") }]);
    guest.acknowledge("s0", vec![1; 16]);
    let (_, effects) = guest.update(status("one-more", TaskState::Running, 1));
    assert_eq!(statuses(&effects).len(), 1, "there is room again");
}

//! Tasks that are a command: the agent makes the executor.

use muster_agent::{
    core::{Answer, Bearer, Container, Effect, Event, Origin, Session, What},
    supervise::{Exit, Why},
};
use muster_proto::{
    AllocationInfo, CommandInfo, DurationInfo, Environment, ExecutorInfo, KillPolicy, TaskState,
    Uri, Variable,
    executor::{EventType, Subscribe},
};

use super::{
    guest::{Guest, command, ended, fetched, key, status},
    world::{events, only_status, statuses},
};

fn shell(line: &str) -> CommandInfo {
    CommandInfo { value: Some(line.to_owned()), ..CommandInfo::default() }
}

/// What the agent makes for a command.
fn made_for(command_info: CommandInfo) -> ExecutorInfo {
    let mut guest = Guest::new(true);
    let effects = guest.launch(command("t1", command_info));
    let made = effects.into_iter().find_map(|effect| match effect {
        Effect::Fetch { info, .. } => Some(*info),
        _ => None,
    });
    made.unwrap()
}

/// A command task whose executor has subscribed on its stream.
fn running(guest: &mut Guest) -> Container {
    let container = fetched(&guest.launch(command("t1", shell("sleep 1"))));
    guest.begin(&container);
    let (session, subscribe) = (Session(1), Subscribe::default());
    let container_of = container.clone();
    let subscribed = Event::Subscribed { session, container: container_of, subscribe };
    let effects = guest.world.step(subscribed);
    assert_eq!(events(&effects), [EventType::Subscribed, EventType::Launch]);
    let Some(Effect::ToExecutor { event, .. }) = effects.last() else { panic!("{effects:?}") };
    let launched = event.launch.clone().unwrap().task.unwrap();
    assert_eq!(launched.command, Some(shell("sleep 1")));
    container
}

#[test]
fn its_executor_has_what_the_command_wants_and_costs_nothing() {
    let variable = |name: &str, value: &str| Variable {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        ..Variable::default()
    };
    let uris = vec![Uri { value: "/srv/f.txt".to_owned(), ..Uri::default() }];
    let environment = Environment { variables: vec![variable("E1", "v1")] };
    let mut info = command(
        "t1",
        CommandInfo {
            uris: uris.clone(),
            environment: Some(environment),
            user: Some("somebody".to_owned()),
            ..shell("cat f.txt")
        },
    );
    let role = AllocationInfo { role: Some("web".to_owned()) };
    info.resources[0].allocation_info = Some(role);
    let five_seconds = Some(DurationInfo { nanoseconds: 5_000_000_000 });
    info.kill_policy = Some(KillPolicy { grace_period: five_seconds });
    let mut guest = Guest::new(true);
    let effects = guest.launch(info);
    let Some(Effect::Fetch { info: made, .. }) = effects.first() else { panic!("{effects:?}") };
    assert_eq!(made.executor_id, Some(key("f", "t1").executor));
    assert_eq!(made.framework_id, Some(key("f", "t1").framework));
    assert_eq!((made.resources.len(), made.source.as_deref()), (0, Some("t1")));
    let grace = made.shutdown_grace_period.unwrap();
    assert_eq!(grace.nanoseconds, 10_000_000_000, "its own comes after the command's");
    let of = made.command.as_ref().unwrap();
    assert_eq!(of.value.as_deref(), Some("exec \"$MUSTER_PROGRAM\" command-executor"));
    assert_eq!((of.uris.clone(), of.user.as_deref()), (uris, Some("somebody")));
    let variables = &of.environment.as_ref().unwrap().variables;
    assert_eq!(variables[..], [variable("MESOS_ALLOCATION_ROLE", "web"), variable("E1", "v1")]);
}

#[test]
fn its_executor_is_named_after_the_command() {
    let exec = |arguments: &[&str]| CommandInfo {
        shell: Some(false),
        arguments: arguments.iter().map(|&text| text.to_owned()).collect(),
        ..shell("/bin/x")
    };
    for (of, name) in [
        (shell("sleep 100"), "sh -c 'sleep 100'"),
        (shell("123456789012345"), "sh -c '123456789012345'"),
        (shell("1234567890123456"), "sh -c '123456789012...'"),
        (shell("äöüäöüäöüäöüäöüäöü"), "sh -c 'äöüäöüäöüäöü...'"),
        (exec(&["x", "1"]), "[/bin/x, x, 1]"),
        (exec(&["x", "a longer one"]), "[/bin/x, x, a...]"),
        (CommandInfo::default(), "sh -c ''"),
    ] {
        let expected = format!("Command Executor (Task: t1) (Command: {name})");
        assert_eq!(made_for(of).name, Some(expected));
    }
}

#[test]
fn the_master_knows_of_the_task_and_of_no_executor() {
    let mut guest = Guest::new(true);
    let container = running(&mut guest);
    let running = Box::new(status("t1", TaskState::Running, 1));
    let effects = guest.world.step(Event::Updated { session: Session(1), status: running });
    let told = only_status(&effects);
    assert_eq!(told.executor_id, Some(key("f", "t1").executor));
    let id = told.container_status.unwrap().container_id.unwrap();
    assert_eq!(id.value, container.as_str());
    let (executors, tasks) = guest.hello();
    assert_eq!((executors.len(), tasks), (0, vec![("t1".to_owned(), TaskState::Running)]));
    guest.acknowledge("t1", vec![1; 16]);
    guest.world.step(Event::Left { session: Session(1) });
    let exit = Exit { status: 9, ..Exit::unknown(Why::Exited) };
    let effects = guest.world.step(Event::Exited { container, exit });
    assert_eq!(only_status(&effects).state(), TaskState::Failed, "it died with its executor");
    assert_eq!(ended(&effects), []);
}

#[test]
fn it_must_show_its_token_and_finds_our_environment() {
    let mut guest = Guest::new(true);
    let container = fetched(&guest.launch(command("t1", shell("x"))));
    let fetched = Event::Fetched { container: container.clone(), outcome: Ok(()) };
    let effects = guest.world.step(fetched);
    let [Effect::Start { origin, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(*origin, Origin::Command);
    let message = || What::Message(Vec::new());
    let (answer, _) = guest.call(key("f", "t1"), Bearer::Nobody, message());
    assert_eq!(answer, Answer::NoFramework, "without that nobody knows it");
    let (answer, _) = guest.call(key("f", "t1"), Bearer::Of(container), message());
    assert_eq!(answer, Answer::NotSubscribed);
}

#[test]
fn a_restart_finds_it_again_if_its_framework_wants_that() {
    for checkpoint in [true, false] {
        let mut guest = Guest::new(checkpoint);
        let container = running(&mut guest);
        let effects = guest.world.restart();
        assert!(effects.contains(&Effect::Attach { container: container.clone() }));
        assert_eq!(guest.hello().1.len(), usize::from(checkpoint));
        let effects = guest.world.step(Event::Started { container: container.clone(), pid: 1 });
        let is_ended = effects.iter().any(|effect| matches!(effect, Effect::End { .. }));
        assert_eq!(is_ended, !checkpoint);
        if checkpoint {
            // It is of our own make, which knows a task that it is given twice.
            let (session, subscribe) = (Session(2), Subscribe::default());
            let effects = guest.world.step(Event::Subscribed { session, container, subscribe });
            assert_eq!(events(&effects), [EventType::Subscribed, EventType::Launch]);
            assert_eq!(statuses(&effects).len(), 0);
        }
    }
}

#[test]
fn a_task_that_is_neither_is_not_taken() {
    let mut guest = Guest::new(true);
    let mut neither = command("t1", shell("x"));
    neither.command = None;
    assert_eq!(guest.launch(neither), []);
}

/// A task may have the id of the last one as soon as the end of that is acknowledged, and the executor
/// of that may take a while to end.
#[test]
fn a_command_of_the_same_id_has_an_executor_of_its_own() {
    let mut guest = Guest::new(true);
    let first = running(&mut guest);
    let finished = Box::new(status("t1", TaskState::Finished, 1));
    guest.world.step(Event::Updated { session: Session(1), status: finished });
    guest.acknowledge("t1", vec![1; 16]);
    let second = fetched(&guest.launch(command("t1", shell("x"))));
    assert_ne!(first, second);
    guest.begin(&second);
    guest.world.step(Event::Left { session: Session(1) });
    let exit = Exit::unknown(Why::Exited);
    let effects = guest.world.step(Event::Exited { container: first, exit });
    assert_eq!(statuses(&effects).len(), 0, "it is another one");
    guest.world.restart();
    assert_eq!(guest.hello().1, [("t1".to_owned(), TaskState::Staging)]);
    guest.world.step(Event::Started { container: second.clone(), pid: 1 });
    let (session, subscribe) = (Session(2), Subscribe::default());
    let subscribed = Event::Subscribed { session, container: second, subscribe };
    let effects = guest.world.step(subscribed);
    assert_eq!(events(&effects), [EventType::Subscribed, EventType::Launch]);
}

#[test]
fn a_command_and_an_executor_may_have_the_same_id() {
    let mut guest = Guest::new(true);
    let custom = fetched(&guest.launch(super::guest::task("t9", "t1")));
    let of_command = fetched(&guest.launch(command("t1", shell("x"))));
    assert_ne!(custom, of_command);
    assert_eq!(guest.hello().0, ["t1"], "that one is the framework's");
}

//! Every change of a job or app, asked for while its work is in every state: what becomes of the
//! work is a table, and in the end nothing is left that should not be there.

#![allow(clippy::unwrap_used, reason = "an engine that cannot be asked is a failed test")]

mod cluster;
mod fields;
mod limits;

use std::panic;

use cluster::Cluster;
use muster_api::{RunId, TaskId, views::RunState};
use muster_engine::event::{Command, Event, Expect, Rejected, Signal};
use serde_json::json;

/// What the work of job `j` of app `a` does when somebody changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    None,
    SecondInLane,
    Pending,
    BackingOff,
    Launching,
    Running,
    /// Cancelled a moment ago.
    Killing,
    /// Cancelled after one of its shards was over.
    Stopping,
    HostSilent,
    /// And it never comes back.
    HostLost,
    /// A task did not end at its time-out.
    ExecutorClosed,
    /// The executor has ended, and nobody has said what became of its tasks.
    ExecutorGone,
    /// Running, in a store that was restored and is held.
    HeldRunning,
    HeldPending,
}

/// How a run ends.
use RunState::{Cancelled as C, Succeeded as S, TimedOut as T};

/// How the runs end when their documents change, when they are disabled, when they are killed, and
/// when their job has moved to another app and the former one is deleted.
const ENDS: [(Work, [&[RunState]; 4]); 14] = [
    (Work::None, [&[], &[], &[], &[]]),
    (Work::SecondInLane, [&[S, S], &[S, C], &[C, C], &[C, S]]),
    (Work::Pending, [&[S], &[C], &[C], &[S]]),
    (Work::BackingOff, [&[S], &[S], &[C], &[C]]),
    (Work::Launching, [&[S], &[S], &[C], &[C]]),
    (Work::Running, [&[S], &[S], &[C], &[C]]),
    (Work::Killing, [&[C], &[C], &[C], &[C]]),
    (Work::Stopping, [&[C], &[C], &[C], &[C]]),
    (Work::HostSilent, [&[S], &[S], &[C], &[C]]),
    (Work::HostLost, [&[S], &[S], &[C], &[C]]),
    (Work::ExecutorClosed, [&[T], &[T], &[C], &[C]]),
    (Work::ExecutorGone, [&[S], &[S], &[C], &[C]]),
    (Work::HeldRunning, [&[S], &[S], &[C], &[C]]),
    (Work::HeldPending, [&[S], &[C], &[C], &[S]]),
];

/// What somebody asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    EnableJob,
    EnableApp,
    /// A field that acts at once.
    UpdatePriority,
    /// One that does not.
    UpdateCommand,
    /// A new revision: running tasks end on the old one.
    UpdateApp,
    DisableJob,
    DisableApp,
    DisableAndEnableJob,
    DisableAndEnableApp,
    KillJob,
    KillApp,
    DeleteJob,
    DeleteApp,
    ReplaceJob,
    ReplaceApp,
    MoveAndDeleteApp,
}

use Operation as Op;

impl Operation {
    const ALL: [Self; 16] = [
        Op::EnableJob,
        Op::EnableApp,
        Op::UpdatePriority,
        Op::UpdateCommand,
        Op::UpdateApp,
        Op::DisableJob,
        Op::DisableApp,
        Op::DisableAndEnableJob,
        Op::DisableAndEnableApp,
        Op::KillJob,
        Op::KillApp,
        Op::DeleteJob,
        Op::DeleteApp,
        Op::ReplaceJob,
        Op::ReplaceApp,
        Op::MoveAndDeleteApp,
    ];

    /// The column of [`ENDS`] that it is about.
    fn column(self) -> usize {
        match self {
            Op::EnableJob | Op::EnableApp | Op::UpdatePriority => 0,
            Op::UpdateCommand | Op::UpdateApp => 0,
            Op::DisableJob | Op::DisableApp => 1,
            Op::DisableAndEnableJob | Op::DisableAndEnableApp => 1,
            Op::KillJob | Op::KillApp | Op::DeleteJob | Op::DeleteApp => 2,
            Op::ReplaceJob | Op::ReplaceApp => 2,
            Op::MoveAndDeleteApp => 3,
        }
    }

    /// Why a run that had not begun, or was running, was ended by it.
    fn reason(self) -> &'static str {
        match self {
            Op::DeleteJob | Op::DeleteApp | Op::ReplaceJob | Op::ReplaceApp => {
                "its job was deleted"
            }
            Op::MoveAndDeleteApp => "its app was deleted",
            _ => "disabled",
        }
    }

    fn apply(self, to: &mut Cluster) {
        let job = || "j".parse().unwrap();
        let app = || "a".parse().unwrap();
        let set_job = |to: &mut Cluster, disabled, kill| {
            to.ask(Command::SetJobDisabled { name: job(), disabled, kill }).unwrap();
        };
        let set_app = |to: &mut Cluster, disabled, kill| {
            to.ask(Command::SetAppDisabled { name: app(), disabled, kill }).unwrap();
        };
        let delete_job = |to: &mut Cluster| {
            to.ask(Command::DeleteJob { name: job(), expect: Expect::Anything }).unwrap();
        };
        let delete_app = |to: &mut Cluster| {
            to.ask(Command::DeleteApp { name: app(), expect: Expect::Anything }).unwrap();
        };
        match self {
            Op::EnableJob => set_job(to, false, false),
            Op::EnableApp => set_app(to, false, false),
            Op::UpdatePriority => put_job(to, "a", &json!({"priority": 90})),
            Op::UpdateCommand => put_job(to, "a", &json!({"script": {"command": "true"}})),
            Op::UpdateApp => to.put_app("a", &json!({"env": {"X": "1"}})),
            Op::DisableJob => set_job(to, true, false),
            Op::DisableApp => set_app(to, true, false),
            Op::DisableAndEnableJob => {
                set_job(to, true, false);
                set_job(to, false, false);
            }
            Op::DisableAndEnableApp => {
                set_app(to, true, false);
                set_app(to, false, false);
            }
            Op::KillJob => set_job(to, true, true),
            Op::KillApp => set_app(to, true, true),
            Op::DeleteJob => delete_job(to),
            Op::DeleteApp => delete_app(to),
            Op::ReplaceJob => {
                delete_job(to);
                put_job(to, "a", &json!({}));
            }
            Op::ReplaceApp => {
                delete_app(to);
                to.put_app("a", &json!({}));
                put_job(to, "a", &json!({}));
            }
            Op::MoveAndDeleteApp => {
                put_job(to, "b", &json!({}));
                delete_app(to);
            }
        }
    }

    /// What a trigger of the job comes to afterwards: it runs, or is refused in these words.
    fn trigger_is_refused(self) -> Option<Rejected> {
        let conflict = |detail: &str| Rejected::Conflict { detail: detail.to_owned() };
        match self {
            Op::DeleteJob | Op::DeleteApp => {
                Some(Rejected::NotFound { kind: "job", name: "j".to_owned() })
            }
            Op::DisableJob | Op::KillJob => Some(conflict("job `j` is disabled; enable it first")),
            Op::DisableApp | Op::KillApp => {
                Some(conflict("app `a` of job `j` is disabled; enable it first"))
            }
            _ => None,
        }
    }
}

/// The document of the job, with some changes.
fn put_job(cluster: &mut Cluster, app: &str, changes: &serde_json::Value) {
    let mut document = json!({
        "sharding": {"count": 2}, "timeout": "1m",
        "retry": {"max_attempts": 1, "backoff": "10s..1m"},
    });
    for (name, value) in changes.as_object().unwrap() {
        document[name] = value.clone();
    }
    cluster.put_job("j", app, &document);
}

/// A world in which the work is in that state, its runs in their order, and its live tasks.
fn world(work: Work) -> (Cluster, Vec<RunId>, Vec<TaskId>) {
    let mut world = Cluster::new();
    world.put_app("a", &json!({}));
    world.put_app("b", &json!({}));
    put_job(&mut world, "a", &json!({}));
    if matches!(work, Work::None) {
        return (world, Vec::new(), Vec::new());
    }
    let mut runs = vec![world.start("j")];
    if !matches!(work, Work::Pending | Work::HeldPending) {
        world.offer();
        assert_eq!(world.tasks().len(), 2, "both shards are launched");
    }
    if !matches!(work, Work::Launching) {
        world.run_all();
    }
    let tasks = world.tasks();
    match work {
        Work::None | Work::Pending | Work::Launching | Work::Running => {}
        Work::SecondInLane => runs.push(world.start("j")),
        Work::BackingOff => {
            for task in &tasks {
                world.say(*task, Signal::CodeFailed);
            }
        }
        Work::Killing => drop(world.ask(Command::Cancel { run: runs[0] }).unwrap()),
        Work::Stopping => {
            world.say(tasks[0], Signal::Finished);
            world.ask(Command::Cancel { run: runs[0] }).unwrap();
        }
        Work::HostSilent => world.cut_off(),
        Work::HostLost => world.lose_the_host(),
        Work::ExecutorClosed => {
            // The retry is used up, so that its time-out is its end.
            for task in &tasks {
                world.say(*task, Signal::CodeFailed);
            }
            while world.tasks().len() < 2 {
                world.offer();
                world.wait();
            }
            world.run_all();
            world.say(world.tasks()[0], Signal::Stuck { timed_out: true });
        }
        Work::ExecutorGone => world.executors_end(),
        Work::HeldRunning | Work::HeldPending => world.restore(),
    }
    let live = world.tasks();
    world.killed();
    (world, runs, live)
}

/// One operation, on work in one state, perhaps with a restart of the scheduler behind it.
fn play(work: Work, operation: Operation, ends: &[RunState], restarts: bool) {
    let (mut world, runs, live) = world(work);
    operation.apply(&mut world);
    kills_are_as_asked(&mut world, work, operation, &live);
    if restarts {
        world.restart();
    }
    world.settle();
    world.stored_is_known();
    assert_eq!(runs.len(), ends.len());
    for (run, end) in runs.iter().zip(ends) {
        let past = world.past_run(*run).expect("each run is over");
        assert_eq!(past.state, *end, "{:?}", past.reason);
        let was_cancelled = matches!(work, Work::Killing | Work::Stopping);
        if *end == RunState::Cancelled && !was_cancelled {
            assert_eq!(past.reason.as_deref(), Some(operation.reason()));
        }
    }
    match (world.trigger("j"), operation.trigger_is_refused()) {
        (Err(rejected), Some(wanted)) => assert_eq!(rejected, wanted),
        (Ok(_), None) => world.settle(),
        (reply, wanted) => panic!("a trigger is {reply:?} and not {wanted:?}"),
    }
    nothing_is_left(&mut world);
}

/// What lives is told to end at once where that was asked for, and nowhere else.
fn kills_are_as_asked(world: &mut Cluster, work: Work, operation: Operation, live: &[TaskId]) {
    let killed = world.killed();
    let is_asked = operation.column() >= 2;
    let is_told_already = matches!(work, Work::Killing | Work::Stopping | Work::HeldRunning);
    if !is_asked {
        assert!(killed.is_empty(), "nobody asked for that");
    } else if !is_told_already && work != Work::ExecutorClosed {
        assert!(live.iter().all(|task| killed.contains(task)), "{killed:?} of {live:?}");
    }
    if world.is_held() {
        assert!(killed.is_empty(), "no order leaves while the store is held");
    }
}

/// When both apps are deleted, what is stored is what a new scheduler stores, but for history.
fn nothing_is_left(world: &mut Cluster) {
    for name in ["a", "b"] {
        let name = name.parse().unwrap();
        let reply = world.ask(Command::DeleteApp { name, expect: Expect::Anything });
        assert!(matches!(reply, Ok(_) | Err(Rejected::NotFound { .. })), "{reply:?}");
    }
    world.settle();
    world.stored_is_known();
    let marks = |key: &String| key.starts_with("m/");
    let left: Vec<_> = world.keys().into_iter().filter(|key| !marks(key)).collect();
    assert!(left.is_empty(), "it is left: {left:?}");
    world.restart();
    world.step(Event::Tick);
    world.stored_is_known();
}

#[test]
fn every_operation_on_work_in_every_state_does_what_the_table_says_and_leaves_nothing() {
    let mut faults = Vec::new();
    for (work, ends) in ENDS {
        for operation in Operation::ALL {
            for restarts in [false, true] {
                let ends = ends[operation.column()];
                let played = panic::catch_unwind(|| play(work, operation, ends, restarts));
                if played.is_err() {
                    let restart = if restarts { ", then a restart" } else { "" };
                    faults.push(format!("{work:?}: {operation:?}{restart}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// What the resident tasks of a daemon job do when somebody changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resident {
    Pending,
    Launching,
    Running,
    /// One of them ended and waits to be replaced.
    BackingOff,
    HostLost,
    ExecutorGone,
}

/// A world with a daemon job of two shards.
fn daemon_world(state: Resident) -> Cluster {
    let mut world = Cluster::new();
    world.put_app("a", &json!({}));
    world.put_app("b", &json!({}));
    world.put_job("j", "a", &daemon(&json!({})));
    if state == Resident::Pending {
        return world;
    }
    world.offer();
    assert_eq!(world.tasks().len(), 2, "both shards are launched");
    if state != Resident::Launching {
        world.run_all();
    }
    match state {
        Resident::Pending | Resident::Launching | Resident::Running => {}
        Resident::BackingOff => world.say(world.tasks()[0], Signal::CodeFailed),
        Resident::HostLost => world.lose_the_host(),
        Resident::ExecutorGone => world.executors_end(),
    }
    world
}

fn daemon(changes: &serde_json::Value) -> serde_json::Value {
    let mut document = json!({"execution": "daemon", "schedule": {"every": "1h"},
        "sharding": {"count": 2}});
    for (name, value) in changes.as_object().unwrap() {
        document[name] = value.clone();
    }
    document
}

/// One operation on a daemon job: it has its one run with all of its tasks, or none.
fn play_daemon(state: Resident, operation: Operation, restarts: bool) {
    let mut world = daemon_world(state);
    match operation {
        // These put the document anew, and it stays one of a daemon job.
        Op::UpdatePriority => world.put_job("j", "a", &daemon(&json!({"priority": 90}))),
        Op::UpdateCommand => {
            world.put_job("j", "a", &daemon(&json!({"script": {"command": "true"}})));
        }
        Op::MoveAndDeleteApp => {
            world.put_job("j", "b", &daemon(&json!({})));
            world
                .ask(Command::DeleteApp { name: "a".parse().unwrap(), expect: Expect::Anything })
                .unwrap();
        }
        Op::ReplaceJob | Op::ReplaceApp => return,
        other => other.apply(&mut world),
    }
    if restarts {
        world.restart();
    }
    world.say_what_is_unsaid();
    world.go_on();
    let count = |prefix: &str| world.keys().iter().filter(|key| key.starts_with(prefix)).count();
    let ends = matches!(
        operation,
        Op::DisableJob | Op::DisableApp | Op::KillJob | Op::KillApp | Op::DeleteJob | Op::DeleteApp
    );
    let lives = !ends;
    assert_eq!((count("r/"), count("t/")), if lives { (1, 2) } else { (0, 0) });
    nothing_is_left(&mut world);
}

#[test]
fn every_operation_on_a_daemon_job_leaves_one_run_with_all_tasks_or_nothing() {
    let states = [
        Resident::Pending,
        Resident::Launching,
        Resident::Running,
        Resident::BackingOff,
        Resident::HostLost,
        Resident::ExecutorGone,
    ];
    let mut faults = Vec::new();
    for state in states {
        for operation in Operation::ALL {
            for restarts in [false, true] {
                let played = panic::catch_unwind(|| play_daemon(state, operation, restarts));
                if played.is_err() {
                    let restart = if restarts { ", then a restart" } else { "" };
                    faults.push(format!("{state:?}: {operation:?}{restart}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

//! The shell around the core: one loop that owns it, hands it what happens, and does what it says.

use std::{fs, future::pending, sync::Arc, time::Duration};

use anyhow::Context as _;
use muster_api::{Mono, Timestamp, clock};
use muster_job::Jobs;
use muster_proto::executor::Call;
use tokio::{
    runtime::Handle,
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc::{self, OwnedPermit},
    time::sleep,
};

use crate::{
    Environment,
    core::{Effect, Event, Executor, Exit},
    link::{self, GivenUp, LinkEvent},
    tasks::Tasks,
    wire::Sender,
};

/// How the process is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By returning from `main`.
    Clean,
    /// At once with this code, because user code may still run.
    Code(u8),
}

/// Starts and ends of tasks that were not looked at. Who has more waits.
const TASK_EVENTS: usize = 1_024;
/// How many events of one kind are looked at in one turn, before it is the turn of others.
const EVENTS_A_TURN: usize = 256;

/// Between two looks at the wall clock while a resident task waits for an instant: so late it is
/// noticed at most that the clock was set.
const WALL_CLOCK_LOOK: Duration = Duration::from_secs(1);

/// Hosts tasks until the agent ends it.
pub(crate) async fn serve(
    environment: Environment,
    core: Executor,
    jobs: Arc<Jobs>,
    handlers: Handle,
) -> anyhow::Result<Ending> {
    // Scripts run in other folders and are given paths in this one.
    let sandbox =
        std::path::absolute(&environment.sandbox).context("failed to find the sandbox")?;
    fs::create_dir_all(&sandbox)
        .with_context(|| format!("failed to use the sandbox `{}`", sandbox.display()))?;
    let (events, task_events) = mpsc::channel(TASK_EVENTS);
    let hosts_jobs = core.hosts_jobs();
    let mut host = Host {
        core,
        tasks: Tasks::new(&sandbox, jobs, handlers, events),
        sender: Sender {
            framework: environment.framework.clone(),
            executor: environment.executor.clone(),
        },
        writer: None,
        inputs: Inputs {
            link: link::open(environment, hosts_jobs),
            tasks: task_events,
            terminate: signal(SignalKind::terminate()).context("failed to watch for SIGTERM")?,
        },
    };
    loop {
        let input = host.next_input().await;
        if let Some(exit) = host.take_in(input)? {
            tracing::info!(code = exit.code, abandons = exit.abandons, "executor ends");
            let clean = exit.code == 0 && !exit.abandons;
            return Ok(if clean { Ending::Clean } else { Ending::Code(exit.code) });
        }
    }
}

/// The loop and all that it owns.
struct Host {
    core: Executor,
    tasks: Tasks,
    sender: Sender,
    /// Where calls of the agent go while there is a connection.
    writer: Option<mpsc::Sender<Vec<Call>>>,
    inputs: Inputs,
}

/// Where things come from.
struct Inputs {
    link: mpsc::Receiver<LinkEvent>,
    tasks: mpsc::Receiver<Event>,
    terminate: Signal,
}

/// What the loop wakes up for.
enum Input {
    Link(Vec<LinkEvent>),
    Tasks(Vec<Event>),
    Writable(OwnedPermit<Vec<Call>>),
    Terminate,
    Wake,
}

impl Host {
    async fn next_input(&mut self) -> Input {
        let now = clock::mono();
        let writer = self.writer.as_ref().filter(|_| self.core.wants_to_write(now)).cloned();
        let wakeup = match writer {
            Some(_) => self.core.next_alarm(),
            None => self.core.next_wakeup(),
        };
        let (mut heard, mut events) = (Vec::new(), Vec::new());
        tokio::select! {
            _ = self.inputs.link.recv_many(&mut heard, EVENTS_A_TURN) => Input::Link(heard),
            _ = self.inputs.tasks.recv_many(&mut events, EVENTS_A_TURN) => Input::Tasks(events),
            permit = writable(writer) => Input::Writable(permit),
            _ = self.inputs.terminate.recv() => Input::Terminate,
            () = until(wakeup, now) => Input::Wake,
            () = until_instant(self.core.next_instant()) => Input::Wake,
        }
    }

    /// Hands an input to the core; gives how the process is to end once it is.
    fn take_in(&mut self, input: Input) -> anyhow::Result<Option<Exit>> {
        match input {
            Input::Link(events) => {
                for event in events {
                    if let Some(exit) = self.step_link(event)? {
                        return Ok(Some(exit));
                    }
                }
                Ok(None)
            }
            Input::Tasks(events) => Ok(events.into_iter().find_map(|event| self.step_task(event))),
            Input::Writable(permit) => Ok(self.step(Event::Writable, Some(permit))),
            Input::Terminate => Ok(self.terminate()),
            Input::Wake => Ok(self.step(Event::Wake, None)),
        }
    }

    /// SIGTERM. What had ended before, and was not looked at, ended by itself.
    fn terminate(&mut self) -> Option<Exit> {
        for _ in 0..TASK_EVENTS {
            let Ok(event) = self.inputs.tasks.try_recv() else { break };
            if let Some(exit) = self.step_task(event) {
                return Some(exit);
            }
        }
        self.step(Event::Terminated, None)
    }

    fn step_link(&mut self, event: LinkEvent) -> Result<Option<Exit>, GivenUp> {
        let event = match event {
            LinkEvent::Up(line) => {
                self.writer = Some(line.calls);
                self.tasks.supervised = line.supervised;
                Event::Connected
            }
            LinkEvent::Heard(event) => event,
            LinkEvent::Down => {
                self.writer = None;
                Event::Disconnected
            }
            LinkEvent::GivenUp(why) => return Err(why),
        };
        Ok(self.step(event, None))
    }

    fn step_task(&mut self, event: Event) -> Option<Exit> {
        if let Event::Ended { task, .. } = &event {
            self.tasks.ended(task);
        }
        self.step(event, None)
    }

    fn step(&mut self, event: Event, mut permit: Option<OwnedPermit<Vec<Call>>>) -> Option<Exit> {
        let step = self.core.step(clock::now(), event);
        let mut exit = None;
        for effect in step.effects {
            match effect {
                Effect::Start { task, payload } => self.tasks.start(task, *payload),
                Effect::StartCommand { task, command } => {
                    self.tasks.start_command(task, *command);
                }
                Effect::Cancel { task } => self.tasks.cancel(&task),
                Effect::Force { task } => self.tasks.force(&task),
                Effect::Send(batch) => {
                    let permit = permit.take().expect("only a permit to write asks for a batch");
                    permit.send(batch.into_iter().map(|one| self.sender.call(one)).collect());
                }
                Effect::Exit(how) => exit = Some(how),
            }
        }
        exit
    }
}

/// Waits until a batch can be handed over; for ever when there is none to hand over, or when the
/// connection is gone, which is said elsewhere.
async fn writable(writer: Option<mpsc::Sender<Vec<Call>>>) -> OwnedPermit<Vec<Call>> {
    match writer {
        Some(writer) => match writer.reserve_owned().await {
            Ok(permit) => permit,
            Err(_) => pending().await,
        },
        None => pending().await,
    }
}

async fn until(wakeup: Option<Mono>, now: Mono) {
    match wakeup {
        // A timer may ring within its last millisecond, so it is set to just after it.
        Some(at) => sleep(at.since(now) + Duration::from_millis(1)).await,
        None => pending().await,
    }
}

/// Waits until the wall clock shows an instant, or may have been set so that it does.
async fn until_instant(instant: Option<Timestamp>) {
    match instant {
        Some(at) => sleep(at.since(clock::wall()).min(WALL_CLOCK_LOOK)).await,
        None => pending().await,
    }
}

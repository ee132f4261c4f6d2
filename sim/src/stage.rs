//! What all parts of the world share: time, chance, what is under way, the log, and what the
//! oracles know.

use std::collections::BTreeMap;

use muster_agent::{core as agent, supervise};
use muster_api::{IdStream, Mono, Now, Timestamp};
use muster_engine::event::{CommandReply, RequestId};
use muster_proto::{ExecutorId, TaskId};

use crate::{
    faults::Bug,
    network::{Network, Packet, Side, WireId},
    oracles::{Truth, Violation},
    report::Log,
};

/// When the world begins, on the wall clock: 2026-01-01T00:00:00Z.
const WORLD_BEGINS: i64 = 1_767_225_600_000;
/// The purpose of the stream that all choices of the world come from.
const CHOICES: u64 = 0x73_696d;
/// Things that may happen at one instant. More is a core that asks to be woken without end.
const CROWD: u64 = 20_000;

/// Everything that can happen in the world.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "moved a few times, and soon gone")]
pub(crate) enum Happening {
    /// A packet comes out of a wire.
    Arrives { wire: WireId, to: Side, packet: Packet },
    /// The process of the scheduler starts.
    SchedulerStarts,
    /// The scheduler's commit has reached the disk.
    SchedulerCommits { process: u64 },
    /// The time has come that the scheduler asked to be woken at.
    SchedulerWakes,
    /// The process of an agent starts.
    AgentStarts { host: usize },
    /// An agent dials its master.
    AgentDials { host: usize, process: u64 },
    /// A handshake has had its time.
    HandshakeOver { host: usize, process: u64, connection: agent::Connection },
    /// The time has come that an agent asked to be woken at.
    AgentWakes { host: usize },
    /// Something of its host reaches an agent.
    AgentHears { host: usize, process: u64, event: agent::Event },
    /// The process of a supervisor begins.
    SupervisorBegins { host: usize, executor: ExecutorId },
    /// An agent looks for the supervisor of an executor from before its start.
    SupervisorSought { host: usize, process: u64, executor: ExecutorId },
    /// Something reaches a supervisor.
    SupervisorHears { host: usize, executor: ExecutorId, event: supervise::Event },
    /// The time has come that a supervisor asked to be woken at.
    SupervisorWakes { host: usize, executor: ExecutorId },
    /// An executor dials its agent.
    ExecutorDials { host: usize, executor: ExecutorId },
    /// The time has come that an executor asked to be woken at.
    ExecutorWakes { host: usize, executor: ExecutorId },
    /// User code of a task begins to run.
    CodeBegins { host: usize, executor: ExecutorId, task: TaskId },
    /// User code of a task comes to its end.
    CodeEnds { host: usize, executor: ExecutorId, task: TaskId },
    /// Users do the next thing that they planned.
    UsersAct,
    /// A user reads an answer.
    UserHears { request: RequestId, reply: CommandReply },
    /// A user sends again what was not answered.
    UserAsksAgain { request: RequestId },
    /// Some fault happens.
    FaultStrikes,
    /// Faults are over, and users have nothing new: everything must come to rest.
    CalmBegins,
}

/// A place in the order of happenings: milliseconds of the world, then order of planning.
pub(crate) type Slot = (u64, u64);

/// What all parts of the world share.
#[derive(Debug)]
pub(crate) struct Stage {
    time: u64,
    chance: IdStream,
    due: BTreeMap<Slot, Happening>,
    planned: u64,
    crowd: u64,
    pub(crate) network: Network,
    pub(crate) log: Log,
    pub(crate) truth: Truth,
    /// The bug that is planted into this world, to prove that an oracle finds it.
    pub(crate) bug: Option<Bug>,
    /// Faults are over, and users have nothing new.
    pub(crate) calm: bool,
    violation: Option<Violation>,
}

impl Stage {
    pub(crate) fn new(seed: u64, bug: Option<Bug>, log: Log) -> Self {
        Self {
            time: 0,
            chance: IdStream::new(seed, CHOICES),
            due: BTreeMap::new(),
            planned: 0,
            crowd: 0,
            network: Network::default(),
            log,
            truth: Truth::default(),
            bug,
            calm: false,
            violation: None,
        }
    }

    /// Milliseconds since the world began.
    pub(crate) fn time(&self) -> u64 {
        self.time
    }

    /// Plans something for `delay` milliseconds from now.
    pub(crate) fn after(&mut self, delay: u64, happening: Happening) -> Slot {
        self.at(self.time + delay, happening)
    }

    /// Plans something for an instant; one that is past means now.
    pub(crate) fn at(&mut self, time: u64, happening: Happening) -> Slot {
        self.planned += 1;
        let slot = (time.max(self.time), self.planned);
        self.due.insert(slot, happening);
        slot
    }

    /// Plans something so that it happens after what was planned with the same `last` before.
    pub(crate) fn in_order(&mut self, last: &mut u64, delay: u64, happening: Happening) {
        *last = (self.time + delay).max(*last);
        self.at(*last, happening);
    }

    /// Takes something back.
    pub(crate) fn cancel(&mut self, slot: Slot) {
        self.due.remove(&slot);
    }

    /// The next thing that happens; time moves on to it.
    pub(crate) fn next(&mut self) -> Option<Happening> {
        let ((time, _), happening) = self.due.pop_first()?;
        self.crowd = if time == self.time { self.crowd + 1 } else { 0 };
        self.time = time;
        if self.crowd > CROWD {
            self.judge(Err(Violation {
                oracle: "time_goes_on",
                what: format!("{CROWD} things happen at one instant, last {happening:?}"),
            }));
        }
        Some(happening)
    }

    /// Takes the verdict of an oracle; the first violation counts.
    pub(crate) fn judge(&mut self, verdict: Result<(), Violation>) {
        if let Err(violation) = verdict {
            self.violation.get_or_insert(violation);
        }
    }

    /// What was violated, if anything was.
    pub(crate) fn violation(&mut self) -> Option<Violation> {
        self.violation.take()
    }

    /// Writes a line into the log of events.
    pub(crate) fn log(&mut self, line: std::fmt::Arguments<'_>) {
        self.log.line(self.time, line);
    }

    /// Arbitrary bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.chance.bits()
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.chance.bits() % (high - low + 1)
    }

    /// True so many times out of a hundred.
    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.between(1, 100) <= chance
    }

    /// One of some values.
    pub(crate) fn one_of<T: Clone>(&mut self, values: &[T]) -> Option<T> {
        let last = u64::try_from(values.len()).ok()?.checked_sub(1)?;
        let index = self.between(0, last);
        values.get(usize::try_from(index).ok()?).cloned()
    }
}

/// The clocks of one host. Hosts were booted at different times, so that nothing works by
/// comparing the clocks of two.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    up_before: u64,
}

impl Clock {
    /// The clock of a host that was booted some time before the world began.
    pub(crate) fn new(stage: &mut Stage) -> Self {
        Self { up_before: stage.between(1_000, 1_000_000_000) }
    }

    /// The present.
    pub(crate) fn now(self, stage: &Stage) -> Now {
        let time = i64::try_from(stage.time).unwrap_or(i64::MAX);
        Now {
            wall: Timestamp::from_millis(WORLD_BEGINS.saturating_add(time)),
            mono: Mono::from_millis(stage.time + self.up_before),
        }
    }

    /// When it is in the world when this clock shows `at`.
    pub(crate) fn world_time(self, at: Mono) -> u64 {
        at.as_millis().saturating_sub(self.up_before)
    }

    /// When it is in the world when the wall clock shows `at`.
    pub(crate) fn world_time_of_wall(at: Timestamp) -> u64 {
        u64::try_from(at.as_millis() - WORLD_BEGINS).unwrap_or(0)
    }
}

/// The one planned wake-up of a core.
#[derive(Debug, Default)]
pub(crate) struct Alarm(Option<Slot>);

impl Alarm {
    /// Moves the wake-up to an instant, or takes it back.
    pub(crate) fn set(&mut self, stage: &mut Stage, at: Option<u64>, happening: Happening) {
        if let Some(slot) = self.0.take() {
            stage.cancel(slot);
        }
        self.0 = at.map(|at| stage.at(at, happening));
    }

    /// Takes the wake-up back.
    pub(crate) fn clear(&mut self, stage: &mut Stage) {
        if let Some(slot) = self.0.take() {
            stage.cancel(slot);
        }
    }
}

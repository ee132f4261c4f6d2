//! What all parts of the world share: time, chance, what is under way, the log, and what the
//! oracles know.

use std::collections::BTreeMap;

use muster_api::IdStream;

use crate::{
    bugs::Bug,
    frozen::{Frozen, Who},
    happening::Happening,
    network::Network,
    oracles::{Truth, Violation},
    report::Log,
};

/// The purpose of the stream that all choices of the world come from.
const CHOICES: u64 = 0x73_696d;
/// Things that may happen at one instant. More is a core that asks to be woken without end.
const CROWD: u64 = 20_000;
/// Where the order of what is planned begins. Before it is what happens before all else at its
/// instant.
const PLANNED: u64 = 1 << 32;

/// A place in the order of happenings: milliseconds of the world, then order of planning.
pub(crate) type Slot = (u64, u64);

/// What all parts of the world share.
#[derive(Debug)]
pub(crate) struct Stage {
    time: u64,
    chance: IdStream,
    due: BTreeMap<Slot, Happening>,
    planned: u64,
    at_once: u64,
    crowd: u64,
    pub(crate) frozen: Frozen,
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
            planned: PLANNED,
            at_once: 0,
            crowd: 0,
            frozen: Frozen::default(),
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

    /// Plans something for now, before all else that is planned for now.
    pub(crate) fn at_once(&mut self, happening: Happening) {
        self.at_once += 1;
        self.due.insert((self.time, self.at_once), happening);
    }

    /// Stops a process, or a whole host, for a while: what is meant for it waits.
    pub(crate) fn freeze(&mut self, who: Who, until: u64) -> bool {
        let Some(freeze) = self.frozen.freeze(who.clone()) else { return false };
        self.at(until, Happening::Thaws { who, freeze });
        true
    }

    /// A process goes on, or is dead: what waits for it comes at once, in the order in which it
    /// came. Whether a timer rings before or after that is open, but for supervisors, which look at
    /// the clock last (`agent/src/supervise/process.rs`).
    pub(crate) fn thaw(&mut self, who: &Who) {
        let Some(backlog) = self.frozen.thaw(who) else { return };
        self.log(format_args!("{who} goes on"));
        let timers_last = self.percent(50);
        let is_late = |happening: &Happening| match happening {
            Happening::SupervisorWakes { .. } => true,
            Happening::SchedulerWakes
            | Happening::MasterWakes
            | Happening::AgentWakes { .. }
            | Happening::ExecutorWakes { .. } => timers_last,
            _ => false,
        };
        let (late, early): (Vec<_>, Vec<_>) = backlog.into_iter().partition(is_late);
        early.into_iter().chain(late).for_each(|happening| self.at_once(happening));
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
        self.truth.time = time;
        if self.crowd > CROWD {
            self.judge(Err(Violation {
                oracle: "time_goes_on",
                what: format!("{CROWD} things happen at one instant, last {happening:?}"),
            }));
        }
        self.log.step += 1;
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

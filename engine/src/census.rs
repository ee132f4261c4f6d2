//! How much there is of everything, for those who watch: numbers only, so that any number of jobs is
//! the same few of them.

use crate::{records::ExecutorState, task::Phase, world::World};

/// How much there is of everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    /// Whether this is a restored store that is held, or was a moment ago.
    pub held: bool,
    /// Runs that wait with some of their shards.
    pub waiting: WaitingCounts,
    /// Tasks that are not over.
    pub tasks: TaskCounts,
    /// Executors that are not gone, or of whose tasks not all is said.
    pub executors: ExecutorCounts,
    /// Offers that are at hand.
    pub offers: u64,
    /// Hosts that are held for a run that others overtook for too long.
    pub hosts_held: u64,
    /// Tasks that are over and live, and are being killed.
    pub zombies: u64,
}

/// Runs that wait, by what for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WaitingCounts {
    /// For room, a limit or a host that is what they ask for.
    pub room: u64,
    /// For the former run of their job.
    pub former_run: u64,
    /// For the end of a back-off.
    pub back_off: u64,
}

/// Tasks by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskCounts {
    /// On the way to their executors.
    pub launching: u64,
    /// Their code runs.
    pub running: u64,
    /// Told to end.
    pub killing: u64,
}

/// Executors by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExecutorCounts {
    /// Nothing was heard of them yet.
    pub starting: u64,
    /// Something was.
    pub alive: u64,
    /// A task there does not end.
    pub closed: u64,
    /// Told to end.
    pub stopping: u64,
    /// Ended, and what became of some of their tasks is not said yet.
    pub gone: u64,
}

/// Counts.
pub(crate) fn of(world: &World) -> Census {
    Census {
        held: world.held().is_some(),
        waiting: waiting(world),
        tasks: tasks(world),
        executors: executors(world),
        offers: world.offers.len() as u64,
        hosts_held: world.blocker.holding().map_or(0, |holding| holding.rooms.len()) as u64,
        zombies: world.zombies.len() as u64,
    }
}

/// A run waits for the former one of its job, or stands in the queue for room, or backs off. That is
/// known without looking at a million of them.
fn waiting(world: &World) -> WaitingCounts {
    let room = world.queue.len();
    let former_run = world.runs.len() - world.lanes.len();
    let back_off = world.waiting.len().saturating_sub(room + former_run) as u64;
    WaitingCounts { room: room as u64, former_run: former_run as u64, back_off }
}

fn tasks(world: &World) -> TaskCounts {
    let mut counts = TaskCounts::default();
    for (_, task) in world.tasks.iter() {
        *match task.phase {
            Phase::Launching => &mut counts.launching,
            Phase::Running => &mut counts.running,
            Phase::Killing(_) => &mut counts.killing,
        } += 1;
    }
    counts
}

fn executors(world: &World) -> ExecutorCounts {
    let mut counts = ExecutorCounts::default();
    for (_, executor) in world.executors.iter() {
        *match executor.record.state {
            ExecutorState::Starting => &mut counts.starting,
            ExecutorState::Alive => &mut counts.alive,
            ExecutorState::Closed => &mut counts.closed,
            ExecutorState::Stopping => &mut counts.stopping,
            ExecutorState::Gone => &mut counts.gone,
        } += 1;
    }
    counts
}

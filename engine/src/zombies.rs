//! Tasks that are over and live: of an older epoch, or never known here. What they say changes
//! nothing; they are ended, again and again until they have, and counted.

use muster_api::{AgentId, Mono, Span, TaskId, limits};

use crate::{
    cx::Cx,
    effect::{Effect, Note},
    event::{Signal, TaskUpdate},
    trace,
    world::Timer,
};

/// A task that is over and lives. Memory only: a scheduler that starts again meets it again.
#[derive(Debug)]
pub(crate) struct Zombie {
    agent: AgentId,
    /// How often it was told to end, which paces the next time.
    kills: u32,
    /// When it is told again.
    next: Mono,
}

/// Takes in what is said of a task that is not known.
pub(crate) fn heard(cx: &mut Cx<'_>, update: &TaskUpdate) {
    match update.signal {
        Signal::Starting | Signal::Running | Signal::Killing | Signal::Stuck { .. } => {
            lives(cx, update);
        }
        // Of one that perhaps lives is heard again if it does.
        Signal::PerhapsAlive
        | Signal::Unreachable
        | Signal::Finished
        | Signal::CodeFailed
        | Signal::TimedOut
        | Signal::CannotStart
        | Signal::NoContainer
        | Signal::Killed
        | Signal::NeverStarted
        | Signal::Died
        | Signal::DiedWithExecutor
        | Signal::Neighbour
        | Signal::Fenced
        | Signal::Invalid => {
            cx.world.zombies.remove(&update.task);
        }
    }
}

fn lives(cx: &mut Cx<'_>, update: &TaskUpdate) {
    let Some(agent) = update.agent.clone() else { return };
    if cx.world.zombies.contains_key(&update.task) {
        return;
    }
    cx.note(Note::Zombie { task: update.task });
    trace::zombie(cx, update);
    if cx.world.zombies.len() < limits::ZOMBIES {
        let zombie = Zombie { agent, kills: 0, next: cx.now.mono };
        cx.world.zombies.insert(update.task, zombie);
        kill_again(cx, update.task);
    } else {
        cx.effect(Effect::Kill { task: update.task, agent, grace: Span::ZERO });
    }
}

/// Tells every zombie to end, as if for the first time: what was told before never left.
pub(crate) fn kill_all(cx: &mut Cx<'_>) {
    let zombies: Vec<TaskId> = cx.world.zombies.keys().copied().collect();
    for id in zombies {
        if let Some(zombie) = cx.world.zombies.get_mut(&id) {
            (zombie.kills, zombie.next) = (0, cx.now.mono);
        }
        kill_again(cx, id);
    }
}

/// Repeats the order to end a zombie, at the pace of other kills. One on a silent host is forgotten:
/// the host tells of it again if it comes back.
pub(crate) fn kill_again(cx: &mut Cx<'_>, id: TaskId) {
    let now = cx.now.mono;
    let Some(zombie) = cx.world.zombies.get_mut(&id).filter(|zombie| zombie.next <= now) else {
        return;
    };
    let agent = cx.world.agents.get(&zombie.agent);
    if zombie.kills > 0 && agent.is_some_and(|agent| agent.silent_since.is_some()) {
        cx.world.zombies.remove(&id);
        return;
    }
    let wait = limits::KILL_REPEAT_FIRST.saturating_mul(1 << zombie.kills.min(16));
    zombie.kills += 1;
    zombie.next = now + wait.min(limits::KILL_REPEAT_MAX);
    let (agent, next) = (zombie.agent.clone(), zombie.next);
    cx.effect(Effect::Kill { task: id, agent, grace: Span::ZERO });
    cx.world.wake_at(next, Timer::KillZombie(id));
}

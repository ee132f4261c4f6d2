//! Asking the master for the truth about tasks, however it came that somebody had it wrong.
//!
//! A round asks about every task that is not over, a bounded number a step, and then has the master
//! name all that it knows: what is over for us and lives is ended then. A task of which nothing
//! was said since it was asked about is asked about again, less and less often: its agent may be on
//! its way back. A round begins with each subscription, every 15 minutes, and on request. Those every
//! 15 minutes have another master make offers too, which name the executors that live. Nothing of it
//! is stored, and where nothing is wrong it changes nothing.

use std::{collections::BTreeSet, ops::Bound, time::Duration};

use muster_api::{AgentId, Mono, TaskId, limits};

use crate::{
    cx::Cx,
    effect::Effect,
    event::{Accepted, CommandReply},
    sharing,
    world::Timer,
};

/// What is being asked, and what was not answered.
#[derive(Debug, Default)]
pub(crate) struct Reconciliation {
    /// Whether there is anybody to ask.
    subscribed: bool,
    /// The questions that are being asked, a part of them with each step.
    pass: Option<Pass>,
    /// Tasks that were asked about, and of which nothing was said since.
    open: BTreeSet<TaskId>,
    /// When those are asked about again.
    again_at: Option<Mono>,
    /// How long they had to be answered.
    patience: Duration,
    /// When the next round begins.
    round_at: Mono,
    /// When the timer of all this is set for.
    wakes_at: Option<Mono>,
}

/// A way through many tasks.
#[derive(Debug, Clone, Copy)]
struct Pass {
    whom: Whom,
    /// The last one that was asked about.
    after: Option<TaskId>,
}

/// Which tasks are asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whom {
    /// All that are not over.
    All,
    /// Those that were asked about before, and of which nothing was said since.
    Unanswered,
}

impl Reconciliation {
    /// Whether there is a master that hears us.
    pub(crate) fn is_subscribed(&self) -> bool {
        self.subscribed
    }

    /// Something was said of a task.
    pub(crate) fn heard(&mut self, task: &TaskId) {
        self.open.remove(task);
    }

    /// Whether the master has still to say what it knows of a task, since it was asked last.
    pub(crate) fn is_open(&self, task: &TaskId) -> bool {
        let is_ahead = |pass: Pass| {
            pass.whom == Whom::All && pass.after.as_ref().is_none_or(|after| after < task)
        };
        self.open.contains(task) || self.pass.is_some_and(is_ahead)
    }

    fn begin(&mut self, now: Mono) {
        self.pass = Some(Pass { whom: Whom::All, after: None });
        self.open.clear();
        self.again_at = None;
        self.patience = limits::RECONCILE_AGAIN_FIRST;
        self.round_at = now + limits::RECONCILE_EVERY;
    }

    /// Ends a way through tasks; those that are left are asked about again some time.
    fn end(&mut self, pass: Pass, now: Mono) {
        self.pass = None;
        if pass.whom == Whom::Unanswered {
            self.patience = (self.patience * 2).min(limits::RECONCILE_AGAIN_MAX);
        }
        self.again_at = (!self.open.is_empty()).then(|| now + self.patience);
    }

    fn due(&self, now: Mono) -> Mono {
        match self.pass {
            Some(_) => now + limits::RECONCILE_PAUSE,
            None => self.again_at.map_or(self.round_at, |again| again.min(self.round_at)),
        }
    }
}

/// There is a master to ask, and it may be another one than before.
pub(crate) fn subscribed(cx: &mut Cx<'_>) {
    cx.world.reconcile.subscribed = true;
    cx.world.reconcile.begin(cx.now.mono);
    go_on(cx);
}

/// There is nobody to ask.
pub(crate) fn unsubscribed(cx: &mut Cx<'_>) {
    cx.world.reconcile.subscribed = false;
}

/// Begins a round because somebody wants it, unless one is on its way through all tasks. Without a
/// subscription the next one begins it.
pub(crate) fn request(cx: &mut Cx<'_>) -> CommandReply {
    let goes_on = cx.world.reconcile.pass.is_some_and(|pass| pass.whom == Whom::All);
    if cx.world.reconcile.subscribed && !goes_on {
        cx.world.reconcile.begin(cx.now.mono);
        go_on(cx);
    }
    Ok(Accepted::Reconciling { tasks: cx.world.tasks.len() as u64 })
}

/// Does what is due.
pub(crate) fn go_on(cx: &mut Cx<'_>) {
    let now = cx.now.mono;
    let state = &mut cx.world.reconcile;
    if !state.subscribed {
        return;
    }
    if state.pass.is_none() && state.round_at <= now {
        state.begin(now);
        sharing::look_around(cx);
    } else if state.pass.is_none() && state.again_at.is_some_and(|at| at <= now) {
        state.pass = Some(Pass { whom: Whom::Unanswered, after: None });
    }
    if let Some(pass) = cx.world.reconcile.pass {
        ask(cx, pass);
    }
    let state = &mut cx.world.reconcile;
    let due = state.due(now);
    if let Some(before) = state.wakes_at.replace(due) {
        cx.world.timers.remove(&(before, Timer::Reconcile));
    }
    cx.world.wake_at(due, Timer::Reconcile);
}

/// Asks about the next tasks of a way, and after the last of all has the master name what it knows.
fn ask(cx: &mut Cx<'_>, pass: Pass) {
    let from = (pass.after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
    let (tasks, state) = (&cx.world.tasks, &mut cx.world.reconcile);
    let next: Vec<TaskId> = match pass.whom {
        Whom::All => {
            tasks.range(from).take(limits::RECONCILE_TASKS).map(|(task, _)| *task).collect()
        }
        Whom::Unanswered => state.open.range(from).take(limits::RECONCILE_TASKS).copied().collect(),
    };
    let mut asked: Vec<(TaskId, AgentId)> = Vec::with_capacity(next.len());
    for id in &next {
        // One that is over by now has nothing to say any more.
        let Some(task) = tasks.get(id) else {
            state.open.remove(id);
            continue;
        };
        state.open.insert(*id);
        asked.push((*id, task.agent.clone()));
    }
    let is_last = next.len() < limits::RECONCILE_TASKS;
    if is_last {
        state.end(pass, cx.now.mono);
    } else {
        state.pass = Some(Pass { after: next.last().copied(), ..pass });
    }
    if !asked.is_empty() {
        cx.effect(Effect::Reconcile { tasks: asked });
    }
    if is_last && pass.whom == Whom::All {
        cx.effect(Effect::Reconcile { tasks: Vec::new() });
    }
}

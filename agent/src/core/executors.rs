//! The life of an executor on this host: fetched, started, waited for.

use std::{collections::BTreeSet, time::Duration};

use muster_api::{Mono, Now, limits};
use muster_proto::{ExecutorInfo, FrameworkInfo};

use super::{
    Agent, Connection, Container, Effect, Ending, ExecutorKey, Kind, KnownExecutor, Note, Session,
    Step, TaskKey, Write, early::Early, origin::Origin,
};
use crate::supervise::{Exit, Why};

/// An executor that is not known to be dead.
#[derive(Debug)]
pub(super) struct Executor {
    pub(super) framework: FrameworkInfo,
    pub(super) info: ExecutorInfo,
    pub(super) origin: Origin,
    pub(super) phase: Phase,
    /// Its process, once that is known.
    pub(super) pid: Option<u32>,
    pub(super) standing: Standing,
    /// Whether it may have been given a task.
    pub(super) is_used: bool,
    /// The stream on which it is subscribed.
    pub(super) session: Option<Session>,
    /// The end of its lease as its supervisor was last told.
    pub(super) deadline: Option<Mono>,
    /// Why it is made to end; nothing is launched there any more.
    pub(super) cause: Option<Cause>,
    /// Whether some task of it did not end when it had to, for which it ends sooner or later.
    pub(super) stuck: bool,
    /// Whether it has said that it was sent SIGTERM, and ends for that.
    pub(super) terminated: bool,
    /// A subscription that came before its supervisor had said which process it is.
    pub(super) early: Option<Early>,
    /// When an executor that was told to shut down is ended by force.
    pub(super) force_at: Option<Mono>,
    /// By when it must have subscribed.
    pub(super) absent: Option<Absence>,
    /// The connection on which it was first asked for; `None` from before a restart.
    pub(super) born: Option<Connection>,
    /// Its tasks that are not over.
    pub(super) tasks: BTreeSet<TaskKey>,
}

/// How far the start or end of an executor has come.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Phase {
    /// Its sandbox is being filled.
    Fetching,
    /// Its supervisor is being started.
    Starting,
    /// It is from before the agent's restart, and its supervisor has not answered yet.
    Attaching,
    /// Its process has been started.
    Running,
    /// It is gone; its stream may still hold reports.
    Gone { exit: Exit, finish_by: Mono },
}

/// Whether an executor has said who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It was started by this process of the agent, and has not subscribed.
    New,
    /// It is from before the agent's restart, and has not subscribed since.
    Restored,
    /// It has subscribed; its stream may have ended since.
    Subscribed,
}

/// An executor without a stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Absence {
    until: Mono,
    /// Whether it was subscribed before, or from before a restart.
    again: bool,
}

/// Why the agent ends an executor.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cause {
    /// The master wants it.
    Shutdown,
    /// It never subscribed.
    NotRegistered,
    /// It did not subscribe again.
    NotReregistered,
    /// It could not be started.
    LaunchFailed(String),
    /// Its lease was over before it was started.
    Lapsed,
    /// It did not end a task that it was told to end.
    Unresponsive,
    /// All of its tasks were killed before it was given one.
    Unused,
    /// The agent was restarted, and its framework does not want it to go on.
    NotRecovered,
}

impl Executor {
    pub(super) fn new(framework: FrameworkInfo, info: ExecutorInfo, origin: Origin) -> Self {
        Self {
            framework,
            info,
            origin,
            phase: Phase::Fetching,
            pid: None,
            standing: Standing::New,
            is_used: false,
            session: None,
            deadline: None,
            cause: None,
            stuck: false,
            terminated: false,
            early: None,
            force_at: None,
            absent: None,
            born: None,
            tasks: BTreeSet::new(),
        }
    }

    /// One that the journal knows.
    pub(super) fn known(known: KnownExecutor) -> Self {
        let launcher = known.launcher();
        let KnownExecutor { framework, info, stuck, is_made_here, .. } = known;
        let (framework, info) = (framework.unwrap_or_default(), info.unwrap_or_default());
        let origin = if is_made_here { Origin::Command } else { Origin::of(launcher, &info) };
        let (phase, standing) = (Phase::Attaching, Standing::Restored);
        // Nobody wrote down whether it was given any of its tasks.
        Self { phase, standing, stuck, is_used: true, ..Self::new(framework, info, origin) }
    }

    /// What it is known by to its framework.
    pub(super) fn key(&self) -> ExecutorKey {
        ExecutorKey {
            framework: self.framework.id.clone().unwrap_or_default(),
            executor: self.info.executor_id.clone().unwrap_or_default(),
        }
    }

    /// Whether nothing may be launched there any more.
    pub(super) fn is_ending(&self) -> bool {
        self.cause.is_some() || matches!(self.phase, Phase::Gone { .. })
    }

    /// Has it wait for its first subscription, so long.
    pub(super) fn await_first_subscription(&mut self, now: Now, patience: Duration) {
        self.absent = Some(Absence { until: now.mono + patience, again: false });
    }

    /// Has it wait for another subscription, so long.
    pub(super) fn await_another_subscription(&mut self, now: Now, patience: Duration) {
        self.absent = Some(Absence { until: now.mono + patience, again: true });
    }

    /// From being told to shut down to being killed.
    pub(super) fn shutdown_grace(&self) -> Duration {
        let grace = self.info.shutdown_grace_period.map(crate::wire::duration);
        grace.unwrap_or(limits::EXECUTOR_SHUTDOWN_GRACE)
    }

    fn has_supervisor(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Attaching | Phase::Running)
    }

    fn wakeup(&self) -> Option<Mono> {
        let absent = self.absent.map(|absence| absence.until);
        let finish = match &self.phase {
            Phase::Gone { finish_by, .. } => Some(*finish_by),
            _ => None,
        };
        [absent, self.force_at, finish, self.early_until()].into_iter().flatten().min()
    }
}

impl Agent {
    /// Moves the end of each lease, counted from when the answered heartbeat was sent. A lease
    /// that has ended is over for good: this agent was frozen, and others count on it.
    pub(super) fn extend_leases(&mut self, now: Mono, sent: Mono, step: &mut Step) {
        for (container, executor) in &mut self.executors {
            let Some(lease) = executor.origin.lease(&executor.info) else { continue };
            let at = sent + lease;
            if executor.deadline.is_some_and(|deadline| deadline >= at || deadline <= now) {
                continue;
            }
            executor.deadline = Some(at);
            if executor.has_supervisor() {
                step.effects.push(Effect::SetDeadline {
                    container: container.clone(),
                    at,
                    said: now,
                });
            }
        }
    }

    /// The sandbox is filled: start the process, unless it is too late for that.
    pub(super) fn fetched(
        &mut self,
        now: Now,
        container: &Container,
        outcome: Result<(), String>,
        step: &mut Step,
    ) {
        let Some(executor) = self.executors.get_mut(container) else { return };
        if executor.phase != Phase::Fetching {
            return;
        }
        if let Err(message) = outcome {
            executor.cause = Some(Cause::LaunchFailed(message));
        } else if executor.deadline.is_some_and(|deadline| deadline <= now.mono) {
            executor.cause.get_or_insert(Cause::Lapsed);
        }
        if executor.cause.is_some() {
            let exit = Exit::unknown(Why::NeverStarted);
            return self.finish(now, container, &exit, step);
        }
        executor.phase = Phase::Starting;
        step.effects.push(Effect::Start {
            container: container.clone(),
            framework: Box::new(executor.framework.clone()),
            info: Box::new(executor.info.clone()),
            deadline: executor.deadline,
            origin: executor.origin,
        });
    }

    /// The supervisor answers.
    pub(super) fn started(&mut self, now: Now, container: &Container, pid: u32, step: &mut Step) {
        // What it runs may run elsewhere already, if this agent was declared gone.
        let is_leaving = self.is_leaving();
        let patience = self.config.executor_registration;
        let Some(executor) = self.executors.get_mut(container) else { return };
        match executor.phase {
            Phase::Starting if executor.session.is_none() && executor.cause.is_none() => {
                executor.await_first_subscription(now, patience);
            }
            Phase::Starting | Phase::Attaching => {}
            Phase::Fetching | Phase::Running | Phase::Gone { .. } => return,
        }
        executor.phase = Phase::Running;
        executor.pid = Some(pid);
        if executor.cause.is_some() && executor.force_at.is_none() {
            executor.absent = None;
            let at_once = is_leaving || executor.cause == Some(Cause::NotRecovered);
            let grace = if at_once { Duration::ZERO } else { limits::EXECUTOR_SHUTDOWN_GRACE };
            step.effects.push(Effect::End { container: container.clone(), grace });
        }
        self.end_early(now, container, step);
    }

    /// Ends executors that are overdue, and settles those that have said their last.
    pub(super) fn tick_executors(&mut self, now: Now, step: &mut Step) {
        let due = |executor: &Executor| executor.wakeup().is_some_and(|at| at <= now.mono);
        let all = self.executors.iter().filter(|(_, executor)| due(executor));
        let containers: Vec<_> = all.map(|(container, _)| container.clone()).collect();
        for container in containers {
            let Some(executor) = self.executors.get_mut(&container) else { continue };
            if executor.early_until().is_some_and(|until| until <= now.mono) {
                self.end_early(now, &container, step);
            } else if let Phase::Gone { exit, .. } = &executor.phase {
                let exit = exit.clone();
                self.finish(now, &container, &exit, step);
            } else if let Some(absence) = executor.absent.take_if(|a| a.until <= now.mono) {
                let again = absence.again;
                executor.cause =
                    Some(if again { Cause::NotReregistered } else { Cause::NotRegistered });
                step.writes.push(Write::Entry(Kind::Ending(Ending::of(&container)).into()));
                step.notes.push(Note::NotSubscribed { executor: executor.key() });
                let grace = executor.origin.grace_when_overdue();
                step.effects.push(Effect::End { container, grace });
            } else if executor.force_at.take_if(|at| *at <= now.mono).is_some() {
                step.effects.push(Effect::End { container, grace: Duration::ZERO });
            }
        }
    }

    pub(super) fn executors_wakeup(&self) -> Option<Mono> {
        self.executors.values().filter_map(Executor::wakeup).min()
    }
}

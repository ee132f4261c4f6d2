//! The life of an executor on this host: fetched, started, subscribed, ended.

use std::{collections::BTreeSet, time::Duration};

use muster_api::{Mono, Now, limits, task::LABEL_FENCED};
use muster_proto::{
    ExecutorId, ExecutorInfo, FrameworkInfo, Labels, Reason, TaskState, agent::ExecutorExited,
};

use super::{
    Agent, Connection, Effect, Ending, Exited, Kind, Note, Session, Step, TaskKey, Write,
    launch::lease_of, statuses::Verdict,
};
use crate::supervise::{Exit, Why};

/// How long the stream of a dead executor may take to give up its last reports. Its process is
/// gone, so what it sent is in this host's buffers.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// An executor that is not known to be dead.
#[derive(Debug)]
pub(super) struct Executor {
    pub(super) framework: FrameworkInfo,
    pub(super) info: ExecutorInfo,
    pub(super) phase: Phase,
    /// The stream on which it is subscribed.
    pub(super) session: Option<Session>,
    /// The end of its lease as its supervisor was last told.
    pub(super) deadline: Option<Mono>,
    /// Why it is made to end; nothing is launched there any more.
    pub(super) cause: Option<Cause>,
    /// Whether some task of it did not end when it had to, for which it ends sooner or later.
    pub(super) stuck: bool,
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
}

impl Executor {
    pub(super) fn new(framework: FrameworkInfo, info: ExecutorInfo, phase: Phase) -> Self {
        Self {
            framework,
            info,
            phase,
            session: None,
            deadline: None,
            cause: None,
            stuck: false,
            force_at: None,
            absent: None,
            born: None,
            tasks: BTreeSet::new(),
        }
    }

    /// Whether nothing may be launched there any more.
    pub(super) fn is_ending(&self) -> bool {
        self.cause.is_some() || matches!(self.phase, Phase::Gone { .. })
    }

    /// Has it wait for a subscription: for the first one, or for another one.
    pub(super) fn await_subscription(&mut self, now: Now, again: bool) {
        let patience =
            if again { limits::EXECUTOR_REREGISTRATION } else { limits::EXECUTOR_REGISTRATION };
        self.absent = Some(Absence { until: now.mono + patience, again });
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
        [absent, self.force_at, finish].into_iter().flatten().min()
    }

    /// What its unfinished tasks come to, now that it is gone.
    fn verdict(&self, exit: &Exit) -> Verdict {
        use {Reason as R, TaskState as S};
        match (&self.cause, exit.why) {
            (Some(Cause::LaunchFailed(why)), _) => {
                Verdict::new(S::Failed, R::ContainerLaunchFailed, why.clone())
            }
            (Some(Cause::Lapsed), _) => {
                let words = "the lease of its executor ended before it was started";
                Verdict::new(S::Dropped, R::AgentRestarted, words)
            }
            (_, Why::NeverStarted) => {
                let words = "its executor had not been started";
                Verdict::new(S::Dropped, R::AgentRestarted, words)
            }
            (_, Why::Unstartable) => {
                Verdict::new(S::Failed, R::ContainerLaunchFailed, exit.describe())
            }
            (_, Why::Deadline) => {
                let words = "the lease of its executor has ended";
                let labels = Some(Labels::of([(LABEL_FENCED, "true")]));
                Verdict { labels, ..Verdict::new(S::Gone, R::ExecutorTerminated, words) }
            }
            (Some(Cause::NotRegistered), _) => {
                let limit = limits::EXECUTOR_REGISTRATION.as_secs();
                let words = format!("its executor did not subscribe within {limit} s");
                Verdict::new(S::Failed, R::ExecutorRegistrationTimeout, words)
            }
            (Some(Cause::NotReregistered), _) => {
                let limit = limits::EXECUTOR_REREGISTRATION.as_secs();
                let words = format!("its executor did not subscribe again within {limit} s");
                Verdict::new(S::Gone, R::ExecutorReregistrationTimeout, words)
            }
            (Some(Cause::Unresponsive), _) => {
                let words = "its executor did not end a killed task in time, and was ended";
                Verdict::new(S::Failed, R::ExecutorTerminated, words)
            }
            (Some(Cause::Shutdown), _) => {
                Verdict::new(S::Failed, R::ExecutorTerminated, "its executor was shut down")
            }
            (None, Why::Exited | Why::Ended | Why::Lost) => {
                let words = format!("its executor {}", exit.describe());
                Verdict::new(S::Failed, R::ExecutorTerminated, words)
            }
        }
    }
}

impl Agent {
    /// Moves the end of each lease, counted from when the answered heartbeat was sent. A lease
    /// that has ended is over for good: this agent was frozen, and others count on it.
    pub(super) fn extend_leases(&mut self, now: Mono, sent: Mono, step: &mut Step) {
        for (id, executor) in &mut self.executors {
            let Some(lease) = lease_of(&executor.info) else { continue };
            let at = sent + lease;
            if executor.deadline.is_some_and(|deadline| deadline >= at || deadline <= now) {
                continue;
            }
            executor.deadline = Some(at);
            if executor.has_supervisor() {
                step.effects.push(Effect::SetDeadline { executor: id.clone(), at, said: now });
            }
        }
    }

    /// The sandbox is filled: start the process, unless it is too late for that.
    pub(super) fn fetched(
        &mut self,
        now: Now,
        id: &ExecutorId,
        outcome: Result<(), String>,
        step: &mut Step,
    ) {
        let Some(executor) = self.executors.get_mut(id) else { return };
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
            return self.finish(now, id, &exit, step);
        }
        executor.phase = Phase::Starting;
        step.effects.push(Effect::Start {
            framework: Box::new(executor.framework.clone()),
            info: Box::new(executor.info.clone()),
            deadline: executor.deadline,
        });
    }

    /// The supervisor answers.
    pub(super) fn started(&mut self, now: Now, id: &ExecutorId, step: &mut Step) {
        // What it runs may run elsewhere already, if this agent was declared gone.
        let grace =
            if self.is_leaving() { Duration::ZERO } else { limits::EXECUTOR_SHUTDOWN_GRACE };
        let Some(executor) = self.executors.get_mut(id) else { return };
        match executor.phase {
            Phase::Starting if executor.session.is_none() => {
                executor.await_subscription(now, false);
            }
            Phase::Starting | Phase::Attaching => {}
            Phase::Fetching | Phase::Running | Phase::Gone { .. } => return,
        }
        executor.phase = Phase::Running;
        if executor.cause.is_some() && executor.force_at.is_none() {
            executor.absent = None;
            step.effects.push(Effect::End { executor: id.clone(), grace });
        }
    }

    /// The executor and all its descendants are gone; its last reports are still taken.
    pub(super) fn exited(&mut self, now: Now, id: &ExecutorId, exit: Exit, step: &mut Step) {
        let Some(executor) = self.executors.get_mut(id) else { return };
        if matches!(executor.phase, Phase::Gone { .. }) {
            return;
        }
        if executor.session.is_some() {
            executor.absent = None;
            executor.force_at = None;
            executor.phase = Phase::Gone { exit, finish_by: now.mono + LAST_WORDS };
        } else {
            self.finish(now, id, &exit, step);
        }
    }

    /// Settles what an executor leaves behind.
    pub(super) fn finish(&mut self, now: Now, id: &ExecutorId, exit: &Exit, step: &mut Step) {
        let Some(executor) = self.executors.remove(id) else { return };
        let mut verdict = executor.verdict(exit);
        if verdict.state == TaskState::Failed {
            verdict.output.clone_from(&exit.output);
        }
        let blame = self.blame(&executor, exit);
        for key in &executor.tasks {
            let verdict = self.blamed(key, &blame, &verdict);
            self.judge(now, key, verdict, step);
        }
        let at = now.wall.as_millis();
        let exited = Exited { executor_id: Some(id.clone()), at };
        step.writes.push(Write::Entry(Kind::Exited(exited).into()));
        self.ended.insert(id.clone(), now.wall);
        if let Some(session) = executor.session {
            self.sessions.remove(&session);
            step.effects.push(Effect::CloseSession { session });
        }
        step.notes.push(Note::ExecutorEnded { executor: id.clone(), how: exit.describe() });
        let exited = ExecutorExited {
            framework_id: executor.framework.id,
            executor_id: Some(id.clone()),
            status: exit.status,
        };
        self.tell_ended(exited, step);
    }

    /// Ends executors that are overdue, and settles those that have said their last.
    pub(super) fn tick_executors(&mut self, now: Now, step: &mut Step) {
        let due = |executor: &Executor| executor.wakeup().is_some_and(|at| at <= now.mono);
        let all = self.executors.iter();
        let ids: Vec<_> = all.filter(|(_, e)| due(e)).map(|(id, _)| id.clone()).collect();
        for id in ids {
            let Some(executor) = self.executors.get_mut(&id) else { continue };
            if let Phase::Gone { exit, .. } = &executor.phase {
                let exit = exit.clone();
                self.finish(now, &id, &exit, step);
            } else if let Some(absence) = executor.absent.take_if(|a| a.until <= now.mono) {
                let again = absence.again;
                executor.cause =
                    Some(if again { Cause::NotReregistered } else { Cause::NotRegistered });
                step.writes.push(Write::Entry(Kind::Ending(Ending::of(&id)).into()));
                step.notes.push(Note::NotSubscribed { executor: id.clone() });
                let grace = limits::EXECUTOR_SHUTDOWN_GRACE;
                step.effects.push(Effect::End { executor: id, grace });
            } else if executor.force_at.take_if(|at| *at <= now.mono).is_some() {
                step.effects.push(Effect::End { executor: id, grace: Duration::ZERO });
            }
        }
    }

    pub(super) fn executors_wakeup(&self) -> Option<Mono> {
        self.executors.values().filter_map(Executor::wakeup).min()
    }
}

//! Executors that subscribe before their supervisors have said which process they are. Every report
//! is to tell that, as with Mesos, so nothing is begun with them until it is known; but a supervisor
//! that is frozen does not keep them out.

use muster_api::{Mono, Now, limits};
use muster_proto::executor::Subscribe;

use super::{
    Agent, Answer, Container, Effect, ExecutorKey, Request, Session, Step,
    executors::{Executor, Phase, Standing},
    origin::Origin,
};

/// A subscription that waits for that.
#[derive(Debug)]
pub(super) struct Early {
    /// The stream.
    pub(super) session: Session,
    /// What the executor holds.
    pub(super) subscribe: Subscribe,
    /// What its answer goes by, if it is a call of Mesos and no stream of our own kind.
    pub(super) request: Option<Request>,
    /// When it is begun with all the same.
    until: Mono,
}

impl Early {
    pub(super) fn new(
        now: Now,
        session: Session,
        subscribe: Subscribe,
        request: Option<Request>,
    ) -> Self {
        Self { session, subscribe, request, until: now.mono + limits::HANDSHAKE }
    }
}

impl Executor {
    /// Whether a subscription of it would be one. It is waited for its process no more than once.
    pub(super) fn is_early(&self) -> bool {
        let has_no_pid = matches!(self.phase, Phase::Starting | Phase::Attaching);
        let is_begun = self.standing == Standing::Subscribed;
        has_no_pid && !is_begun && self.cause.is_none() && self.origin != Origin::Ours
    }

    /// Until when its process is waited for.
    pub(super) fn early_until(&self) -> Option<Mono> {
        self.early.as_ref().map(|early| early.until)
    }
}

impl Agent {
    /// Keeps a subscription for later. A former one of the same executor is over, as it would be if
    /// it had begun.
    pub(super) fn keep_early(&mut self, container: &Container, mut early: Early, step: &mut Step) {
        let Some(executor) = self.executors.get_mut(container) else { return };
        executor.absent = None;
        if let Some(former) = &executor.early {
            early.until = former.until;
        }
        if let Some(former) = executor.early.replace(early) {
            step.effects.push(Effect::CloseSession { session: former.session });
            answer(former.request, Answer::Accepted, step);
        }
    }

    /// The process of an executor is known, has ended, or is waited for no longer: what the executor
    /// wanted before is begun.
    pub(super) fn end_early(&mut self, now: Now, container: &Container, step: &mut Step) {
        let executor = self.executors.get_mut(container);
        let Some(early) = executor.and_then(|executor| executor.early.take()) else { return };
        let Early { session, subscribe, request, .. } = early;
        if request.is_some() {
            self.subscribed_by_call(now, session, container, &subscribe, step);
        } else {
            self.subscribed_by_stream(now, session, container, &subscribe, step);
        }
        answer(request, Answer::Accepted, step);
    }

    /// An executor is gone that was never begun with.
    pub(super) fn refuse_early(&self, by: &ExecutorKey, early: &Early, step: &mut Step) {
        let is_known = self.knows_framework(by);
        let refusal = if is_known { Answer::NoExecutor } else { Answer::NoFramework };
        step.effects.push(Effect::CloseSession { session: early.session });
        answer(early.request, refusal, step);
    }

    /// Whoever asked for this stream has gone before it began.
    pub(super) fn forget_early(&mut self, now: Now, left: Session, step: &mut Step) {
        for executor in self.executors.values_mut() {
            let Some(early) = executor.early.take_if(|early| early.session == left) else {
                continue;
            };
            // One that is being started is waited for once it is.
            if executor.phase == Phase::Attaching && executor.cause.is_none() {
                let patience = executor.origin.patience_after_restart(&self.config);
                executor.await_another_subscription(now, patience);
            }
            answer(early.request, Answer::NoExecutor, step);
        }
    }
}

fn answer(request: Option<Request>, answer: Answer, step: &mut Step) {
    if let Some(request) = request {
        step.effects.push(Effect::Answer { request, answer });
    }
}

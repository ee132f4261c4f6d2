//! Calls of the executor API of Mesos, each an HTTP request with an answer of its own.
//!
//! What is wrong with a request on its own is found before it comes here. In here it is decided
//! whether the executor that it names may make it now, in the order in which the Mesos agent looks.

use muster_api::Now;
use muster_proto::{
    TaskStatus,
    executor::{CallMessage, Subscribe},
};

use super::{
    Agent, Container, Effect, ExecutorKey, Request, Session, Step,
    early::Early,
    executors::{Executor, Standing},
    subscription::ROOM,
};

/// A call of an executor.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Who it says that it is.
    pub by: ExecutorKey,
    /// Who its token says that it is.
    pub bearer: Bearer,
    /// What it wants.
    pub what: What,
}

/// What a request says of itself by a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bearer {
    /// It has none.
    Nobody,
    /// It has that of the executor in this container.
    Of(Container),
    /// It has one that is nobody's.
    Stranger,
}

/// What a call wants.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// Events from now on.
    Subscribe {
        /// The stream that they would go to.
        session: Session,
        /// What the executor holds that the agent may not have.
        subscribe: Subscribe,
    },
    /// A report of a task taken.
    Update(Box<TaskStatus>),
    /// Bytes passed on to the framework.
    Message(Vec<u8>),
    /// Nothing that there is.
    Unknown,
}

/// How a call is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It was carried out; or, of SUBSCRIBE, its stream begins.
    Accepted,
    /// It must come with a token that is somebody's.
    Unauthenticated,
    /// Its token is another executor's.
    Forbidden,
    /// Nothing of this framework is here.
    NoFramework,
    /// This executor is not here.
    NoExecutor,
    /// The executor has to subscribe first.
    NotSubscribed,
    /// The agent was restarted, and the executor has to subscribe again first.
    NotRecovered,
    /// Too many statuses wait for their acknowledgement.
    Crowded,
    /// There is no such call.
    Unsupported,
}

impl Agent {
    /// Carries a call out, or says why not.
    pub(super) fn called(&mut self, now: Now, request: Request, call: Call, step: &mut Step) {
        let container = match self.caller(&call) {
            Ok(container) => container,
            Err(answer) => {
                if let What::Subscribe { session, .. } = call.what {
                    step.effects.push(Effect::CloseSession { session });
                }
                return step.effects.push(Effect::Answer { request, answer });
            }
        };
        let mut answer = Answer::Accepted;
        match call.what {
            What::Subscribe { session, subscribe } => {
                if self.executors.get(&container).is_some_and(Executor::is_early) {
                    let early = Early::new(now, session, subscribe, Some(request));
                    return self.keep_early(&container, early, step);
                }
                self.subscribed_by_call(now, session, &container, &subscribe, step);
            }
            What::Update(status) => {
                if self.report(now, &container, *status, ROOM, step).is_err() {
                    answer = Answer::Crowded;
                }
            }
            What::Message(data) => {
                self.pass_on(now.mono, &container, CallMessage { data, number: None }, step);
            }
            What::Unknown => {}
        }
        step.effects.push(Effect::Answer { request, answer });
    }

    /// The executor that makes a call, if it may make it now.
    fn caller(&self, call: &Call) -> Result<Container, Answer> {
        match &call.bearer {
            Bearer::Stranger => return Err(Answer::Unauthenticated),
            Bearer::Nobody if self.config.authenticate_executors => {
                return Err(Answer::Unauthenticated);
            }
            Bearer::Nobody | Bearer::Of(_) => {}
        }
        if let Bearer::Of(container) = &call.bearer
            && let Some(executor) = self.executors.get(container)
            && executor.key() == call.by
        {
            return judged(&call.what, executor).map(|()| container.clone());
        }
        if !self.knows_framework(&call.by) {
            return Err(Answer::NoFramework);
        }
        let container = self.lives.get(&call.by).ok_or(Answer::NoExecutor)?;
        let executor = self.executors.get(container).ok_or(Answer::NoExecutor)?;
        match &call.bearer {
            Bearer::Of(_) => Err(Answer::Forbidden),
            Bearer::Nobody if executor.origin.has_to_prove_itself() => Err(Answer::Unauthenticated),
            Bearer::Nobody | Bearer::Stranger => {
                judged(&call.what, executor).map(|()| container.clone())
            }
        }
    }

    /// Whether an executor of the same framework is here.
    pub(super) fn knows_framework(&self, by: &ExecutorKey) -> bool {
        let of_framework = |key: &ExecutorKey| key.framework == by.framework;
        let from = ExecutorKey { executor: Default::default(), ..by.clone() };
        self.lives.range(from..).next().is_some_and(|(key, _)| of_framework(key))
    }
}

/// Whether an executor may make this call now.
fn judged(what: &What, executor: &Executor) -> Result<(), Answer> {
    match (what, executor.standing) {
        (What::Subscribe { .. }, _) => Ok(()),
        (_, Standing::Restored) if executor.cause.is_none() => Err(Answer::NotRecovered),
        (_, Standing::New | Standing::Restored) => Err(Answer::NotSubscribed),
        (What::Unknown, Standing::Subscribed) => Err(Answer::Unsupported),
        (What::Update(_) | What::Message(_), Standing::Subscribed) => Ok(()),
    }
}

//! Frameworks go: for a while, when their stream ends, or for ever.
//!
//! One that is away has as long to come back as it said; then it is removed as if it had asked for
//! that. A removed framework cannot come back.

use std::collections::BTreeMap;

use muster_api::{Mono, Now, Timestamp, limits};
use muster_proto::{FrameworkId, agent::MasterBody};

use super::{
    event::{Step, Stream},
    framework::{Framework, Standing},
    here::Here,
    master::Master,
    note::Note,
    record, wire,
};

/// Why an operator cannot remove a framework.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRemoved {
    /// Nobody knows it, or it is removed already.
    #[error("there is no framework `{framework}`")]
    Unknown {
        /// Its id.
        framework: String,
    },
    /// It is the scheduler of this process.
    #[error("framework `{framework}` is this scheduler itself; delete its apps and jobs instead")]
    Embedded {
        /// Its id.
        framework: String,
    },
}

impl Master {
    /// Removes a framework for ever, with all its executors, as if it had asked for that: an
    /// operator wants it gone.
    pub fn remove(&mut self, now: Now, id: &str) -> Result<Step, NotRemoved> {
        let (framework, id) = (id.to_owned(), FrameworkId::new(id));
        if self.embedded.as_ref() == Some(&id) {
            return Err(NotRemoved::Embedded { framework });
        }
        if self.frameworks.get(&id).is_none_or(Framework::is_removed) {
            return Err(NotRemoved::Unknown { framework });
        }
        let mut step = Step::default();
        self.remove_framework(now, &id, "an operator asked for that", &mut step);
        self.conclude(now, &mut step);
        Ok(step)
    }

    /// A stream has ended; its framework is away, if it is the stream that it has now.
    pub(super) fn left(&mut self, now: Now, stream: Stream, step: &mut Step) {
        let on = |framework: &Framework| framework.stream() == Some(stream);
        let left = self.frameworks.iter().find(|(_, framework)| on(framework));
        if let Some(id) = left.map(|(id, _)| id.clone()) {
            self.lose(now, &id, step);
        }
    }

    /// A subscribed framework is away from now on. Its tasks go on, and its offers are for others.
    pub(super) fn lose(&mut self, now: Now, id: &FrameworkId, step: &mut Step) {
        self.forget_offers_of(id);
        self.clear_filters_of(id);
        self.questions.forget(id);
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        let patience = framework.failover();
        if patience.is_zero() {
            return self.remove_framework(now, id, "its stream has ended", step);
        }
        let until = now.mono + patience;
        framework.standing = Standing::Away { since: Some(now.wall), until };
        step.writes.push(record::put_framework(id, framework));
        self.failovers.insert((until, id.clone()));
        step.notes.push(Note::FrameworkLeft { framework: id.value.clone() });
        self.follow_sharing(step);
    }

    /// Nobody waits for the return of a framework any more.
    pub(super) fn await_no_longer(&mut self, id: &FrameworkId) {
        let standing = self.frameworks.get(id).map(|framework| &framework.standing);
        if let Some(Standing::Away { until, .. }) = standing {
            self.failovers.remove(&(*until, id.clone()));
        }
    }

    /// A framework ends for ever, with all its executors. What they use is free when they are gone.
    pub(super) fn remove_framework(
        &mut self,
        now: Now,
        id: &FrameworkId,
        reason: &'static str,
        step: &mut Step,
    ) {
        self.forget_offers_of(id);
        self.clear_filters_of(id);
        self.questions.forget(id);
        self.lost.forget(id);
        self.await_no_longer(id);
        for agent in self.agents.values() {
            if let (Some(connection), Some(here)) = (agent.connection(), agent.here.get(id)) {
                for body in here.ends(id) {
                    step.tell_agent(connection, body);
                }
            }
        }
        self.acknowledge_what_waits(id, step);
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        if let Some(stream) = framework.stream() {
            step.end_stream(stream);
        }
        framework.standing = Standing::Removed { at: now.wall };
        self.books.change_roles(id, &framework.roles, &BTreeMap::new());
        step.writes.push(record::put_framework(id, framework));
        step.notes.push(Note::FrameworkRemoved { framework: id.value.clone(), reason });
        if self.embedded.as_ref() == Some(id) {
            self.embedded = None;
        }
        self.follow_sharing(step);
        self.forget_removed(step);
    }

    /// Forgets the oldest removed frameworks of which nothing lives, beyond those that are kept.
    fn forget_removed(&mut self, step: &mut Step) {
        let removed = |(id, framework): (&FrameworkId, &Framework)| match framework.standing {
            Standing::Removed { at } => Some((at, id.clone())),
            Standing::Away { .. } | Standing::Subscribed { .. } => None,
        };
        let mut removed: Vec<(Timestamp, FrameworkId)> =
            self.frameworks.iter().filter_map(removed).collect();
        removed.sort();
        let beyond = removed.len().saturating_sub(limits::FRAMEWORKS_REMOVED);
        for (_, id) in removed.into_iter().take(beyond) {
            if self.agents.values().all(|agent| !agent.here.contains_key(&id)) {
                self.frameworks.remove(&id);
                step.writes.push(record::delete_framework(&id));
            }
        }
    }
}

/// How long a framework that was known when the master started has to come back. What it was away
/// before counts; but while there was no master it could not come, and has a while in any case.
pub(super) fn patience(framework: &Framework, since: Option<Timestamp>, now: Now) -> Mono {
    // How long one may be away of which an agent only has tasks nobody knows.
    let patience = if framework.hearsay { limits::AGENT_RETURN } else { framework.failover() };
    let gone_by = since.map_or(std::time::Duration::ZERO, |since| now.wall.since(since));
    now.mono + patience.saturating_sub(gone_by).max(limits::FRAMEWORK_RETURN)
}

impl Here {
    /// What ends all of a framework on an agent: executors, and commands that have none of its own.
    pub(super) fn ends(&self, of: &FrameworkId) -> Vec<MasterBody> {
        let executors = self.executors.keys().map(|id| wire::shutdown_executor(of, id));
        let commands = self
            .tasks
            .iter()
            .filter(|(_, task)| task.executor.is_none() && !task.state.is_terminal())
            .map(|(id, _)| wire::kill(of, id, None));
        executors.chain(commands).collect()
    }
}

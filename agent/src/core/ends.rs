//! The end of an executor on this host, and what becomes of its tasks then.

use std::time::Duration;

use muster_api::Now;
use muster_proto::{TaskState, agent::ExecutorExited};

use super::{
    Agent, Container, Effect, ExecutorKey, Exited, Kind, Note, Step, Write, agent::ENDED_MAX,
    executors::Phase, origin::Origin,
};
use crate::supervise::Exit;

/// How long the stream of a dead executor may take to give up its last reports. Its process is
/// gone, so what it sent is in this host's buffers.
const LAST_WORDS: Duration = Duration::from_secs(2);

impl Agent {
    /// The executor and all its descendants are gone; its last reports are still taken.
    pub(super) fn exited(&mut self, now: Now, container: &Container, exit: Exit, step: &mut Step) {
        let Some(executor) = self.executors.get_mut(container) else { return };
        if matches!(executor.phase, Phase::Gone { .. }) {
            return;
        }
        if executor.phase == Phase::Attaching {
            // It may have said how its tasks ended when it subscribed again.
            self.end_early(now, container, step);
        }
        let Some(executor) = self.executors.get_mut(container) else { return };
        if executor.session.is_some() {
            executor.absent = None;
            executor.force_at = None;
            executor.phase = Phase::Gone { exit, finish_by: now.mono + LAST_WORDS };
        } else {
            self.finish(now, container, &exit, step);
        }
    }

    /// Settles what an executor leaves behind.
    pub(super) fn finish(&mut self, now: Now, container: &Container, exit: &Exit, step: &mut Step) {
        let Some(executor) = self.executors.remove(container) else { return };
        let key = executor.key();
        if self.lives.get(&key) == Some(container) {
            self.lives.remove(&key);
        }
        let mut verdict = executor.verdict(&self.config, exit);
        if verdict.state == TaskState::Failed && executor.origin == Origin::Ours {
            verdict.output.clone_from(&exit.output);
        }
        if executor.origin == Origin::Foreign {
            // Mesos says so before it says what became of the tasks. Our engine wants it after that.
            self.tell_ended(ended(&key, exit), step);
        }
        let blame = self.blame(&executor, exit);
        for key in &executor.tasks {
            let verdict = self.blamed(key, &blame, &verdict);
            self.judge(now, key, verdict, step);
        }
        step.writes.push(Write::Entry(Kind::Exited(Exited::of(container, now.wall)).into()));
        if executor.origin == Origin::Ours {
            self.remember_end(now, container);
        }
        if let Some(session) = executor.session {
            self.sessions.remove(&session);
            step.effects.push(Effect::CloseSession { session });
        }
        if let Some(early) = &executor.early {
            self.refuse_early(&key, early, step);
        }
        // Of one that was made for a command the master knows the task, and no executor.
        if executor.origin == Origin::Ours {
            self.tell_ended(ended(&key, exit), step);
        }
        step.notes.push(Note::ExecutorEnded { executor: key, how: exit.describe() });
    }

    /// Keeps that an executor of ours is of the past, and no more of those than the newest.
    fn remember_end(&mut self, now: Now, container: &Container) {
        self.ended.insert(container.clone(), now.wall);
        while self.ended.len() > ENDED_MAX
            && let Some((oldest, _)) = self.ended.iter().min_by_key(|(_, at)| **at)
        {
            let oldest = oldest.clone();
            self.ended.remove(&oldest);
        }
    }
}

/// What the master is told of the end of an executor.
fn ended(key: &ExecutorKey, exit: &Exit) -> ExecutorExited {
    ExecutorExited {
        framework_id: Some(key.framework.clone()),
        executor_id: Some(key.executor.clone()),
        status: exit.status,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use muster_api::{Mono, Resources, Timestamp};

    use super::*;
    use crate::core::{Config, Identity};

    #[test]
    fn of_the_executors_of_the_past_the_newest_are_kept() {
        let config = Config {
            hostname: "host-a".to_owned(),
            resources: Resources::none(),
            attributes: BTreeMap::new(),
            ip: "127.0.0.1".parse().unwrap(),
            port: 5051,
            boot_id: "boot-1".to_owned(),
            executor_registration: Duration::ZERO,
            executor_reregistration: Duration::ZERO,
            authenticate_executors: false,
        };
        let at = |number: usize| Timestamp::from_millis(i64::try_from(number).unwrap());
        let name = |number: usize| Container::new(format!("e{number}"));
        let entries = (0..ENDED_MAX).map(|n| Kind::Exited(Exited::of(&name(n), at(n))).into());
        let mono = Mono::from_millis(0);
        let start = Now { wall: at(0), mono };
        let (mut agent, _) =
            Agent::restore(config, Identity::default(), 1, entries, start).unwrap();
        agent.remember_end(Now { wall: at(ENDED_MAX), mono }, &name(ENDED_MAX));
        assert_eq!(agent.ended.len(), ENDED_MAX);
        assert!(!agent.ended.contains_key(&name(0)));
        assert!(agent.ended.contains_key(&name(1)) && agent.ended.contains_key(&name(ENDED_MAX)));
    }
}

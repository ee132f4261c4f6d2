//! What an agent decides, done to its host, its executors and its wires.

use muster_agent::core::{Container, Effect, Event, Session};
use muster_proto::{
    ExecutorId,
    agent::{self, AgentBody},
};

use super::AgentNode;
use crate::{
    bugs::Bug,
    executor_node::ExecutorNode,
    happening::Happening,
    network::{Packet, Side},
    oracles,
    stage::Stage,
};

impl AgentNode {
    pub(super) fn release(&mut self, stage: &mut Stage, effect: Effect) {
        let (host, process) = (self.host, self.processes);
        match effect {
            Effect::Hello { connection, hello } => {
                let hello = agent::Hello { version: agent::VERSION, ..*hello };
                let hello = self.corrupted(stage, hello);
                let verdict = oracles::nothing_of_the_gone_comes_back(&stage.truth, host, &hello);
                stage.judge(verdict);
                self.say(stage, connection, Packet::Hello(hello));
            }
            Effect::ToMaster { connection, term, body } => {
                if let AgentBody::Status(said) = &body {
                    stage.truth.said(said);
                }
                self.say(stage, connection, Packet::FromAgent { term, body });
            }
            Effect::Disconnect { connection } => self.hang_up(stage, connection),
            Effect::GiveUp { message } => {
                stage.judge(oracles::nobody_gives_up(&self.config.hostname, &message));
            }
            Effect::Fetch { container, info } => {
                let executor = executor_in(&container);
                if let Some(agent) = self.identity.agent.clone() {
                    stage.truth.executor_is_made(host, &executor, agent);
                }
                let node = ExecutorNode::new(host, executor.clone(), *info);
                self.executors.insert(executor, node);
                let delay = stage.between(1, 2_000);
                let fails = stage.time() + delay < self.fetch_fails_until;
                let outcome = if fails { Err("not found".to_owned()) } else { Ok(()) };
                let event = Event::Fetched { container, outcome };
                stage.after(delay, Happening::AgentHears { host, process, event });
            }
            Effect::Start { container, framework, deadline, origin, .. } => {
                if let Some(node) = self.executors.get_mut(&executor_in(&container)) {
                    let framework = framework.id.unwrap_or_default();
                    node.plan(stage, (framework, origin), deadline, process);
                }
            }
            Effect::Attach { container } => {
                let executor = executor_in(&container);
                let delay = stage.between(1, 50);
                stage.after(delay, Happening::SupervisorSought { host, process, executor });
            }
            Effect::SetDeadline { container, at, said } => {
                let event = muster_agent::supervise::Event::Deadline { at, said };
                self.tell_supervisor(stage, &executor_in(&container), event);
            }
            Effect::End { container, grace } => {
                let event = muster_agent::supervise::Event::End { grace };
                self.tell_supervisor(stage, &executor_in(&container), event);
            }
            Effect::ToExecutor { session, event } => {
                let wire = self.process.as_ref().and_then(|p| p.sessions.get(&session));
                if let Some(wire) = wire {
                    stage.send(*wire, Side::Listener, Packet::Event(*event));
                }
            }
            Effect::CloseSession { session } => self.close_session(stage, session),
            Effect::Answer { request, answer } => self.answer(stage, request, answer),
            Effect::Registered { .. }
            | Effect::ReadLog { .. }
            | Effect::TaskBegan { .. }
            | Effect::TaskOver { .. } => {}
        }
    }

    fn close_session(&mut self, stage: &mut Stage, session: Session) {
        let closed = self.process.as_mut().and_then(|process| process.sessions.remove(&session));
        if let Some(wire) = closed {
            stage.close(wire, Side::Listener);
            let (host, process, event) = (self.host, self.processes, Event::Left { session });
            stage.after(1, Happening::AgentHears { host, process, event });
        }
    }

    fn tell_supervisor(
        &mut self,
        stage: &mut Stage,
        executor: &ExecutorId,
        event: muster_agent::supervise::Event,
    ) {
        if let Some(node) = self.executors.get_mut(executor) {
            node.tell_supervisor(stage, self.clock, event);
        }
    }

    /// A hello, with what a planted bug makes of it.
    fn corrupted(&self, stage: &Stage, mut hello: agent::Hello) -> agent::Hello {
        match stage.bug {
            Some(Bug::OverheadTwice) => {
                let mut again = hello.executors.clone();
                for info in again.iter_mut().filter_map(|here| here.executor.as_mut()) {
                    let id = info.executor_id.take().unwrap_or_default();
                    info.executor_id = Some(ExecutorId::new(format!("{id}-again")));
                }
                hello.executors.extend(again);
            }
            Some(Bug::GoneAdopted) => {
                if let Some(info) = hello.info.as_mut().filter(|info| stage.truth.is_gone(info)) {
                    info.id = None;
                }
            }
            Some(Bug::UnknownIsDead) => {
                let heard_of = self.process.as_ref().map(|process| &process.heard_of);
                hello.tasks.retain(|here| {
                    let info = here.task.as_ref().and_then(|task| task.executor.as_ref());
                    let executor = info.and_then(|executor| executor.executor_id.as_ref());
                    executor.is_none_or(|id| heard_of.is_some_and(|known| known.contains(id)))
                });
            }
            _ => {}
        }
        hello
    }
}

/// What is known here of an executor goes by the name of its container.
fn executor_in(container: &Container) -> ExecutorId {
    ExecutorId::new(container.as_str())
}

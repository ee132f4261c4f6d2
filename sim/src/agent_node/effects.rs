//! What an agent decides, done to its host, its executors and its wires.

use muster_agent::core::{Effect, Event};
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
            Effect::Fetch { info } => {
                let executor = info.executor_id.clone().unwrap_or_default();
                if let Some(agent) = self.identity.agent.clone() {
                    stage.truth.executor_is_made(host, &executor, agent);
                }
                self.executors.insert(executor.clone(), ExecutorNode::new(host, *info));
                let delay = stage.between(1, 2_000);
                let fails = stage.time() + delay < self.fetch_fails_until;
                let outcome = if fails { Err("not found".to_owned()) } else { Ok(()) };
                let event = Event::Fetched { executor, outcome };
                stage.after(delay, Happening::AgentHears { host, process, event });
            }
            Effect::Start { framework, info, deadline } => {
                let executor = info.executor_id.unwrap_or_default();
                if let Some(node) = self.executors.get_mut(&executor) {
                    node.plan(stage, framework.id.unwrap_or_default(), deadline, process);
                }
            }
            Effect::Attach { executor } => {
                let delay = stage.between(1, 50);
                stage.after(delay, Happening::SupervisorSought { host, process, executor });
            }
            Effect::SetDeadline { executor, at, said } => {
                let event = muster_agent::supervise::Event::Deadline { at, said };
                self.tell_supervisor(stage, &executor, event);
            }
            Effect::End { executor, grace } => {
                let event = muster_agent::supervise::Event::End { grace };
                self.tell_supervisor(stage, &executor, event);
            }
            Effect::ToExecutor { session, event } => {
                let wire = self.process.as_ref().and_then(|p| p.sessions.get(&session));
                if let Some(wire) = wire {
                    stage.send(*wire, Side::Listener, Packet::Event(*event));
                }
            }
            Effect::CloseSession { session } => {
                let closed = self.process.as_mut().and_then(|p| p.sessions.remove(&session));
                if let Some(wire) = closed {
                    stage.close(wire, Side::Listener);
                    let event = Event::Left { session };
                    stage.after(1, Happening::AgentHears { host, process, event });
                }
            }
            Effect::Registered { .. }
            | Effect::ReadLog { .. }
            | Effect::TaskBegan { .. }
            | Effect::TaskOver { .. } => {}
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

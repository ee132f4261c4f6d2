//! What happens on the hosts of agents: to those, and to executors and their supervisors.

use muster_agent::supervise;
use muster_proto::ExecutorId;

use super::World;
use crate::{
    clock::Clock, executor_node::ExecutorNode, happening::Happening, master_node::MasterNode,
    stage::Stage,
};

impl World {
    pub(super) fn happen_to_host(&mut self, happening: Happening) {
        let Self { stage, scheduler, master, agents, .. } = self;
        match happening {
            Happening::AgentStarts { host } => agents[host].start(stage),
            Happening::AgentDials { host, process } if agents[host].is(process) => {
                let listens =
                    master.as_ref().map_or_else(|| scheduler.listens(), MasterNode::listens);
                if let Some(wire) = agents[host].dial(stage, listens) {
                    stage.at_once(Happening::MasterAccepts { wire });
                }
            }
            Happening::MasterAccepts { wire } => match master {
                Some(master) => master.accept_agent(stage, wire),
                None => scheduler.accept(stage, wire),
            },
            Happening::HandshakeOver { host, process, connection } if agents[host].is(process) => {
                agents[host].handshake_over(stage, connection);
            }
            Happening::AgentWakes { host } => agents[host].wake(stage),
            Happening::AgentWrites { host, process } if agents[host].is(process) => {
                agents[host].written(stage);
            }
            Happening::AgentHears { host, process, event } if agents[host].is(process) => {
                agents[host].step(stage, event);
            }
            Happening::SupervisorSought { host, process, executor } if agents[host].is(process) => {
                agents[host].seek_supervisor(stage, &executor);
            }
            Happening::LeftoversEnd { host, process, executor } if agents[host].is(process) => {
                self.with(host, &executor, |node, stage, _| node.leftovers_end(stage));
            }
            // Meant for a process that lives no longer.
            Happening::AgentDials { .. }
            | Happening::HandshakeOver { .. }
            | Happening::AgentWrites { .. }
            | Happening::AgentHears { .. }
            | Happening::LeftoversEnd { .. }
            | Happening::SupervisorSought { .. } => {}
            of_an_executor => self.happen_to_executor(of_an_executor),
        }
    }

    fn happen_to_executor(&mut self, happening: Happening) {
        let up = |world: &Self, host: usize| world.agents[host].is_up();
        match happening {
            Happening::SupervisorBegins { host, executor } => {
                self.with(host, &executor, ExecutorNode::begin);
            }
            Happening::SupervisorHears { host, executor, event } => {
                self.with(host, &executor, |node, stage, clock| {
                    node.supervise(stage, clock, &event);
                });
            }
            Happening::SupervisorGreets { host, executor } => {
                self.with(host, &executor, |node, stage, _| node.greet(stage));
            }
            Happening::SupervisorWakes { host, executor } => {
                self.with(host, &executor, |node, stage, clock| {
                    node.supervise(stage, clock, &supervise::Event::Tick);
                });
            }
            Happening::ExecutorDials { host, executor } => {
                let up = up(self, host);
                self.with(host, &executor, |node, stage, clock| node.dial(stage, clock, up));
            }
            Happening::ExecutorHears { host, executor, event } => {
                self.with(host, &executor, |node, stage, clock| node.told(stage, clock, *event));
            }
            Happening::ExecutorWakes { host, executor } => {
                self.with(host, &executor, ExecutorNode::wake);
            }
            Happening::CodeBegins { host, executor, task } => {
                self.with(host, &executor, |node, stage, clock| {
                    node.code_begins(stage, clock, &task);
                });
            }
            Happening::CodeEnds { host, executor, task } => {
                self.with(host, &executor, |node, stage, clock| {
                    node.code_ends(stage, clock, &task);
                });
            }
            other => unreachable!("{other:?} is of no executor"),
        }
    }

    pub(super) fn with(
        &mut self,
        host: usize,
        executor: &ExecutorId,
        act: impl FnOnce(&mut ExecutorNode, &mut Stage, Clock),
    ) {
        let agent = &mut self.agents[host];
        let clock = agent.clock;
        if let Some(node) = agent.executors.get_mut(executor) {
            act(node, &mut self.stage, clock);
        }
    }
}

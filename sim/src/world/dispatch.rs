//! Who everything that happens is meant for.

use muster_agent::supervise;
use muster_proto::ExecutorId;

use super::World;
use crate::{
    clock::Clock,
    executor_node::ExecutorNode,
    faults::Targets,
    frozen::Who,
    happening::Happening,
    network::{Between, Packet, Side, WireId},
    report::Shown,
    stage::Stage,
    users, webhook,
};

/// How long after a request's arrival its answer has been decided, disks being as they should.
const PATIENCE: u64 = 2_000;

impl World {
    /// Lets wait what is meant for somebody who is frozen.
    pub(super) fn unless_frozen(&mut self, happening: Happening) -> Option<Happening> {
        if self.stage.frozen.is_empty() {
            return Some(happening);
        }
        match self.process_of(&happening) {
            Some(who) => self.stage.frozen.keep(&who, happening),
            None => Some(happening),
        }
    }

    /// Which process, or host, does what happens.
    fn process_of(&self, happening: &Happening) -> Option<Who> {
        use Happening as H;
        Some(match happening {
            H::Arrives { wire, to, .. } => {
                match (self.stage.network.listening(*wire, *to)?.clone(), to) {
                    (Between::AgentAndMaster { .. }, Side::Listener) => Who::Scheduler,
                    (Between::AgentAndMaster { host, .. }, Side::Dialler)
                    | (Between::ExecutorAndAgent { host, .. }, Side::Listener) => Who::Agent(host),
                    (Between::ExecutorAndAgent { host, executor }, Side::Dialler) => {
                        Who::Executor(host, executor)
                    }
                }
            }
            H::SchedulerAccepts { .. }
            | H::SchedulerCommits { .. }
            | H::SchedulerWakes
            | H::RequestArrives { .. }
            | H::NoticeTried { .. }
            | H::RerunArrives { .. } => Who::Scheduler,
            H::AgentStarts { host }
            | H::AgentDials { host, .. }
            | H::HandshakeOver { host, .. }
            | H::AgentWakes { host }
            | H::AgentWrites { host, .. }
            | H::AgentHears { host, .. }
            | H::SupervisorSought { host, .. }
            | H::LeftoversEnd { host, .. } => Who::Agent(*host),
            H::SupervisorBegins { host, .. } => Who::Host(*host),
            H::SupervisorHears { host, executor, .. }
            | H::SupervisorGreets { host, executor }
            | H::SupervisorWakes { host, executor } => Who::Supervisor(*host, executor.clone()),
            H::ExecutorDials { host, executor }
            | H::ExecutorHears { host, executor, .. }
            | H::ExecutorWakes { host, executor }
            | H::CodeBegins { host, executor, .. } => Who::Executor(*host, executor.clone()),
            H::CodeEnds { host, executor, task } => {
                let node = self.agents[*host].executors.get(executor)?;
                if node.is_handler(task) {
                    Who::Executor(*host, executor.clone())
                } else {
                    Who::Host(*host)
                }
            }
            H::Thaws { .. }
            | H::SchedulerStarts
            | H::UsersAct
            | H::WebhookHears { .. }
            | H::UserSees { .. }
            | H::UserHears { .. }
            | H::UserAsksAgain { .. }
            | H::FaultStrikes
            | H::CalmBegins
            | H::UsersCalmDown => return None,
        })
    }

    pub(super) fn happen(&mut self, happening: Happening) {
        let Self { stage, scheduler, agents, users, faults, .. } = self;
        match happening {
            Happening::Arrives { wire, to, packet } => self.arrive(wire, to, packet),
            Happening::Thaws { who, freeze } => {
                if stage.frozen.is(&who, freeze) {
                    stage.thaw(&who);
                    agents.iter().for_each(|agent| agent.guards_go_on(stage));
                }
            }
            Happening::SchedulerStarts => scheduler.start(stage),
            Happening::SchedulerCommits { process } => scheduler.committed(stage, process),
            Happening::SchedulerWakes => scheduler.wake(stage),
            Happening::AgentStarts { host } => agents[host].start(stage),
            Happening::AgentDials { host, process } if agents[host].is(process) => {
                if let Some(wire) = agents[host].dial(stage, scheduler.listens()) {
                    stage.at_once(Happening::SchedulerAccepts { wire });
                }
            }
            Happening::SchedulerAccepts { wire } => scheduler.accept(stage, wire),
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
            Happening::UsersAct => users.act(stage, self.calm_at),
            Happening::RequestArrives { event } => scheduler.ask(stage, event),
            Happening::RerunArrives { request, run, rerun, key } => {
                scheduler.ask_again_for(stage, request, run, rerun, key);
            }
            Happening::WebhookHears { process, record } => webhook::hear(stage, process, &record),
            Happening::NoticeTried { process, notice, outcome } => {
                scheduler.notice_tried(stage, process, notice, outcome);
            }
            Happening::UserSees { agents } => users.see(stage, &agents),
            Happening::UserHears { request, reply } => users.hear(stage, request, reply),
            Happening::UserAsksAgain { request } => users.ask_again(stage, request),
            Happening::FaultStrikes => faults.strike(stage, Targets { scheduler, agents, users }),
            Happening::CalmBegins => {
                stage.log(format_args!("calm begins"));
                scheduler.doomed = None;
                agents.iter_mut().for_each(|agent| agent.doomed = None);
                users.want_no_more();
                stage.calm = true;
                stage.after(users::DELAY_MAX + PATIENCE, Happening::UsersCalmDown);
                self.calm_begins();
            }
            Happening::UsersCalmDown => {
                users.calm_down(stage);
                self.calm_begins();
            }
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

    fn with(
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

    /// A packet comes out of a wire, if anybody listens there.
    fn arrive(&mut self, wire: WireId, to: Side, packet: Packet) {
        let stage = &mut self.stage;
        let Some(between) = stage.network.listening(wire, to).cloned() else { return };
        if !stage.network.carries(wire, to) && !matches!(packet, Packet::Closed) {
            return;
        }
        let shown = Shown { wire, between: &between, to, packet: &packet };
        stage.log(format_args!("{shown}"));
        match (between, to) {
            (Between::AgentAndMaster { .. }, Side::Listener) => {
                self.scheduler.hear(stage, wire, packet);
            }
            (Between::AgentAndMaster { host, connection }, Side::Dialler) => {
                self.agents[host].hear_master(stage, connection, packet);
            }
            (Between::ExecutorAndAgent { host, executor }, Side::Listener) => {
                self.agents[host].hear_executor(stage, wire, &executor, packet);
            }
            (Between::ExecutorAndAgent { host, executor }, Side::Dialler) => {
                self.with(host, &executor, |node, stage, clock| {
                    node.hear(stage, clock, wire, packet);
                });
            }
        }
    }
}

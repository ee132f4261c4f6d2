//! Who everything that happens is meant for.

use super::World;
use crate::{
    faults::Targets,
    frozen::Who,
    guest_node::GuestNode,
    happening::Happening,
    network::{Between, Caller, Packet, Side, WireId},
    report::Shown,
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
                    (Between::AgentAndMaster { .. }, Side::Listener) => self.host_of_hosts(),
                    (Between::FrameworkAndMaster(_), Side::Listener) => self.host_of_hosts(),
                    (Between::FrameworkAndMaster(Caller::Scheduler), Side::Dialler) => {
                        Who::Scheduler
                    }
                    (Between::FrameworkAndMaster(Caller::Guest), Side::Dialler) => return None,
                    (Between::AgentAndMaster { host, .. }, Side::Dialler)
                    | (Between::ExecutorAndAgent { host, .. }, Side::Listener) => Who::Agent(host),
                    (Between::ExecutorAndAgent { host, executor }, Side::Dialler) => {
                        Who::Executor(host, executor)
                    }
                }
            }
            H::MasterAccepts { .. } | H::StreamBeats { .. } => self.host_of_hosts(),
            H::MasterCommits { .. } | H::MasterWakes => Who::Master,
            H::SchedulerCommits { .. }
            | H::SchedulerWakes
            | H::SchedulerDials { .. }
            | H::SchedulerHears { .. }
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
            | H::MasterStarts
            | H::GuestActs
            | H::GuestDials { .. }
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

    /// The process that has the hosts.
    fn host_of_hosts(&self) -> Who {
        if self.master.is_some() { Who::Master } else { Who::Scheduler }
    }

    pub(super) fn happen(&mut self, happening: Happening) {
        let Self { stage, scheduler, master, guest, agents, users, faults, .. } = self;
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
            Happening::FaultStrikes => {
                faults.strike(stage, Targets { scheduler, master, agents, users });
            }
            Happening::CalmBegins => {
                stage.log(format_args!("calm begins"));
                stage.network.launch_trouble = None;
                scheduler.doomed = None;
                master.iter_mut().for_each(|master| master.doomed = None);
                agents.iter_mut().for_each(|agent| agent.doomed = None);
                guest.iter_mut().for_each(GuestNode::retire);
                users.want_no_more();
                stage.calm = true;
                stage.after(users::DELAY_MAX + PATIENCE, Happening::UsersCalmDown);
                self.calm_begins();
            }
            Happening::UsersCalmDown => {
                users.calm_down(stage);
                self.calm_begins();
            }
            Happening::SchedulerDials { .. }
            | Happening::SchedulerHears { .. }
            | Happening::MasterStarts
            | Happening::MasterCommits { .. }
            | Happening::MasterWakes
            | Happening::StreamBeats { .. }
            | Happening::GuestActs
            | Happening::GuestDials { .. } => self.happen_between(happening),
            of_a_host => self.happen_to_host(of_a_host),
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
            (Between::AgentAndMaster { .. }, Side::Listener) => match &mut self.master {
                Some(master) => master.hear_agent(stage, wire, packet),
                None => self.scheduler.hear_agent(stage, wire, packet),
            },
            (Between::FrameworkAndMaster(_), Side::Listener) => self.hear_framework(wire, packet),
            (Between::FrameworkAndMaster(Caller::Guest), Side::Dialler) => {
                if let Some(guest) = &mut self.guest {
                    guest.hear(stage, wire, packet);
                }
            }
            (Between::FrameworkAndMaster(Caller::Scheduler), Side::Dialler) => {
                self.scheduler.hear_master(stage, wire, packet);
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

//! The world of one seed: one scheduler, some hosts, users and faults, in one order of happenings.

use std::panic::{AssertUnwindSafe, catch_unwind};

use muster_proto::ExecutorId;

use crate::{
    agent_node::AgentNode,
    bugs::Bug,
    clock::Clock,
    executor_node::ExecutorNode,
    faults::{Faults, Targets},
    happening::Happening,
    network::{Between, Packet, Side, WireId},
    oracles::{self, Violation},
    report::{Log, Outcome, Shown},
    scheduler_node::SchedulerNode,
    stage::Stage,
    users::{self, Users},
};

/// How long everything may take to come to rest: far longer than any of its waits.
const CONVERGENCE: u64 = 45 * 60_000;
/// How long after a request's arrival its answer has been decided, disks being as they should.
const PATIENCE: u64 = 2_000;
/// Steps of one world. More is a world that does not come to rest.
const STEPS_MAX: u64 = 5_000_000;

/// How a world is run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Whether the lines of the log are kept.
    pub keep_lines: bool,
    /// A bug that is planted.
    pub bug: Option<Bug>,
}

/// Runs the world of a seed twice; that both are the same is one more oracle.
pub fn run_twice(seed: u64, bug: Option<Bug>) -> Outcome {
    let options = Options { keep_lines: false, bug };
    let (mut first, second) = (run(seed, options), run(seed, options));
    if first.violation.is_none() && first.digest != second.digest {
        let what = format!("{:016x} and {:016x}", first.digest, second.digest);
        first.violation = Some(Violation { oracle: "same_seed_same_world", what });
    }
    first
}

/// Runs the world of a seed until everything has come to rest, or an oracle is broken.
pub fn run(seed: u64, options: Options) -> Outcome {
    let mut world = World::new(seed, options);
    let mut steps = 0;
    let violation = loop {
        steps += 1;
        // The cores check themselves, and panic when they find something.
        let stepped = catch_unwind(AssertUnwindSafe(|| world.step()));
        let next = stepped.unwrap_or_else(|panic| {
            let what = words_of(panic.as_ref());
            Next::Broken(Violation { oracle: "the_cores_check_themselves", what })
        });
        match next {
            Next::GoesOn if steps < STEPS_MAX => {}
            Next::GoesOn => break Some(world.restless("too many steps")),
            Next::AtRest => break None,
            Next::Broken(violation) => break Some(violation),
        }
    };
    if let Some(violation) = &violation {
        world.stage.log(format_args!("BROKEN {violation}"));
    }
    let Stage { truth, .. } = &world.stage;
    let (runs, tasks) = (truth.runs(), truth.tasks());
    let virtual_ms = world.stage.time();
    let (digest, lines) = world.stage.log.finish();
    let faults = world.faults.struck;
    Outcome { digest, lines, steps, virtual_ms, runs, tasks, faults, violation }
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}

/// How it goes on after a step.
enum Next {
    GoesOn,
    AtRest,
    Broken(Violation),
}

struct World {
    stage: Stage,
    scheduler: SchedulerNode,
    agents: Vec<AgentNode>,
    users: Users,
    faults: Faults,
    calm_at: u64,
}

impl World {
    fn new(seed: u64, options: Options) -> Self {
        let mut stage = Stage::new(seed, options.bug, Log::new(options.keep_lines));
        let hosts = stage.between(1, 4);
        let calm_at = stage.between(2 * 60_000, 20 * 60_000);
        let scheduler = SchedulerNode::new(&mut stage);
        let (mut agents, mut room) = (Vec::new(), 0);
        for host in 0..usize::try_from(hosts).unwrap_or(1) {
            let cpus = stage.between(1, 3);
            // An executor and each of its tasks take a quarter.
            room += 4 * cpus - 1;
            agents.push(AgentNode::new(&mut stage, host, cpus));
            let delay = stage.between(0, 10_000);
            stage.after(delay, Happening::AgentStarts { host });
        }
        let users = Users::new(&mut stage, room);
        let faults = Faults::new(&mut stage, calm_at);
        stage.after(0, Happening::SchedulerStarts);
        stage.after(50, Happening::UsersAct);
        stage.at(calm_at, Happening::CalmBegins);
        faults.plan(&mut stage);
        Self { stage, scheduler, agents, users, faults, calm_at }
    }

    /// Lets the next thing happen.
    fn step(&mut self) -> Next {
        let Some(happening) = self.stage.next() else {
            return Next::Broken(self.restless("nothing is under way any more"));
        };
        self.happen(happening);
        if let Some(violation) = self.stage.violation() {
            return Next::Broken(violation);
        }
        if !self.stage.calm {
            return Next::GoesOn;
        }
        if self.is_at_rest() && self.charges().is_ok_and(|charges| charges) {
            return match self.judge_the_end() {
                Ok(()) => Next::AtRest,
                Err(violation) => Next::Broken(violation),
            };
        }
        if self.stage.time() > self.calm_at + CONVERGENCE {
            return Next::Broken(self.restless("after all that time"));
        }
        Next::GoesOn
    }

    fn is_at_rest(&self) -> bool {
        self.users.are_content()
            && self.scheduler.is_up()
            && self.agents.iter().all(AgentNode::is_at_rest)
            && oracles::everything_converges(&self.scheduler.store, &[]).is_ok()
    }

    /// Whether the master has had its say about what is in use: nothing, or that is wrong. Asked
    /// once everything else is at rest; masters of agents that have just come back know last.
    fn charges(&mut self) -> Result<bool, Violation> {
        let Some(agents) = self.scheduler.agents(&self.stage) else { return Ok(false) };
        oracles::nothing_is_charged_at_rest(&agents).map(|()| true)
    }

    fn judge_the_end(&self) -> Result<(), Violation> {
        let store = &self.scheduler.store;
        let (accepted, denied) = self.users.triggers();
        oracles::nothing_accepted_is_lost(&self.stage.truth, store)?;
        self.stage.truth.fires.each_planned_instant_has_one_outcome()?;
        oracles::each_trigger_is_one_run(store, accepted, denied)
    }

    /// What keeps the world from coming to rest.
    fn restless(&mut self, words: &str) -> Violation {
        if self.is_at_rest()
            && let Err(charged) = self.charges()
        {
            return charged;
        }
        let mut left = vec![words.to_owned()];
        for (host, agent) in self.agents.iter().enumerate() {
            if !agent.is_at_rest() {
                left.push(format!("host{host} is not at rest"));
            }
        }
        if !self.users.are_content() {
            left.push("users wait for answers".to_owned());
        }
        let verdict = oracles::everything_converges(&self.scheduler.store, &left);
        verdict.expect_err("there is at least the first word")
    }

    fn happen(&mut self, happening: Happening) {
        let Self { stage, scheduler, agents, users, faults, .. } = self;
        match happening {
            Happening::Arrives { wire, to, packet } => self.arrive(wire, to, packet),
            Happening::SchedulerStarts => scheduler.start(stage),
            Happening::SchedulerCommits { process } => scheduler.committed(stage, process),
            Happening::SchedulerWakes => scheduler.wake(stage),
            Happening::AgentStarts { host } => agents[host].start(stage),
            Happening::AgentDials { host, process } if agents[host].is(process) => {
                if let Some(wire) = agents[host].dial(stage, scheduler.listens()) {
                    scheduler.accept(stage, wire);
                }
            }
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
            }
            Happening::UsersCalmDown => users.calm_down(stage),
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
            Happening::SupervisorWakes { host, executor } => {
                let tick = muster_agent::supervise::Event::Tick;
                self.with(host, &executor, |node, stage, clock| {
                    node.supervise(stage, clock, &tick);
                });
            }
            Happening::ExecutorDials { host, executor } => {
                let up = up(self, host);
                self.with(host, &executor, |node, stage, clock| node.dial(stage, clock, up));
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

//! The world of one seed: one scheduler, some hosts, users and faults, in one order of happenings.

mod dispatch;
mod frameworks;
mod hosts;
mod patience;
mod rest;

use std::panic::{AssertUnwindSafe, catch_unwind};

use self::patience::Patience;
use crate::{
    agent_node::AgentNode,
    bugs::Bug,
    faults::Faults,
    guest_node::GuestNode,
    happening::Happening,
    master_node::MasterNode,
    oracles::Violation,
    report::{Log, Outcome},
    scheduler_node::SchedulerNode,
    setting::Setting,
    stage::Stage,
    users::Users,
};

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
    let (runs, tasks, notices) = (truth.runs(), truth.tasks(), truth.notices());
    let virtual_ms = world.stage.time();
    let (digest, lines) = world.stage.log.finish();
    let faults = world.faults.struck;
    Outcome { digest, lines, steps, virtual_ms, runs, tasks, notices, faults, violation }
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
    /// Whoever has the hosts, where that is not the scheduler.
    master: Option<MasterNode>,
    /// A framework beside the scheduler.
    guest: Option<GuestNode>,
    agents: Vec<AgentNode>,
    users: Users,
    faults: Faults,
    calm_at: u64,
    patience: Patience,
    /// When somebody looks next whether daemon jobs are as they should be.
    look_at: u64,
}

impl World {
    fn new(seed: u64, options: Options) -> Self {
        let mut stage = Stage::new(seed, options.bug, Log::new(options.keep_lines));
        let setting = Setting::draw(&mut stage, seed);
        let calm_at = stage.between(2 * 60_000, 20 * 60_000);
        let scheduler = SchedulerNode::new(&mut stage, &setting);
        let master = setting.foreign.as_ref().map(|foreign| {
            stage.truth.has_foreign_master(foreign.unreachable_wait);
            stage.after(0, Happening::MasterStarts);
            MasterNode::new(&mut stage)
        });
        let guest = setting.guest.then(|| {
            let delay = stage.between(0, 30_000);
            stage.after(delay, Happening::GuestActs);
            GuestNode::new(&mut stage)
        });
        let mut agents = Vec::new();
        for (host, facts) in setting.hosts.iter().enumerate() {
            agents.push(AgentNode::new(&mut stage, host, facts));
            let delay = stage.between(0, 10_000);
            stage.after(delay, Happening::AgentStarts { host });
        }
        let users = Users::new(&mut stage, &setting);
        let faults = Faults::new(&mut stage, calm_at, (master.is_some(), guest.is_some()));
        stage.after(0, Happening::SchedulerStarts);
        stage.after(50, Happening::UsersAct);
        stage.at(calm_at, Happening::CalmBegins);
        faults.plan(&mut stage);
        let (patience, look_at) = (Patience::default(), 0);
        Self { stage, scheduler, master, guest, agents, users, faults, calm_at, patience, look_at }
    }

    /// Lets the next thing happen.
    fn step(&mut self) -> Next {
        let Some(happening) = self.stage.next() else {
            return Next::Broken(self.restless("nothing is under way any more"));
        };
        if let Some(happening) = self.unless_frozen(happening) {
            self.happen(happening);
        }
        if let Some(violation) = self.stage.violation() {
            return Next::Broken(violation);
        }
        if self.stage.calm { self.come_to_rest() } else { Next::GoesOn }
    }
}

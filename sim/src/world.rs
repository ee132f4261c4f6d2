//! The world of one seed: one scheduler, some hosts, users and faults, in one order of happenings.

mod dispatch;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{
    agent_node::AgentNode,
    bugs::Bug,
    faults::Faults,
    happening::Happening,
    oracles::{self, Violation},
    report::{Log, Outcome},
    scheduler_node::SchedulerNode,
    stage::Stage,
    users::Users,
};

/// How long everything may take to come to rest: far longer than any of its waits.
const CONVERGENCE: u64 = 45 * 60_000;
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
        if let Some(happening) = self.unless_frozen(happening) {
            self.happen(happening);
        }
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
        oracles::each_trigger_is_one_run(store, accepted, denied)?;
        let (reruns, doubtful) = self.users.reruns();
        oracles::each_rerun_is_one_run(store, reruns, doubtful)
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
}

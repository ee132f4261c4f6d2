//! An executor on its host: its folder, its supervisor, its process, and the user code under it.

mod guard;
mod process;

use muster_agent::{
    core::{Container, Event as AgentEvent, ExecutorKey, Origin},
    supervise::{Effect as SupervisorEffect, Event, Exit, Supervisor, Why},
};
use muster_api::Mono;
use muster_executor::core as executor;
use muster_proto::{ExecutorId, ExecutorInfo, FrameworkId};

use self::process::Process;
use crate::{
    bugs::Bug,
    clock::Clock,
    happening::Happening,
    oracles,
    stage::{Alarm, Stage},
    user_code::UserCode,
};

/// How long an agent takes to end what a dead supervisor has left behind.
const LEFTOVERS_MAX: u64 = 250;

/// The wait status of a process that was ended by SIGKILL.
const KILLED: i32 = 9;

/// The folder of an executor, and what lives by it.
#[derive(Debug)]
pub(crate) struct ExecutorNode {
    host: usize,
    /// The name of its container: for one of our own agent's engine that is the executor's own.
    id: ExecutorId,
    info: ExecutorInfo,
    framework: FrameworkId,
    /// Where it comes from; all but our own speak plain Mesos with their agent.
    origin: Origin,
    /// The file that a supervisor starts from: the first end of the lease.
    spec: Option<Option<Mono>>,
    /// The end of its lease, as its supervisor knows it or would know it if it were not frozen.
    lease_ends: Option<Mono>,
    /// The file that says how it ended.
    exit: Option<Exit>,
    supervisor: Option<Supervisor>,
    alarm: Alarm,
    /// The process of the agent that listens to the supervisor.
    follower: Option<u64>,
    /// What waits for the supervisor to begin.
    unheard: Vec<Event>,
    last_to_supervisor: u64,
    last_to_agent: u64,
    process: Option<Process>,
    code: UserCode,
    /// The supervisor was killed, and nobody has ended what it left behind.
    orphaned: bool,
    /// The supervisor is killed when nothing is left under it, before it can say so.
    speechless: bool,
}

impl ExecutorNode {
    pub(crate) fn new(host: usize, id: ExecutorId, info: ExecutorInfo) -> Self {
        let code = UserCode::new(host, id.clone());
        Self {
            host,
            id,
            info,
            framework: FrameworkId::default(),
            origin: Origin::Ours,
            spec: None,
            lease_ends: None,
            exit: None,
            supervisor: None,
            alarm: Alarm::default(),
            follower: None,
            unheard: Vec::new(),
            last_to_supervisor: 0,
            last_to_agent: 0,
            process: None,
            code,
            orphaned: false,
            speechless: false,
        }
    }

    /// An executor of which nothing was made.
    pub(crate) fn never_made(host: usize, id: ExecutorId) -> Self {
        Self::new(host, id, ExecutorInfo::default())
    }

    /// Who it is, if it makes its calls as with any agent of Mesos.
    pub(crate) fn plain_key(&self) -> Option<ExecutorKey> {
        let framework = self.framework.clone();
        (self.origin != Origin::Ours).then(|| ExecutorKey { framework, executor: self.name() })
    }

    /// As its framework calls it.
    fn name(&self) -> ExecutorId {
        self.info.executor_id.clone().unwrap_or_default()
    }

    /// Whether nothing of it lives.
    pub(crate) fn is_over(&self) -> bool {
        self.supervisor.is_none() && self.process.is_none() && self.code.is_empty()
    }

    /// Whether its process lives.
    pub(crate) fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// Whether its supervisor lives.
    pub(crate) fn is_supervised(&self) -> bool {
        self.supervisor.is_some()
    }

    /// The agent wants a supervisor started: its file is written, and its process is on its way.
    pub(crate) fn plan(
        &mut self,
        stage: &mut Stage,
        (framework, origin): (FrameworkId, Origin),
        deadline: Option<Mono>,
        agent: u64,
    ) {
        self.framework = framework;
        self.origin = origin;
        self.spec = Some(deadline);
        self.lease_ends = deadline;
        self.follower = Some(agent);
        let (host, executor) = (self.host, self.id.clone());
        let delay = stage.between(1, 100);
        stage.after(delay, Happening::SupervisorBegins { host, executor });
    }

    /// The agent's process is gone, and with it what it had not sent.
    pub(crate) fn agent_is_gone(&mut self) {
        self.follower = None;
        self.unheard.clear();
    }

    /// The supervisor is killed. The executor's process dies with it, for it has asked the kernel
    /// for that; the code that it started lives until the agent has found it.
    pub(crate) fn supervisor_dies(&mut self, stage: &mut Stage, clock: Clock, agent: Option<u64>) {
        stage.log(format_args!("host{}: the supervisor of {} is killed", self.host, self.id));
        self.supervisor = None;
        self.alarm.clear(stage);
        self.end_process(stage);
        self.orphaned = true;
        self.follower = agent;
        self.supervisor_is_gone(stage);
        self.guard_may_stop(stage, clock);
        if let Some(process) = agent {
            self.end_leftovers_soon(stage, process);
        }
    }

    fn end_leftovers_soon(&self, stage: &mut Stage, process: u64) {
        let (host, executor) = (self.host, self.id.clone());
        let delay = stage.between(1, LEFTOVERS_MAX);
        stage.after(delay, Happening::LeftoversEnd { host, process, executor });
    }

    /// The agent has ended what the supervisor left behind, and says so in its stead.
    pub(crate) fn leftovers_end(&mut self, stage: &mut Stage) {
        if !self.orphaned {
            return;
        }
        self.orphaned = false;
        self.code.kill_all(stage);
        stage.truth.executor_ends(self.host, &self.id);
        self.report(stage, Exit::unknown(Why::Lost));
    }

    /// The supervisor begins, unless this start was given up.
    pub(crate) fn begin(&mut self, stage: &mut Stage, clock: Clock) {
        let Some(deadline) = self.spec else { return };
        if self.exit.is_some() || self.supervisor.is_some() {
            return;
        }
        if deadline.is_some_and(|deadline| deadline <= clock.now(stage).mono) {
            return self.report(stage, Exit::unknown(Why::NeverStarted));
        }
        stage.log(format_args!("host{}: executor {} begins", self.host, self.id));
        let deadline = deadline.filter(|_| stage.bug != Some(Bug::LeasesIgnored));
        self.supervisor = Some(Supervisor::new(deadline));
        self.process = Some(Process::new(stage, self.origin));
        stage.truth.executor_begins(self.host, &self.id, &self.info);
        stage.judge(oracles::no_host_is_over_promised(&stage.truth, self.host));
        self.dial_later(stage, 10, 300);
        let event = AgentEvent::Started { container: Container::from(&self.id), pid: 1 };
        self.tell_agent(stage, event);
        for event in std::mem::take(&mut self.unheard) {
            self.tell_supervisor(stage, clock, event);
        }
        self.set_supervisor_alarm(stage, clock);
    }

    /// A new process of the agent looks for the supervisor. Where none has begun, the exit file is
    /// written, so that none will.
    pub(crate) fn attach(&mut self, stage: &mut Stage, agent: u64) {
        self.follower = Some(agent);
        if self.supervisor.is_some() {
            let (host, executor) = (self.host, self.id.clone());
            stage.at_once(Happening::SupervisorGreets { host, executor });
        } else if self.orphaned {
            self.end_leftovers_soon(stage, agent);
        } else if let Some(exit) = self.exit.clone() {
            self.tell_agent(
                stage,
                AgentEvent::Exited { container: Container::from(&self.id), exit },
            );
        } else {
            let why = if self.spec.is_some() { Why::Lost } else { Why::NeverStarted };
            self.report(stage, Exit::unknown(why));
        }
    }

    /// The supervisor answers an agent that has found it.
    pub(crate) fn greet(&mut self, stage: &mut Stage) {
        if self.supervisor.is_some() {
            self.tell_agent(
                stage,
                AgentEvent::Started { container: Container::from(&self.id), pid: 1 },
            );
        }
    }

    fn tell_agent(&mut self, stage: &mut Stage, event: AgentEvent) {
        let Some(process) = self.follower else { return };
        let delay = stage.between(0, 20);
        let heard = Happening::AgentHears { host: self.host, process, event };
        stage.in_order(&mut self.last_to_agent, delay, heard);
    }

    /// Writes the exit file, and says so.
    fn report(&mut self, stage: &mut Stage, exit: Exit) {
        stage.log(format_args!("host{}: executor {} {}", self.host, self.id, exit.describe()));
        self.exit = Some(exit.clone());
        self.tell_agent(stage, AgentEvent::Exited { container: Container::from(&self.id), exit });
    }

    /// The agent tells the supervisor something.
    pub(crate) fn tell_supervisor(&mut self, stage: &mut Stage, clock: Clock, event: Event) {
        if let (Event::Deadline { at, said }, Some(ends)) = (&event, &mut self.lease_ends)
            && *ends > *said
        {
            *ends = (*at).max(*ends);
            self.guard_may_stop(stage, clock);
        }
        if self.supervisor.is_none() {
            return self.unheard.push(event);
        }
        let (host, executor) = (self.host, self.id.clone());
        let delay = stage.between(0, 5);
        let heard = Happening::SupervisorHears { host, executor, event };
        stage.in_order(&mut self.last_to_supervisor, delay, heard);
    }

    /// Something reaches the supervisor.
    pub(crate) fn supervise(&mut self, stage: &mut Stage, clock: Clock, event: &Event) {
        let now = clock.now(stage).mono;
        let mut event = event;
        while let Some(supervisor) = &mut self.supervisor {
            match supervisor.step(now, event) {
                None => {}
                Some(SupervisorEffect::Terminate) => {
                    let (host, executor) = (self.host, self.id.clone());
                    let event = Box::new(executor::Event::Terminated);
                    stage.at_once(Happening::ExecutorHears { host, executor, event });
                }
                Some(SupervisorEffect::KillAll) => self.kill_all(stage, clock),
                Some(SupervisorEffect::Report(exit)) => self.over(stage, clock, exit),
            }
            // It looks at the clock after whatever it has heard.
            let next = self.supervisor.as_ref().and_then(Supervisor::next_wakeup);
            if next.is_none_or(|at| at > now) {
                break;
            }
            event = &Event::Tick;
        }
        self.set_supervisor_alarm(stage, clock);
    }

    /// Ends the process and every descendant, and says so to the supervisor.
    fn kill_all(&mut self, stage: &mut Stage, clock: Clock) {
        let now = clock.now(stage).mono;
        let killed = self.process.is_some();
        self.end_process(stage);
        if stage.bug != Some(Bug::OrphansLeft) {
            self.code.kill_all(stage);
        }
        stage.truth.executor_ends(self.host, &self.id);
        let Some(supervisor) = &mut self.supervisor else { return };
        if killed {
            supervisor.step(now, &Event::Ended { status: KILLED });
        }
        if let Some(SupervisorEffect::Report(exit)) = supervisor.step(now, &Event::AllGone) {
            self.over(stage, clock, exit);
        }
    }

    /// Everything is gone at once, and nobody is left to say so.
    pub(crate) fn vanish(&mut self, stage: &mut Stage) {
        self.end_process(stage);
        self.code.kill_all(stage);
        stage.truth.executor_ends(self.host, &self.id);
        self.supervisor = None;
        self.orphaned = false;
        self.alarm.clear(stage);
        self.supervisor_is_gone(stage);
    }

    /// The supervisor is going to be killed before its last word.
    pub(crate) fn speechless(&mut self) {
        self.speechless = self.supervisor.is_some();
    }

    fn over(&mut self, stage: &mut Stage, clock: Clock, exit: Exit) {
        if self.speechless {
            let agent = self.follower;
            return self.supervisor_dies(stage, clock, agent);
        }
        self.supervisor = None;
        self.alarm.clear(stage);
        self.supervisor_is_gone(stage);
        self.report(stage, exit);
    }

    fn set_supervisor_alarm(&mut self, stage: &mut Stage, clock: Clock) {
        let Some(supervisor) = &self.supervisor else { return };
        let at = supervisor.next_wakeup().map(|at| clock.world_time(at));
        let wakes = Happening::SupervisorWakes { host: self.host, executor: self.id.clone() };
        self.alarm.set(stage, at, wakes);
    }
}

//! The process of an executor: its core, its wire to the agent, and the code that it starts.

use muster_agent::{core::Origin, supervise};
use muster_api::{IdStream, Now, Timestamp, limits, task::TaskPayload};
use muster_executor::{
    core::{self as executor, Executor},
    wire::{Heard, Sender, hear},
};
use muster_proto::TaskId;

use super::{ExecutorNode, KILLED};
use crate::{
    bugs::Bug,
    clock::Clock,
    frozen::Who,
    happening::Happening,
    network::{Between, Packet, Side, WireId},
    oracles,
    stage::{Alarm, Stage},
    user_code,
    users::{Fate, HANDLER},
};

/// Between two dials of the agent: from this, doubling ...
const REDIAL_FIRST: u64 = 100;
/// ... to this (`executor/src/link/dial.rs`).
const REDIAL_MAX: u64 = 1_000;
/// How soon its shell notices that the wall clock was set, at the latest.
const WALL_LOOKED_AT: u64 = 1_000;

/// The executor's process.
#[derive(Debug)]
pub(super) struct Process {
    core: Executor,
    wire: Option<WireId>,
    redial: u64,
    alarm: Alarm,
}

impl Process {
    pub(super) fn new(stage: &mut Stage, origin: Origin) -> Self {
        let ids = IdStream::new(stage.bits(), 1);
        let grace = limits::EXECUTOR_SHUTDOWN_GRACE;
        Self {
            core: match origin {
                Origin::Command => Executor::of_command(grace, ids),
                Origin::Ours | Origin::Foreign => Executor::new([HANDLER.to_owned()], grace, ids),
            },
            wire: None,
            redial: REDIAL_FIRST,
            alarm: Alarm::default(),
        }
    }
}

impl ExecutorNode {
    /// The executor's process is killed from outside, or ends by itself. Its user code lives on
    /// until the supervisor has noticed.
    pub(crate) fn process_ends(&mut self, stage: &mut Stage, status: i32) {
        if self.process.is_none() {
            return;
        }
        stage.log(format_args!("host{}: executor {} ends with {status}", self.host, self.id));
        self.end_process(stage);
        let (host, executor) = (self.host, self.id.clone());
        let delay = stage.between(0, 20);
        let event = supervise::Event::Ended { status };
        stage.after(delay, Happening::SupervisorHears { host, executor, event });
    }

    pub(super) fn end_process(&mut self, stage: &mut Stage) {
        let Some(mut process) = self.process.take() else { return };
        process.alarm.clear(stage);
        if let Some(wire) = process.wire {
            stage.close(wire, Side::Dialler);
        }
        self.code.end_handlers(stage);
        stage.thaw(&Who::Executor(self.host, self.id.clone()));
    }

    pub(super) fn dial_later(&self, stage: &mut Stage, low: u64, high: u64) {
        let (host, executor) = (self.host, self.id.clone());
        let delay = stage.between(low, high);
        stage.after(delay, Happening::ExecutorDials { host, executor });
    }

    /// The executor dials its agent.
    pub(crate) fn dial(&mut self, stage: &mut Stage, clock: Clock, reachable: bool) {
        let Some(process) = &mut self.process else { return };
        if process.wire.is_some() {
            return;
        }
        if !reachable {
            let wait = process.redial;
            process.redial = (wait * 2).min(REDIAL_MAX);
            return self.dial_later(stage, wait, wait);
        }
        let between = Between::ExecutorAndAgent { host: self.host, executor: self.id.clone() };
        process.wire = Some(stage.network.open(between));
        process.redial = REDIAL_FIRST;
        self.step(stage, clock, executor::Event::Connected);
    }

    /// A packet of the agent comes out of a wire.
    pub(crate) fn hear(&mut self, stage: &mut Stage, clock: Clock, wire: WireId, packet: Packet) {
        let Some(process) = self.process.as_mut().filter(|p| p.wire == Some(wire)) else { return };
        let heard = match packet {
            Packet::Event(event) => hear(event),
            _ => Heard::Over("closed".to_owned()),
        };
        match heard {
            Heard::Event(event) => self.step(stage, clock, event),
            Heard::Nothing => {}
            Heard::Over(_) => {
                process.wire = None;
                stage.hang_up(wire, Side::Dialler);
                self.dial_later(stage, REDIAL_FIRST, REDIAL_FIRST);
                self.step(stage, clock, executor::Event::Disconnected);
            }
        }
    }

    /// The time has come that the executor asked to be woken at.
    pub(crate) fn wake(&mut self, stage: &mut Stage, clock: Clock) {
        self.step(stage, clock, executor::Event::Wake);
    }

    /// Hands the executor's core an event, and does what it decides.
    pub(super) fn step(&mut self, stage: &mut Stage, clock: Clock, event: executor::Event) {
        let now = clock.now(stage);
        self.see_residents(stage, now.wall, &event);
        let Some(process) = &mut self.process else { return };
        let now = Now { wall: seen_at(stage, now.wall, &event), ..now };
        let mut effects = process.core.step(now, event).effects;
        while process.wire.is_some() && process.core.wants_to_write(now.mono) {
            effects.extend(process.core.step(now, executor::Event::Writable).effects);
        }
        // As the shell does: a timer may ring within its last millisecond.
        let at = process.core.next_wakeup().map(|at| clock.world_time(at) + 1);
        let instant = process.core.next_instant().map(|at| clock.world_time_of_wall(at));
        let at = at.into_iter().chain(instant).min();
        let wakes = Happening::ExecutorWakes { host: self.host, executor: self.id.clone() };
        process.alarm.set(stage, at, wakes);
        for effect in effects {
            self.carry_out(stage, now.wall, effect);
        }
    }

    /// What planted bugs make an executor believe: that code of a task is over.
    fn take_for_ended(&self, stage: &mut Stage, task: TaskId, end: executor::End) {
        let (host, executor) = (self.host, self.id.clone());
        let event = Box::new(executor::Event::Ended { task, end });
        stage.at_once(Happening::ExecutorHears { host, executor, event });
    }

    /// What an event means to the tasks that stay here.
    fn see_residents(&self, stage: &mut Stage, now: Timestamp, event: &executor::Event) {
        match event {
            executor::Event::Launch(info) => {
                let payload = TaskPayload::decode(info.data.as_deref().unwrap_or_default());
                if let Some(payload) = payload.ok().filter(|payload| payload.resident.is_some()) {
                    let (host, id) = (self.host, &self.id);
                    let verdict =
                        oracles::resident_begins(&mut stage.truth, host, id, &payload, now);
                    stage.judge(verdict);
                }
            }
            executor::Event::Kill { task, .. } => {
                let verdict = stage.truth.resident_is_ending(&task.value, now);
                stage.judge(verdict);
            }
            executor::Event::Shutdown | executor::Event::Terminated => {
                stage.truth.residents_are_ending(self.host, &self.id);
            }
            _ => {}
        }
    }

    /// The wall clock of its host was set, which its shell notices within a second.
    pub(crate) fn clock_is_set(&self, stage: &mut Stage) {
        if self.process.is_some() {
            let delay = stage.between(0, WALL_LOOKED_AT);
            let (host, executor) = (self.host, self.id.clone());
            stage.after(delay, Happening::ExecutorWakes { host, executor });
        }
    }

    fn carry_out(&mut self, stage: &mut Stage, now: Timestamp, effect: executor::Effect) {
        match effect {
            executor::Effect::Start { task, payload } => {
                let context = &payload.context;
                if payload.resident.is_some()
                    && !stage.truth.is_forgiven_of(self.host, &self.id, &context.task)
                {
                    let verdict = oracles::each_instant_of_a_resident_is_settled(
                        &mut stage.truth,
                        context,
                        now,
                    );
                    stage.judge(verdict);
                }
                self.code.start(stage, &task, *payload);
            }
            executor::Effect::StartCommand { task, .. } => self.code.start_command(stage, &task),
            executor::Effect::Cancel { task } => {
                // A handler that does not end costs its executor, and then nothing begins there.
                if self.code.is_handler(&task) {
                    stage.truth.residents_are_ending(self.host, &self.id);
                }
                self.code.ask_to_end(stage, &task);
                if stage.bug == Some(Bug::AskedIsEnded) {
                    let end = user_code::seen(Fate::Signalled);
                    self.take_for_ended(stage, task, end);
                }
            }
            executor::Effect::Force { task } => self.code.force(stage, &task),
            executor::Effect::Send(batch) => {
                for update in batch.iter().flat_map(updates) {
                    if update.state.is_terminal() {
                        stage.truth.resident_ends(&update.task.value);
                    }
                }
                let sender = Sender { framework: self.framework.clone(), executor: self.name() };
                let calls = batch.into_iter().map(|outgoing| sender.call(outgoing)).collect();
                if let Some(wire) = self.process.as_ref().and_then(|process| process.wire) {
                    stage.send(wire, Side::Dialler, Packet::Calls(calls));
                }
            }
            executor::Effect::Exit(exit) => self.process_ends(stage, i32::from(exit.code) << 8),
        }
    }

    /// User code begins to run, if there still is an executor to start it.
    pub(crate) fn code_begins(&mut self, stage: &mut Stage, clock: Clock, task: &TaskId) {
        if self.process.is_none() {
            return self.code.give_up(task);
        }
        self.code.begin(stage, task);
        let at = clock.now(stage).wall;
        self.step(stage, clock, executor::Event::Started { task: task.clone(), at });
        if stage.bug == Some(Bug::ExecutionsOverlap) && self.code.is_resident(task) {
            let end = user_code::seen(Fate::EndsWell { after: 0 });
            self.take_for_ended(stage, task.clone(), end);
        }
    }

    /// User code comes to its end.
    pub(crate) fn code_ends(&mut self, stage: &mut Stage, clock: Clock, task: &TaskId) {
        self.code.takes_along(stage, task);
        if let Some(context) = self.code.context(task) {
            stage.truth.execution_ends(context, clock.now(stage).wall);
        }
        match self.code.end(stage, task) {
            None => {}
            Some(Fate::TakesItsExecutorAlong { .. }) => self.process_ends(stage, KILLED),
            Some(fate) => {
                let (host, executor, task) = (self.host, self.id.clone(), task.clone());
                let event = Box::new(executor::Event::Ended { task, end: user_code::seen(fate) });
                stage.at_once(Happening::ExecutorHears { host, executor, event });
            }
        }
    }

    /// Something of its host reaches the executor.
    pub(crate) fn told(&mut self, stage: &mut Stage, clock: Clock, event: executor::Event) {
        self.step(stage, clock, event);
    }

    /// Whether a task is a handler within the executor's process, and no process of its own.
    pub(crate) fn is_handler(&self, task: &TaskId) -> bool {
        self.code.is_handler(task)
    }
}

/// When an executor takes something in, by the wall clock of its host.
fn seen_at(stage: &Stage, now: Timestamp, event: &executor::Event) -> Timestamp {
    let launches = matches!(event, executor::Event::Launch(_));
    if launches && stage.bug == Some(Bug::InstantsCarriedOver) {
        return Timestamp::from_millis(now.as_millis() - 60_000);
    }
    now
}

/// The states of tasks that are told of.
fn updates(outgoing: &executor::Outgoing) -> &[executor::Update] {
    match outgoing {
        executor::Outgoing::Subscribe { updates, .. } => updates,
        executor::Outgoing::Update(update) => std::slice::from_ref(update),
        _ => &[],
    }
}

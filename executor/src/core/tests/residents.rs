//! Resident tasks: their executions, what ends them, and what is told of both.

use muster_api::{
    limits,
    spec::{MisfirePolicy, ScheduleSpec},
    task::{ExecutionBatch, ExecutionOutcome, ExecutionReport, Resident},
};

use super::*;

/// Each full second, from 1 s on the clock of the desk.
fn each_second(misfire: MisfirePolicy) -> Resident {
    Resident {
        schedule: ScheduleSpec { every: Some(Span::from_secs(1)), ..ScheduleSpec::default() },
        anchor: Timestamp::from_millis(0),
        offset: Span::ZERO,
        misfire,
        grace: Span::from_secs(3_600),
        sampling: 0,
    }
}

impl Desk {
    /// A resident task that is taken in, and what it was launched with.
    fn resides(&mut self, work: Work, resident: Resident) -> (TaskId, TaskPayload) {
        self.resides_with(work, resident, Span::from_secs(1))
    }

    /// The same, with a bound for its executions.
    fn resides_with(
        &mut self,
        work: Work,
        resident: Resident,
        timeout: Span,
    ) -> (TaskId, TaskPayload) {
        let payload = TaskPayload { resident: Some(resident), timeout, ..self.payload(work) };
        let (task, effects) = self.launch(&payload);
        assert_eq!(effects, [], "nothing is due yet");
        self.after(10);
        assert_eq!(self.states(), [TaskState::Running], "it runs all the same");
        self.millis -= 10;
        (task, payload)
    }

    fn script_each_second(&mut self) -> TaskId {
        self.resides(script(), each_second(MisfirePolicy::Coalesce)).0
    }

    /// What an execution that begins now is given.
    fn begins(&mut self, task: &TaskId, millis: u64) -> ShardContext {
        match self.after(millis).as_slice() {
            [Effect::Start { task: started, payload }] if started == task => {
                let at = self.now().wall;
                assert_eq!(self.step(Event::Started { task: task.clone(), at }), []);
                payload.context.clone()
            }
            other => panic!("{other:?}"),
        }
    }

    /// The batch that is written, and nothing else.
    fn told_of_executions(&mut self) -> Option<ExecutionBatch> {
        let mut written = self.written();
        match (written.pop(), written.as_slice()) {
            (Some(Outgoing::Executions(batch)), []) => Some(batch),
            (None, _) => None,
            other => panic!("{other:?}"),
        }
    }

    /// What is told of executions after a while, and taken.
    fn executions(&mut self) -> Vec<ExecutionReport> {
        self.millis += 1_000;
        let batch = self.told_of_executions().expect("there is something to tell");
        self.step(Event::Taken { number: batch.number });
        batch.executions
    }
}

fn second(nth: i64) -> Timestamp {
    Timestamp::from_millis(nth * 1_000)
}

#[test]
fn each_instant_is_an_execution_with_a_context_of_its_own() {
    let mut desk = Desk::new();
    let (task, launched) = desk.resides(script(), each_second(MisfirePolicy::Coalesce));
    assert_eq!(desk.executor.next_instant(), Some(second(2)));
    assert_eq!(desk.after(999), []);
    let context = desk.begins(&task, 1);
    let expected = ShardContext {
        planned_time: second(2),
        planned_until: second(2),
        fires: Some(1),
        fire_time: second(2),
        ..launched.context
    };
    assert_eq!(context, expected, "the task, its attempt and its epoch are the task's");
    desk.millis += 100;
    assert_eq!(desk.end(&task, success()), [], "the next one has its time");
    assert_eq!(desk.begins(&task, 900).planned_time, second(3));
    assert_eq!(desk.end(&task, failure()), []);
    let told: Vec<_> = desk.executions();
    let rows: Vec<_> =
        told.iter().map(|told| (told.planned_at, told.outcome, told.exit_code)).collect();
    let expected = [
        (second(2), ExecutionOutcome::Succeeded, None),
        (second(3), ExecutionOutcome::Failed, Some(3)),
    ];
    assert_eq!(rows, expected);
    assert_eq!(told[1].message.as_deref(), Some("exited with code 3"));
    assert_eq!((told[0].started_at, told[0].ended_at), (second(2), Timestamp::from_millis(2_100)));
}

#[test]
fn there_are_never_two_executions_of_a_task_at_once() {
    let mut desk = Desk::new();
    for (policy, first, skipped) in [(MisfirePolicy::Skip, 6, 3), (MisfirePolicy::Coalesce, 3, 0)] {
        desk.millis = 1_000;
        desk.step(Event::Wake);
        let (task, _) = desk.resides_with(script(), each_second(policy), Span::ZERO);
        desk.begins(&task, 1_000);
        for _ in 0..3 {
            assert_eq!(desk.after(1_000), [], "{policy:?}: the former one goes on");
        }
        assert_eq!(desk.executor.next_instant(), Some(second(6)), "{policy:?}");
        desk.millis += 1_000;
        let effects = desk.end(&task, success());
        let [Effect::Start { payload, .. }] = effects.as_slice() else { panic!("{effects:?}") };
        let context = &payload.context;
        assert_eq!((context.planned_time, context.planned_until), (second(first), second(6)));
        assert_eq!(context.fires, Some(4 - skipped), "{policy:?}");
        desk.kill(&task);
        desk.end(&task, success());
        desk.millis += 1_000;
        let written = desk.written();
        let told = written.iter().find_map(|outgoing| match outgoing {
            Outgoing::Executions(batch) => Some(batch.clone()),
            _ => None,
        });
        let told = told.expect("both executions are told of");
        desk.step(Event::Taken { number: told.number });
        let counted: u64 = told.left_out.iter().map(|left_out| left_out.skipped).sum();
        assert_eq!(counted, skipped, "{policy:?}");
    }
}

#[test]
fn what_a_failed_execution_is_does_not_end_its_task() {
    let mut desk = Desk::new();
    let task = desk.script_each_second();
    // As one that cannot be spawned: it never starts.
    let effects = desk.after(1_000);
    assert!(matches!(effects.as_slice(), [Effect::Start { .. }]));
    assert_eq!(desk.end(&task, failure()), []);
    let told = desk.executions();
    assert_eq!((told.len(), told[0].outcome), (1, ExecutionOutcome::Failed));
    assert!(matches!(desk.begun.as_slice(), [Effect::Start { .. }]), "the next one has begun");
}

#[test]
fn a_time_out_ends_an_execution_and_not_its_task() {
    let mut desk = Desk::new();
    let task = desk.script_each_second();
    desk.begins(&task, 1_000);
    assert_eq!(desk.after(999), []);
    assert_eq!(desk.after(1), [Effect::Cancel { task: task.clone() }]);
    assert_eq!(desk.after(200), [Effect::Force { task: task.clone() }]);
    let effects = desk.end(&task, failure());
    assert!(matches!(effects.as_slice(), [Effect::Start { .. }]), "the next one is due");
    let told = desk.executions();
    assert_eq!(told[0].outcome, ExecutionOutcome::TimedOut);
    assert_eq!(told[0].message.as_deref(), Some("timed out after 1s"));
}

#[test]
fn a_kill_cancels_the_execution_and_ends_the_task() {
    let mut desk = Desk::new();
    let task = desk.script_each_second();
    desk.begins(&task, 1_000);
    assert_eq!(desk.kill(&task), [Effect::Cancel { task: task.clone() }]);
    assert_eq!(desk.after(200), [Effect::Force { task: task.clone() }]);
    desk.after(1_000);
    assert_eq!(desk.end(&task, failure()), [], "nothing begins any more");
    assert_eq!(desk.states(), [TaskState::Killed]);
    assert_eq!(desk.executor.next_instant(), None);
    assert_eq!(desk.executions()[0].outcome, ExecutionOutcome::Cancelled);
}

#[test]
fn a_kill_between_two_executions_ends_the_task_at_once() {
    let mut desk = Desk::new();
    let task = desk.script_each_second();
    assert_eq!(desk.kill(&task), []);
    let updates = desk.updates();
    assert_eq!((updates.len(), updates[0].state), (1, TaskState::Killed));
    assert_eq!(updates[0].report.as_ref().unwrap().started_at, Some(second(1)));
    assert_eq!(desk.after(5_000), []);
    desk.acknowledge(&updates[0]);
    assert_eq!((desk.executor.next_wakeup(), desk.executor.next_instant()), (None, None));
}

#[test]
fn a_kill_of_a_task_whose_execution_times_out_ends_both() {
    let mut desk = Desk::new();
    let task = desk.script_each_second();
    desk.begins(&task, 1_000);
    assert_eq!(desk.after(1_000), [Effect::Cancel { task: task.clone() }]);
    assert_eq!(desk.kill(&task), []);
    desk.after(200);
    assert_eq!(desk.end(&task, failure()), []);
    assert_eq!(desk.states(), [TaskState::Killed]);
    assert_eq!(desk.executions()[0].outcome, ExecutionOutcome::TimedOut);
}

#[test]
fn a_handler_that_does_not_end_its_execution_costs_the_executor() {
    let mut desk = Desk::new();
    let (task, _) = desk.resides(handler(), each_second(MisfirePolicy::Skip));
    let (idle, _) = desk.resides(script(), each_second(MisfirePolicy::Skip));
    desk.millis += 1_000;
    let effects = desk.step(Event::Wake);
    assert_eq!(effects.len(), 2);
    let at = desk.now().wall;
    desk.step(Event::Started { task: task.clone(), at });
    desk.step(Event::Started { task: idle.clone(), at });
    desk.end(&idle, success());
    desk.after(999);
    let effects = desk.after(1);
    assert!(effects.contains(&Effect::Cancel { task }), "{effects:?}");
    desk.end(&idle, success());
    assert_eq!(desk.after(200), [], "nothing ends a thread, and nothing begins beside it");
    desk.after(10);
    let written = desk.written();
    let Some(Outgoing::Update(update)) = written.first() else { panic!("{written:?}") };
    assert_eq!(update.state, TaskState::Killing);
    assert_eq!(update.label, Some((LABEL_STUCK, STUCK_TIMED_OUT)));
    assert_eq!(desk.executor.next_instant(), None);
}

#[test]
fn a_shutdown_ends_residents_and_tells_of_their_last_execution_at_once() {
    let by_signal = Some((LABEL_ENDED, ENDED_BY_ORDER));
    for (event, label) in [(Event::Shutdown, None), (Event::Terminated, by_signal)] {
        let mut desk = Desk::new();
        let (busy, idle) = (desk.script_each_second(), desk.script_each_second());
        let effects = desk.after(1_000);
        assert_eq!(effects.len(), 2);
        desk.end(&idle, success());
        assert_eq!(desk.step(event), [Effect::Cancel { task: busy.clone() }]);
        desk.end(&busy, failure());
        let written = desk.written();
        let ends: Vec<_> = written
            .iter()
            .map(|outgoing| match outgoing {
                Outgoing::Update(update) => Some((update.state, update.label)),
                Outgoing::Subscribe { .. } | Outgoing::Executions(_) => None,
            })
            .collect();
        let killed = Some((TaskState::Killed, label));
        assert_eq!(ends, [killed, killed, None]);
        let Some(Outgoing::Executions(batch)) = written.last() else { panic!("{written:?}") };
        let outcomes: Vec<_> = batch.executions.iter().map(|told| told.outcome).collect();
        assert_eq!(outcomes, [ExecutionOutcome::Succeeded, ExecutionOutcome::Cancelled]);
    }
}

#[test]
fn of_successes_every_so_manieth_is_told_of_and_of_failures_each() {
    let mut desk = Desk::new();
    let resident = Resident { sampling: 3, ..each_second(MisfirePolicy::Coalesce) };
    let (task, _) = desk.resides(script(), resident);
    let mut told = Vec::new();
    for nth in 2..=12 {
        desk.begins(&task, 1_000);
        desk.end(&task, if nth == 6 { failure() } else { success() });
        if let Some(batch) = desk.told_of_executions() {
            desk.step(Event::Taken { number: batch.number });
            told.push(batch);
        }
    }
    desk.millis += 10_000;
    told.extend(desk.told_of_executions());
    let planned: Vec<_> =
        told.iter().flat_map(|batch| &batch.executions).map(|one| one.planned_at).collect();
    assert_eq!(planned, [second(4), second(6), second(8), second(11)]);
    let sampled: u64 = told.iter().flat_map(|batch| &batch.left_out).map(|out| out.sampled).sum();
    assert_eq!(sampled, 7, "eleven executions in all");
}

#[test]
fn executions_wait_here_while_nobody_takes_them() {
    let mut desk = Desk::new();
    let task = desk.script_each_second();
    desk.begins(&task, 1_000);
    desk.end(&task, success());
    desk.millis += 999;
    assert_eq!(desk.told_of_executions(), None, "it waits a second for others");
    desk.begins(&task, 1);
    desk.end(&task, success());
    let first = desk.told_of_executions().unwrap();
    assert_eq!(first.number, 1);
    desk.step(Event::Disconnected);
    for _ in 0..1_100 {
        let effects = desk.after(1_000);
        if effects.iter().any(|effect| matches!(effect, Effect::Start { .. })) {
            desk.end(&task, success());
        }
    }
    assert_eq!(desk.written(), [], "there is nobody to write to");
    desk.connect();
    let again = desk.told_of_executions();
    assert_eq!(again.as_ref(), Some(&first), "the agent may not have passed it on");
    desk.step(Event::Taken { number: 1 });
    let (mut executions, mut dropped) = (first.executions.len(), 0);
    while let Some(batch) = desk.told_of_executions() {
        assert!(batch.executions.len() <= limits::EXECUTIONS_PER_MESSAGE);
        executions += batch.executions.len();
        dropped += batch.left_out.iter().map(|left_out| left_out.dropped).sum::<u64>();
        desk.step(Event::Taken { number: batch.number });
    }
    assert_eq!((executions, dropped > 0), (limits::EXECUTIONS_WAITING, true));
}

#[test]
fn a_wall_clock_that_is_set_moves_instants_and_nothing_else() {
    let mut desk = Desk::new();
    let task = desk.script_each_second();
    desk.begins(&task, 1_000);
    desk.wall_set = 3_600_000;
    assert_eq!(desk.after(999), [], "its time-out is not due");
    assert_eq!(desk.after(1), [Effect::Cancel { task: task.clone() }]);
    let effects = desk.end(&task, failure());
    let [Effect::Start { payload, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(payload.context.fires, Some(3_601), "what became due at once is one execution");
    assert_eq!(payload.context.planned_until, second(3_603));
    desk.end(&task, success());
    desk.wall_set = 0;
    assert_eq!(desk.after(60_000), [], "it waits until the clock has caught up");
    assert_eq!(desk.executor.next_instant(), Some(second(3_604)));
}

#[test]
fn a_resident_task_that_makes_no_sense_is_refused_in_words() {
    let mut desk = Desk::new();
    let replay = each_second(MisfirePolicy::Replay);
    let never = Resident { schedule: ScheduleSpec::default(), ..each_second(MisfirePolicy::Skip) };
    for (resident, words) in [(replay, "not `replay`"), (never, "its schedule is not valid")] {
        let payload = TaskPayload { resident: Some(resident), ..desk.payload(script()) };
        assert_eq!(desk.launch(&payload).1, []);
        let updates = desk.updates();
        let message = updates[0].message.clone().unwrap();
        assert_eq!((updates.len(), updates[0].state), (1, TaskState::Error), "{message}");
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn what_has_waited_for_an_execution_is_skipped_with_its_task() {
    let mut desk = Desk::new();
    let task = desk.script_each_second();
    desk.begins(&task, 1_000);
    assert_eq!(desk.after(999), []);
    desk.kill(&task);
    desk.after(1);
    desk.end(&task, failure());
    desk.states();
    desk.millis += 2_000;
    let batch = desk.told_of_executions().unwrap();
    assert_eq!(batch.executions[0].outcome, ExecutionOutcome::Cancelled);
    assert_eq!(batch.left_out, [], "an instant that came after the kill is none of its own");

    let task = desk.script_each_second();
    desk.step(Event::Taken { number: batch.number });
    desk.begins(&task, 1_000);
    desk.after(1_000);
    desk.kill(&task);
    desk.end(&task, failure());
    desk.states();
    desk.millis += 10_000;
    let batch = desk.told_of_executions().unwrap();
    assert_eq!(batch.left_out[0].skipped, 1, "it has waited");
}

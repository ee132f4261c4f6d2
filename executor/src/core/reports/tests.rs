use muster_api::{IdStream, RunId, Timestamp, task::ExecutionOutcome};

use super::*;

fn at(millis: u64) -> Mono {
    Mono::from_millis(millis)
}

fn who(ids: &mut IdStream) -> Arc<ResidentTask> {
    let wall = Timestamp::from_millis(0);
    Arc::new(ResidentTask {
        task: TaskId::from_uuid(ids.uuid(wall)),
        job: "j".parse().unwrap(),
        run: RunId::from_uuid(ids.uuid(wall)),
        item: 0,
        attempt: 1,
    })
}

fn report(who: &ResidentTask, nth: u64) -> ExecutionReport {
    let planned = Timestamp::from_millis(i64::try_from(nth).unwrap());
    ExecutionReport {
        task: who.task,
        planned_at: planned,
        planned_until: planned,
        fires: 1,
        started_at: planned,
        ended_at: planned,
        outcome: ExecutionOutcome::Failed,
        message: None,
        exit_code: None,
    }
}

fn numbers(batch: &ExecutionBatch) -> Vec<i64> {
    batch.executions.iter().map(|report| report.planned_at.as_millis()).collect()
}

#[test]
fn many_share_a_message_and_each_is_sent_until_it_is_taken() {
    let (mut reports, who) = (Reports::default(), who(&mut IdStream::new(1, 1)));
    assert_eq!(reports.next_due(), None);
    reports.tell(at(100), &who, report(&who, 1));
    reports.tell(at(900), &who, report(&who, 2));
    assert_eq!(reports.next_due(), Some(at(1_100)), "a second after the first");
    assert_eq!(reports.take(at(1_099)), None);
    let first = reports.take(at(1_100)).unwrap();
    assert_eq!((first.number, numbers(&first)), (1, vec![1, 2]));
    assert_eq!(first.tasks, [(*who).clone()], "each task is named once");

    reports.tell(at(1_200), &who, report(&who, 3));
    assert_eq!(reports.take(at(3_000)), None, "one at a time");
    assert_eq!(reports.take(at(6_100)), Some(first.clone()), "the very same again");
    reports.taken(7);
    reports.connected(at(6_200));
    assert_eq!(reports.take(at(6_200)), Some(first), "a new connection has heard nothing");
    reports.taken(1);
    let second = reports.take(at(6_300)).unwrap();
    assert_eq!((second.number, numbers(&second)), (2, vec![3]));
    reports.taken(2);
    assert_eq!(reports.next_due(), None);
}

#[test]
fn what_fills_a_message_does_not_wait() {
    let (mut reports, who) = (Reports::default(), who(&mut IdStream::new(1, 1)));
    for nth in 0..250 {
        reports.tell(at(100), &who, report(&who, nth));
    }
    for expected in [0..100, 100..200, 200..250] {
        let now = at(if expected.end == 250 { 1_100 } else { 100 });
        let batch = reports.take(now).unwrap();
        assert_eq!(numbers(&batch), expected.collect::<Vec<_>>());
        reports.taken(batch.number);
    }
    let text = Some("x".repeat(limits::OUTPUT_TAIL_BYTES));
    for nth in 0..20 {
        reports.tell(
            at(2_000),
            &who,
            ExecutionReport { message: text.clone(), ..report(&who, nth) },
        );
    }
    assert_eq!(reports.take(at(3_000)).unwrap().executions.len(), 17, "long texts fill it sooner");
}

#[test]
fn beyond_the_bound_the_oldest_are_dropped_and_counted() {
    let (mut reports, who) = (Reports::default(), who(&mut IdStream::new(1, 1)));
    reports.tell(at(0), &who, report(&who, 0));
    let on_its_way = reports.take(at(1_000)).unwrap();
    for nth in 1..=1_200 {
        reports.tell(at(2_000), &who, report(&who, nth));
    }
    assert_eq!(reports.take(at(6_000)), Some(on_its_way), "what may have come counts too");
    reports.taken(1);
    let batch = reports.take(at(6_000)).unwrap();
    assert_eq!(numbers(&batch)[0], 202);
    assert_eq!(batch.left_out[0].dropped, 201);
    assert_eq!(reports.waiting.len() + batch.executions.len(), limits::EXECUTIONS_WAITING - 1);
}

#[test]
fn counts_are_told_now_and_then_and_each_once() {
    let mut ids = IdStream::new(1, 1);
    let (mut reports, one, other) = (Reports::default(), who(&mut ids), who(&mut ids));
    reports.leave_out(at(100), &one, |counts| counts.sampled += 1);
    reports.leave_out(at(200), &one, |counts| counts.sampled += 1);
    reports.leave_out(at(300), &other, |counts| counts.skipped += 5);
    let batch = reports.take(at(1_100)).unwrap();
    let told: Vec<_> =
        batch.left_out.iter().map(|l| (l.task, l.sampled, l.dropped, l.skipped)).collect();
    assert_eq!(told, [(one.task, 2, 0, 0), (other.task, 0, 0, 5)]);
    assert_eq!(batch.tasks.len(), 2);
    reports.taken(1);

    reports.leave_out(at(1_200), &one, |counts| counts.sampled += 1);
    reports.tell(at(1_200), &one, report(&one, 1));
    let batch = reports.take(at(2_200)).unwrap();
    assert_eq!((batch.executions.len(), batch.left_out.len()), (1, 0), "it is too soon for counts");
    reports.taken(2);
    assert_eq!(reports.next_due(), Some(at(11_100)));
    let batch = reports.take(at(11_100)).unwrap();
    assert_eq!((batch.executions.len(), batch.left_out[0].sampled), (0, 1), "since the last time");
}

#[test]
fn a_process_at_its_end_waits_for_nothing() {
    let (mut reports, who) = (Reports::default(), who(&mut IdStream::new(1, 1)));
    reports.tell(at(100), &who, report(&who, 1));
    reports.leave_out(at(100), &who, |counts| counts.skipped += 1);
    reports.hurry();
    let batch = reports.take(at(100)).unwrap();
    assert_eq!((batch.executions.len(), batch.left_out.len()), (1, 1));
}

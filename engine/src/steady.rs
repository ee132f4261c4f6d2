//! What is told of daemon jobs: that a task of theirs died, and that all of them run steadily again.

use muster_api::{JobUid, RunId, limits, spec::NoticeKind, views::RunState};

use crate::{
    cx::Cx,
    notices::{About, change, is_wanted, of_run, recovered, tell},
    records::JobRecord,
    run::Run,
    task::Task,
    world::Timer,
};

/// A resident task has ended, and nobody asked for that. Only the first death of a job that was well
/// is told; it is well again when all of its tasks have run steadily for a while.
pub(crate) fn resident_died(cx: &mut Cx<'_>, run: RunId, item: u32, how: &str) {
    let Some(record) = cx.world.runs.get(&run).map(Run::record) else { return };
    let about = About {
        state: RunState::Running.as_str(),
        reason: format!("the task of shard {item} has ended, and is replaced: {how}"),
        ..of_run(record)
    };
    let Some(job) = cx.world.job(&record.job, record.job_uid).cloned() else { return };
    let told = cx.world.told.get(&job.uid);
    if told.is_some_and(|told| told.failing) || !is_daemon_told(cx, &job) {
        return;
    }
    change(cx, &job, |told| told.failing = true);
    cx.world.wake_at(cx.now.mono + limits::DAEMON_STEADY, Timer::Steady(job.uid));
    tell(cx, Some(&job.spec), NoticeKind::Failed, &about);
}

fn is_daemon_told(cx: &Cx<'_>, job: &JobRecord) -> bool {
    [NoticeKind::Failed, NoticeKind::Recovered]
        .into_iter()
        .any(|kind| is_wanted(cx, Some(&job.spec), kind))
}

/// The tasks of a daemon job may have run steadily since one of them died.
pub(crate) fn check(cx: &mut Cx<'_>, uid: JobUid) {
    let Some(told) = cx.world.told.get(&uid).filter(|told| told.failing) else { return };
    let Some(job) = cx.world.job(&told.job, uid).filter(|job| job.spec.is_daemon()).cloned() else {
        return;
    };
    let now = cx.now.mono;
    let run = cx.world.at_turn(&uid).and_then(|id| cx.world.runs.get(&id));
    let steady = run.filter(|run| {
        let counts = run.counts();
        let mut tasks = run.live().map(|(_, live)| cx.world.tasks.get(&live.task));
        let is_steady = |task: &Task| task.steady_at.is_some_and(|at| at <= now);
        counts.running == counts.total() && tasks.all(|task| task.is_some_and(is_steady))
    });
    let Some(run) = steady.map(|run| run.record().clone()) else {
        let tasks = run.into_iter().flat_map(|run| run.live());
        let tasks = tasks.filter_map(|(_, live)| cx.world.tasks.get(&live.task)?.steady_at);
        let next = tasks.max().filter(|at| *at > now);
        let next = next.unwrap_or(now + limits::DAEMON_STEADY);
        cx.world.wake_at(next, Timer::Steady(uid));
        return;
    };
    recovered(cx, &job, || About {
        state: RunState::Running.as_str(),
        reason: "all of its tasks have run steadily since one of them died".to_owned(),
        ..of_run(&run)
    });
}

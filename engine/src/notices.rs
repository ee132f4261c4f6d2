//! What the scheduler tells by itself (SEMANTICS 7): that runs failed, planned instants were passed
//! over, a run began late, a job is well again.
//!
//! A notice is decided in the step, and so in the commit, of what it tells. Runs that somebody
//! cancelled are neither failure nor success, and instants that fell with them are not told of: a
//! notice is for what nobody asked for.

use muster_api::{
    AgentId, Now, RunId, Span, Timestamp,
    explain::items_in_words,
    limits,
    notices::Notice,
    spec::{Fault, JobSpec, NoticeKind},
    views::{Cause, RunState, ShardState},
};

use crate::{
    aftermath::Aftermath,
    cx::Cx,
    engine::Installation,
    event::Rejected,
    fires,
    misfire::Instants,
    outbox,
    records::{JobRecord, NoticeRecord, RunRecord, ToldRecord},
    run::Run,
    steady,
    task::{Ending, Task},
    world::{Timer, World},
};

/// What a notice is about, beside its kind.
#[derive(Debug, Default)]
pub(crate) struct About {
    pub(crate) state: &'static str,
    pub(crate) reason: String,
    pub(crate) link: String,
    pub(crate) run: Option<RunId>,
    pub(crate) instants: Option<Instants>,
    pub(crate) late_by: Option<Span>,
    pub(crate) host: Option<(AgentId, String)>,
}

/// What is wrong with what a job wants to be told, in this installation.
pub(crate) fn check(installation: &Installation, spec: &JobSpec) -> Result<(), Rejected> {
    let nowhere = spec.notify.webhook.is_empty() && installation.webhook.is_empty();
    if spec.notify.on.is_empty() || !nowhere {
        return Ok(());
    }
    let message = "it is empty, and this installation has none either; give one here, or start the \
                   scheduler with --notify-webhook";
    let fault = Fault { field: "notify.webhook".to_owned(), message: message.to_owned() };
    Err(Rejected::Invalid { faults: vec![fault] })
}

/// The webhooks that are told of something: that of the job and that of the installation, or one,
/// if they are the same.
fn webhooks(installation: &Installation, job: Option<&JobSpec>, kind: NoticeKind) -> Vec<String> {
    let own = job.map(|job| &job.notify).filter(|notify| notify.on.contains(&kind));
    let own = own.map(|notify| match notify.webhook.is_empty() {
        true => &installation.webhook,
        false => &notify.webhook,
    });
    let all = Some(&installation.webhook).filter(|_| installation.on.contains(&kind));
    let mut webhooks: Vec<String> = Vec::new();
    for webhook in own.into_iter().chain(all) {
        if !webhook.is_empty() && !webhooks.contains(webhook) {
            webhooks.push(webhook.clone());
        }
    }
    webhooks
}

/// Whether anybody wants to be told.
pub(crate) fn is_wanted(cx: &Cx<'_>, job: Option<&JobSpec>, kind: NoticeKind) -> bool {
    !webhooks(&cx.config.installation, job, kind).is_empty()
}

/// Tells whoever wants to know.
pub(crate) fn tell(cx: &mut Cx<'_>, job: Option<&JobSpec>, kind: NoticeKind, about: &About) {
    for webhook in webhooks(&cx.config.installation, job, kind) {
        let (agent, hostname) = about.host.clone().unzip();
        let notice = Notice {
            id: outbox::next_id(cx),
            kind,
            at: cx.now.wall,
            state: about.state.into(),
            reason: cut(&about.reason).to_owned(),
            link: about.link.clone(),
            app: job.map(|job| job.app.clone()),
            job: job.map(|job| job.name.clone()),
            run: about.run,
            planned_at: about.instants.map(|instants| instants.first),
            planned_until: about.instants.map(|instants| instants.last),
            count: about.instants.and_then(|instants| instants.count),
            late_by: about.late_by,
            agent,
            hostname: hostname.filter(|name| !name.is_empty()),
        };
        outbox::post(cx, NoticeRecord { webhook, notice });
    }
}

/// The beginning of a text that is too long for a notice.
fn cut(text: &str) -> &str {
    let most = limits::NOTICE_REASON_BYTES.min(text.len());
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// A run is over.
pub(crate) fn run_over(cx: &mut Cx<'_>, run: &Run) {
    let record = run.record();
    // Of a job that was deleted nobody wants to know.
    let Some(job) = cx.world.job(&record.job, record.job_uid).cloned() else { return };
    // What a run of the former kind comes to says nothing of how well the job is now.
    let counts = run.is_daemon() == job.spec.is_daemon();
    let (kind, reason) = match record.state {
        RunState::Failed => (NoticeKind::Failed, why_not(run, ShardState::Failed)),
        RunState::TimedOut => (NoticeKind::TimedOut, why_not(run, ShardState::TimedOut)),
        RunState::Succeeded if counts => {
            return recovered(cx, &job, || About {
                state: RunState::Succeeded.as_str(),
                reason: "it succeeded, and the run before it had not".to_owned(),
                ..of_run(record)
            });
        }
        RunState::Cancelled if run.is_daemon() && counts => return set_failing(cx, &job, false),
        RunState::Succeeded
        | RunState::Cancelled
        | RunState::Pending
        | RunState::Running
        | RunState::Stopping => return,
    };
    if counts {
        set_failing(cx, &job, true);
    }
    let about = About { state: record.state.as_str(), reason, ..of_run(record) };
    tell(cx, Some(&job.spec), kind, &about);
}

/// What a notice says of any run.
pub(crate) fn of_run(run: &RunRecord) -> About {
    let planned = run.cause == Cause::Schedule;
    About {
        link: format!("/v1/runs/{}", run.id),
        run: Some(run.id),
        instants: planned.then(|| instants_of(run)),
        ..About::default()
    }
}

/// The planned instants that a run stands for.
pub(crate) fn instants_of(run: &RunRecord) -> Instants {
    Instants { first: run.planned_at, last: run.planned_until, count: run.fires }
}

/// Why a run did not succeed: the rule that ended it, or which shards did not, and what the last of
/// them said.
fn why_not(run: &Run, state: ShardState) -> String {
    if let Some(reason) = &run.record().reason {
        return reason.clone();
    }
    let shards = run.over().into_iter().find(|(of, _)| *of == state).map(|(_, items)| items);
    let items = shards.map(|items| items_in_words(items.ranges())).unwrap_or_default();
    let (bad, all) = (shards.map_or(0, |items| items.len()), run.counts().total());
    let how = if state == ShardState::Failed { "failed" } else { "took too long" };
    if let Some(why) = run.last_failure.as_ref().filter(|_| all == 1) {
        return why.clone();
    }
    let last = run.last_failure.as_deref().map(|why| format!("; the last: {why}"));
    format!("{bad} of {all} shard(s) {how} ({items}){}", last.unwrap_or_default())
}

/// A job is well: that is told if it was not, and somebody wanted to know.
pub(crate) fn recovered(cx: &mut Cx<'_>, job: &JobRecord, about: impl FnOnce() -> About) {
    if cx.world.told.get(&job.uid).is_some_and(|told| told.failing) {
        set_failing(cx, job, false);
        tell(cx, Some(&job.spec), NoticeKind::Recovered, &about());
    }
}

/// A job has become a daemon job, or is none any more: how well it was before says nothing of that.
pub(crate) fn starts_anew(cx: &mut Cx<'_>, job: &JobRecord) {
    set_failing(cx, job, false);
}

/// Keeps in mind that a job is not well, if somebody wants to know when it is again.
fn set_failing(cx: &mut Cx<'_>, job: &JobRecord, failing: bool) {
    let before = cx.world.told.get(&job.uid).is_some_and(|told| told.failing);
    if before == failing || (failing && !is_wanted(cx, Some(&job.spec), NoticeKind::Recovered)) {
        return;
    }
    change(cx, job, |told| told.failing = failing);
}

/// Changes what was told of a job; a record with nothing in it is forgotten.
pub(crate) fn change(cx: &mut Cx<'_>, job: &JobRecord, change: impl FnOnce(&mut ToldRecord)) {
    let uid = job.uid;
    if !cx.world.told.contains(&uid) {
        cx.world.told.insert(uid, ToldRecord::nothing(job.spec.name.clone()));
    }
    if let Some(told) = cx.world.told.change(&uid) {
        change(told);
        if told.is_empty() {
            cx.world.told.remove(&uid);
        }
    }
}

/// The first task of a run is launched: perhaps late.
pub(crate) fn begins(cx: &mut Cx<'_>, id: RunId) {
    let Some(run) = cx.world.runs.get(&id).filter(|run| run.record().cause == Cause::Schedule)
    else {
        return;
    };
    let record = run.record().clone();
    let Some(job) = cx.world.job(&record.job, record.job_uid).cloned() else { return };
    let (due, now) = (fires::due(&job, record.planned_at), cx.now.wall);
    let late_by = now.since(due);
    if late_by <= job.spec.notify.late_after.duration() {
        return;
    }
    let about = About {
        state: RunState::Running.as_str(),
        reason: why_late(&record, run.turn_at, due, now),
        late_by: Some(Span::from_secs(late_by.as_secs())),
        ..of_run(&record)
    };
    tell(cx, Some(&job.spec), NoticeKind::Late, &about);
}

/// What a late run has waited for, for the longest.
fn why_late(run: &RunRecord, turn_at: Option<Timestamp>, due: Timestamp, now: Timestamp) -> String {
    let turn = turn_at.map_or(run.created_at, |at| at.max(run.created_at));
    let accepted = run.created_at.since(due).as_secs();
    let turned = turn.since(run.created_at.max(due)).as_secs();
    let placed = now.since(turn.max(due)).as_secs();
    if accepted >= turned.max(placed) {
        let accepted = Span::from_secs(accepted);
        format!("it was made {accepted} after it was due: the scheduler was away, held or busy")
    } else if turned >= placed {
        format!("it waited {} for the run before it to end", Span::from_secs(turned))
    } else {
        format!("it waited {} for room on a host", Span::from_secs(placed))
    }
}

/// Goes on after a restart with what was quiet, and with what has to be steady.
pub(crate) fn recover(world: &mut World, now: Now) {
    let mut timers = Vec::new();
    for (uid, told) in world.told.iter() {
        if let Some(since) = told.quiet_since {
            let left = limits::NOTICE_QUIET.saturating_sub(now.wall.since(since));
            timers.push((now.mono + left, Timer::Quiet(*uid)));
        }
        if told.failing && world.jobs.get(&told.job).is_some_and(|job| job.spec.is_daemon()) {
            timers.push((now.mono + limits::DAEMON_STEADY, Timer::Steady(*uid)));
        }
    }
    world.timers.extend(timers);
}

/// A task is over: why a shard did not succeed is kept in mind for when its run is over, and the
/// death of a resident task is told.
pub(crate) fn task_over(cx: &mut Cx<'_>, task: &Task, ending: Ending, after: &Aftermath) {
    let failed = matches!(after.state, ShardState::Failed | ShardState::TimedOut);
    if failed
        && after.again.is_none()
        && let Some(run) = cx.world.runs.memory(&task.run)
    {
        run.last_failure = Some(after.how.clone());
    }
    let was_meant = task.ended_to_start_anew(ending).is_some();
    if task.is_resident() && after.again.is_some() && !was_meant && ending != Ending::NeverStarted {
        steady::resident_died(cx, task.run, task.item, &after.how);
    }
}

//! Runs that are over, once more.

use muster_api::views::{Cause, RerunRequest, ShardState, TriggerRequest};

use crate::{
    cx::Cx,
    event::{CommandReply, Rejected},
    idempotency::{self, Asked},
    items::Items,
    records::{JobRecord, RerunRecord, RunRecord},
    runs::NewRun,
    triggers,
};

/// Items that a refusal names; there may be thousands.
const ITEMS_NAMED: usize = 5;

/// Starts the shards of a run once more, or some of them: at the job's present version, with the
/// parameter and the planned time of then. The fire ledger does not change.
pub(crate) fn rerun(
    cx: &mut Cx<'_>,
    former: &RunRecord,
    request: RerunRequest,
    key: Option<String>,
) -> CommandReply {
    let job = job_of(cx, former)?;
    let asked = Asked::Rerun(RerunRecord { of: former.id, request: request.clone() });
    if let Some(reply) = idempotency::answered_before(cx, job.uid, key.as_deref(), &asked) {
        return reply;
    }
    if !former.state.is_over() {
        return Err(conflict(format!("run `{}` is not over yet", former.id)));
    }
    triggers::check_transient(&job)?;
    if former.cause == Cause::Daemon {
        let name = &former.job;
        return Err(conflict(format!(
            "run `{}` was that of job `{name}` when that was a daemon job, which shares no work out \
             that could be repeated; start a run instead: `muster run {name}`",
            former.id
        )));
    }
    triggers::check_enabled(cx, &job)?;
    let faults = request.check();
    if !faults.is_empty() {
        return Err(Rejected::Invalid { faults });
    }
    let items = items_of(former, request)?;
    check_fits(&job, former, &items)?;
    triggers::check_room(cx, &job)?;
    let new = NewRun {
        cause: Cause::Rerun,
        rerun_of: Some(former.id),
        planned_at: former.planned_at,
        planned_until: former.planned_until,
        fires: former.fires,
        parameter: former.parameter.clone(),
        only: Some(items),
    };
    triggers::start(cx, &job, new, key, asked)
}

/// The job of a run. One that has got its name since is another one.
fn job_of(cx: &Cx<'_>, former: &RunRecord) -> Result<JobRecord, Rejected> {
    let name = &former.job;
    match cx.world.jobs.get(name) {
        Some(job) if job.uid == former.job_uid => Ok(job.clone()),
        Some(_) => Err(conflict(format!(
            "run `{}` is of another job `{name}`, which was deleted; start a run of the present one \
             instead",
            former.id
        ))),
        None => Err(Rejected::NotFound { kind: "job", name: name.to_string() }),
    }
}

/// The shards that are wanted.
fn items_of(former: &RunRecord, request: RerunRequest) -> Result<Items, Rejected> {
    if let Some(items) = request.items {
        return Ok(items.into_iter().collect());
    }
    let over = former.shards.over().into_iter();
    if !request.failed {
        return Ok(over.map(|(item, _)| item).collect());
    }
    let failed = over.filter(|(_, state)| *state != ShardState::Succeeded).map(|(item, _)| item);
    let failed: Items = failed.collect();
    if failed.is_empty() {
        let detail = format!("every shard of run `{}` succeeded; nothing is left to do", former.id);
        return Err(conflict(detail));
    }
    Ok(failed)
}

/// Checks that the job, as it is now, has these shards and room for the parameter of then.
fn check_fits(job: &JobRecord, former: &RunRecord, items: &Items) -> Result<(), Rejected> {
    let (name, count) = (&job.spec.name, job.spec.sharding.count);
    let mut beyond = items.iter_from(count);
    let named: Vec<_> = beyond.by_ref().take(ITEMS_NAMED).map(|item| item.to_string()).collect();
    if !named.is_empty() {
        let (named, more) = (named.join(", "), if beyond.next().is_some() { " ..." } else { "" });
        return Err(conflict(format!(
            "job `{name}` has {count} shards now, from 0 on, so there is no shard {named}{more}; \
             name the shards to run"
        )));
    }
    let as_trigger = TriggerRequest { parameter: former.parameter.clone(), items: None };
    match job.spec.check_trigger(&as_trigger).first() {
        None => Ok(()),
        Some(fault) => Err(conflict(format!(
            "job `{name}`, as it is now, does not take the parameter of run `{}`: {}",
            former.id, fault.message
        ))),
    }
}

fn conflict(detail: String) -> Rejected {
    Rejected::Conflict { detail }
}

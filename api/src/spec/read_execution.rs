//! Reading what a job says of daemons and of notices.

use serde_json::Value;

use super::{
    Execution, Failover, JobSpec, MisfirePolicy, NoticeKind, Notify,
    reader::Fields,
    values::{one_of, span, text},
    webhook,
};
use crate::{Span, limits};

/// Whether the tasks of the job are resident.
pub(super) fn read_execution(fields: &mut Fields<'_>) -> Option<Execution> {
    let words = [("transient", Execution::Transient), ("daemon", Execution::Daemon)];
    fields.or("execution", Execution::Transient, one_of(&words))
}

/// What is told about the job.
pub(super) fn read_notify(fields: &mut Fields<'_>) -> Option<Notify> {
    let absent = Notify::default();
    let on = fields.values("on", one_of(NoticeKind::of_jobs()));
    let webhook = fields.or("webhook", String::new(), uri);
    let late_after = fields.or("late_after", absent.late_after, late_after);
    Some(Notify { on: on?.into_iter().collect(), webhook: webhook?, late_after: late_after? })
}

/// The URI of a webhook, or nothing.
fn uri(value: &Value) -> Result<String, String> {
    let uri = text(value)?;
    if !uri.is_empty() {
        webhook::check(&uri)?;
    }
    Ok(uri)
}

fn late_after(value: &Value) -> Result<Span, String> {
    let after: Span = span(value)?;
    let bounds = limits::NOTICE_LATE_AFTER_MIN..=limits::NOTICE_LATE_AFTER_MAX;
    if bounds.contains(&after) {
        return Ok(after);
    }
    Err(format!("`{after}` is not from {} to {}", bounds.start(), bounds.end()))
}

/// What makes no sense in a job whose tasks are resident.
pub(super) fn check_daemon(fields: &mut Fields<'_>, spec: &JobSpec) {
    if !spec.is_daemon() {
        return;
    }
    let mut wrong = |is_so: bool, field: &str, message: &str| {
        if is_so {
            fields.fault(field, message.to_owned());
        }
    };
    let schedule = spec.schedule.as_ref();
    let repeats = schedule.is_some_and(|schedule| schedule.at.is_none());
    let replays = spec.misfire.policy == MisfirePolicy::Replay;
    let failover = &spec.failover;
    let counted = failover.max_attempts != Failover::default().max_attempts;
    wrong(
        !repeats,
        "schedule",
        "a daemon job needs one with `cron` or `every`, which its tasks follow by themselves",
    );
    wrong(replays, "misfire.policy", "a daemon job has `skip` or `coalesce`");
    wrong(
        !failover.enabled,
        "failover.enabled",
        "a task of a daemon job is replaced always; leave it out",
    );
    wrong(
        counted,
        "failover.max_attempts",
        "a task of a daemon job is replaced without end; leave it out",
    );
    wrong(
        spec.retry.max_attempts != 0,
        "retry.max_attempts",
        "an execution that fails is not tried again, for the next one comes; leave it out",
    );
    wrong(
        !spec.start_within.is_zero(),
        "start_within",
        "a daemon job has no runs that could start late; leave it out",
    );
    wrong(
        !spec.run_timeout.is_zero(),
        "run_timeout",
        "a daemon job runs until it is disabled; `timeout` bounds each execution",
    );
    let never = spec.notify.on.iter().filter(|kind| !NoticeKind::of_daemons().contains(kind));
    let never: Vec<_> = never.map(|kind| kind.as_str()).collect();
    let message = format!(
        "a daemon job is never told of `{}`, for its instants are no fires and its run does not end; \
         of one come {}",
        never.join("`, `"),
        NoticeKind::of_daemons().map(|kind| format!("`{}`", kind.as_str())).join(" and "),
    );
    wrong(!never.is_empty(), "notify.on", &message);
}

//! `muster next`.

use anyhow::Context as _;
use muster_api::{
    Timestamp, clock,
    schedule::Schedule,
    spec::ScheduleSpec,
    views::{JobView, NextFire, Page},
};
use serde_json::json;

use super::{Session, rows};
use crate::{
    args::NextArgs,
    client::Call,
    screen::{Rows, Screen, or_dash},
};

/// Shows when a job fires next.
pub(super) async fn next(session: &Session, args: &NextArgs) -> anyhow::Result<()> {
    let job = args.job.as_ref().expect("without an expression the command line names a job");
    let call = Call::get(format!("/v1/jobs/{job}/next")).query("count", args.count);
    let answer = session.client.send(call).await?;
    let items = answer.body["items"].as_array().map_or(&[][..], Vec::as_slice);
    let none = if items.is_empty() && !session.screen.is_json() {
        let job = session.client.send(Call::get(format!("/v1/jobs/{job}"))).await?;
        why_never(&job.read()?)
    } else {
        String::new()
    };
    session.screen.answer(&answer.body, || {
        let fires: Vec<NextFire> = rows(items)?;
        Ok::<_, serde_json::Error>(render(&fires, &none))
    })
}

/// Why a job has no coming fire.
fn why_never(job: &JobView) -> String {
    let (name, app) = (&job.spec.name, &job.spec.app);
    if job.spec.schedule.is_none() {
        format!("job `{name}` has no schedule: it runs only when you say `muster run {name}`")
    } else if job.spec.disabled == Some(true) {
        format!("job `{name}` is disabled: it does not fire until `muster enable job {name}`")
    } else if !job.status.enabled {
        format!(
            "app `{app}` of job `{name}` is disabled: it does not fire until `muster enable app {app}`"
        )
    } else {
        format!("the schedule of job `{name}` is over: it has no instant any more")
    }
}

/// Shows when a job with the cron expression `cron` would fire. Asks no scheduler.
pub(super) fn try_out(screen: Screen, cron: &str, args: &NextArgs) -> anyhow::Result<()> {
    let from = args.from.unwrap_or_else(clock::wall);
    let items = trial(cron, args, from)?;
    let text = render(&items, "the expression has no instant any more");
    screen.answer(&json!(Page { items, next: None }), || Ok::<_, std::io::Error>(text))
}

fn trial(cron: &str, args: &NextArgs, from: Timestamp) -> anyhow::Result<Vec<NextFire>> {
    let spec = ScheduleSpec {
        cron: Some(cron.into()),
        time_zone: args.zone.as_deref().map(Into::into),
        gap: args.gap,
        overlap: args.overlap,
        ..ScheduleSpec::default()
    };
    if let Some(fault) = Schedule::check(&spec).into_iter().next() {
        return Err(fault).context("this is no schedule");
    }
    let schedule = Schedule::compile(&spec, from)?;
    let instants =
        std::iter::successors(schedule.next_after(from), |last| schedule.next_after(*last));
    let fires = instants.take(args.count as usize).map(|at| NextFire::new(&schedule, at, None));
    Ok(fires.collect())
}

fn render(fires: &[NextFire], none: &str) -> String {
    let note = |fire: &NextFire| fire.note.clone().unwrap_or_default();
    if fires.iter().any(|fire| fire.fires_at.is_some()) {
        let mut table = Rows::new(["PLANNED", "LOCAL", "FIRES", "NOTE"]);
        for fire in fires {
            let (planned, fires_at) = (fire.planned_at.to_string(), or_dash(fire.fires_at));
            table.add([planned, or_dash(fire.local.as_ref()), fires_at, note(fire)]);
        }
        table.render(none)
    } else {
        let mut table = Rows::new(["PLANNED", "LOCAL", "NOTE"]);
        for fire in fires {
            table.add([fire.planned_at.to_string(), or_dash(fire.local.as_ref()), note(fire)]);
        }
        table.render(none)
    }
}

#[cfg(test)]
mod tests {
    use muster_api::spec::{Gap, Overlap};

    use super::*;

    fn args(zone: &str) -> NextArgs {
        NextArgs {
            job: None,
            count: 2,
            cron: None,
            zone: Some(zone.to_owned()),
            gap: Some(Gap::RunAfter),
            overlap: Some(Overlap::First),
            from: None,
        }
    }

    #[test]
    fn expressions_are_tried_without_a_scheduler() {
        let from = "2026-03-28T12:00:00Z".parse().unwrap();
        let fires = trial("0 30 2 * * ?", &args("Europe/Berlin"), from).unwrap();
        assert_eq!(
            render(&fires, ""),
            "PLANNED               LOCAL                                     NOTE\n\
             2026-03-29T01:00:00Z  2026-03-29T03:00:00+02:00[Europe/Berlin]  moved from 02:30, \
             which does not exist\n\
             2026-03-30T00:30:00Z  2026-03-30T02:30:00+02:00[Europe/Berlin]"
        );
        let error = format!("{:#}", trial("0 30 2 * * ?", &args("Berlin"), from).unwrap_err());
        assert!(error.contains("this is no schedule: `Berlin` is no time zone"), "{error}");
    }

    #[test]
    fn jitter_has_a_column_when_there_is_some() {
        let row = json!({"planned_at": "2026-01-31T02:00:00Z", "fires_at": "2026-01-31T02:00:07Z"});
        assert_eq!(
            render(&rows(&[row]).unwrap(), ""),
            "PLANNED               LOCAL  FIRES                 NOTE\n\
             2026-01-31T02:00:00Z  -      2026-01-31T02:00:07Z"
        );
    }

    #[test]
    fn each_reason_of_no_coming_fire_has_its_own_words() {
        let job = |schedule: serde_json::Value, disabled: bool, enabled: bool| {
            let job = json!({
                "kind": "job", "name": "j", "app": "a", "type": "script",
                "script": {"command": "true"}, "sharding": {"count": 1},
                "resources": {"cpus": 1, "mem": 1}, "schedule": schedule, "disabled": disabled,
                "version": 1, "status": {"enabled": enabled, "next_fire": null,
                "created_at": "2026-01-31T02:00:00Z", "updated_at": "2026-01-31T02:00:00Z"},
            });
            why_never(&serde_json::from_value(job).unwrap())
        };
        let past = json!({"at": "2020-01-01T00:00:00Z"});
        for (said, words) in [
            (job(json!(null), false, true), "has no schedule"),
            (job(past.clone(), true, false), "until `muster enable job j`"),
            (job(past.clone(), false, false), "until `muster enable app a`"),
            (job(past, false, true), "is over"),
        ] {
            assert!(said.contains(words), "{said}");
        }
        assert_eq!(render(&[], "never"), "never");
    }
}

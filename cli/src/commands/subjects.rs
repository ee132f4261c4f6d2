//! `muster apps`, `jobs`, `enable`, `disable`, `delete`.

use muster_api::{
    limits,
    spec::{JobSpec, ScheduleSpec},
    views::{AppView, JobView},
};
use serde_json::json;

use super::{Session, rows};
use crate::{
    args::{Kind, SubjectArgs},
    client::Call,
    documents::Subject,
    screen::{Rows, or_dash, word},
};

/// All that there is, within reason.
const ALL: usize = 10 * limits::PAGE_ROWS;

/// Lists the apps.
pub(super) async fn apps(session: &Session) -> anyhow::Result<()> {
    let page = session.client.list(Call::get("/v1/apps"), ALL).await?;
    session.screen.answer(&json!(page), || {
        let apps: Vec<AppView> = rows(&page.items)?;
        Ok::<_, serde_json::Error>(render_apps(&apps))
    })
}

fn render_apps(apps: &[AppView]) -> String {
    let mut table = Rows::new([
        "NAME",
        "STATE",
        "VERSION",
        "REVISION",
        "LEASE",
        "MAX TASKS",
        "RESOURCES",
        "COMMAND",
    ]);
    for app in apps {
        table.add([
            app.spec.name.to_string(),
            if app.status.disabled { "disabled" } else { "enabled" }.to_owned(),
            app.version.to_string(),
            app.status.revision.to_string(),
            app.spec.lease.to_string(),
            or_dash(Some(app.spec.max_tasks).filter(|most| *most != 0)),
            app.spec.resources.to_string(),
            app.spec.command.clone().unwrap_or_else(|| "(built-in executor)".to_owned()),
        ]);
    }
    table.render("no apps yet; describe one in a file and send it with `muster apply -f FILE`")
}

/// Lists the jobs.
pub(super) async fn jobs(session: &Session) -> anyhow::Result<()> {
    let page = session.client.list(Call::get("/v1/jobs"), ALL).await?;
    session.screen.answer(&json!(page), || {
        let jobs: Vec<JobView> = rows(&page.items)?;
        Ok::<_, serde_json::Error>(render_jobs(&jobs))
    })
}

fn render_jobs(jobs: &[JobView]) -> String {
    let mut table =
        Rows::new(["NAME", "STATE", "APP", "TYPE", "SHARDS", "SCHEDULE", "NEXT FIRE", "VERSION"]);
    for job in jobs {
        table.add([
            job.spec.name.to_string(),
            if job.status.enabled { "enabled" } else { "disabled" }.to_owned(),
            job.spec.app.to_string(),
            word(job.spec.job_type),
            job.spec.sharding.count.to_string(),
            schedule(&job.spec),
            or_dash(job.status.next_fire),
            job.version.to_string(),
        ]);
    }
    table.render("no jobs yet; describe one in a file and send it with `muster apply -f FILE`")
}

fn schedule(job: &JobSpec) -> String {
    let when = when(job);
    if job.is_daemon() { format!("daemon, {when}") } else { when }
}

fn when(job: &JobSpec) -> String {
    match &job.schedule {
        None => "by trigger".to_owned(),
        Some(ScheduleSpec { cron: Some(cron), .. }) => cron.to_string(),
        Some(ScheduleSpec { every: Some(every), .. }) => format!("every {every}"),
        Some(schedule) => format!("at {}", or_dash(schedule.at)),
    }
}

impl SubjectArgs {
    fn subject(&self) -> Subject {
        match self.kind {
            Kind::App => Subject::App(self.name.clone()),
            Kind::Job => Subject::Job(self.name.clone()),
        }
    }
}

/// Lets an app or job fire and run.
pub(super) async fn enable(session: &Session, subject: &SubjectArgs) -> anyhow::Result<()> {
    let subject = subject.subject();
    change(session, Call::post(format!("{}/enable", subject.path())), &subject, "enabled").await
}

/// Keeps an app or job from firing.
pub(super) async fn disable(
    session: &Session,
    subject: &SubjectArgs,
    kill: bool,
) -> anyhow::Result<()> {
    let subject = subject.subject();
    let call = Call::post(format!("{}/disable", subject.path()));
    let call = call.query_if("running", kill.then_some("kill"));
    change(session, call, &subject, "disabled").await
}

/// Deletes an app or job.
pub(super) async fn delete(session: &Session, subject: &SubjectArgs) -> anyhow::Result<()> {
    let subject = subject.subject();
    change(session, Call::delete(subject.path()), &subject, "deleted").await
}

async fn change(
    session: &Session,
    call: Call,
    subject: &Subject,
    done: &str,
) -> anyhow::Result<()> {
    let answer = session.client.send(call).await?;
    session.screen.answer(&answer.body, || Ok::<_, std::io::Error>(format!("{subject} {done}")))
}

#[cfg(test)]
mod tests {
    use muster_api::{
        spec::{AppSpec, Execution},
        views::{AppStatus, JobStatus},
    };

    use super::*;

    #[test]
    fn apps_and_jobs_are_tables() {
        let at: muster_api::Timestamp = "2026-01-31T02:00:00Z".parse().unwrap();
        let app = json!({"name": "a", "resources": {"cpus": 1, "mem": 64}, "max_tasks": 7});
        let app = AppView {
            kind: "app".into(),
            spec: AppSpec::parse(app).unwrap().spec,
            version: 3,
            status: AppStatus { disabled: true, revision: 2, created_at: at, updated_at: at },
        };
        assert_eq!(
            render_apps(&[app]),
            "NAME  STATE     VERSION  REVISION  LEASE  MAX TASKS  RESOURCES      COMMAND\n\
             a     disabled  3        2         2m     7          cpus:1;mem:64  (built-in executor)"
        );
        let job = |schedule: serde_json::Value| {
            let mut document = json!({"name": "j", "app": "a", "type": "script",
                "script": {"command": "x"}, "sharding": {"count": 3}});
            if !schedule.is_null() {
                document["schedule"] = schedule;
            }
            JobSpec::parse(document).unwrap().spec
        };
        let status =
            JobStatus { enabled: true, next_fire: Some(at), created_at: at, updated_at: at };
        let spec = job(json!({"cron": "0 0 2 * * ?"}));
        let view = JobView { kind: "job".into(), spec, version: 1, status };
        assert_eq!(
            render_jobs(&[view]),
            "NAME  STATE    APP  TYPE    SHARDS  SCHEDULE     NEXT FIRE             VERSION\n\
             j     enabled  a    script  3       0 0 2 * * ?  2026-01-31T02:00:00Z  1"
        );
        assert_eq!(schedule(&job(serde_json::Value::Null)), "by trigger");
        assert_eq!(schedule(&job(json!({"every": "90s"}))), "every 1m30s");
        let daemon = JobSpec { execution: Execution::Daemon, ..job(json!({"every": "90s"})) };
        assert_eq!(schedule(&daemon), "daemon, every 1m30s");
        assert_eq!(schedule(&job(json!({"at": at}))), "at 2026-01-31T02:00:00Z");
        assert!(render_jobs(&[]).starts_with("no jobs yet"));
    }
}

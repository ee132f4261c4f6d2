//! `muster apply`.

use std::{io, process::ExitCode};

use muster_api::views::{JobView, Problem};
use serde_json::json;

use super::Session;
use crate::{
    CANNOT,
    args::ApplyArgs,
    client::{Call, ClientError},
    documents::{self, Document, PlacedFault, Subject},
};

/// Reads all documents first and sends none if one of them has a fault. Then each is sent, apps
/// before jobs; one that the scheduler refuses does not keep back the others.
pub(super) async fn apply(session: &Session, args: &ApplyArgs) -> anyhow::Result<ExitCode> {
    let screen = session.screen;
    let documents = match documents::read(&args.files)? {
        Ok(documents) => documents,
        Err(faults) => {
            for fault in &faults {
                screen.note(fault)?;
            }
            anyhow::bail!("nothing was sent: {} fault(s) in the documents", faults.len());
        }
    };
    let (mut changes, mut refused) = (Vec::new(), 0);
    for document in documents {
        let call = Call::put(document.subject.path(), document.body.clone());
        match session.client.send(call).await {
            Ok(answer) => {
                let (subject, change) = (&document.subject, answer.change());
                screen.say(format_args!("{subject} {change}"))?;
                if matches!(document.subject, Subject::Job(_)) && is_past(&answer.read()?) {
                    screen.note(format_args!("{subject}: {PAST}"))?;
                }
                changes.push(json!({"subject": subject.to_string(), "change": change}));
            }
            Err(ClientError::Refused(problem)) if problem.status < 500 => {
                refused += 1;
                refuse(session, &document, *problem)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    if screen.is_json() {
        screen.line(json!({"items": changes, "refused": refused}))?;
    }
    Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::from(CANNOT) })
}

/// Says once why the scheduler refuses a document.
fn refuse(session: &Session, document: &Document, problem: Problem) -> io::Result<()> {
    let (screen, subject) = (session.screen, &document.subject);
    if problem.faults.is_empty() {
        return screen.note(format_args!("{subject} refused: {}", problem.detail));
    }
    screen.note(format_args!("{subject} refused:"))?;
    for fault in problem.faults {
        screen.note(PlacedFault { place: document.place.clone(), fault })?;
    }
    Ok(())
}

const PAST: &str = "warning: its schedule lies in the past: it never fires by itself";

/// Whether a job has a schedule that may fire but has no instant to come. That of a daemon job is
/// followed by its tasks, so nobody here knows.
fn is_past(job: &JobView) -> bool {
    let fires = job.spec.schedule.is_some() && !job.spec.is_daemon();
    job.status.enabled && fires && job.status.next_fire.is_none()
}

#[cfg(test)]
mod tests {
    use muster_api::{
        Timestamp,
        spec::{Execution, JobSpec},
        views::JobStatus,
    };
    use serde_json::Value;

    use super::*;

    fn job(schedule: Option<Value>, enabled: bool, next_fire: Option<Timestamp>) -> JobView {
        let mut document = json!({"name": "j", "app": "a", "type": "script",
            "script": {"command": "x"}, "sharding": {"count": 1}});
        if let Some(schedule) = schedule {
            document["schedule"] = schedule;
        }
        let at = Timestamp::default();
        let status = JobStatus { enabled, next_fire, created_at: at, updated_at: at };
        let spec = JobSpec::parse(document).unwrap().spec;
        JobView { kind: "job".to_owned(), spec, version: 1, status }
    }

    #[test]
    fn schedules_without_an_instant_to_come_are_told_apart() {
        let at = "2026-01-31T02:00:00Z";
        let once = || Some(json!({"at": at}));
        assert!(is_past(&job(once(), true, None)));
        assert!(!is_past(&job(once(), false, None)), "it is disabled");
        assert!(!is_past(&job(once(), true, Some(at.parse().unwrap()))));
        assert!(!is_past(&job(None, true, None)), "it fires by trigger");
        let mut daemon = job(Some(json!({"every": "1s"})), true, None);
        daemon.spec.execution = Execution::Daemon;
        assert!(!is_past(&daemon), "its tasks know");
    }
}

//! `muster apply`.

use std::process::ExitCode;

use serde_json::json;

use super::Session;
use crate::{
    CANNOT,
    args::ApplyArgs,
    client::{Call, ClientError},
    documents::{self, Document, PlacedFault},
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
        match put(session, &document).await {
            Ok(change) => {
                screen.say(format_args!("{} {change}", document.subject))?;
                changes.push(json!({"subject": document.subject.to_string(), "change": change}));
            }
            Err(ClientError::Refused(problem)) if problem.status < 500 => {
                refused += 1;
                screen.note(format_args!("{} refused: {}", document.subject, problem.detail))?;
                for fault in problem.faults {
                    screen.note(PlacedFault { place: document.place.clone(), fault })?;
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    if screen.is_json() {
        screen.line(json!({"items": changes, "refused": refused}))?;
    }
    Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::from(CANNOT) })
}

async fn put(session: &Session, document: &Document) -> Result<String, ClientError> {
    let call = Call::put(document.subject.path(), document.body.clone());
    Ok(session.client.send(call).await?.change().to_owned())
}

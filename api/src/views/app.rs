//! Apps.

use serde::{Deserialize, Serialize, Serializer};

use crate::{
    Timestamp,
    spec::{AppSpec, Artifact},
};

/// An app as `GET` answers it: its document, with version and status beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppView {
    /// `app`.
    pub kind: String,
    /// The document.
    #[serde(flatten, serialize_with = "whole")]
    pub spec: AppSpec,
    /// Grows with every stored change.
    pub version: u64,
    /// What is so now.
    pub status: AppStatus,
}

/// A document with the fields that are stored only where they are not at their defaults.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    stored: &'a AppSpec,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifacts: Option<&'a [Artifact]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tasks: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_sampling: Option<u32>,
}

fn whole<S: Serializer>(spec: &AppSpec, serializer: S) -> Result<S::Ok, S::Error> {
    let whole = Whole {
        stored: spec,
        artifacts: spec.artifacts.is_empty().then_some(&[][..]),
        max_tasks: Some(spec.max_tasks).filter(|most| *most == 0),
        event_sampling: Some(spec.event_sampling).filter(|every| *every == 0),
    };
    whole.serialize(serializer)
}

/// What is so of an app now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppStatus {
    /// Whether an operator disabled it.
    pub disabled: bool,
    /// Grows with each change that needs new executors.
    pub revision: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_answered_whole_and_stored_short() {
        let least = json!({"name": "a", "resources": {"cpus": 1, "mem": 64}});
        let more = json!({"name": "a", "resources": {"cpus": 1, "mem": 64}, "max_tasks": 7,
            "event_sampling": 9, "artifacts": [{"uri": "file:///x"}]});
        for (document, max_tasks, sampling, artifacts) in [(least, 0, 0, 0), (more, 7, 9, 1)] {
            let spec = AppSpec::parse(document).unwrap().spec;
            let stored = serde_json::to_value(&spec).unwrap();
            assert_eq!(stored.get("max_tasks").is_some(), max_tasks > 0, "{stored}");
            let at = Timestamp::default();
            let status = AppStatus { disabled: false, revision: 1, created_at: at, updated_at: at };
            let view = AppView { kind: "app".into(), spec: spec.clone(), version: 1, status };
            let text = serde_json::to_string(&view).unwrap();
            for field in ["\"max_tasks\"", "\"event_sampling\"", "\"artifacts\""] {
                assert_eq!(text.matches(field).count(), 1, "{field}: {text}");
            }
            let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(
                (&answer["max_tasks"], &answer["event_sampling"]),
                (&max_tasks.into(), &sampling.into())
            );
            assert_eq!(answer["artifacts"].as_array().unwrap().len(), artifacts);
            assert_eq!(AppSpec::parse(answer).unwrap().spec, spec);
            assert_eq!(serde_json::from_str::<AppView>(&text).unwrap(), view);
        }
    }
}

//! What the master stores: agents (`A/`), frameworks (`F/`) and its term (`T`).
//!
//! A value is a version byte and JSON. Fields may be added with a default; anything else is a new
//! version. Old bytes that must still load are in `tests/samples/`.

use std::collections::BTreeMap;

use muster_api::{
    AgentId, Resources, Timestamp,
    step::{Records, Write},
};
use muster_proto::{Capability, FrameworkId, FrameworkInfo};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    agent::Facts,
    drain::Drain,
    framework::{Framework, Standing},
    gone::Gone,
    wire::is_valid_id,
};

const VERSION: u8 = 1;
const AGENT: &[u8] = b"A/";
const FRAMEWORK: &[u8] = b"F/";
const TERM: &[u8] = b"T";

/// Why stored records cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The key names nothing.
    #[error("the key `{key}` of a master's record is not valid")]
    Key {
        /// The key.
        key: String,
    },
    /// The record is empty or of a version that is not known here.
    #[error("the master's record `{key}` is of an unknown version")]
    Version {
        /// Its key.
        key: String,
    },
    /// The record is damaged.
    #[error("the master's record `{key}` is damaged")]
    Damaged {
        /// Its key.
        key: String,
        /// How.
        #[source]
        source: serde_json::Error,
    },
}

/// All that was stored.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) agents: BTreeMap<AgentId, (Facts, Option<StoredDrain>)>,
    pub(super) gone: BTreeMap<AgentId, Gone>,
    pub(super) frameworks: BTreeMap<FrameworkId, Framework>,
    /// The term of the last start; 0 before the first.
    pub(super) term: u64,
}

#[derive(Serialize, Deserialize)]
struct AgentRecord {
    hostname: String,
    attributes: BTreeMap<String, String>,
    resources: Resources,
    boot_id: String,
    /// When it was declared gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gone_at: Option<Timestamp>,
    /// That it is drained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    drain: Option<StoredDrain>,
}

/// That an agent is drained, as it is stored: since when, and until when its tasks may go on.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct StoredDrain {
    pub(super) since: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deadline: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct FrameworkRecord {
    user: String,
    name: String,
    failover_timeout: Option<f64>,
    checkpoint: Option<bool>,
    capabilities: Vec<i32>,
    removed_at: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct TermRecord {
    term: u64,
}

/// Reads the master's records; keys of others are passed over.
pub(super) fn read(records: &Records) -> Result<Stored, RestoreError> {
    let mut stored = Stored::default();
    for (key, value) in records {
        if key == TERM {
            stored.term = decode::<TermRecord>(key, value)?.term;
        } else if let Some(id) = key.strip_prefix(AGENT) {
            let id = text(id).and_then(|id| id.parse().ok()).ok_or_else(|| bad_key(key))?;
            let record: AgentRecord = decode(key, value)?;
            match record.gone_at {
                None => {
                    let drain = record.drain;
                    stored.agents.insert(id, (record.into(), drain));
                }
                Some(at) => drop(stored.gone.insert(id, Gone { facts: record.into(), at })),
            }
        } else if let Some(id) = key.strip_prefix(FRAMEWORK) {
            let id = text(id).filter(|id| is_valid_id(id)).ok_or_else(|| bad_key(key))?;
            let id = FrameworkId::new(id);
            let framework = decode::<FrameworkRecord>(key, value)?.framework(&id);
            stored.frameworks.insert(id, framework);
        }
    }
    Ok(stored)
}

/// Stores an agent.
pub(super) fn put_agent(id: &AgentId, facts: &Facts, drain: Option<&Drain>) -> Write {
    let drain = drain.map(|drain| StoredDrain {
        since: drain.since,
        deadline: drain.deadline.map(|deadline| deadline.wall),
    });
    let record = AgentRecord { drain, ..AgentRecord::of(facts) };
    Write::Put { key: key(AGENT, id.as_str()), value: encode(&record) }
}

/// Stores that an agent was declared gone.
pub(super) fn put_gone(id: &AgentId, gone: &Gone) -> Write {
    let record = AgentRecord { gone_at: Some(gone.at), ..AgentRecord::of(&gone.facts) };
    Write::Put { key: key(AGENT, id.as_str()), value: encode(&record) }
}

/// Forgets an agent.
pub(super) fn delete_agent(id: &AgentId) -> Write {
    Write::Delete { key: key(AGENT, id.as_str()) }
}

/// Stores a framework.
pub(super) fn put_framework(id: &FrameworkId, framework: &Framework) -> Write {
    let info = &framework.info;
    let removed_at = match framework.standing {
        Standing::Removed { at } => Some(at),
        Standing::Away | Standing::Subscribed { .. } => None,
    };
    let record = FrameworkRecord {
        user: info.user.clone(),
        name: info.name.clone(),
        failover_timeout: info.failover_timeout,
        checkpoint: info.checkpoint,
        capabilities: info.capabilities.iter().filter_map(|one| one.r#type).collect(),
        removed_at,
    };
    Write::Put { key: key(FRAMEWORK, &id.value), value: encode(&record) }
}

/// Forgets a framework.
pub(super) fn delete_framework(id: &FrameworkId) -> Write {
    Write::Delete { key: key(FRAMEWORK, &id.value) }
}

/// Stores the term.
pub(super) fn put_term(term: u64) -> Write {
    Write::Put { key: TERM.to_vec(), value: encode(&TermRecord { term }) }
}

impl AgentRecord {
    fn of(facts: &Facts) -> Self {
        Self {
            hostname: facts.hostname.clone(),
            attributes: facts.attributes.clone(),
            resources: facts.resources.clone(),
            boot_id: facts.boot_id.clone(),
            gone_at: None,
            drain: None,
        }
    }
}

impl From<AgentRecord> for Facts {
    fn from(record: AgentRecord) -> Self {
        Self {
            hostname: record.hostname,
            attributes: record.attributes,
            resources: record.resources,
            boot_id: record.boot_id,
        }
    }
}

impl FrameworkRecord {
    fn framework(self, id: &FrameworkId) -> Framework {
        let capability = |kind| Capability { r#type: Some(kind) };
        let info = FrameworkInfo {
            user: self.user,
            name: self.name,
            id: None,
            failover_timeout: self.failover_timeout,
            checkpoint: self.checkpoint,
            capabilities: self.capabilities.into_iter().map(capability).collect(),
            ..FrameworkInfo::default()
        };
        let standing = self.removed_at.map_or(Standing::Away, |at| Standing::Removed { at });
        Framework::new(id, info, standing)
    }
}

fn key(prefix: &[u8], id: &str) -> Vec<u8> {
    [prefix, id.as_bytes()].concat()
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn shown(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}

fn bad_key(key: &[u8]) -> RestoreError {
    RestoreError::Key { key: shown(key) }
}

fn encode(record: &impl Serialize) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    serde_json::to_writer(&mut bytes, record).expect("records have string keys and finite numbers");
    bytes
}

fn decode<T: DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, RestoreError> {
    match value.split_first() {
        Some((&VERSION, json)) => serde_json::from_slice(json)
            .map_err(|source| RestoreError::Damaged { key: shown(key), source }),
        Some(_) | None => Err(RestoreError::Version { key: shown(key) }),
    }
}

//! What the master stores: agents (`A/`), frameworks (`F/`), weights of roles (`W/`), credentials of
//! frameworks (`C/`) and its term (`T`).
//!
//! A value is a version byte and JSON. Fields may be added with a default; anything else is a new
//! version. Old bytes that must still load are in `tests/samples/`.

use std::collections::BTreeMap;

use muster_api::{
    AgentId, Mono, Resources, Timestamp,
    step::{Records, Write},
};
use muster_proto::{Capability, FrameworkId, FrameworkInfo, json};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    agent::Facts,
    credentials::Credential,
    drain::Drain,
    framework::{Framework, Standing},
    gone::Gone,
    info::known_roles,
    role::Role,
    wire::is_valid_id,
};

const VERSION: u8 = 1;
const AGENT: &[u8] = b"A/";
const FRAMEWORK: &[u8] = b"F/";
const WEIGHT: &[u8] = b"W/";
const CREDENTIAL: &[u8] = b"C/";
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
    pub(super) weights: BTreeMap<Role, u32>,
    pub(super) credentials: BTreeMap<String, Credential>,
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
    /// Since when it is away, if it left while there was a master.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    away_since: Option<Timestamp>,
    /// All that it says of itself, as Mesos writes it; what stands above is for who cannot read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    info: Option<serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
struct WeightRecord {
    thousandths: u32,
}

#[derive(Serialize, Deserialize)]
struct CredentialRecord {
    /// The SHA-256 of the secret, in hexadecimal.
    digest: String,
    created_at: Timestamp,
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
        } else if let Some(role) = key.strip_prefix(WEIGHT) {
            let role = text(role).and_then(|role| Role::new(role).ok());
            let role = role.ok_or_else(|| bad_key(key))?;
            stored.weights.insert(role, decode::<WeightRecord>(key, value)?.thousandths);
        } else if let Some(principal) = key.strip_prefix(CREDENTIAL) {
            let principal = text(principal).ok_or_else(|| bad_key(key))?.to_owned();
            let record: CredentialRecord = decode(key, value)?;
            let digest = bytes_of(&record.digest).ok_or_else(|| bad_key(key))?;
            let credential = Credential { digest, created_at: record.created_at };
            stored.credentials.insert(principal, credential);
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
    let (removed_at, away_since) = match framework.standing {
        Standing::Removed { at } => (Some(at), None),
        Standing::Away { since, .. } => (None, since),
        Standing::Subscribed { .. } => (None, None),
    };
    let record = FrameworkRecord {
        user: info.user.clone(),
        name: info.name.clone(),
        failover_timeout: info.failover_timeout,
        checkpoint: info.checkpoint,
        capabilities: info.capabilities.iter().filter_map(|one| one.r#type).collect(),
        removed_at,
        away_since,
        info: serde_json::from_slice(&json::to_vec(info)).ok(),
    };
    Write::Put { key: key(FRAMEWORK, &id.value), value: encode(&record) }
}

/// Whether a master that stored these knows a framework, or has removed it.
pub fn knows_framework(records: &Records, id: &FrameworkId) -> bool {
    records.contains_key(&key(FRAMEWORK, &id.value))
}

/// Whether a master that stored these knows an agent, or remembers that it is gone.
pub fn knows_agent(records: &Records, id: &AgentId) -> bool {
    records.contains_key(&key(AGENT, id.as_str()))
}

/// Forgets a framework.
pub(super) fn delete_framework(id: &FrameworkId) -> Write {
    Write::Delete { key: key(FRAMEWORK, &id.value) }
}

/// Stores the weight of a role; that of most is not worth a record.
pub(super) fn put_weight(role: &Role, thousandths: u32) -> Write {
    let key = key(WEIGHT, role.as_str());
    match thousandths == super::books::WEIGHT {
        true => Write::Delete { key },
        false => Write::Put { key, value: encode(&WeightRecord { thousandths }) },
    }
}

/// Stores who may call.
pub(super) fn put_credential(principal: &str, credential: &Credential) -> Write {
    let digest = credential.digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let record = CredentialRecord { digest, created_at: credential.created_at };
    Write::Put { key: key(CREDENTIAL, principal), value: encode(&record) }
}

/// Forgets who may call no longer.
pub(super) fn delete_credential(principal: &str) -> Write {
    Write::Delete { key: key(CREDENTIAL, principal) }
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
        let whole = self.info.and_then(|info| {
            let bytes = serde_json::to_vec(&info).ok()?;
            json::from_slice(&bytes, bytes.len()).ok()
        });
        let mut info: FrameworkInfo = whole.unwrap_or_else(|| FrameworkInfo {
            user: self.user,
            name: self.name,
            id: None,
            failover_timeout: self.failover_timeout,
            checkpoint: self.checkpoint,
            capabilities: self.capabilities.into_iter().map(capability).collect(),
            ..FrameworkInfo::default()
        });
        // In JSON what is not said and what is said to be the default are one.
        (info.failover_timeout, info.checkpoint) = (self.failover_timeout, self.checkpoint);
        let away = Standing::Away { since: self.away_since, until: Mono::default() };
        let standing = self.removed_at.map_or(away, |at| Standing::Removed { at });
        let roles = known_roles(&info);
        Framework::new(id, info, roles, standing)
    }
}

/// The 32 bytes of a text in hexadecimal.
fn bytes_of(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(bytes)
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

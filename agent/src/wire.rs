//! Between Muster's values and Mesos's: resources, attributes, times.

use muster_api::{AgentId, Amount, Resources, Timestamp};
use muster_proto::{AgentInfo, Attribute, DurationInfo, Resource};

use crate::core::Config;

/// What an agent says of itself, to its master and its executors.
pub(crate) fn agent_info(config: &Config, id: Option<&AgentId>) -> AgentInfo {
    let resource = |(name, amount): (&str, Amount)| Resource::scalar(name, amount.as_f64());
    AgentInfo {
        hostname: config.hostname.clone(),
        resources: config.resources.iter().map(resource).collect(),
        attributes: config.attributes.iter().map(|(k, v)| Attribute::text(k, v)).collect(),
        id: id.map(|id| muster_proto::AgentId::new(id.as_str())),
        port: Some(i32::from(config.port)),
        ..AgentInfo::default()
    }
}

/// The scalar resources of a message; what is no valid amount counts as nothing, for the master
/// has checked it.
pub(crate) fn resources(resources: &[Resource]) -> Resources {
    let mut all = Resources::none();
    for resource in resources {
        let amount = resource.scalar.and_then(|scalar| Amount::from_f64(scalar.value).ok());
        let sum = all.get(&resource.name).thousandths() + amount.unwrap_or_default().thousandths();
        all.set(&resource.name, Amount::from_thousandths(sum));
    }
    all
}

/// Seconds since the Unix epoch, as a status carries them.
pub(crate) fn seconds(at: Timestamp) -> f64 {
    at.as_millis() as f64 / 1000.0
}

/// A span of the wire; a negative one is none.
pub(crate) fn duration(info: DurationInfo) -> std::time::Duration {
    std::time::Duration::from_nanos(u64::try_from(info.nanoseconds).unwrap_or(0))
}

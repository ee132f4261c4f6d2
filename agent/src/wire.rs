//! Between Muster's values and Mesos's: resources, attributes, times.

use std::{net::IpAddr, time::Duration};

use muster_api::{AgentId, Amount, Resources, Timestamp};
use muster_proto::{
    Address, AgentInfo, Attribute, DurationInfo, IpAddress, IpProtocol, Resource, Url,
};

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

/// Where its executor API is, as Mesos tells it in offers.
pub(crate) fn url(config: &Config) -> Url {
    let address = Address {
        hostname: Some(config.hostname.clone()),
        ip: Some(config.ip.to_string()),
        port: i32::from(config.port),
    };
    Url {
        scheme: "http".to_owned(),
        address: Some(address),
        path: Some("/slave(1)".to_owned()),
        ..Url::default()
    }
}

/// The same as others reach it: one that listens on every address of its host is found by the one
/// that its master sees.
pub(crate) fn reachable(mut url: Url, here: IpAddr) -> Url {
    if let Some(address) = &mut url.address
        && let Some(Ok(ip)) = address.ip.as_deref().map(str::parse::<IpAddr>)
        && ip.is_unspecified()
    {
        address.ip = Some(here.to_string());
    }
    url
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

/// An address as Mesos tells it.
pub(crate) fn ip_address(ip: IpAddr) -> IpAddress {
    let protocol = if ip.is_ipv4() { IpProtocol::V4 } else { IpProtocol::V6 };
    IpAddress { protocol: Some(protocol as i32), ip_address: Some(ip.to_string()) }
}

/// A span as Mesos writes it: a whole number of the largest unit that it is a multiple of.
pub(crate) fn mesos_duration(span: Duration) -> String {
    const UNITS: [(u128, &str); 7] = [
        (24 * 3600 * 1_000_000_000, "days"),
        (3600 * 1_000_000_000, "hrs"),
        (60 * 1_000_000_000, "mins"),
        (1_000_000_000, "secs"),
        (1_000_000, "ms"),
        (1_000, "us"),
        (1, "ns"),
    ];
    let nanos = span.as_nanos();
    let fits = UNITS.iter().find(|(unit, _)| nanos >= *unit && nanos.is_multiple_of(*unit));
    fits.map_or_else(|| "0ns".to_owned(), |(unit, name)| format!("{}{name}", nanos / unit))
}

/// A span of the wire; a negative one is none.
pub(crate) fn duration(info: DurationInfo) -> Duration {
    Duration::from_nanos(u64::try_from(info.nanoseconds).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_listens_everywhere_is_found_where_its_master_sees_it() {
        let url = |ip: &str| Url {
            address: Some(Address { ip: Some(ip.to_owned()), ..Address::default() }),
            ..Url::default()
        };
        let here = IpAddr::from([10, 0, 0, 7]);
        for (listens, found) in
            [("0.0.0.0", "10.0.0.7"), ("::", "10.0.0.7"), ("127.0.0.1", "127.0.0.1")]
        {
            assert_eq!(reachable(url(listens), here), url(found));
        }
    }

    #[test]
    fn spans_are_written_as_mesos_writes_them() {
        for (nanos, text) in [
            (0, "0ns"),
            (1, "1ns"),
            (1_500, "1500ns"),
            (2_000, "2us"),
            (1_500_000_000, "1500ms"),
            (5_000_000_000, "5secs"),
            (60_000_000_000, "1mins"),
            (90_000_000_000, "90secs"),
            (900_000_000_000, "15mins"),
            (7_200_000_000_000, "2hrs"),
            (86_400_000_000_000, "1days"),
        ] {
            assert_eq!(mesos_duration(Duration::from_nanos(nanos)), text);
        }
    }
}

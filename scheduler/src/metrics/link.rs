//! How the scheduler stands with a master that is not in its process.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};

use crate::mesos::{Became, Counted, LinkCounts};

/// Counted where it happens; it is only shown here.
#[derive(Debug)]
struct Link(Arc<LinkCounts>);

/// Has that shown with all others.
pub(super) fn register(counts: Arc<LinkCounts>, registry: &mut Registry) {
    registry.register_collector(Box::new(Link(counts)));
}

impl Collector for Link {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Counted { subscribed, tries, subscriptions, calls, .. } = self.0.counted();
        let help = "1 while there is a subscription with a master that is another process, else 0";
        let gauge = encoder.encode_descriptor("mesos_subscribed", help, None, MetricType::Gauge)?;
        ConstGauge::new(u64::from(subscribed.is_some())).encode(gauge)?;
        if let Some((_, since)) = subscribed {
            let help = "When that subscription began, in seconds since 1970";
            let (name, unit) = ("mesos_subscription_start_time", Unit::Seconds);
            let gauge = encoder.encode_descriptor(name, help, Some(&unit), MetricType::Gauge)?;
            ConstGauge::new(since.as_millis() / 1000).encode(gauge)?;
        }
        for (name, help, count) in [
            ("mesos_subscription_tries", "Tries to subscribe there", tries),
            ("mesos_subscriptions", "Subscriptions that began there", subscriptions),
        ] {
            let counter = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(count).encode(counter)?;
        }
        let help = "Calls that were made there, by their type and what became of them";
        let mut counter =
            encoder.encode_descriptor("mesos_calls", help, None, MetricType::Counter)?;
        for ((call, became), count) in calls {
            let answer = match became {
                Became::Answered(status) => status.to_string(),
                Became::NotSent => "not_sent".to_owned(),
                Became::Unknown => "unknown".to_owned(),
            };
            let labels = [("call", call), ("answer", answer.as_str())];
            ConstCounter::new(count).encode(counter.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

//! What frameworks other than ours do at the master's port.

use std::fmt;

use muster_master::server::Streams;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

/// Counted where it happens; it is only shown here.
#[derive(Debug)]
struct Frameworks(Streams);

/// Has that shown with all others.
pub(super) fn register(streams: Streams, registry: &mut Registry) {
    registry.register_collector(Box::new(Frameworks(streams)));
}

impl Collector for Frameworks {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let counts = self.0.counts();
        let help = "Frameworks that are subscribed over HTTP";
        let gauge =
            encoder.encode_descriptor("framework_streams", help, None, MetricType::Gauge)?;
        ConstGauge::new(u64::try_from(self.0.count()).unwrap_or(u64::MAX)).encode(gauge)?;
        let help = "Streams of frameworks that were ended because nobody read them";
        let name = "framework_streams_cut_off";
        let counter = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(counts.cut_off).encode(counter)?;
        let help = "Calls of frameworks over HTTP, by their type and the status of the answer";
        let name = "framework_calls";
        let mut counter = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for ((call, status), count) in counts.calls {
            let status = status.to_string();
            let labels = [("call", call), ("status", status.as_str())];
            ConstCounter::new(count).encode(counter.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

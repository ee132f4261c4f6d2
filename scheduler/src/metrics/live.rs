//! What there is just now, asked for when somebody looks.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use muster_api::views::{AgentState, AgentView};
use muster_engine::census::Census;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Registry,
};

/// Gauges of what there is. They are shown only while both cores answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Live(Arc<Mutex<Vec<Row>>>);

/// One gauge, with all of its values.
#[derive(Debug)]
struct Row {
    name: &'static str,
    help: &'static str,
    values: Values,
}

#[derive(Debug)]
enum Values {
    One(u64),
    /// One for each value of a label.
    Of(&'static str, Vec<(&'static str, u64)>),
}

impl Live {
    /// Has them shown with all others.
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(self.clone()));
    }

    /// Shows what both cores have answered.
    pub(super) fn set(&self, census: &Census, agents: &[AgentView]) {
        self.replace(rows(census, agents));
    }

    /// Shows nothing, for nobody has answered.
    pub(super) fn clear(&self) {
        self.replace(Vec::new());
    }

    fn replace(&self, rows: Vec<Row>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = rows;
    }
}

impl Collector for Live {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for Row { name, help, values } in rows.iter() {
            let mut gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            match values {
                Values::One(value) => ConstGauge::new(*value).encode(gauge)?,
                Values::Of(label, values) => {
                    for (of, value) in values {
                        let labels = [(*label, *of)];
                        ConstGauge::new(*value).encode(gauge.encode_family(&labels)?)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn rows(census: &Census, agents: &[AgentView]) -> Vec<Row> {
    let Census { waiting, tasks, executors, .. } = census;
    let waiting = vec![
        ("room", waiting.room),
        ("former_run", waiting.former_run),
        ("back_off", waiting.back_off),
    ];
    let tasks = vec![
        ("launching", tasks.launching),
        ("running", tasks.running),
        ("killing", tasks.killing),
    ];
    let executors = vec![
        ("starting", executors.starting),
        ("alive", executors.alive),
        ("closed", executors.closed),
        ("stopping", executors.stopping),
        ("gone", executors.gone),
    ];
    let row = |name, help, values| Row { name, help, values };
    let one = |name, help, value| row(name, help, Values::One(value));
    let by_state = |values| Values::Of("state", values);
    let help_of_executors =
        "Executors that are not known to be gone with all their tasks, by state.";
    vec![
        row(
            "waiting_runs",
            "Runs with shards that wait, by what for.",
            Values::Of("reason", waiting),
        ),
        row("tasks", "Tasks that are not over, by state.", by_state(tasks)),
        row("executors", help_of_executors, by_state(executors)),
        row("agents", "Executor hosts, by state.", by_state(by_agent_state(agents))),
        one("offers", "Offers that the engine has at hand.", census.offers),
        one(
            "hosts_held",
            "Hosts held for a run that was overtaken for too long.",
            census.hosts_held,
        ),
        one("zombies_alive", "Tasks that are over, live and are being killed.", census.zombies),
        one("held", "1 while the scheduler is held after a restore, else 0.", census.held.into()),
    ]
}

fn by_agent_state(agents: &[AgentView]) -> Vec<(&'static str, u64)> {
    let states = [
        ("active", AgentState::Active),
        ("draining", AgentState::Draining),
        ("drained", AgentState::Drained),
        ("foreign", AgentState::Foreign),
        ("unreachable", AgentState::Unreachable),
        ("gone", AgentState::Gone),
    ];
    let count = |state| agents.iter().filter(|agent| agent.state == state).count() as u64;
    states.map(|(name, state)| (name, count(state))).to_vec()
}

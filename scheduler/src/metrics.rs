//! What the scheduler counts and measures, for Prometheus.
//!
//! Whoever has something to count is handed these; there is no global state.

use std::{collections::BTreeMap, sync::Arc};

use muster_api::{
    Timestamp,
    events::TraceEvent,
    step::Write,
    views::{AgentView, RunState, ShardCounts},
};
use muster_engine::{
    census::Census,
    effect::{ExecutionCounts, FireCounts, Note, NoticeCounts, Tally},
};
use muster_master::server::Streams;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use crate::{driver::Jump, mesos::LinkCounts, tables::table_of};

mod frameworks;
mod link;
mod live;
mod register;
#[cfg(test)]
mod tests;

/// What kind of record.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Table {
    table: &'static str,
}

/// How something ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

/// Which way the wall clock was set.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Direction {
    direction: &'static str,
}

/// All of them, and the registry that shows them.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    commits: Counter,
    commit_seconds: Histogram,
    commit_records: Histogram,
    commit_events: Histogram,
    puts: Family<Table, Counter>,
    deletes: Family<Table, Counter>,
    written: Family<Table, Counter>,
    queue_seconds: Histogram,
    launches: Counter,
    shards_over: Family<Outcome, Counter>,
    runs_created: Counter,
    runs_over: Family<Outcome, Counter>,
    fires: Family<Outcome, Counter>,
    fires_uncounted: Counter,
    fire_lateness: Histogram,
    executions: Family<Outcome, Counter>,
    executions_uncounted: Counter,
    notices: Family<Outcome, Counter>,
    notices_waiting: Gauge,
    events: Family<Kind, Counter>,
    zombies: Counter,
    executors_closed: Counter,
    leases_ended: Counter,
    history_runs: Gauge,
    history_jobs: Gauge,
    history_forgotten: Counter,
    live: live::Live,
    clock_jumps: Family<Direction, Counter>,
}

impl Metrics {
    /// Nothing counted yet, by a process that began at `started`.
    pub fn new(started: Timestamp) -> Self {
        // From 0.1 ms to 3 s, each twice the one before.
        let seconds = || Histogram::new(exponential_buckets(0.000_1, 2.0, 16));
        // From 1 to 2,048.
        let counts = || Histogram::new(exponential_buckets(1.0, 2.0, 12));
        let mut metrics = Self {
            registry: Registry::with_prefix("muster"),
            commits: Counter::default(),
            commit_seconds: seconds(),
            commit_records: counts(),
            commit_events: counts(),
            puts: Family::default(),
            deletes: Family::default(),
            written: Family::default(),
            queue_seconds: seconds(),
            launches: Counter::default(),
            shards_over: Family::default(),
            runs_created: Counter::default(),
            runs_over: Family::default(),
            fires: Family::default(),
            fires_uncounted: Counter::default(),
            fire_lateness: Histogram::new(exponential_buckets(0.001, 4.0, 15)),
            executions: Family::default(),
            executions_uncounted: Counter::default(),
            notices: Family::default(),
            notices_waiting: Gauge::default(),
            events: Family::default(),
            zombies: Counter::default(),
            executors_closed: Counter::default(),
            leases_ended: Counter::default(),
            history_runs: Gauge::default(),
            history_jobs: Gauge::default(),
            history_forgotten: Counter::default(),
            live: live::Live::default(),
            clock_jumps: Family::default(),
        };
        metrics.show_what_never_happened();
        metrics.register_commits();
        metrics.register_work();
        metrics.register_history();
        let process = metrics.registry.sub_registry_with_prefix("process");
        let start: Gauge = Gauge::default();
        start.set(started.as_millis() / 1000);
        let help = "When the scheduler started, in seconds since 1970";
        process.register_with_unit("start_time", help, Unit::Seconds, start);
        metrics
    }

    /// A commit of some events is durable after so long.
    pub(crate) fn committed(&self, writes: &[Write], events: u64, nanos: u64) {
        self.commits.inc();
        self.commit_seconds.observe(seconds(nanos));
        self.commit_records.observe(writes.len() as f64);
        self.commit_events.observe(events as f64);
        for write in writes {
            let table = Table { table: table_of(write.key()) };
            match write {
                Write::Put { key, value } => {
                    self.puts.get_or_create(&table).inc();
                    let bytes = (key.len() + value.len()) as u64;
                    self.written.get_or_create(&table).inc_by(bytes);
                }
                Write::Delete { .. } => {
                    self.deletes.get_or_create(&table).inc();
                }
            }
        }
    }

    /// A request has waited so long for the driver.
    pub(crate) fn waited(&self, nanos: u64) {
        self.queue_seconds.observe(seconds(nanos));
    }

    /// What a turn did.
    pub(crate) fn did(&self, tally: Tally) {
        let Tally { launches, shards_over, fires, lateness, executions, notices } = tally;
        self.launches.inc_by(launches.into());
        let ShardCounts { succeeded, failed, timed_out, cancelled, .. } = shards_over;
        let over = [
            ("succeeded", succeeded),
            ("failed", failed),
            ("timed_out", timed_out),
            ("cancelled", cancelled),
        ];
        for (outcome, count) in over.into_iter().filter(|(_, count)| *count > 0) {
            self.shards_over.get_or_create(&Outcome { outcome }).inc_by(count.into());
        }
        self.fired(fires);
        for late in lateness {
            self.fire_lateness.observe(late.as_secs_f64());
        }
        self.executed(executions);
        self.told(notices);
    }

    fn told(&self, notices: NoticeCounts) {
        let NoticeCounts { decided, sent, failed, given_up, waiting } = notices;
        let outcomes =
            [("decided", decided), ("sent", sent), ("failed", failed), ("given_up", given_up)];
        for (outcome, count) in outcomes.into_iter().filter(|(_, count)| *count > 0) {
            self.notices.get_or_create(&Outcome { outcome }).inc_by(count);
        }
        if let Some(waiting) = waiting {
            self.notices_waiting.set(waiting.cast_signed());
        }
    }

    fn executed(&self, executions: ExecutionCounts) {
        let ExecutionCounts { succeeded, failed, timed_out, .. } = executions;
        let ExecutionCounts { cancelled, dropped, skipped, uncounted_ranges, .. } = executions;
        let outcomes = [
            ("succeeded", succeeded),
            ("failed", failed),
            ("timed_out", timed_out),
            ("cancelled", cancelled),
            ("dropped", dropped),
            ("skipped", skipped),
        ];
        for (outcome, count) in outcomes.into_iter().filter(|(_, count)| *count > 0) {
            self.executions.get_or_create(&Outcome { outcome }).inc_by(count);
        }
        self.executions_uncounted.inc_by(uncounted_ranges);
    }

    fn fired(&self, fires: FireCounts) {
        let FireCounts { ran, coalesced, skipped, dropped, uncounted_ranges } = fires;
        let outcomes =
            [("ran", ran), ("coalesced", coalesced), ("skipped", skipped), ("dropped", dropped)];
        for (outcome, count) in outcomes.into_iter().filter(|(_, count)| *count > 0) {
            self.fires.get_or_create(&Outcome { outcome }).inc_by(count);
        }
        self.fires_uncounted.inc_by(uncounted_ranges);
    }

    /// The engine noted something.
    pub(crate) fn noted(&self, note: &Note) {
        match note {
            Note::RunCreated { .. } => {
                self.runs_created.inc();
            }
            Note::RunEnded { state, .. } => self.run_over(*state),
            Note::Zombie { .. } => {
                self.zombies.inc();
            }
            Note::ExecutorClosed { .. } => {
                self.executors_closed.inc();
            }
            Note::Fenced { .. } => {
                self.leases_ended.inc();
            }
            _ => {}
        }
    }

    /// These events are recorded with the next commit.
    pub(crate) fn happened(&self, events: &[TraceEvent]) {
        // Of the thousands in a commit most are of one or two kinds.
        let mut counts = BTreeMap::<&str, u64>::new();
        for event in events {
            *counts.entry(event.kind.as_str()).or_default() += 1;
        }
        for (kind, count) in counts {
            self.events.get_or_create(&Kind { kind }).inc_by(count);
        }
    }

    fn run_over(&self, state: RunState) {
        self.runs_over.get_or_create(&Outcome { outcome: state.as_str() }).inc();
    }

    /// A pass over history has ended, and this is what is left.
    pub(crate) fn history_swept(&self, runs: u64, jobs: u64, forgotten_records: u64) {
        self.history_runs.set(runs.cast_signed());
        self.history_jobs.set(jobs.cast_signed());
        self.history_forgotten.inc_by(forgotten_records);
    }

    /// Somebody has set the wall clock.
    pub(crate) fn clock_jumped(&self, jump: Jump) {
        let direction = if jump.is_back() { "back" } else { "forward" };
        self.clock_jumps.get_or_create(&Direction { direction }).inc();
    }

    /// Shows what frameworks do by these streams, too.
    pub(crate) fn watch(&mut self, streams: Streams) {
        frameworks::register(streams, &mut self.registry);
    }

    /// Shows how it stands with a master that is not in this process, too.
    pub(crate) fn watch_link(&mut self, counts: Arc<LinkCounts>) {
        link::register(counts, &mut self.registry);
    }

    /// What there is just now, as both cores answered.
    pub(crate) fn set_live(&self, census: &Census, agents: &[AgentView]) {
        self.live.set(census, agents);
    }

    /// Nobody knows what there is just now.
    pub(crate) fn clear_live(&self) {
        self.live.clear();
    }

    /// All of them, in the text format of OpenMetrics.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        text::encode(&mut text, &self.registry).expect("a String grows as needed");
        text
    }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

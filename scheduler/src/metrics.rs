//! What the scheduler counts and measures, for Prometheus.
//!
//! Whoever has something to count is handed these; there is no global state.

use muster_api::{
    Timestamp,
    step::Write,
    views::{RunState, ShardCounts},
};
use muster_engine::effect::{FireCounts, Note, Tally};
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

use crate::{driver::Jump, tables::table_of};

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
    zombies: Counter,
    executors_closed: Counter,
    leases_ended: Counter,
    history_runs: Gauge,
    history_jobs: Gauge,
    history_forgotten: Counter,
    held: Gauge,
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
            zombies: Counter::default(),
            executors_closed: Counter::default(),
            leases_ended: Counter::default(),
            history_runs: Gauge::default(),
            history_jobs: Gauge::default(),
            history_forgotten: Counter::default(),
            held: Gauge::default(),
            clock_jumps: Family::default(),
        };
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

    fn register_commits(&mut self) {
        let of = &mut self.registry;
        of.register("commits", "Commits that are durable", self.commits.clone());
        let help = "From handing a commit to the store until it is durable";
        of.register_with_unit("commit", help, Unit::Seconds, self.commit_seconds.clone());
        let help = "Records that one commit changes";
        of.register("commit_records", help, self.commit_records.clone());
        let help = "Events that share one commit";
        of.register("commit_events", help, self.commit_events.clone());
        of.register("puts", "Records written, by table", self.puts.clone());
        of.register("deletes", "Records removed, by table", self.deletes.clone());
        let help = "Bytes of keys and values written, by table";
        of.register_with_unit("written", help, Unit::Bytes, self.written.clone());
        let help = "How long requests wait until the driver takes them in";
        of.register_with_unit("driver_queue", help, Unit::Seconds, self.queue_seconds.clone());
    }

    fn register_work(&mut self) {
        let of = &mut self.registry;
        of.register("launches", "Tasks launched", self.launches.clone());
        of.register("shards_over", "Shards that are over, by outcome", self.shards_over.clone());
        of.register("runs_created", "Runs accepted or fired", self.runs_created.clone());
        of.register("runs_over", "Runs that are over, by outcome", self.runs_over.clone());
        of.register("fires", "Planned instants, by outcome", self.fires.clone());
        let help = "Ranges of planned instants that are not in `fires`, for nobody counted them";
        of.register("fires_uncounted", help, self.fires_uncounted.clone());
        let help = "From when an instant was due to the first launch of its run";
        of.register_with_unit("fire_lateness", help, Unit::Seconds, self.fire_lateness.clone());
        let help = "Tasks that were over and lived, and were killed until they ended";
        of.register("zombies", help, self.zombies.clone());
        let help = "Executors that end with all their tasks, for one did not end when it had to";
        of.register("executors_closed", help, self.executors_closed.clone());
        let help = "Executors whose lease ended on a silent host";
        of.register("leases_ended", help, self.leases_ended.clone());
        let help = "1 while the scheduler is held after a restore, else 0";
        of.register("held", help, self.held.clone());
        let help = "Times that the wall clock was set by more than 5 s, by direction";
        of.register("clock_jumps", help, self.clock_jumps.clone());
    }

    fn register_history(&mut self) {
        let of = self.registry.sub_registry_with_prefix("history");
        of.register("runs", "Past runs at the end of the last pass", self.history_runs.clone());
        let help = "Jobs with past runs at the end of the last pass";
        of.register("jobs", help, self.history_jobs.clone());
        let help = "Records of history forgotten, by age or for their number";
        of.register("forgotten", help, self.history_forgotten.clone());
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
        let Tally { launches, shards_over, fires, lateness } = tally;
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

    /// Whether the scheduler is held after a restore.
    pub(crate) fn set_held(&self, held: bool) {
        self.held.set(held.into());
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use muster_api::views::FireOutcome;

    use super::*;

    #[test]
    fn what_was_counted_is_shown() {
        let metrics = Metrics::new(Timestamp::from_millis(1_700_000_000_999));
        let put = |key: &str| Write::Put { key: key.as_bytes().to_vec(), value: vec![7; 10] };
        let writes = [put("t/a"), put("t/b"), put("h/t/x"), Write::Delete { key: b"t/c".to_vec() }];
        metrics.committed(&writes, 3, 2_000_000);
        metrics.waited(150_000);
        let shards_over = ShardCounts { succeeded: 2, cancelled: 1, ..ShardCounts::default() };
        let mut fires = FireCounts { ran: 2, dropped: 7, ..FireCounts::default() };
        fires.add_range(FireOutcome::Skipped, Some(30));
        fires.add_range(FireOutcome::Skipped, None);
        let lateness = vec![Duration::from_millis(500), Duration::from_secs(100)];
        metrics.did(Tally { launches: 4, shards_over, fires, lateness });
        metrics.noted(&Note::RunEnded {
            run: muster_api::RunId::from_uuid(uuid::Uuid::nil()),
            state: RunState::TimedOut,
        });
        let nil = uuid::Uuid::nil();
        metrics.noted(&Note::Zombie { task: muster_api::TaskId::from_uuid(nil) });
        let executor = muster_api::ExecutorId::from_uuid(nil);
        metrics.noted(&Note::ExecutorClosed { executor });
        metrics.history_swept(5, 2, 9);
        metrics.set_held(true);
        metrics.clock_jumped(Jump { millis: -6000 });
        let text = metrics.text();
        for line in [
            "muster_commits_total 1",
            "muster_commit_seconds_count 1",
            "muster_commit_seconds_sum 0.002",
            "muster_commit_records_sum 4.0",
            "muster_commit_events_sum 3.0",
            r#"muster_puts_total{table="tasks"} 2"#,
            r#"muster_puts_total{table="past_tasks"} 1"#,
            r#"muster_deletes_total{table="tasks"} 1"#,
            r#"muster_written_bytes_total{table="tasks"} 26"#,
            "muster_driver_queue_seconds_count 1",
            "muster_launches_total 4",
            r#"muster_fires_total{outcome="ran"} 2"#,
            r#"muster_fires_total{outcome="skipped"} 30"#,
            r#"muster_fires_total{outcome="dropped"} 7"#,
            "muster_fires_uncounted_total 1",
            "muster_fire_lateness_seconds_sum 100.5",
            "muster_fire_lateness_seconds_count 2",
            r#"muster_shards_over_total{outcome="succeeded"} 2"#,
            r#"muster_shards_over_total{outcome="cancelled"} 1"#,
            r#"muster_runs_over_total{outcome="timed_out"} 1"#,
            "muster_zombies_total 1",
            "muster_executors_closed_total 1",
            "muster_history_runs 5",
            "muster_history_jobs 2",
            "muster_history_forgotten_total 9",
            "muster_held 1",
            r#"muster_clock_jumps_total{direction="back"} 1"#,
            "muster_process_start_time_seconds 1700000000",
            "# EOF",
        ] {
            assert!(text.lines().any(|has| has == line), "`{line}` is not in\n{text}");
        }
        assert!(!text.contains("failed"), "what never happened is not shown\n{text}");
    }
}

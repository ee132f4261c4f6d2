//! Under which name and with which words each metric is shown.

use muster_api::events::EventKind;
use prometheus_client::registry::Unit;

use super::{Direction, Kind, Metrics, Outcome};

/// How runs, shards and executions end.
const ENDS: [&str; 4] = ["succeeded", "failed", "timed_out", "cancelled"];

impl Metrics {
    /// Counts by outcome are there from the start, for nobody can be told of the growth of what was
    /// not there before.
    pub(super) fn show_what_never_happened(&self) {
        for (family, outcomes) in [
            (&self.shards_over, &ENDS[..]),
            (&self.runs_over, &ENDS[..]),
            (&self.fires, &["ran", "coalesced", "skipped", "dropped"][..]),
            (&self.executions, &["dropped", "skipped"][..]),
            (&self.executions, &ENDS[..]),
            (&self.notices, &["decided", "sent", "failed", "given_up"][..]),
        ] {
            for outcome in outcomes {
                family.get_or_create(&Outcome { outcome }).inc_by(0);
            }
        }
        for kind in EventKind::ALL {
            self.events.get_or_create(&Kind { kind: kind.as_str() }).inc_by(0);
        }
        for direction in ["back", "forward"] {
            self.clock_jumps.get_or_create(&Direction { direction }).inc_by(0);
        }
    }

    pub(super) fn register_commits(&mut self) {
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

    pub(super) fn register_work(&mut self) {
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
        let help = "Executions of resident tasks that executors told of, by outcome";
        of.register("executions", help, self.executions.clone());
        let help = "Ranges of skipped instants that are not in `executions`";
        of.register("executions_uncounted", help, self.executions_uncounted.clone());
        let help = "Notices decided, sent, tried in vain (`failed`) and given up";
        of.register("notices", help, self.notices.clone());
        let help = "Notices that wait to be delivered";
        of.register("notices_waiting", help, self.notices_waiting.clone());
        of.register("events", "Events recorded, by what they are about", self.events.clone());
        let help = "Tasks that were over and lived, and were killed until they ended";
        of.register("zombies", help, self.zombies.clone());
        let help = "Executors that end with all their tasks, for one did not end when it had to";
        of.register("executors_closed", help, self.executors_closed.clone());
        let help = "Executors whose lease ended on a silent host";
        of.register("leases_ended", help, self.leases_ended.clone());
        self.live.register(of);
        let help = "Times that the wall clock was set by more than 5 s, by direction";
        of.register("clock_jumps", help, self.clock_jumps.clone());
    }

    pub(super) fn register_history(&mut self) {
        let of = self.registry.sub_registry_with_prefix("history");
        of.register("runs", "Past runs at the end of the last pass", self.history_runs.clone());
        let help = "Jobs with past runs at the end of the last pass";
        of.register("jobs", help, self.history_jobs.clone());
        let help = "Records of history forgotten, by age or for their number";
        of.register("forgotten", help, self.history_forgotten.clone());
    }
}

//! What the records of each key prefix are, in words, for metrics and for people.

use muster_engine::records;

/// Each key prefix, and what its records are. What begins with none of them is [`OTHER`].
const TABLES: [(&str, &str); 31] = [
    (records::APPS, "apps"),
    (records::REVISIONS, "app_revisions"),
    (records::JOBS, "jobs"),
    (records::VERSIONS, "job_versions"),
    (records::CURSORS, "cursors"),
    (records::RUNS, "runs"),
    (records::TASKS, "tasks"),
    (records::EXECUTORS, "executors"),
    (records::IDEMPOTENCY, "idempotency_keys"),
    (records::NOTICES, "notices"),
    (records::TOLD, "told"),
    (records::LOST, "lost_hosts"),
    (records::COUNTERS, "counters"),
    (records::HELD, "held"),
    (records::RESUMED, "resumed"),
    (records::SETTLING, "settling"),
    (records::ZONES, "zones"),
    (records::DISOWNED, "disowned"),
    ("A/", "agents"),
    ("F/", "frameworks"),
    ("W/", "weights"),
    ("C/", "credentials"),
    ("S/", "session"),
    ("T", "term"),
    (records::PAST_RUNS, "past_runs"),
    (records::PAST_RUNS_BY_JOB, "past_runs_by_job"),
    (records::PAST_FIRES, "past_fires"),
    (records::PAST_TASKS, "past_tasks"),
    (records::FIRES, "fire_ranges"),
    (crate::trace::EVENTS, "events"),
    (records::FORMER_PAST_RUNS_INDEX, "former_index"),
];
/// What a record of no known prefix is called.
const OTHER: &str = "other";

/// What the record of a key is.
pub(crate) fn table_of(key: &[u8]) -> &'static str {
    let found = TABLES.iter().find(|(prefix, _)| key.starts_with(prefix.as_bytes()));
    found.map_or(OTHER, |(_, table)| *table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_of_one_table() {
        for (prefix, table) in TABLES {
            assert_eq!(table_of(format!("{prefix}x").as_bytes()), table);
            let also = TABLES.iter().filter(|(other, _)| prefix.starts_with(other));
            assert_eq!(also.count(), 1, "{prefix}");
        }
        assert_eq!(table_of(b"x/y"), OTHER);
        assert_eq!(table_of(b""), OTHER);
    }
}

//! What is shown, and that all of it is described.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use muster_api::views::FireOutcome;
use muster_proto::scheduler::Call;
use muster_session::link::{Attempt, Outcome as Became};
use serde_json::json;

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
    let executions = ExecutionCounts { succeeded: 5, skipped: 3, ..ExecutionCounts::default() };
    let notices = NoticeCounts { sent: 2, waiting: Some(3), ..NoticeCounts::default() };
    metrics.did(Tally { launches: 4, shards_over, fires, lateness, executions, notices });
    metrics.noted(&Note::RunEnded {
        run: muster_api::RunId::from_uuid(uuid::Uuid::nil()),
        state: RunState::TimedOut,
    });
    let nil = uuid::Uuid::nil();
    metrics.noted(&Note::Zombie { task: muster_api::TaskId::from_uuid(nil) });
    let executor = muster_api::ExecutorId::from_uuid(nil);
    metrics.noted(&Note::ExecutorClosed { executor });
    metrics.history_swept(5, 2, 9);
    metrics.set_live(&census(), &[]);
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
        r#"muster_executions_total{outcome="succeeded"} 5"#,
        r#"muster_executions_total{outcome="skipped"} 3"#,
        r#"muster_notices_total{outcome="sent"} 2"#,
        "muster_notices_waiting 3",
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
    let zero = r#"muster_runs_over_total{outcome="failed"} 0"#;
    assert!(text.lines().any(|has| has == zero), "what never happened is shown too\n{text}");
}

fn census() -> Census {
    let mut census = Census { held: true, offers: 6, hosts_held: 2, ..Census::default() };
    census.waiting.former_run = 3;
    census.tasks.running = 4;
    census.executors.alive = 5;
    census
}

fn agent(state: &str) -> AgentView {
    serde_json::from_value(json!({"id": "x", "hostname": "h", "state": state,
        "resources": {"cpus": 1, "mem": 1}, "used": {"cpus": 0, "mem": 0}, "attributes": {},
        "tasks": 0, "executors": 0}))
    .unwrap()
}

#[test]
fn what_there_is_is_shown_while_somebody_knows() {
    let metrics = Metrics::new(Timestamp::from_millis(0));
    assert!(!metrics.text().contains("muster_tasks"), "nobody has been asked");
    metrics.set_live(&census(), &[agent("active"), agent("drained"), agent("active")]);
    let text = metrics.text();
    for line in [
        "# HELP muster_tasks Tasks that are not over, by state.",
        "# TYPE muster_tasks gauge",
        r#"muster_tasks{state="running"} 4"#,
        r#"muster_tasks{state="launching"} 0"#,
        r#"muster_waiting_runs{reason="former_run"} 3"#,
        r#"muster_executors{state="alive"} 5"#,
        r#"muster_agents{state="active"} 2"#,
        r#"muster_agents{state="drained"} 1"#,
        r#"muster_agents{state="draining"} 0"#,
        "muster_offers 6",
        "muster_hosts_held 2",
        "muster_held 1",
    ] {
        assert!(text.lines().any(|has| has == line), "`{line}` is not in\n{text}");
    }
    metrics.clear_live();
    assert!(!metrics.text().contains("muster_tasks"), "the driver does not answer");
}

/// Each family of metrics: its name without prefix and unit of counting, and its lines.
fn families(text: &str) -> BTreeMap<String, Vec<&str>> {
    let mut families = BTreeMap::<String, Vec<&str>>::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            current = rest.split(' ').next().unwrap().to_owned();
            assert!(rest.len() > current.len() + 5, "it has no help: {line}");
        }
        if line != "# EOF" {
            families.entry(current.clone()).or_default().push(line);
        }
    }
    families
}

/// A scheduler that did a bit of everything.
fn all() -> Metrics {
    let mut metrics = Metrics::new(Timestamp::from_millis(0));
    let put = Write::Put { key: b"t/a".to_vec(), value: Vec::new() };
    metrics.committed(&[put, Write::Delete { key: b"t/a".to_vec() }], 1, 1);
    metrics.set_live(&census(), &[]);
    metrics.watch(Streams::new());
    let link = Arc::<LinkCounts>::default();
    link.subscribed(Attempt(1));
    link.called(&Call::default(), &Became::Unknown { why: String::new() });
    metrics.watch_link(link);
    metrics
}

#[test]
fn every_family_has_help_a_type_and_few_labels() {
    let text = all().text();
    let families = families(&text);
    assert!(families.len() > 30, "{} families: they are not read", families.len());
    // No name of a job, app, host or user is a label: there may be a million of them.
    let labels = [
        "table",
        "outcome",
        "direction",
        "state",
        "reason",
        "kind",
        "le",
        "call",
        "status",
        "answer",
    ];
    for (family, lines) in families {
        assert!(family.starts_with("muster_"), "{family}");
        let types = lines.iter().filter(|line| line.starts_with("# TYPE ")).count();
        assert_eq!(types, 1, "{family} has {types} types");
        let samples: Vec<_> = lines.iter().filter(|line| !line.starts_with('#')).collect();
        assert!(!samples.is_empty() && samples.len() < 40, "{family}: {samples:?}");
        for sample in samples {
            assert!(sample.starts_with(&family), "{sample} is of {family}");
            let Some((_, rest)) = sample.split_once('{') else { continue };
            for label in rest.split('}').next().unwrap().split(',') {
                let name = label.split('=').next().unwrap();
                assert!(labels.contains(&name), "{family} has the label {name}");
            }
        }
    }
}

#[test]
fn the_table_of_the_documentation_is_what_there_is() {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operating.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    let (_, table) = docs.split_once("| metric (behind `muster_`) |").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let rows = table.lines().filter_map(|row| row.strip_prefix("| ")?.split(" | ").next());
    // Names stand in backticks; one behind `by` is that of a label.
    let names = |row: &str| {
        let parts: Vec<_> = row.split('`').collect();
        let pairs = parts.chunks_exact(2).filter(|pair| !pair[0].ends_with("by "));
        pairs.map(|pair| pair[1].to_owned()).collect::<Vec<_>>()
    };
    let documented: BTreeSet<String> = rows.flat_map(names).collect();
    let text = all().text();
    let shown: BTreeSet<String> = families(&text)
        .into_iter()
        .map(|(family, lines)| {
            let is_counter =
                lines.iter().any(|l| l.starts_with("# TYPE") && l.ends_with("counter"));
            let name = family.strip_prefix("muster_").unwrap();
            if is_counter { format!("{name}_total") } else { name.to_owned() }
        })
        .collect();
    let missing: Vec<_> = shown.difference(&documented).collect();
    let invented: Vec<_> = documented.difference(&shown).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "missing {missing:?}, not there {invented:?}"
    );
}

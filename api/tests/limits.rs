//! Every bound of a document: what is at it is taken, what is beyond it is refused with its field.

#![allow(clippy::unwrap_used, reason = "a document that cannot be read is a failed test")]

use muster_api::{
    Amount, AppName, OfferId, limits,
    spec::{AppSpec, Fault, JobSpec},
};
use serde_json::{Value, json};

fn with(mut document: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        document[name] = value.clone();
    }
    document
}

fn app(changes: &Value) -> Result<(), Vec<Fault>> {
    let document = json!({"name": "a", "resources": {"cpus": 1, "mem": 1}});
    AppSpec::parse(with(document, changes)).map(drop).map_err(|invalid| invalid.faults)
}

fn job(changes: &Value) -> Result<(), Vec<Fault>> {
    let document = json!({"name": "j", "app": "a", "type": "script", "script": {"command": ":"},
        "sharding": {"count": 1}});
    JobSpec::parse(with(document, changes)).map(drop).map_err(|invalid| invalid.faults)
}

/// What is taken, what is refused, and the field that the refusal names.
type Row = (&'static str, Value, Value, &'static str);

fn check(rows: Vec<Row>, read: fn(&Value) -> Result<(), Vec<Fault>>) {
    for (bound, taken, refused, field) in rows {
        assert_eq!(read(&taken), Ok(()), "{bound}");
        let faults = read(&refused).expect_err(bound);
        assert!(faults.iter().any(|fault| fault.field.starts_with(field)), "{bound}: {faults:?}");
    }
}

#[test]
fn an_app_is_taken_at_its_bounds_and_refused_beyond() {
    let seconds = |duration: std::time::Duration| format!("{}s", duration.as_secs());
    let sampling = limits::EVENT_SAMPLING_MAX;
    let resources = |cpus: u64| json!({"resources": {"cpus": cpus, "mem": 1}});
    let named = |bytes: usize| json!({"name": "x".repeat(bytes)});
    let dimension = |bytes: usize| {
        let mut resources = json!({"cpus": 1, "mem": 1});
        resources["x".repeat(bytes)] = json!(1);
        json!({"resources": resources})
    };
    check(
        vec![
            ("NAME_BYTES", named(limits::NAME_BYTES), named(limits::NAME_BYTES + 1), "name"),
            (
                "NAME_BYTES of a resource",
                dimension(limits::NAME_BYTES),
                dimension(limits::NAME_BYTES + 1),
                "resources",
            ),
            (
                "AMOUNT_MAX",
                resources(limits::AMOUNT_MAX),
                resources(limits::AMOUNT_MAX + 1),
                "resources",
            ),
            (
                "LEASE_MIN",
                json!({"lease": seconds(limits::LEASE_MIN)}),
                json!({"lease": "14s"}),
                "lease",
            ),
            (
                "LEASE_MAX",
                json!({"lease": seconds(limits::LEASE_MAX)}),
                json!({"lease": "86401s"}),
                "lease",
            ),
            (
                "EVENT_SAMPLING_MAX",
                json!({"event_sampling": sampling}),
                json!({"event_sampling": sampling + 1}),
                "event_sampling",
            ),
        ],
        app,
    );
}

#[test]
fn a_job_is_taken_at_its_bounds_and_refused_beyond() {
    let shards = |count: u32| json!({"sharding": {"count": count}});
    let at_once = |count: u32| json!({"sharding": {"count": count}, "launch": "all_at_once"});
    let all_at_once = limits::SHARDS_ALL_AT_ONCE_MAX;
    let cap = |cap: u32| json!({"misfire": {"cap": cap}});
    let grace = |grace: &str| json!({"misfire": {"grace": grace}});
    let jitter =
        |jitter: &str| json!({"schedule": {"at": "2026-01-01T00:00:00Z", "jitter": jitter}});
    let late = |late: &str| json!({"notify": {"on": ["late"], "late_after": late}});
    check(
        vec![
            (
                "SHARDS_MAX",
                shards(limits::SHARDS_MAX),
                shards(limits::SHARDS_MAX + 1),
                "sharding.count",
            ),
            (
                "SHARDS_ALL_AT_ONCE_MAX",
                at_once(all_at_once),
                at_once(all_at_once + 1),
                "sharding.count",
            ),
            (
                "MISFIRE_CAP_MAX",
                cap(limits::MISFIRE_CAP_MAX),
                cap(limits::MISFIRE_CAP_MAX + 1),
                "misfire.cap",
            ),
            ("MISFIRE_GRACE_MIN", grace("1s"), grace("999ms"), "misfire.grace"),
            ("MISFIRE_GRACE_MAX", grace("366d"), grace("8785h"), "misfire.grace"),
            ("JITTER_MAX", jitter("24h"), jitter("86401s"), "schedule.jitter"),
            ("NOTICE_LATE_AFTER_MIN", late("1s"), late("999ms"), "notify.late_after"),
            ("NOTICE_LATE_AFTER_MAX", late("366d"), late("8785h"), "notify.late_after"),
        ],
        job,
    );
}

#[test]
fn a_constraint_is_taken_at_its_bounds_and_refused_beyond() {
    let constraint = |changes: &Value| {
        let one = with(json!({"attribute": "rack", "op": "equals"}), changes);
        json!({"constraints": [one]})
    };
    let many = |count: usize| {
        let one = json!({"attribute": "rack", "op": "exists"});
        json!({"constraints": vec![one; count]})
    };
    let values = |count: usize| {
        let values: Vec<_> = (0..count).map(|value| value.to_string()).collect();
        constraint(&json!({"op": "in", "value": values}))
    };
    let value = |bytes: usize| constraint(&json!({"value": "x".repeat(bytes)}));
    let pattern = |text: String| constraint(&json!({"op": "matches", "value": text}));
    check(
        vec![
            (
                "CONSTRAINTS_MAX",
                many(limits::CONSTRAINTS_MAX),
                many(limits::CONSTRAINTS_MAX + 1),
                "constraints",
            ),
            (
                "CONSTRAINT_VALUES_MAX",
                values(limits::CONSTRAINT_VALUES_MAX),
                values(limits::CONSTRAINT_VALUES_MAX + 1),
                "constraints[0].value",
            ),
            (
                "ATTRIBUTE_BYTES",
                value(limits::ATTRIBUTE_BYTES),
                value(limits::ATTRIBUTE_BYTES + 1),
                "constraints[0].value",
            ),
            (
                "PATTERN_BYTES",
                pattern("a".repeat(limits::PATTERN_BYTES)),
                pattern("a".repeat(limits::PATTERN_BYTES + 1)),
                "constraints[0].value",
            ),
            (
                "PATTERN_MEMORY",
                pattern("a{100}".to_owned()),
                pattern("((a{100}){100}){100}".to_owned()),
                "constraints[0].value",
            ),
        ],
        job,
    );
}

#[test]
fn what_is_absent_has_its_default() {
    let document = json!({"name": "j", "app": "a", "type": "script", "script": {"command": ":"},
        "sharding": {"count": 1}, "notify": {"on": ["late"]}});
    let spec = JobSpec::parse(document).unwrap().spec;
    assert_eq!(spec.misfire.cap, limits::MISFIRE_CAP_DEFAULT);
    assert_eq!(spec.misfire.grace, limits::MISFIRE_GRACE_DEFAULT);
    assert_eq!(spec.notify.late_after, limits::NOTICE_LATE_AFTER_DEFAULT);
}

#[test]
fn names_ids_and_amounts_are_taken_at_their_bounds_and_refused_beyond() {
    assert!("x".repeat(limits::NAME_BYTES).parse::<AppName>().is_ok());
    assert!("x".repeat(limits::NAME_BYTES + 1).parse::<AppName>().is_err());
    assert!("x".repeat(limits::OPAQUE_ID_BYTES).parse::<OfferId>().is_ok());
    assert!("x".repeat(limits::OPAQUE_ID_BYTES + 1).parse::<OfferId>().is_err());
    assert!(limits::AMOUNT_MAX.to_string().parse::<Amount>().is_ok());
    assert!((limits::AMOUNT_MAX + 1).to_string().parse::<Amount>().is_err());
}

#[test]
fn an_expression_is_taken_at_its_bound_and_refused_beyond() {
    let fits = |bytes: usize| {
        let seconds = "0,".repeat(bytes);
        let cron = format!("{}0 0 2 * * ?", &seconds[..(bytes - 11) / 2 * 2]);
        let schedule = json!({"schedule": {"cron": cron}});
        (cron.len(), job(&schedule))
    };
    let (bytes, read) = fits(limits::CRON_BYTES);
    assert!(bytes <= limits::CRON_BYTES && read.is_ok(), "{bytes}: {read:?}");
    let (bytes, read) = fits(limits::CRON_BYTES + 2);
    assert!(bytes > limits::CRON_BYTES, "{bytes}");
    assert_eq!(read.unwrap_err()[0].field, "schedule.cron");
}

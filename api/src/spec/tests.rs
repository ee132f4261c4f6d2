//! What documents are read as, and which faults are found in them.

mod any;

use serde_json::{Value, json};

use super::*;
use crate::{
    Span, limits,
    views::{JobStatus, JobView, TriggerRequest},
};

fn app() -> Value {
    json!({"kind": "app", "name": "reports", "resources": {"cpus": 1, "mem": 128}})
}

fn job() -> Value {
    json!({
        "kind": "job", "name": "nightly", "app": "reports", "type": "script",
        "script": {"command": "echo hi"}, "sharding": {"count": 3},
    })
}

fn with(mut document: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else { panic!("changes are a map") };
    for (field, value) in changes {
        document[field] = value;
    }
    document
}

fn fields(faults: &[Fault]) -> Vec<&str> {
    faults.iter().map(|fault| fault.field.as_str()).collect()
}

/// The faults of a document.
fn faults(document: Value) -> Vec<Fault> {
    Spec::parse(document).expect_err("the document has faults").faults
}

/// The only fault of a job with these changes.
fn job_fault(changes: &Value) -> (String, String) {
    let mut all = faults(with(job(), changes.clone()));
    assert_eq!(all.len(), 1, "{changes}: {all:?}");
    let fault = all.remove(0);
    (fault.field, fault.message)
}

#[test]
fn absent_fields_have_the_values_of_the_contract() {
    let app = AppSpec::parse(app()).unwrap().spec;
    assert_eq!(app.lease.to_string(), "2m");
    assert_eq!(app.idle_timeout.to_string(), "5m");
    assert_eq!((app.command, app.artifacts, app.env.len()), (None, vec![], 0));

    let job = JobSpec::parse(job()).unwrap().spec;
    assert_eq!(job.resources.to_string(), "cpus:0.5;mem:64");
    assert_eq!((job.priority, job.disabled), (50, None));
    assert_eq!((job.timeout.to_string(), job.kill_grace.to_string()), ("0s".into(), "5s".into()));
    assert_eq!((job.start_within, job.run_timeout), (Span::ZERO, Span::ZERO));
    assert_eq!((job.misfire.policy, job.misfire.cap), (MisfirePolicy::Coalesce, 100));
    assert_eq!(job.misfire.grace.to_string(), "7d");
    assert_eq!(job.failover, Failover::default());
    assert_eq!(job.retry, Retry::default());
    assert_eq!((job.launch, &job.spread), (Launch::AsFits, &Spread::None));
    assert_eq!(job.handler_name(), "nightly");
    assert_eq!(job.shard_parameter(2), "");
}

#[test]
fn every_field_is_read() {
    let document = json!({
        "name": "n", "app": "a", "type": "simple", "handler": "h", "execution": "transient",
        "schedule": {"every": "10s", "from": "2026-01-01T00:00:00Z"},
        "sharding": {"count": 2, "parameters": {"0": "beijing", "1": "shanghai"}},
        "parameter": "p", "resources": {"cpus": 0.25, "mem": 32, "gpus": 1},
        "launch": "all_at_once",
        "misfire": {"policy": "replay", "cap": 7, "grace": "1h"}, "start_within": "30s",
        "failover": {"enabled": false, "max_attempts": 5, "backoff": "2s..4s"},
        "retry": {"max_attempts": 2, "backoff": "100ms..1s"},
        "timeout": "1h30m", "run_timeout": "2h", "kill_grace": "7s",
        "constraints": [{"attribute": "rack", "op": "in", "value": ["r1", "r2"]},
                        {"attribute": "hostname", "op": "matches", "value": "h[0-9]+"},
                        {"attribute": "ssd", "op": "exists"}],
        "spread": "rack", "priority": 0,
        "notify": {"on": ["failed", "late"], "webhook": "https://h/x", "late_after": "5s"},
        "props": {"k": "v"}, "labels": {"team": "x"}, "description": "d", "disabled": true,
        "version": 7, "status": {"enabled": true},
    });
    let parsed = JobSpec::parse(document.clone()).unwrap();
    assert_eq!(parsed.version, Some(7));
    let mut expected = document;
    for field in ["version", "status"] {
        expected.as_object_mut().unwrap().remove(field);
    }
    assert_eq!(serde_json::to_value(&parsed.spec).unwrap(), expected);

    let document = json!({
        "name": "a", "command": "./start", "env": {"TZ": "UTC"},
        "artifacts": [{"uri": "file:///x.tar", "sha256": "0".repeat(64), "extract": false,
                       "executable": true, "cache": false}],
        "resources": {"cpus": 1, "mem": 128}, "lease": "off", "idle_timeout": "1m",
        "max_tasks": 7, "event_sampling": 60,
        "labels": {"a": "b"}, "description": "d",
    });
    let parsed = AppSpec::parse(document.clone()).unwrap();
    assert_eq!(serde_json::to_value(&parsed.spec).unwrap(), document);
}

#[test]
fn faults_of_constraints_are_all_named() {
    let found = faults(with(
        job(),
        json!({"constraints": [
        {"attribute": "", "op": "equals", "value": "x"},
        {"attribute": "rack", "op": "like", "value": "x"},
        {"attribute": "rack", "op": "in", "value": "r1"},
        {"attribute": "rack", "op": "not_in", "value": []},
        {"attribute": "rack", "op": "matches", "value": "r("},
        {"attribute": "rack", "op": "exists", "value": "r1"},
        {"attribute": "rack", "op": "equals"},
        {"op": "equals", "value": 1, "values": ["a"]},
    ], "spread": "a b"}),
    ));
    assert_eq!(
        fields(&found),
        [
            "constraints[0].attribute",
            "constraints[1].op",
            "constraints[2].value",
            "constraints[3].value",
            "constraints[4].value",
            "constraints[5].value",
            "constraints[6].value",
            "constraints[7].attribute",
            "constraints[7].value",
            "constraints[7].values",
            "spread",
        ]
    );
    assert!(found[4].message.contains("unclosed group"), "{}", found[4].message);
    let one = json!({"attribute": "a", "op": "exists"});
    let many = json!({"constraints": vec![one; limits::CONSTRAINTS_MAX + 1]});
    let (field, message) = job_fault(&many);
    assert_eq!(field, "constraints");
    assert!(message.contains("at most 32"), "{message}");
}

#[test]
fn the_host_name_is_spread_over_as_hosts_are() {
    let spread = |text: &str| {
        let spec = JobSpec::parse(with(job(), json!({"spread": text}))).unwrap().spec;
        (spec.spread.to_string(), spec.spread)
    };
    assert_eq!(spread("none").1, Spread::None);
    assert_eq!(spread("hostname"), ("host".to_owned(), Spread::Host));
    assert_eq!(spread("rack"), ("rack".to_owned(), Spread::Attribute("rack".into())));
}

#[test]
fn what_get_answers_may_be_put() {
    let changes = json!({"sharding": {"count": 2, "parameters": "0=beijing, 1=shanghai"},
        "constraints": [{"attribute": "rack", "op": "not_in", "value": ["r1"]}], "spread": "rack"});
    let spec = JobSpec::parse(with(job(), changes)).unwrap().spec;
    assert_eq!(spec.shard_parameter(1), "shanghai");
    let status = JobStatus {
        enabled: true,
        next_fire: None,
        created_at: Default::default(),
        updated_at: Default::default(),
    };
    let view = JobView { kind: "job".into(), spec: spec.clone(), version: 3, status };
    let json = serde_json::to_value(&view).unwrap();
    assert_eq!(serde_json::from_value::<JobView>(json.clone()).unwrap(), view);
    assert_eq!(JobSpec::parse(json).unwrap(), Parsed { spec: spec.clone(), version: Some(3) });

    let spec = JobSpec { constraints: Vec::new(), ..spec };
    assert_eq!(serde_json::to_value(&spec).unwrap().get("constraints"), None, "it is stored short");
    let json = serde_json::to_value(JobView { spec: spec.clone(), ..view }).unwrap();
    assert_eq!(json["constraints"], json!([]), "it is answered whole");
    assert_eq!(JobSpec::parse(json).unwrap(), Parsed { spec, version: Some(3) });
}

#[test]
fn all_faults_are_named_at_once() {
    let found = faults(json!({
        "kind": "job", "name": "a:b", "type": "cobol", "sharding": {"count": 0, "size": 1},
        "schedule": {"cron": "x", "every": "1s"}, "resources": {"cpus": 0.5},
        "timeout": 5, "priority": 101, "retry": [], "props": {"a": 1, "b": null},
        "parameter": null, "shards": 3, "version": "1",
    }));
    assert_eq!(
        fields(&found),
        [
            "name",
            "app",
            "type",
            "schedule",
            "schedule.cron",
            "sharding.count",
            "sharding.size",
            "parameter",
            "resources.mem",
            "retry",
            "timeout",
            "priority",
            "props.a",
            "props.b",
            "version",
            "shards"
        ]
    );
    let message = |field: &str| {
        let fault = found.iter().find(|fault| fault.field == field);
        fault.unwrap_or_else(|| panic!("no fault of {field}")).message.as_str()
    };
    assert!(message("name").contains("`a:b`"));
    assert_eq!(message("type"), "`\"cobol\"` is not one of `simple`, `script`");
    assert_eq!(message("timeout"), "`5` has no unit; write it as 5s (units ms s m h d)");
    assert_eq!(message("priority"), "`101` is no whole number from 0 to 100");
    assert!(message("shards").contains("no such field") && message("shards").contains("sharding"));
    assert_eq!(
        message("sharding.size"),
        "there is no such field here; known are count, parameters"
    );
}

#[test]
fn documents_of_no_kind_are_refused() {
    assert_eq!(fields(&faults(json!([1]))), [""]);
    assert_eq!(fields(&faults(json!({"name": "x"}))), ["kind"]);
    assert_eq!(fields(&faults(json!({"kind": "task"}))), ["kind"]);
    assert_eq!(
        fields(&AppSpec::parse(with(app(), json!({"kind": "job"}))).unwrap_err().faults),
        ["kind"]
    );
}

#[test]
fn bounds_of_an_app_are_kept() {
    let fault_of = |changes: Value| faults(with(app(), changes)).remove(0).field;
    for lease in ["14s", "24h1ms", "forever", ""] {
        assert_eq!(fault_of(json!({"lease": lease})), "lease", "{lease}");
    }
    for lease in ["15s", "24h", "off"] {
        assert!(AppSpec::parse(with(app(), json!({"lease": lease}))).is_ok(), "{lease}");
    }
    for (resources, fields) in [
        (json!({}), vec!["resources.cpus", "resources.mem"]),
        (json!({"cpus": 1}), vec!["resources.mem"]),
        (json!({"cpus": 0, "mem": 0.5}), vec!["resources.cpus", "resources.mem"]),
        (json!({"cpus": -1, "mem": 1}), vec!["resources.cpus"]),
        (json!({"cpus": 1, "mem": 64, "a b": 1}), vec!["resources.a b"]),
        (json!({"cpus": 0.0005, "mem": 1}), vec!["resources.cpus"]),
        (json!({"cpus": "1"}), vec!["resources.mem", "resources.cpus"]),
        (json!("cpus:1;mem:1"), vec!["resources"]),
    ] {
        let document = with(app(), json!({"resources": resources}));
        let found = AppSpec::parse(document).unwrap_err().faults;
        let found: Vec<_> = found.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(found, fields, "{resources}");
    }
    for uri in ["https://h/x", "ftp://h/x", "file://x", "file:///", "http://", "http:///x", "/x"] {
        assert_eq!(fault_of(json!({"artifacts": [{"uri": uri}]})), "artifacts[0].uri", "{uri}");
    }
    let short =
        json!({"artifacts": [{"uri": "http://h/x"}, {"uri": "http://h/x", "sha256": "ab"}]});
    assert_eq!(fault_of(short), "artifacts[1].sha256");
    assert_eq!(fault_of(json!({"env": {"A=B": "x"}})), "env.A=B");
    assert_eq!(fault_of(json!({"env": {"A": 1}})), "env.A");
    assert_eq!(fault_of(json!({"command": " "})), "command");
}

#[test]
fn bounds_of_a_job_are_kept() {
    for (changes, field) in [
        (json!({"sharding": {"count": 10_001}}), "sharding.count"),
        (json!({"sharding": {"count": 1.5}}), "sharding.count"),
        (json!({"sharding": {"count": 501}, "launch": "all_at_once"}), "sharding.count"),
        (json!({"sharding": {"count": 2, "parameters": {"2": "x"}}}), "sharding.parameters.2"),
        (json!({"sharding": {"count": 2, "parameters": {"01": "x"}}}), "sharding.parameters.01"),
        (json!({"sharding": {"count": 2, "parameters": "0=a,0=b"}}), "sharding.parameters"),
        (json!({"sharding": {"count": 2, "parameters": "a"}}), "sharding.parameters"),
        (json!({"sharding": {"count": 2, "parameters": ["a"]}}), "sharding.parameters"),
        (json!({"schedule": {}}), "schedule"),
        (json!({"schedule": {"every": "999ms"}}), "schedule.every"),
        (
            json!({"schedule": {"cron": "0 0 2 * * ?", "from": "2026-01-01T00:00:00Z"}}),
            "schedule.from",
        ),
        (json!({"schedule": {"at": "tomorrow"}}), "schedule.at"),
        (json!({"schedule": {"cron": "0 0 2 * *"}}), "schedule.cron"),
        (json!({"schedule": {"cron": "0 0 2 * * ?", "time_zone": "Mars"}}), "schedule.time_zone"),
        (json!({"script": {}}), "script"),
        (json!({"script": {"command": "x", "inline": "y"}}), "script"),
        (json!({"script": {"interpreter": "bash"}}), "script"),
        (json!({"script": {"command": "x\u{0}"}}), "script.command"),
        (json!({"handler": "h"}), "handler"),
        (json!({"type": "simple"}), "script"),
        (json!({"retry": {"backoff": "2s..1s"}}), "retry.backoff"),
        (json!({"failover": {"max_attempts": -1}}), "failover.max_attempts"),
        (json!({"misfire": {"policy": "ignore"}}), "misfire.policy"),
        (json!({"misfire": {"cap": 0}}), "misfire.cap"),
        (json!({"misfire": {"cap": 1_001}}), "misfire.cap"),
        (json!({"misfire": {"grace": "999ms"}}), "misfire.grace"),
        (json!({"misfire": {"grace": "367d"}}), "misfire.grace"),
        (json!({"misfire": true}), "misfire"),
        (json!({"start_within": 30}), "start_within"),
        (json!({"run_timeout": "1x"}), "run_timeout"),
        (json!({"execution": "forever"}), "execution"),
        (json!({"execution": "daemon"}), "schedule"),
        (json!({"notify": {"on": ["failed", "host_lost"]}}), "notify.on[1]"),
        (json!({"notify": {"webhook": "ftp://h"}}), "notify.webhook"),
        (json!({"notify": {"late_after": "999ms"}}), "notify.late_after"),
        (json!({"parameter": "a\u{0}"}), "parameter"),
        (json!({"version": 0}), "version"),
    ] {
        assert_eq!(job_fault(&changes).0, field, "{changes}");
    }
    let no_script = json!({"name": "n", "app": "a", "type": "script", "sharding": {"count": 1}});
    assert_eq!(fields(&JobSpec::parse(no_script).unwrap_err().faults), ["script"]);
}

#[test]
fn a_daemon_job_asks_for_what_it_can_be_told_of() {
    let daemon = |on: Value| {
        let more = json!({"execution": "daemon", "schedule": {"every": "10s"},
            "notify": {"on": on, "webhook": "http://h"}});
        job_fault(&more)
    };
    let (field, message) = daemon(json!(["failed", "late", "timed_out"]));
    assert_eq!(field, "notify.on");
    assert!(message.contains("never told of `timed_out`, `late`"), "{message}");
    assert!(message.ends_with("of one come `failed` and `recovered`"), "{message}");
    for kind in ["skipped", "dropped"] {
        assert_eq!(daemon(json!([kind])).0, "notify.on", "{kind}");
    }
    let good = json!({"execution": "daemon", "schedule": {"every": "10s"},
        "notify": {"on": ["failed", "recovered"], "webhook": "http://h"}});
    assert!(JobSpec::parse(with(job(), good)).is_ok());
}

#[test]
fn a_task_fits_into_its_payload() {
    let parameter = |bytes| with(job(), json!({"parameter": "x".repeat(bytes)}));
    assert!(JobSpec::parse(parameter(limits::TASK_PAYLOAD_BYTES - 1_000)).is_ok());
    let (field, message) = job_fault(&json!({"parameter": "x".repeat(limits::TASK_PAYLOAD_BYTES)}));
    assert_eq!(field, "");
    assert!(message.contains("65536 is the most"), "{message}");
    // A character that JSON escapes counts as it is sent.
    assert!(JobSpec::parse(with(job(), json!({"parameter": "\u{1}".repeat(20_000)}))).is_err());
}

#[test]
fn a_simple_job_needs_an_app_with_a_command() {
    let without = AppSpec::parse(app()).unwrap().spec;
    let with_command = AppSpec::parse(with(app(), json!({"command": "x"}))).unwrap().spec;
    let script = JobSpec::parse(job()).unwrap().spec;
    let simple = JobSpec { job_type: JobType::Simple, script: None, ..script.clone() };
    assert_eq!(fields(&simple.check_app(&without)), ["type"]);
    assert!(simple.check_app(&with_command).is_empty());
    assert!(script.check_app(&without).is_empty());
}

#[test]
fn triggers_are_checked() {
    let job = JobSpec::parse(job()).unwrap().spec;
    let check = |parameter: Option<&str>, items: Option<&[u32]>| {
        let request = TriggerRequest {
            parameter: parameter.map(str::to_owned),
            items: items.map(<[u32]>::to_vec),
        };
        job.check_trigger(&request).into_iter().map(|fault| fault.field).collect::<Vec<_>>()
    };
    assert!(check(None, None).is_empty());
    assert!(check(Some("x"), Some(&[2, 0])).is_empty());
    assert_eq!(check(None, Some(&[])), ["items"]);
    assert_eq!(check(None, Some(&[0, 3, 0])), ["items[1]", "items[2]"]);
    assert_eq!(check(Some("\0"), None), ["parameter"]);
    assert_eq!(check(Some(&"x".repeat(limits::TASK_PAYLOAD_BYTES)), None), ["parameter"]);
}

#[test]
fn a_daemon_job_has_nothing_that_only_runs_have() {
    let daemon = |more| {
        let schedule = json!({"execution": "daemon", "schedule": {"every": "1s"}});
        with(with(job(), schedule), more)
    };
    let parsed = JobSpec::parse(daemon(json!({}))).unwrap().spec;
    assert!(parsed.is_daemon());
    // What GET answers may be put again.
    let again = serde_json::to_value(&parsed).unwrap();
    assert_eq!(JobSpec::parse(again).unwrap().spec, parsed);
    for (more, field) in [
        (json!({"schedule": {"at": "2026-01-01T00:00:00Z"}}), "schedule"),
        (json!({"misfire": {"policy": "replay"}}), "misfire.policy"),
        (json!({"failover": {"enabled": false}}), "failover.enabled"),
        (json!({"failover": {"max_attempts": 4}}), "failover.max_attempts"),
        (json!({"retry": {"max_attempts": 1}}), "retry.max_attempts"),
        (json!({"start_within": "1s"}), "start_within"),
        (json!({"run_timeout": "1s"}), "run_timeout"),
    ] {
        assert_eq!(fields(&faults(daemon(more.clone()))), [field], "{more}");
    }
    for fine in [json!({"timeout": "3s"}), json!({"launch": "all_at_once"})] {
        assert!(JobSpec::parse(daemon(fine.clone())).is_ok(), "{fine}");
    }
}

//! The JSON of Mesos: what it forgives, what it refuses, and that what is written is read again.
#![allow(clippy::unwrap_used, reason = "a message that cannot be read is a failed test")]

use muster_proto::{
    Capability, CommandInfo, ContainerId, Filters, FrameworkInfo, KillPolicy, Label, Labels,
    NetworkInfo, Quantity, Range, Resource, Scalar, SharedInfo, TaskInfo, TaskState, TaskStatus,
    TimeInfo, Variable, executor,
    json::{self, Fields, InvalidJson, Problem},
    scheduler,
};
use proptest::prelude::*;
use prost::Message;

const LIMIT: usize = 1 << 20;

fn read<M: Fields>(body: &str) -> Result<M, InvalidJson> {
    json::from_slice(body.as_bytes(), LIMIT)
}

fn text<M: Fields>(message: &M) -> String {
    String::from_utf8(json::to_vec(message)).unwrap()
}

fn refusal<M: Fields>(body: &str) -> String {
    match read::<M>(body) {
        Ok(message) => panic!("{body} is taken as {}", text(&message)),
        Err(error) => error.to_string().replace("Failed to convert JSON into ", ""),
    }
}

#[test]
fn defaults_of_mesos_are_written_and_others_are_not() {
    assert_eq!(text(&Filters::default()), r#"{"refuse_seconds":5.0}"#);
    assert_eq!(text(&CommandInfo::default()), r#"{"shell":true}"#);
    assert_eq!(
        text(&Variable { name: "A".into(), ..Variable::default() }),
        r#"{"name":"A","type":"VALUE"}"#
    );
    let info = FrameworkInfo { user: "u".into(), name: "n".into(), ..FrameworkInfo::default() };
    let expected = r#"{"user":"u","name":"n","failover_timeout":0.0,"checkpoint":false}"#;
    assert_eq!(text(&info), expected, "the default of `role` is no longer meant to be seen");
    assert_eq!(text(&SharedInfo {}), "{}");
    assert_eq!(text(&KillPolicy::default()), "{}");
    let health = r#"{"delay_seconds":15.0,"interval_seconds":10.0,"timeout_seconds":20.0,"#;
    assert!(text(&muster_proto::HealthCheck::default()).starts_with(health));
}

#[test]
fn numbers_and_booleans_may_stand_in_strings() {
    let range: Range = read(r#"{"begin":"31000","end":18446744073709551615}"#).unwrap();
    assert_eq!(range, Range { begin: 31000, end: u64::MAX });
    assert_eq!(text(&range), r#"{"begin":31000,"end":18446744073709551615}"#);
    let command: CommandInfo = read(r#"{"shell":"false"}"#).unwrap();
    assert_eq!(command.shell, Some(false));
    let least: TimeInfo = read(r#"{"nanoseconds":"-9223372036854775808"}"#).unwrap();
    assert_eq!(least.nanoseconds, i64::MIN);
    for (body, value) in [
        (r#"{"value":"1.5"}"#, 1.5),
        (r#"{"value":2}"#, 2.0),
        (r#"{"value":"Infinity"}"#, f64::INFINITY),
        (r#"{"value":"-Infinity"}"#, f64::NEG_INFINITY),
    ] {
        let scalar: Scalar = read(body).unwrap();
        assert_eq!(scalar.value.to_bits(), value.to_bits());
        assert_eq!(read::<Scalar>(&text(&scalar)).unwrap(), scalar);
    }
}

#[test]
fn a_fraction_of_an_integer_is_cut_off() {
    for (body, value) in [("1.9", 1), ("-1.9", -1), ("1e3", 1000), ("15.0", 15), ("-0.5", 0)] {
        let time: TimeInfo = read(&format!("{{\"nanoseconds\":{body}}}")).unwrap();
        assert_eq!(time.nanoseconds, value);
    }
}

#[test]
fn null_is_absent_and_one_value_is_a_list() {
    let info: FrameworkInfo = read(
        r#"{"user":"u","name":"n","id":null,"roles":"a","capabilities":[null,{"type":null}]}"#,
    )
    .unwrap();
    assert_eq!((info.id, info.roles), (None, vec!["a".to_owned()]));
    assert_eq!(info.capabilities, [Capability { r#type: None }]);
    let nested: FrameworkInfo = read(r#"{"user":"u","name":"n","roles":[["a"],"b"]}"#).unwrap();
    assert_eq!(nested.roles, ["a", "b"]);
}

#[test]
fn what_is_not_known_counts_as_absent() {
    let capability: Capability = read(r#"{"type":"TELEPATHY"}"#).unwrap();
    assert_eq!(capability.r#type, None);
    let network: NetworkInfo = read(r#"{"name":"n","colour":{"deep":[1,2]},"Name":"x"}"#).unwrap();
    assert_eq!(text(&network), r#"{"name":"n"}"#);
    let unknown = Capability { r#type: Some(99) };
    assert_eq!(text(&unknown), "{}", "a number that has no name here has no form in JSON");
}

#[test]
fn all_that_is_missing_is_told_by_its_path() {
    let body = r#"{"type":"ACCEPT","accept":{"operations":[
        {"launch":{"task_infos":[{"task_id":{"value":"t"},"resources":[{"type":"SCALAR"}]},
            {"name":"b","task_id":{"value":null},"agent_id":{},"limits":{"cpus":{}}}]}}]}}"#;
    assert_eq!(
        refusal::<scheduler::Call>(body),
        "Call protobuf: Missing required fields: \
         accept.operations[0].launch.task_infos[0].name, \
         accept.operations[0].launch.task_infos[0].agent_id, \
         accept.operations[0].launch.task_infos[0].resources[0].name, \
         accept.operations[0].launch.task_infos[1].agent_id.value, \
         accept.operations[0].launch.task_infos[1].limits[0].value.value, \
         accept.operations[0].launch.task_infos[1].task_id.value"
    );
}

#[test]
fn a_hundred_missing_fields_are_enough() {
    let tasks = vec!["{}"; 1000].join(",");
    let body = format!("{{\"reconcile\":{{\"tasks\":[{tasks}]}}}}");
    let Err(InvalidJson::NotTheMessage { problem: Problem::Missing { paths }, .. }) =
        read::<scheduler::Call>(&body)
    else {
        panic!("a task without an id is taken");
    };
    assert_eq!(paths.len(), 100);
}

#[test]
fn a_value_of_a_wrong_type_is_refused_by_the_name_of_its_field() {
    for (body, words) in [
        (r#"{"type":1}"#, "Not expecting a JSON number for field 'type'"),
        (r#"{"type":{}}"#, "Not expecting a JSON object for field 'type'"),
        (r#"{"kill":"x"}"#, "Not expecting a JSON string for field 'kill'"),
        (r#"{"kill":[]}"#, "Not expecting a JSON array for field 'kill'"),
        (r#"{"kill":true}"#, "Not expecting a JSON boolean for field 'kill'"),
        (r#"{"kill":{"task_id":{"value":7}}}"#, "Not expecting a JSON number for field 'value'"),
        (
            r#"{"decline":{"filters":{"refuse_seconds":"soon"}}}"#,
            "Failed to parse 'soon' as a JSON number for field 'refuse_seconds'",
        ),
        (
            r#"{"decline":{"filters":{"refuse_seconds":"NaN"}}}"#,
            "Failed to parse 'NaN' as a JSON number for field 'refuse_seconds'",
        ),
        (
            r#"{"subscribe":{"framework_info":{"checkpoint":"yes"}}}"#,
            "Failed to parse 'yes' as a JSON boolean for field 'checkpoint'",
        ),
        (
            r#"{"subscribe":{"framework_info":{"checkpoint":1}}}"#,
            "Not expecting a JSON number for field 'checkpoint'",
        ),
        (
            r#"{"message":{"data":"Zg"}, "accept":{"operations":[{"launch":{"task_infos":[
                {"limits":{"cpus":2}}]}}]}}"#,
            "Not expecting a JSON number for field 'limits'",
        ),
        (
            r#"{"acknowledge":{"uuid":"A"}}"#,
            "Failed to base64 decode bytes field 'uuid': Invalid length",
        ),
    ] {
        assert_eq!(refusal::<scheduler::Call>(body), format!("Call protobuf: {words}"), "{body}");
    }
    let words = refusal::<executor::Call>(r#"{"update":{"status":{"state":"TASK_BORED"}}}"#);
    assert_eq!(words, "Call protobuf: Failed to find enum for 'TASK_BORED'");
}

#[test]
fn numbers_that_a_field_cannot_hold_are_refused() {
    for number in ["-1", "18446744073709551616", "1e300", "-1e300", "\"-1\""] {
        let words = refusal::<Range>(&format!("{{\"begin\":{number}}}"));
        assert!(words.contains("out of range"), "{words}");
    }
    for body in ["{\"begin\":1e999}", "{\"begin\":NaN}", "{\"begin\":-}", "{\"begin\":01}"] {
        assert!(matches!(read::<Range>(body), Err(InvalidJson::Syntax { .. })), "{body}");
    }
}

#[test]
fn what_is_no_json_is_refused_with_its_line() {
    for (body, line, near) in [
        ("", 1, ""),
        ("{", 1, ""),
        ("{\"type\":}", 1, "}"),
        ("{}\n{}", 2, "{}"),
        ("{\"a\":1\n \"b\":2}", 2, "\"b\":2}"),
        ("nonsense", 1, "onsense"),
    ] {
        let near = near.to_owned();
        assert_eq!(read::<Filters>(body), Err(InvalidJson::Syntax { line, near }), "{body}");
    }
}

#[test]
fn depth_and_size_are_bounded() {
    for deep in ["[".repeat(10_000), "{\"a\":".repeat(10_000), "{\"parent\":".repeat(100_000)] {
        let error = json::from_slice::<ContainerId>(deep.as_bytes(), LIMIT);
        assert!(matches!(error, Err(InvalidJson::Syntax { .. } | InvalidJson::TooLong { .. })));
    }
    for (depth, taken) in [(64, true), (65, false)] {
        let deep = "{\"value\":\"x\",\"parent\":".repeat(depth);
        let body = format!("{deep}{{\"value\":\"x\"}}{}", "}".repeat(depth));
        assert_eq!(read::<ContainerId>(&body).is_ok(), taken);
    }
    let error = json::from_slice::<Filters>(b"{}     ", 6);
    assert_eq!(error, Err(InvalidJson::TooLong { limit: 6 }));
    assert!(json::from_slice::<Filters>(b"{}    ", 6).is_ok());
}

#[test]
fn bytes_that_are_no_text_are_replaced_in_strings() {
    let label: Label = json::from_slice(b"{\"key\":\"a\xffb\"}", LIMIT).unwrap();
    assert_eq!(label.key, "a\u{fffd}b");
}

/// One of the recorded messages.
fn recorded(which: prop::sample::Index) -> &'static str {
    let calls = include_str!("samples/scheduler.calls.jsonl").lines();
    let all: Vec<_> = calls.chain(include_str!("samples/scheduler.events.jsonl").lines()).collect();
    all[which.index(all.len())]
}

/// Whatever the body is, it is refused, or it is read and then written so that it is read the same.
fn survives<M: Fields + Message + PartialEq>(body: &[u8]) {
    if let Ok(message) = json::from_slice::<M>(body, LIMIT) {
        let written = text(&message);
        let again: M = read(&written).unwrap();
        assert_eq!(text(&again), written);
        assert!(M::decode(again.encode_to_vec().as_slice()).unwrap() == again);
    }
}

/// One change of a value of a JSON document: what is at the `at`th place becomes `new`.
fn change(value: &mut serde_json::Value, at: &mut usize, new: &serde_json::Value) {
    if *at == 0 {
        *value = new.clone();
    }
    *at = at.wrapping_sub(1);
    match value {
        serde_json::Value::Array(values) => values.iter_mut().for_each(|one| change(one, at, new)),
        serde_json::Value::Object(values) => {
            values.values_mut().for_each(|one| change(one, at, new));
        }
        _ => {}
    }
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let words = ["TASK_RUNNING", "UNKNOWN", "Infinity", "-1", "1e999", "AAA=", "", "true", "x"];
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        prop::sample::select(words.to_vec()).prop_map(Into::into),
    ];
    let names = prop::sample::select(vec!["value", "type", "nanoseconds", "data", "x"]);
    leaf.prop_recursive(4, 20, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map(names.clone(), inner, 0..4).prop_map(|map| {
                map.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            }),
        ]
    })
}

fn any_double() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("what is no number is not equal to itself", |value| !value.is_nan())
}

fn any_status() -> impl Strategy<Value = TaskStatus> {
    let scalars = (any::<Option<bool>>(), 0..14i32, prop::option::of(0..35i32), any::<i64>());
    let texts = (any::<String>(), prop::option::of(any::<String>()), any::<Option<Vec<u8>>>());
    (scalars, texts, any_double()).prop_map(|((healthy, state, reason, time), texts, timestamp)| {
        let (key, value, data) = texts;
        TaskStatus {
            state,
            reason,
            healthy,
            message: value.clone(),
            data,
            timestamp: Some(timestamp),
            task_id: Some(muster_proto::TaskId::new(key.as_str())),
            labels: Some(Labels { labels: vec![Label { key, value }] }),
            unreachable_time: Some(TimeInfo { nanoseconds: time }),
            ..TaskStatus::default()
        }
    })
}

fn any_task() -> impl Strategy<Value = TaskInfo> {
    let amounts = prop::collection::btree_map(any::<String>(), any_double(), 0..4);
    let ranges = prop::collection::vec((any::<u64>(), any::<u64>()), 1..4);
    (any::<String>(), amounts, ranges).prop_map(|(name, amounts, ranges)| {
        let range = ranges.into_iter().map(|(begin, end)| Range { begin, end }).collect();
        let ports = Resource {
            name: "ports".into(),
            r#type: muster_proto::ValueType::Ranges as i32,
            ranges: Some(muster_proto::Ranges { range }),
            ..Resource::default()
        };
        let each = amounts.iter().map(|(name, amount)| Resource::scalar(name, *amount));
        TaskInfo {
            task_id: Some(muster_proto::TaskId::new(name.as_str())),
            agent_id: Some(muster_proto::AgentId::new("a")),
            resources: each.chain([ports]).collect(),
            limits: amounts
                .into_iter()
                .map(|(k, value)| (k, Quantity { value: Some(value) }))
                .collect(),
            name,
            ..TaskInfo::default()
        }
    })
}

proptest! {
    #[test]
    fn a_status_is_read_as_it_was_written(status in any_status()) {
        prop_assert_eq!(&read::<TaskStatus>(&text(&status)).unwrap(), &status);
        let value: serde_json::Value = serde_json::from_str(&text(&status)).unwrap();
        let state = TaskState::try_from(status.state).unwrap();
        prop_assert_eq!(value["state"].as_str().unwrap(), state.as_str_name());
    }

    #[test]
    fn a_task_is_read_as_it_was_written(task in any_task()) {
        prop_assert_eq!(read::<TaskInfo>(&text(&task)).unwrap(), task);
    }

    #[test]
    fn a_recording_with_a_value_changed_does_no_harm(
        which in any::<prop::sample::Index>(),
        mut at in 0..60usize,
        new in any_json(),
    ) {
        let mut value = serde_json::from_str(recorded(which)).unwrap();
        change(&mut value, &mut at, &new);
        survives::<scheduler::Call>(value.to_string().as_bytes());
        survives::<scheduler::Event>(value.to_string().as_bytes());
        survives::<executor::Call>(value.to_string().as_bytes());
    }

    #[test]
    fn a_recording_with_bytes_changed_does_no_harm(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        new in any::<u8>(),
        end in any::<prop::sample::Index>(),
    ) {
        let mut body = recorded(which).as_bytes().to_vec();
        let place = at.index(body.len());
        body[place] = new;
        survives::<scheduler::Call>(&body);
        survives::<scheduler::Event>(&body);
        survives::<scheduler::Event>(&body[..end.index(body.len())]);
    }

    #[test]
    fn protobuf_that_was_changed_does_no_harm(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        new in any::<u8>(),
    ) {
        let body = recorded(which);
        let Ok(event) = read::<scheduler::Event>(body) else { return Ok(()) };
        let mut bytes = event.encode_to_vec();
        if !bytes.is_empty() {
            let place = at.index(bytes.len());
            bytes[place] = new;
        }
        if let Ok(event) = scheduler::Event::decode(bytes.as_slice()) {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text(&event)).is_ok());
            survives::<scheduler::Event>(text(&event).as_bytes());
        }
    }
}

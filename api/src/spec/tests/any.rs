//! Whatever a document holds: what is read is written as it was, and nothing panics.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::spec::{AppSpec, JobSpec, Spec};

/// Any JSON, with the names of fields that documents have among its keys.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z0-9.:/ *?]{0,12}".prop_map(Value::from),
    ];
    let names = prop::sample::select(vec![
        "kind",
        "name",
        "app",
        "type",
        "script",
        "command",
        "schedule",
        "cron",
        "every",
        "from",
        "sharding",
        "count",
        "parameters",
        "resources",
        "cpus",
        "mem",
        "artifacts",
        "uri",
        "env",
        "lease",
        "version",
        "status",
        "0",
        "props",
        "retry",
        "backoff",
        "odd",
    ]);
    leaf.prop_recursive(4, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(names.clone(), inner, 0..8).prop_map(|map| Value::Object(
                map.into_iter().map(|(k, v)| (k.into(), v)).collect()
            )),
        ]
    })
}

prop_compose! {
    fn any_job()(
        name in "[a-zA-Z0-9][a-zA-Z0-9._-]{0,20}",
        count in 1u32..50,
        texts in prop::collection::btree_map(0u32..50, "[^\0]{0,10}", 0..5),
        command in "[!-~][^\0]{0,20}",
        cpus in 1u64..100_000,
        spans in prop::array::uniform3(0u64..1_000_000_000),
        priority in 0u8..=100,
        disabled in any::<Option<bool>>(),
        every in prop::option::of(1_000u64..1_000_000_000),
        props in prop::collection::btree_map("[^\0]{1,8}", ".{0,8}", 0..4),
    ) -> Value {
        let parameters: serde_json::Map<_, _> = texts.into_iter().filter(|(item, _)| *item < count)
            .map(|(item, text)| (item.to_string(), text.into())).collect();
        let mut document = json!({
            "name": name, "app": "a", "type": "script", "script": {"command": command},
            "sharding": {"count": count, "parameters": parameters},
            "resources": {"cpus": cpus as f64 / 1000.0, "mem": 1}, "priority": priority,
            "timeout": crate::Span::from_millis(spans[0]).to_string(),
            "kill_grace": crate::Span::from_millis(spans[1]).to_string(), "props": props,
        });
        if let Some(every) = every {
            document["schedule"] = json!({"every": crate::Span::from_millis(every).to_string()});
        }
        if let Some(disabled) = disabled {
            document["disabled"] = disabled.into();
        }
        document
    }
}

proptest! {
    #[test]
    fn documents_round_trip(document in any_job()) {
        let spec = JobSpec::parse(document).unwrap().spec;
        let json = serde_json::to_value(&spec).unwrap();
        prop_assert_eq!(&JobSpec::parse(json.clone()).unwrap().spec, &spec);
        prop_assert_eq!(&serde_json::from_value::<JobSpec>(json).unwrap(), &spec);
    }

    #[test]
    fn no_json_makes_the_readers_panic(document in any_json()) {
        for result in [
            AppSpec::parse(document.clone()).err(),
            JobSpec::parse(document.clone()).err(),
            Spec::parse(document).err(),
        ].into_iter().flatten() {
            prop_assert!(!result.faults.is_empty());
        }
    }
}

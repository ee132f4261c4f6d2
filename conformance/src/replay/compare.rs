//! What differs between a value of then and one of now.

use serde_json::Value;

use super::names::Names;

/// Fields whose values are of a time or a machine; only their kind is compared.
const OF_THEIR_TIME: [&str; 11] = [
    "timestamp",
    "nanoseconds",
    "executor_pid",
    "ip",
    "ip_address",
    "port",
    "pid",
    "hostname",
    "version",
    "files",
    "status_line",
];

/// What the values of a field are, if they are ids that the other side makes up.
const IDS: [&str; 3] = ["id", "uuid", "value"];

/// A difference at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unlike {
    /// The path, with `/` between its parts.
    pub(super) path: String,
    /// What was recorded and what came.
    pub(super) what: String,
}

/// Compares, and learns what new ids stand for.
pub(super) struct Comparison<'a> {
    /// The ids.
    pub(super) names: &'a mut Names,
    /// What differs.
    pub(super) found: Vec<Unlike>,
}

impl Comparison<'_> {
    /// Compares two values.
    pub(super) fn values(&mut self, path: &str, then: &Value, now: &Value) {
        match (then, now) {
            (Value::Object(fields), Value::Object(others)) => {
                for (name, then) in fields {
                    let path = join(path, name);
                    match others.get(name) {
                        Some(now) => self.values(&path, then, now),
                        None => self.unlike(path, format!("recorded {then}, now missing")),
                    }
                }
                for (name, now) in others.iter().filter(|(name, _)| !fields.contains_key(*name)) {
                    self.unlike(join(path, name), format!("not recorded, now {now}"));
                }
            }
            (Value::Array(items), Value::Array(others)) => self.lists(path, items, others),
            (Value::String(then), Value::String(now)) => self.texts(path, then, now),
            (Value::Number(_), Value::Number(_)) => {
                if !is_free_amount(path) && !is_of_its_time(path) && then.as_f64() != now.as_f64() {
                    self.unlike(path.to_owned(), format!("recorded {then}, now {now}"));
                }
            }
            _ if then == now => {}
            _ => self.unlike(path.to_owned(), format!("recorded {then}, now {now}")),
        }
    }

    /// Lists of things with names are compared by these, others by place.
    fn lists(&mut self, path: &str, then: &[Value], now: &[Value]) {
        let named = |items: &[Value]| items.iter().all(|item| name_of(item).is_some());
        if named(then) && named(now) {
            let find = |items: &[Value], name: &str| {
                items.iter().find(|item| name_of(item) == Some(name)).cloned()
            };
            for item in then {
                let name = name_of(item).unwrap_or_default();
                let path = join(path, name);
                match find(now, name) {
                    Some(other) => self.values(&path, item, &other),
                    None if is_free_amount(&path) => {}
                    None => self.unlike(path, format!("recorded {item}, now missing")),
                }
            }
            for item in now {
                let name = name_of(item).unwrap_or_default();
                if find(then, name).is_none() {
                    self.unlike(join(path, name), format!("not recorded, now {item}"));
                }
            }
            return;
        }
        if then.len() != now.len() {
            let (then, now) = (Value::from(then.to_vec()), Value::from(now.to_vec()));
            return self.unlike(path.to_owned(), format!("recorded {then}, now {now}"));
        }
        for (at, (then, now)) in then.iter().zip(now).enumerate() {
            self.values(&join(path, &at.to_string()), then, now);
        }
    }

    /// Compares two texts.
    pub(super) fn texts(&mut self, path: &str, then: &str, now: &str) {
        let translated = self.names.translate(then);
        if translated == now || is_of_its_time(path) {
            return;
        }
        let last = path.rsplit('/').next().unwrap_or_default();
        let is_id = IDS.contains(&last) && path.contains("id") && !path.contains("task_id");
        if is_id && !self.names.knows(then) {
            return self.names.learn(then, now);
        }
        self.unlike(path.to_owned(), format!("recorded {translated:?}, now {now:?}"));
    }

    fn unlike(&mut self, path: String, what: String) {
        self.found.push(Unlike { path, what });
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
}

/// How much is free depends on what else runs, and nothing of a resource is not told at all.
fn is_free_amount(path: &str) -> bool {
    let parts: Vec<_> = path.split('/').collect();
    let is_amount =
        matches!(parts[..], [.., "resources", _] | [.., "resources", _, "scalar", "value"]);
    is_amount && parts[0] == "event OFFERS"
}

fn is_of_its_time(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|last| OF_THEIR_TIME.contains(&last))
}

/// Resources and attributes have names, capabilities have types.
fn name_of(item: &Value) -> Option<&str> {
    if item.get("task_id").is_some() {
        return None;
    }
    item["name"].as_str().or_else(|| item["type"].as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn unlike(then: &Value, now: &Value) -> Vec<String> {
        let mut names = Names::default();
        let mut comparison = Comparison { names: &mut names, found: Vec::new() };
        comparison.values("", then, now);
        comparison.found.into_iter().map(|unlike| unlike.path).collect()
    }

    #[test]
    fn times_and_ids_may_differ_and_all_else_may_not() {
        let then = json!({
            "uuid": "a", "timestamp": 1.0, "agent_id": {"value": "S0"}, "more": {"n": 1},
            "resources": [{"name": "cpus", "scalar": {"value": 1}}, {"name": "mem"}],
        });
        let mut now = json!({
            "uuid": "b", "timestamp": 2.0, "agent_id": {"value": "S7"}, "more": {"n": 1.0},
            "resources": [{"name": "mem"}, {"name": "cpus", "scalar": {"value": 1.0}}],
        });
        assert_eq!(unlike(&then, &now), Vec::<String>::new());
        now["more"] = json!({"n": 2, "m": 3});
        now["resources"][1]["scalar"]["value"] = json!(3);
        assert_eq!(unlike(&then, &now), ["more/n", "more/m", "resources/cpus/scalar/value"]);
        assert_eq!(unlike(&then["more"], &json!({})), ["n"]);
    }

    #[test]
    fn what_is_free_is_not_compared() {
        let mut names = Names::default();
        let mut comparison = Comparison { names: &mut names, found: Vec::new() };
        let then =
            json!({"resources": [{"name": "cpus", "scalar": {"value": 4}}, {"name": "mem"}]});
        let now = json!({"resources": [{"name": "cpus", "scalar": {"value": 1}}]});
        comparison.values("event OFFERS", &then, &now);
        assert_eq!(comparison.found, []);
        comparison.values("event LAUNCH", &then, &now);
        assert_eq!(comparison.found.len(), 2);
    }

    #[test]
    fn an_id_stands_for_one_other() {
        let then = json!([{"agent_id": {"value": "S0"}}, {"agent_id": {"value": "S0"}}]);
        let now = json!([{"agent_id": {"value": "A"}}, {"agent_id": {"value": "B"}}]);
        assert_eq!(unlike(&then, &now), ["1/agent_id/value"]);
    }

    #[test]
    fn task_ids_are_the_same() {
        let then = json!({"task_id": {"value": "t"}});
        assert_eq!(unlike(&then, &json!({"task_id": {"value": "u"}})), ["task_id/value"]);
    }
}

//! Reading what a job asks of hosts: constraints, and what its shards are spread over.

use serde_json::Value;

use super::{
    Constraint, Pattern, Spread, Test,
    reader::{Fields, show},
    values::{one_of, text},
};
use crate::limits;

/// The constraints of a job. All of them are read, so that each fault is named.
pub(super) fn read_constraints(fields: &mut Fields<'_>) -> Option<Vec<Constraint>> {
    let constraints = fields.list("constraints", read_constraint)?;
    if constraints.len() > limits::CONSTRAINTS_MAX {
        let (count, most) = (constraints.len(), limits::CONSTRAINTS_MAX);
        fields.fault("constraints", format!("`{count}` are too many; a job has at most {most}"));
        return None;
    }
    Some(constraints)
}

fn read_constraint(fields: &mut Fields<'_>) -> Option<Constraint> {
    let attribute = fields.required("attribute", attribute_name);
    let ops = ["equals", "not_equals", "in", "not_in", "matches", "exists"].map(|op| (op, op));
    let test = match fields.required("op", one_of(&ops)) {
        Some("equals") => fields.required("value", attribute_value).map(Test::Equals),
        Some("not_equals") => fields.required("value", attribute_value).map(Test::NotEquals),
        Some("in") => fields.required("value", attribute_values).map(Test::In),
        Some("not_in") => fields.required("value", attribute_values).map(Test::NotIn),
        Some("matches") => fields.required("value", pattern).map(Test::Matches),
        Some(_) if fields.has("value") => {
            fields.take("value");
            fields.fault("value", "`exists` asks for no value; leave it out".to_owned());
            None
        }
        Some(_) => Some(Test::Exists),
        None => {
            // What it should be nobody knows, and the fault is in `op`.
            fields.take("value");
            None
        }
    };
    Some(Constraint { attribute: attribute?, test: test? })
}

/// What a run's shards are spread over.
pub(super) fn read_spread(fields: &mut Fields<'_>) -> Option<Spread> {
    fields.or("spread", Spread::None, |value| {
        let name = attribute_name(value).map_err(|message| {
            format!("{message}; write `none`, `host` or the name of an attribute")
        })?;
        Ok(name.parse().unwrap_or_else(|never: std::convert::Infallible| match never {}))
    })
}

fn attribute_name(value: &Value) -> Result<String, String> {
    let name = text(value)?;
    let usable = !name.is_empty() && !name.chars().any(|c| c.is_control() || c.is_whitespace());
    if usable && name.len() <= limits::NAME_BYTES {
        return Ok(name);
    }
    let most = limits::NAME_BYTES;
    Err(format!(
        "{} is no name of an attribute: it has 1 to {most} bytes and no blanks",
        show(value)
    ))
}

fn attribute_value(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    if text.len() > limits::ATTRIBUTE_BYTES {
        let most = limits::ATTRIBUTE_BYTES;
        return Err(format!("{} is too long: a value has at most {most} bytes", show(value)));
    }
    Ok(text)
}

fn attribute_values(value: &Value) -> Result<Vec<String>, String> {
    let most = limits::CONSTRAINT_VALUES_MAX;
    match value.as_array() {
        Some(values) if (1..=most).contains(&values.len()) => {
            values.iter().map(attribute_value).collect()
        }
        _ => Err(format!("{} is no list of 1 to {most} texts, as in [r1, r2]", show(value))),
    }
}

fn pattern(value: &Value) -> Result<Pattern, String> {
    Pattern::new(&text(value)?).map_err(|error| error.to_string())
}

//! Readers of single values. Each returns the value, or a text that names what it found and says
//! what would be right.

use std::{collections::BTreeMap, fmt::Display, ops::RangeInclusive, str::FromStr};

use serde_json::Value;

use super::reader::show;
use crate::{Amount, InvalidAmount};

/// Any text.
pub(super) fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        other => Err(format!("{} is no text; put it in quotes", show(other))),
    }
}

/// A text that can be an environment variable or an argument of a process.
pub(super) fn process_text(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    if text.contains('\0') {
        return Err("a text that a process is given holds no NUL character".to_owned());
    }
    Ok(text)
}

/// A text for a process that says something.
pub(super) fn filled_text(value: &Value) -> Result<String, String> {
    let text = process_text(value)?;
    if text.trim().is_empty() { Err(format!("{} is empty", show(value))) } else { Ok(text) }
}

/// A text of which a `T` can be made.
pub(super) fn parsed<T: FromStr<Err: Display>>(value: &Value) -> Result<T, String> {
    let text = text(value)?;
    text.parse().map_err(|error: T::Err| match error.to_string() {
        message if message.contains(&format!("`{text}`")) => message,
        message => format!("`{text}`: {message}"),
    })
}

/// A length of time. A number without a unit is the likeliest mistake, and has an answer of its own.
pub(super) fn span<T: FromStr<Err: Display>>(value: &Value) -> Result<T, String> {
    match value {
        Value::Number(number) if number.is_u64() => {
            Err(format!("`{number}` has no unit; write it as {number}s (units ms s m h d)"))
        }
        Value::String(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
            Err(format!("`{text}` has no unit; write it as {text}s (units ms s m h d)"))
        }
        Value::String(_) => parsed(value),
        other => Err(format!("{} is no duration; write it as in 500ms, 90s or 1h30m", show(other))),
    }
}

/// `true` or `false`.
pub(super) fn flag(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| format!("{} is neither true nor false", show(value)))
}

/// A whole number within bounds.
pub(super) fn whole<T>(bounds: RangeInclusive<T>) -> impl Fn(&Value) -> Result<T, String>
where
    T: TryFrom<u64> + PartialOrd + Display,
{
    move |value| {
        let number = value.as_u64().and_then(|number| T::try_from(number).ok());
        number.filter(|number| bounds.contains(number)).ok_or_else(|| {
            let (least, most) = (bounds.start(), bounds.end());
            format!("{} is no whole number from {least} to {most}", show(value))
        })
    }
}

/// One of a few words.
pub(super) fn one_of<T: Copy>(words: &[(&str, T)]) -> impl Fn(&Value) -> Result<T, String> {
    move |value| {
        let word = words.iter().find(|(word, _)| value.as_str() == Some(word));
        word.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            format!("{} is not one of {}", show(value), words.join(", "))
        })
    }
}

/// The least of what everything uses; both must be given.
pub(super) const LEAST: [(&str, Amount); 2] =
    [("cpus", Amount::from_thousandths(1)), ("mem", Amount::from_thousandths(1000))];

/// The name and amount of a resource.
pub(super) fn resource(name: &str, value: &Value) -> Result<(String, Amount), String> {
    resource_name(name)?;
    let amount = amount(value)?;
    match LEAST.iter().find(|(least_of, least)| *least_of == name && amount < *least) {
        Some((_, least)) => Err(format!("`{amount}` is too little: give at least {least}")),
        None => Ok((name.to_owned(), amount)),
    }
}

/// A number with at most three decimals.
pub(super) fn amount(value: &Value) -> Result<Amount, String> {
    let Value::Number(number) = value else {
        return Err(format!("{} is no number", show(value)));
    };
    number.to_string().parse().map_err(|error: InvalidAmount| error.to_string())
}

fn resource_name(name: &str) -> Result<(), String> {
    name.parse::<crate::JobName>()
        .map(|_| ())
        .map_err(|error| format!("`{name}` is no name of a resource: {error}"))
}

/// A free name and a text, as labels and props have them.
pub(super) fn text_entry(key: &str, value: &Value) -> Result<(String, String), String> {
    if key.is_empty() {
        return Err("an empty name".to_owned());
    }
    Ok((key.to_owned(), text(value)?))
}

/// The name and value of an environment variable.
pub(super) fn variable(key: &str, value: &Value) -> Result<(String, String), String> {
    if key.is_empty() || key.contains(['=', '\0']) {
        return Err("the name of a variable is not empty and holds no `=`".to_owned());
    }
    Ok((key.to_owned(), process_text(value)?))
}

/// A shard and its parameter.
pub(super) fn item_entry(key: &str, value: &Value) -> Result<(u32, String), String> {
    Ok((item(key)?, process_text(value)?))
}

/// Parameters in one text, as in `0=beijing,1=shanghai`.
pub(super) fn item_texts(text: &str) -> Result<BTreeMap<u32, String>, String> {
    let mut parameters = BTreeMap::new();
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        let (key, parameter) = part
            .split_once('=')
            .ok_or_else(|| format!("`{part}` is not as in `0=beijing,1=shanghai`"))?;
        let (item, parameter) = item_entry(key.trim(), &Value::from(parameter.trim()))?;
        if parameters.insert(item, parameter).is_some() {
            return Err(format!("shard {item} has two parameters"));
        }
    }
    Ok(parameters)
}

fn item(key: &str) -> Result<u32, String> {
    // One spelling for each shard, or `1` and `01` would name the same one.
    let item = key.parse().ok().filter(|item: &u32| item.to_string() == key);
    item.ok_or_else(|| format!("`{key}` is no shard; shards are 0, 1, 2 ..."))
}

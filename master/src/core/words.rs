//! How Mesos prints things: frameworks read its messages, and people compare them.
//!
//! A call may hold thousands of things that are wrong, each of any length, so that what is said of
//! one is bounded.

use muster_api::{Resources, limits};
use muster_proto::{Resource, ValueType};

/// A number as C++ prints it: six digits, and an exponent where it is short with one.
pub(super) fn number(number: f64) -> String {
    if !number.is_finite() {
        return number.to_string().to_lowercase();
    }
    let scientific = format!("{number:.5e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let plain = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if (-4..6).contains(&exponent) {
        let decimals = usize::try_from(5 - exponent).unwrap_or(0);
        return plain(&format!("{number:.decimals$}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", plain(mantissa), exponent.unsigned_abs())
}

/// A text that is not too long for a message: its beginning.
pub(super) fn clip(mut text: String) -> String {
    const CUT: &str = "...";
    if text.len() > limits::REFUSAL_BYTES {
        text.truncate(text.floor_char_boundary(limits::REFUSAL_BYTES - CUT.len()));
        text.push_str(CUT);
        text.shrink_to_fit();
    }
    text
}

/// Resources that a framework names, allocated to a role.
pub(super) fn resources<'a>(all: impl IntoIterator<Item = &'a Resource>, role: &str) -> String {
    let one = |resource: &Resource| {
        let of = resource.allocation_info.as_ref().and_then(|info| info.role.as_deref());
        format!("{}(allocated: {}):{}", resource.name, of.unwrap_or(role), value(resource))
    };
    joined(all.into_iter().map(one), "; ")
}

/// Resources that are left, allocated to a role.
pub(super) fn room(all: &Resources, role: &str) -> String {
    joined(all.iter().map(|(name, amount)| format!("{name}(allocated: {role}):{amount}")), "; ")
}

fn value(resource: &Resource) -> String {
    if resource.r#type == ValueType::Ranges as i32 {
        let ranges = resource.ranges.iter().flat_map(|all| &all.range);
        let each = ranges.map(|range| format!("{}-{}", range.begin, range.end));
        format!("[{}]", joined(each, ", "))
    } else if resource.r#type == ValueType::Set as i32 {
        let items = resource.set.iter().flat_map(|set| set.item.iter().cloned());
        format!("{{{}}}", joined(items, ", "))
    } else {
        number(resource.scalar.map_or(0.0, |scalar| scalar.value))
    }
}

/// Texts in a row, at least as many as fit into a message.
fn joined(texts: impl Iterator<Item = String>, between: &str) -> String {
    let mut all = String::new();
    for text in texts {
        if all.len() > limits::REFUSAL_BYTES {
            break;
        }
        if !all.is_empty() {
            all.push_str(between);
        }
        all.push_str(&text);
    }
    all
}

#[cfg(test)]
mod tests {
    use muster_proto::{Range, Ranges};

    use super::*;

    #[test]
    fn numbers_are_those_of_a_stream_of_cpp() {
        for (value, text) in [
            (1e20, "1e+20"),
            (0.1, "0.1"),
            (100.0, "100"),
            (0.0, "0"),
            (-2.5, "-2.5"),
            (123_456.0, "123456"),
            (1_234_567.0, "1.23457e+06"),
            (0.000_012_5, "1.25e-05"),
            (0.000_125, "0.000125"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn what_is_long_is_cut_between_characters_and_what_has_many_parts_is_not_all_put_together() {
        let at_bound = "ü".repeat(limits::REFUSAL_BYTES / 2);
        assert_eq!(clip(at_bound.clone()), at_bound);
        let cut = clip(format!("{at_bound}."));
        assert!(cut.len() <= limits::REFUSAL_BYTES && cut.ends_with("ü..."), "{cut}");
        let many = vec![Resource::scalar("cpus", 1.0); 100_000];
        assert!(resources(&many, "*").len() < 2 * limits::REFUSAL_BYTES);
    }

    #[test]
    fn resources_are_printed_with_their_role() {
        let ports = Resource {
            name: "ports".to_owned(),
            r#type: ValueType::Ranges as i32,
            ranges: Some(Ranges { range: vec![Range { begin: 31_000, end: 32_000 }] }),
            ..Resource::default()
        };
        let all = [Resource::scalar("cpus", 100.0), Resource::scalar("mem", 32.0), ports];
        assert_eq!(
            resources(&all, "*"),
            "cpus(allocated: *):100; mem(allocated: *):32; ports(allocated: *):[31000-32000]"
        );
        let room = room(&"cpus:4;mem:4096".parse().expect("they are valid"), "web");
        assert_eq!(room, "cpus(allocated: web):4; mem(allocated: web):4096");
    }
}

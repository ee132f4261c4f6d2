//! From a message to JSON.

use super::field::Fields;

/// A message as JSON.
pub fn to_vec<M: Fields>(message: &M) -> Vec<u8> {
    let mut out = Vec::new();
    write(message, &mut out);
    out
}

/// Appends a message as JSON to `out`.
pub fn write<M: Fields>(message: &M, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    for field in M::FIELDS {
        let written = (field.write)(message, field.name, &mut object);
        if let (false, Some(default)) = (written, field.default) {
            object.member(field.name).extend_from_slice(default.as_bytes());
        }
    }
    object.end();
}

/// A JSON object that is being written.
#[derive(Debug)]
pub struct Object<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Object<'a> {
    pub(super) fn begin(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        let start = out.len();
        Self { out, start }
    }

    /// Begins a member; its value is to be appended to what is given.
    pub(super) fn member(&mut self, name: &str) -> &mut Vec<u8> {
        if self.out.len() > self.start {
            self.out.push(b',');
        }
        string(name, self.out);
        self.out.push(b':');
        self.out
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }
}

/// Appends a string with its quotes.
pub(super) fn string(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("a Vec grows as needed, and a str is always a string");
}

/// Appends a double with a fraction or an exponent. The infinities, which JSON has no numbers for,
/// are strings, which are read again; so is what is no number, which is not.
pub(super) fn double(value: f64, out: &mut Vec<u8>) {
    if value.is_nan() {
        return string("NaN", out);
    }
    if value.is_infinite() {
        return string(if value > 0.0 { "Infinity" } else { "-Infinity" }, out);
    }
    let magnitude = value.abs();
    let plain = magnitude == 0.0 || (1e-6..1e21).contains(&magnitude);
    let mut text = if plain { format!("{value}") } else { format!("{value:e}") };
    if plain && !text.contains('.') {
        text.push_str(".0");
    }
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_written_as_mesos_writes_them() {
        for (value, expected) in [
            (15.0, "15.0"),
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (-2.5, "-2.5"),
            (1_795_335_955.064_293_9, "1795335955.0642939"),
            (1e-6, "0.000001"),
            (1.5e-7, "1.5e-7"),
            (1e20, "100000000000000000000.0"),
            (1e21, "1e21"),
            (1.25e300, "1.25e300"),
            (f64::INFINITY, "\"Infinity\""),
            (f64::NEG_INFINITY, "\"-Infinity\""),
            (f64::NAN, "\"NaN\""),
        ] {
            let mut out = Vec::new();
            double(value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}

//! A small language for event sequences, and how steps are shown.

mod names;
mod notices;
mod player;
mod told;

pub(crate) use player::play;

/// The first lines that differ.
pub(crate) fn difference(expected: &str, now: &str) -> String {
    let pairs = expected.lines().zip(now.lines());
    for (at, (old, new)) in pairs.enumerate() {
        if old != new {
            return format!("line {}:\n  stands: {old}\n  is now: {new}", at + 1);
        }
    }
    format!("one is longer: {} and {} lines", expected.lines().count(), now.lines().count())
}

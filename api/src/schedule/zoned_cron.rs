//! Cron in a time zone: from local times to instants.
//!
//! Between two settings of the clocks local times and instants map one to one. So a search goes
//! from one such stretch to the next and asks in each for local times that are between its ends;
//! the rules about gaps and overlaps say which of them count at its borders.

use jiff::tz::TimeZone;

use super::{
    rule::{CronRule, Local},
    zone::{FIRST, LAST, OFFSET_MAX, Stretch},
};
use crate::spec::{Gap, Overlap};

/// A cron rule whose local times are those of a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ZonedCron {
    rule: CronRule,
    zone: TimeZone,
    gap: Gap,
    overlap: Overlap,
}

impl ZonedCron {
    /// A rule in a zone. One that names no hours follows elapsed time, whatever `gap` and `overlap`
    /// say: it fires in both passes of an overlap and not in a gap.
    pub(super) fn new(rule: CronRule, zone: TimeZone, gap: Gap, overlap: Overlap) -> Self {
        let (gap, overlap) = match rule.is_every_hour() {
            true => (Gap::Skip, Overlap::Both),
            false => (gap, overlap),
        };
        Self { rule, zone, gap, overlap }
    }

    /// The rule.
    pub(super) fn rule(&self) -> &CronRule {
        &self.rule
    }

    /// Its zone.
    pub(super) fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Whether it fires after a gap for the local times that it names in it.
    pub(super) fn moves_gaps(&self) -> bool {
        self.gap == Gap::RunAfter
    }

    /// Whether it passes over local times that it names in a gap.
    pub(super) fn passes_over_gaps(&self) -> bool {
        self.gap == Gap::Skip && !self.rule.is_every_hour()
    }

    /// Its first instant that is not before `from`, in Unix seconds.
    ///
    /// Every turn of the loop goes to a later stretch, and leaps over those near which there is no
    /// local time of the rule; a zone has some hundred stretches.
    pub(super) fn first_from(&self, from: i64) -> Option<i64> {
        let mut from = from.max(FIRST);
        while from <= LAST {
            let stretch = Stretch::around(&self.zone, from);
            if let Some(instant) = self.first_in(&stretch, from) {
                return Some(instant);
            }
            let Local(next) = self.rule.first_from(Local(stretch.end - OFFSET_MAX))?;
            from = stretch.end.max(next - OFFSET_MAX);
        }
        None
    }

    /// Its last instant that is not after `upto`; the same bounds hold.
    pub(super) fn last_upto(&self, upto: i64) -> Option<i64> {
        let mut upto = upto.min(LAST);
        while upto >= FIRST {
            let stretch = Stretch::around(&self.zone, upto);
            if let Some(instant) = self.last_in(&stretch, upto) {
                return Some(instant);
            }
            let Local(former) = self.rule.last_upto(Local(stretch.start + OFFSET_MAX))?;
            upto = (stretch.start - 1).min(former + OFFSET_MAX);
        }
        None
    }

    fn first_in(&self, stretch: &Stretch, from: i64) -> Option<i64> {
        if from <= stretch.start && self.is_moved_to(stretch) {
            return Some(stretch.start);
        }
        let (begin, end) = self.borders(stretch);
        let local = self.rule.first_from(stretch.local(from).max(begin))?;
        (local < end).then(|| stretch.instant(local))
    }

    fn last_in(&self, stretch: &Stretch, upto: i64) -> Option<i64> {
        let (begin, Local(end)) = self.borders(stretch);
        let local = self.rule.last_upto(stretch.local(upto).min(Local(end - 1)));
        match local.filter(|local| *local >= begin) {
            Some(local) => Some(stretch.instant(local)),
            None => self.is_moved_to(stretch).then_some(stretch.start),
        }
    }

    /// Between which local times of a stretch the rule counts: from the first up to, not including,
    /// the second.
    fn borders(&self, stretch: &Stretch) -> (Local, Local) {
        let (begin, end) = (stretch.local(stretch.start), stretch.local(stretch.end));
        match self.overlap {
            Overlap::First => (begin.max(stretch.repeats_until()), end),
            Overlap::Second => (begin, end.min(stretch.repeated_from())),
            Overlap::Both => (begin, end),
        }
    }

    /// Whether local times of the gap before a stretch are moved to its start.
    fn is_moved_to(&self, stretch: &Stretch) -> bool {
        self.moves_gaps() && self.times_in_gap_before(stretch).is_some()
    }

    /// The first and the last local time of the rule in the gap before a stretch.
    pub(super) fn times_in_gap_before(&self, stretch: &Stretch) -> Option<(Local, Local)> {
        let (begin, Local(end)) = stretch.gap_before();
        let first = self.rule.first_from(begin).filter(|first| first.0 < end)?;
        let last = self.rule.last_upto(Local(end - 1))?;
        Some((first, last))
    }
}

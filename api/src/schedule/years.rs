//! The years in which a cron expression fires.

/// The years that cron knows. Quartz begins with 1970; the `cron` crate ends with 2100.
pub(super) const YEARS: std::ops::RangeInclusive<i16> = 1970..=2100;

/// The years of a cron expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Years {
    /// All of [`YEARS`].
    All,
    /// These, in order.
    These(Box<[i16]>),
}

impl Years {
    /// Whether `year` is one of them.
    pub(super) fn contains(&self, year: i16) -> bool {
        self.from(year) == Some(year)
    }

    /// The first that is not before `year`.
    pub(super) fn from(&self, year: i16) -> Option<i16> {
        match self {
            Self::All => Some(year.max(*YEARS.start())).filter(|year| YEARS.contains(year)),
            Self::These(years) => years.get(years.partition_point(|other| *other < year)).copied(),
        }
    }

    /// The last that is not after `year`.
    pub(super) fn upto(&self, year: i16) -> Option<i16> {
        match self {
            Self::All => Some(year.min(*YEARS.end())).filter(|year| YEARS.contains(year)),
            Self::These(years) => {
                let after = years.partition_point(|other| *other <= year);
                years.get(after.checked_sub(1)?).copied()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_are_found_from_both_sides() {
        let few = Years::These([1999, 2026].into());
        for (years, year, from, upto) in [
            (&Years::All, 1900, Some(1970), None),
            (&Years::All, 2026, Some(2026), Some(2026)),
            (&Years::All, 2101, None, Some(2100)),
            (&few, 1998, Some(1999), None),
            (&few, 2000, Some(2026), Some(1999)),
            (&few, 2027, None, Some(2026)),
        ] {
            assert_eq!((years.from(year), years.upto(year)), (from, upto), "{years:?} {year}");
        }
        assert!(few.contains(1999) && !few.contains(2000));
    }
}

//! Sets of small numbers.

/// A set of numbers from 0 to 63: seconds, minutes, hours, days of a month, weekdays or months.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct SmallSet(u64);

impl SmallSet {
    /// The numbers from `first` to `last`, both included.
    pub(super) const fn span(first: u32, last: u32) -> Self {
        Self((u64::MAX >> (63 - last)) & (u64::MAX << first))
    }

    /// Every seventh number from `first` on: the days of a month on one weekday.
    pub(super) const fn weekly(first: u32) -> Self {
        const WEEKS: u64 = 1 | 1 << 7 | 1 << 14 | 1 << 21 | 1 << 28;
        Self(WEEKS << first)
    }

    /// Whether `number` is in it.
    pub(super) const fn contains(self, number: u32) -> bool {
        self.0 >> number & 1 == 1
    }

    /// What is in both.
    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in either.
    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The least number.
    pub(super) const fn first(self) -> Option<u32> {
        if self.0 == 0 { None } else { Some(self.0.trailing_zeros()) }
    }

    /// The greatest number.
    pub(super) const fn last(self) -> Option<u32> {
        if self.0 == 0 { None } else { Some(63 - self.0.leading_zeros()) }
    }

    /// The least number that is not less than `number`.
    pub(super) const fn from(self, number: u32) -> Option<u32> {
        if number > 63 { None } else { self.and(Self::span(number, 63)).first() }
    }

    /// The greatest number that is not greater than `number`.
    pub(super) const fn upto(self, number: u32) -> Option<u32> {
        if number > 63 { self.last() } else { self.and(Self::span(0, number)).last() }
    }

    /// Its numbers, the least first.
    pub(super) fn iter(self) -> impl Iterator<Item = u32> {
        std::iter::successors(self.first(), move |number| self.from(number + 1))
    }

    /// The least distance of two of its numbers.
    pub(super) fn least_distance(self) -> Option<u32> {
        self.iter().zip(self.iter().skip(1)).map(|(one, next)| next - one).min()
    }
}

impl FromIterator<u32> for SmallSet {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        numbers.into_iter().fold(Self::default(), |set, number| set.or(Self(1 << number)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_from_both_sides() {
        let set: SmallSet = [0, 5, 31, 63].into_iter().collect();
        assert_eq!((set.first(), set.last()), (Some(0), Some(63)));
        assert_eq!((set.from(0), set.from(1), set.from(32)), (Some(0), Some(5), Some(63)));
        assert_eq!((set.upto(0), set.upto(30), set.upto(62)), (Some(0), Some(5), Some(31)));
        assert_eq!((set.from(64), set.upto(64)), (None, Some(63)));
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 5, 31, 63]);
        assert_eq!(set.least_distance(), Some(5));
        assert!(set.contains(31) && !set.contains(30));
        let none = SmallSet::default();
        assert!(none.first().is_none() && none.last().is_none());
        assert_eq!(SmallSet::span(1, 3).iter().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(SmallSet::span(0, 63).iter().count(), 64);
        assert_eq!(SmallSet::weekly(3).iter().collect::<Vec<_>>(), [3, 10, 17, 24, 31]);
    }
}

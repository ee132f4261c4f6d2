//! A part of the cluster, weighted: a fraction of whole numbers.

use std::cmp::Ordering;

/// What somebody has of the cluster, by which it is decided whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) part: u128,
    pub(super) of: u128,
}

impl Ord for Share {
    /// Compares two fractions by their whole parts, and then what is left the other way round, as
    /// Euclid does: nothing is multiplied, so nothing overflows.
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut one, mut two) = (*self, *other);
        let mut turned = false;
        loop {
            let order = (one.part / one.of).cmp(&(two.part / two.of));
            let rest = (one.part % one.of, two.part % two.of);
            let order = order.then_with(|| match rest {
                (0, 0) => Ordering::Equal,
                (0, _) => Ordering::Less,
                (_, 0) => Ordering::Greater,
                _ => Ordering::Equal,
            });
            if order.is_ne() || rest.0 == 0 || rest.1 == 0 {
                return if turned { order.reverse() } else { order };
            }
            one = Self { part: one.of, of: rest.0 };
            two = Self { part: two.of, of: rest.1 };
            turned = !turned;
        }
    }
}

impl PartialOrd for Share {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_compared_exactly_and_without_overflow() {
        let share = |part, of| Share { part, of };
        assert!(share(1, 3) < share(334, 1000) && share(333, 1000) < share(1, 3));
        assert_eq!(share(2, 6).cmp(&share(1, 3)), Ordering::Equal);
        assert_eq!(share(0, 5).cmp(&share(0, 7)), Ordering::Equal);
        let big = u128::MAX;
        assert!(share(big - 2, big) < share(big - 1, big));
        assert!(share(big / 2, big) > share(big / 2 - 1, big - 1));
        for (a, b, c, d) in (0..2_401u128).map(|n| (n % 7, n / 7 % 7 + 1, n / 49 % 7, n / 343 + 1))
        {
            assert_eq!(share(a, b).cmp(&share(c, d)), (a * d).cmp(&(c * b)), "{a}/{b} {c}/{d}");
        }
    }
}

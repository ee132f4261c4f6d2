//! A set of small numbers.

/// A set of small numbers, a bit each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bits(Vec<u64>);

/// How many numbers a word holds.
const WORD: u32 = u64::BITS;

impl Bits {
    /// Whether a number is in it.
    pub fn contains(&self, number: u32) -> bool {
        let word = self.0.get((number / WORD) as usize);
        word.is_some_and(|word| word >> (number % WORD) & 1 == 1)
    }

    /// Puts a number in, or takes it out.
    pub fn set(&mut self, number: u32, is_in: bool) {
        let at = (number / WORD) as usize;
        if is_in && self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        if let Some(word) = self.0.get_mut(at) {
            let bit = 1 << (number % WORD);
            *word = if is_in { *word | bit } else { *word & !bit };
        }
    }

    /// Puts in all numbers of another set.
    pub fn add_all(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }
}

impl FromIterator<u32> for Bits {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        let mut bits = Self::default();
        numbers.into_iter().for_each(|number| bits.set(number, true));
        bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_and_go() {
        let mut bits: Bits = [0, 63, 64, 200].into_iter().collect();
        bits.set(63, false);
        bits.set(1_000, false);
        let of = |bits: &Bits| (0..300).filter(|n| bits.contains(*n)).collect::<Vec<_>>();
        assert_eq!(of(&bits), [0, 64, 200]);
        let mut other: Bits = [7].into_iter().collect();
        other.add_all(&bits);
        assert_eq!(of(&other), [0, 7, 64, 200]);
    }
}

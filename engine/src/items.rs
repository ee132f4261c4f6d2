//! Sets of shard items, as ranges.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A set of items, stored as inclusive ranges in order, none touching another.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Items(Vec<(u32, u32)>);

impl Items {
    /// Every item from 0 up to but not `count`.
    pub fn first(count: u32) -> Self {
        if count == 0 { Self::default() } else { Self(vec![(0, count - 1)]) }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> u32 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// The items in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().flat_map(|(first, last)| *first..=*last)
    }

    /// Adds an item that is larger than all before.
    pub fn push(&mut self, item: u32) {
        match self.0.last_mut() {
            Some((_, last)) if *last + 1 == item => *last = item,
            _ => self.0.push((item, item)),
        }
    }

    /// The largest item.
    pub fn max(&self) -> Option<u32> {
        self.0.last().map(|(_, last)| *last)
    }
}

impl FromIterator<u32> for Items {
    fn from_iter<I: IntoIterator<Item = u32>>(items: I) -> Self {
        let sorted: BTreeSet<u32> = items.into_iter().collect();
        let mut set = Self::default();
        for item in sorted {
            set.push(item);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_ranges() {
        let items: Items = [5, 0, 1, 2, 7, 6].into_iter().collect();
        assert_eq!(serde_json::to_string(&items).unwrap(), "[[0,2],[5,7]]");
        assert_eq!(items.iter().collect::<Vec<_>>(), [0, 1, 2, 5, 6, 7]);
        assert_eq!((items.len(), items.max()), (6, Some(7)));
        assert_eq!(Items::first(3).len(), 3);
        assert!(Items::first(0).is_empty());
    }
}

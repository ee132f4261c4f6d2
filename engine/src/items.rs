//! Sets of shard items, as ranges: ten thousand waiting shards are one range.

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

    /// The ranges in order, each with its first and last item.
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.0
    }

    /// The items in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().flat_map(|(first, last)| *first..=*last)
    }

    /// The items from `from` on, in order.
    pub fn iter_from(&self, from: u32) -> impl Iterator<Item = u32> {
        let begin = self.0.partition_point(|(_, last)| *last < from);
        self.0[begin..].iter().flat_map(move |(first, last)| (*first).max(from)..=*last)
    }

    /// Whether `item` is among them.
    pub fn contains(&self, item: u32) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < item);
        self.0.get(at).is_some_and(|(first, _)| *first <= item)
    }

    /// Adds `item`.
    pub fn insert(&mut self, item: u32) {
        // The first range that ends at the item's left neighbour or behind it.
        let at = self.0.partition_point(|(_, last)| last.saturating_add(1) < item);
        match self.0.get(at).copied() {
            Some((first, last)) if first <= item && item <= last => {}
            Some((first, last)) if last.checked_add(1) == Some(item) => {
                let joins = self.0.get(at + 1).is_some_and(|(next, _)| *next == item + 1);
                let last = if joins { self.0.remove(at + 1).1 } else { item };
                self.0[at] = (first, last);
            }
            Some((first, last)) if item.checked_add(1) == Some(first) => self.0[at] = (item, last),
            _ => self.0.insert(at, (item, item)),
        }
    }

    /// Takes `item` out; whether it was there.
    pub fn remove(&mut self, item: u32) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < item);
        let Some((first, last)) = self.0.get(at).copied().filter(|(first, _)| *first <= item)
        else {
            return false;
        };
        match (first == item, last == item) {
            (true, true) => {
                self.0.remove(at);
            }
            (true, false) => self.0[at] = (item + 1, last),
            (false, true) => self.0[at] = (first, item - 1),
            (false, false) => {
                self.0[at] = (first, item - 1);
                self.0.insert(at + 1, (item + 1, last));
            }
        }
        true
    }
}

impl FromIterator<u32> for Items {
    fn from_iter<I: IntoIterator<Item = u32>>(items: I) -> Self {
        let mut set = Self::default();
        for item in items {
            set.insert(item);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sets_are_ranges() {
        let items: Items = [5, 0, 2, 1, 7, 6].into_iter().collect();
        assert_eq!(serde_json::to_string(&items).unwrap(), "[[0,2],[5,7]]");
        assert_eq!(items.len(), 6);
        assert_eq!(items.iter_from(2).collect::<Vec<_>>(), [2, 5, 6, 7]);
        assert_eq!(Items::first(3).len(), 3);
        assert!(Items::first(0).is_empty());
    }

    proptest! {
        #[test]
        fn they_are_as_good_as_a_tree(changes in prop::collection::vec((any::<bool>(), 0u32..40), 0..200)) {
            let (mut items, mut tree) = (Items::default(), BTreeSet::new());
            for (adds, item) in changes {
                if adds {
                    items.insert(item);
                    tree.insert(item);
                } else {
                    prop_assert_eq!(items.remove(item), tree.remove(&item));
                }
                prop_assert!(items.iter().eq(tree.iter().copied()));
                prop_assert_eq!(items.contains(item), tree.contains(&item));
                prop_assert!(items.iter_from(item).eq(tree.range(item..).copied()));
                prop_assert!(items.0.windows(2).all(|two| two[0].1 + 1 < two[1].0));
            }
        }
    }
}

//! The rooms in the order in which shards of one shape take them.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{
    problem::{Amounts, Class, Kind, SetId, Version, fits},
    rooms::Room,
};

/// What an order is of. Many shapes share the cold one, for it does not ask for the executor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OrderKey {
    need: Amounts,
    overhead: Amounts,
    /// Only rooms that this set allows.
    set: SetId,
    /// Rooms that are held too.
    through: bool,
    /// Only rooms where this kind lives.
    warm: Option<Kind>,
}

impl OrderKey {
    /// Of the rooms where the executor lives, if it takes shards of this shape.
    pub(super) fn warm(class: &Class) -> Option<Self> {
        let (shape, through) = (&class.shape, class.through);
        let kind = Some(shape.kind).filter(|_| !shape.alone)?;
        let (need, set) = (shape.need.clone(), shape.set);
        Some(Self { need, overhead: Amounts::new(), set, through, warm: Some(kind) })
    }

    /// Of all rooms, with an executor to be started in each.
    pub(super) fn cold(class: &Class) -> Self {
        let (shape, through) = (&class.shape, class.through);
        let (need, overhead) = (shape.need.clone(), shape.overhead.clone());
        Self { need, overhead, set: shape.set, through, warm: None }
    }

    /// What its rooms must be like.
    pub(super) fn set(&self) -> SetId {
        self.set
    }

    /// The kind whose homes it is of, if it is of those only.
    pub(super) fn warm_kind(&self) -> Option<Kind> {
        self.warm
    }

    /// How many shards fit.
    fn fits(&self, room: &Room) -> u64 {
        let wanted = self.warm.is_none_or(|kind| room.warm.contains(&kind));
        let wanted = wanted && room.is_allowed(self.set) && room.is_open(self.through);
        if wanted { fits(&room.free, &self.need, &self.overhead) } else { 0 }
    }
}

/// A room, and how many shards fit: the least is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    fits: u64,
    pub(super) room: u32,
}

/// The rooms with room for a shard, the tightest first. It is evaluated lazily: a room that changed
/// is entered again, and its old entry is passed over where it comes up.
#[derive(Debug, Default)]
pub(super) struct Order {
    heap: BinaryHeap<Reverse<Entry>>,
    /// The changes that it has seen; none if it was never filled.
    pub(super) seen: Option<Version>,
}

impl Order {
    /// The order when no room could take a shard before those that have changed since.
    pub(super) fn empty(since: Version) -> Self {
        Self { heap: BinaryHeap::new(), seen: Some(since) }
    }

    /// How many entries it has, old ones too.
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }

    /// Enters the rooms that changed as they are now, or all of them if that is less to do.
    pub(super) fn catch_up<'a>(
        &mut self,
        key: &OrderKey,
        changed: Option<impl ExactSizeIterator<Item = u32>>,
        rooms: &[Room],
        all: impl ExactSizeIterator<Item = (u32, &'a Room)>,
    ) {
        let entry = |(room, now): (u32, &Room)| {
            let fits = key.fits(now);
            (fits > 0).then_some(Reverse(Entry { fits, room }))
        };
        match changed {
            Some(changed) if changed.len() + self.heap.len() <= 2 * all.len() => {
                let changed = changed.map(|room| (room, &rooms[room as usize]));
                self.heap.extend(changed.filter_map(entry));
            }
            _ => self.heap = all.filter_map(entry).collect::<Vec<_>>().into(),
        }
    }

    /// Leaves nothing in it.
    pub(super) fn clear(&mut self) {
        self.heap = BinaryHeap::new();
    }

    /// Puts an entry back.
    pub(super) fn put_back(&mut self, entry: Entry) {
        self.heap.push(Reverse(entry));
    }

    /// The best entry.
    pub(super) fn best(&self) -> Option<Entry> {
        self.heap.peek().map(|Reverse(entry)| *entry)
    }

    /// Takes the best entry out.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}

impl Entry {
    /// How many further shards fit after one.
    pub(super) fn room_after(self) -> u64 {
        self.fits.saturating_sub(1)
    }

    /// Whether it still says what is so.
    pub(super) fn holds(self, key: &OrderKey, room: &Room) -> bool {
        key.fits(room) == self.fits
    }
}

//! What is free on every agent, and what of it has changed.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    bits::Bits,
    order::{Order, OrderKey},
    problem::{Amounts, Kind, SetId, Shape, Version, fits},
};

/// Entries of orders that are kept for classes to come, beside a few for every room. Beyond that all
/// orders are dropped, and made anew when they are wanted.
const ENTRIES_KEPT: usize = 1 << 20;

/// Orders that are kept, for those without entries.
const ORDERS_KEPT: usize = 1 << 14;

/// The room on one agent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Room {
    /// What is free; nothing at all when none of it is on offer.
    pub free: Amounts,
    /// What it is like: the value of each attribute that it has, in numbers from 1.
    pub attributes: BTreeMap<u32, u32>,
    /// The sets of constraints that allow it, beside that which asks for nothing.
    pub allowed_by: Bits,
    /// Whether it is held: only classes that go through are placed there.
    pub held: bool,
    /// The kinds of executor that live there.
    pub warm: BTreeSet<Kind>,
}

impl Room {
    /// How many shards of a shape fit.
    pub fn fits(&self, shape: &Shape) -> u64 {
        if !self.is_allowed(shape.set) {
            return 0;
        }
        let overhead: &[u64] = if self.is_warm(shape) { &[] } else { &shape.overhead };
        fits(&self.free, &shape.need, overhead)
    }

    /// How many shards of a shape would fit if it had all of this to give, and no executor.
    pub fn capacity(&self, shape: &Shape, all: &Amounts) -> u64 {
        let overhead = &shape.overhead;
        if self.is_allowed(shape.set) { fits(all, &shape.need, overhead) } else { 0 }
    }

    /// How much is missing for a shard of a shape, of all dimensions together.
    pub fn short_of(&self, shape: &Shape) -> u64 {
        let overhead: &[u64] = if self.is_warm(shape) { &[] } else { &shape.overhead };
        let at = |amounts: &[u64], dimension| amounts.get(dimension).copied().unwrap_or(0);
        let short = (0..shape.need.len().max(overhead.len())).map(|dimension| {
            let need = at(&shape.need, dimension).saturating_add(at(overhead, dimension));
            need.saturating_sub(at(&self.free, dimension))
        });
        short.fold(0, u64::saturating_add)
    }

    /// Whether it is open to classes that go through held rooms, or do not.
    pub(super) fn is_open(&self, through: bool) -> bool {
        through || !self.held
    }

    /// Whether a set of constraints allows it.
    pub(super) fn is_allowed(&self, set: SetId) -> bool {
        set == SetId::NONE || self.allowed_by.contains(set.0)
    }

    /// The value of one of its attributes; zero stands for none.
    pub fn value(&self, attribute: u32) -> u32 {
        self.attributes.get(&attribute).copied().unwrap_or(0)
    }

    /// Whether an executor lives there that takes shards of a shape.
    pub(super) fn is_warm(&self, shape: &Shape) -> bool {
        !shape.alone && self.warm.contains(&shape.kind)
    }
}

/// All rooms, kept from one round to the next. Classes are placed one by one; what one takes is
/// gone for the next.
#[derive(Debug, Default)]
pub struct Rooms {
    rooms: Vec<Room>,
    version: Version,
    changes: Changes,
    kinds: BTreeMap<Kind, Homes>,
    orders: BTreeMap<OrderKey, Order>,
    /// The entries of all orders.
    entries: usize,
}

/// Where executors of one kind live.
#[derive(Debug, Default)]
struct Homes {
    rooms: BTreeSet<u32>,
    /// Changes of those rooms only.
    changes: Changes,
}

impl Rooms {
    /// Adds a room; its number.
    pub fn add(&mut self, room: Room) -> u32 {
        let number = self.count();
        let mut room = room;
        let warm = std::mem::take(&mut room.warm);
        self.rooms.push(room);
        self.set_warm(number, warm);
        number
    }

    fn count(&self) -> u32 {
        u32::try_from(self.rooms.len()).expect("agents are far fewer than 2^32")
    }

    /// A room.
    pub fn get(&self, room: u32) -> &Room {
        &self.rooms[room as usize]
    }

    /// How many changes there were up to now.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Says what is free in a room.
    pub fn set_free(&mut self, room: u32, free: Amounts) {
        self.room_mut(room).free = free;
        self.changed(room);
    }

    /// Says what a room is like.
    pub fn set_attributes(&mut self, room: u32, attributes: BTreeMap<u32, u32>, allowed_by: Bits) {
        let stored = self.room_mut(room);
        (stored.attributes, stored.allowed_by) = (attributes, allowed_by);
        self.changed(room);
    }

    /// Says whether a room is held.
    pub fn set_held(&mut self, room: u32, held: bool) {
        self.room_mut(room).held = held;
        self.changed(room);
    }

    /// Says whether a set of constraints allows a room. No shape may have had that set before.
    pub fn allow(&mut self, room: u32, set: SetId, allowed: bool) {
        self.room_mut(room).allowed_by.set(set.0, allowed);
    }

    /// Forgets the orders of all sets of constraints but these, whose numbers may be given anew.
    pub fn forget_orders_but_of(&mut self, used: &BTreeSet<SetId>) {
        self.orders.retain(|key, _| key.set() == SetId::NONE || used.contains(&key.set()));
        self.entries = self.orders.values().map(Order::len).sum();
    }

    /// Says which kinds of executor live in a room.
    pub fn set_warm(&mut self, room: u32, warm: BTreeSet<Kind>) {
        let before = std::mem::take(&mut self.room_mut(room).warm);
        for kind in before.difference(&warm) {
            self.ends(room, *kind);
        }
        for kind in warm.difference(&before) {
            self.begins(room, *kind);
        }
        self.room_mut(room).warm = warm;
        self.changed(room);
    }

    /// The rooms where executors of a kind live.
    pub fn homes(&self, kind: Kind) -> impl Iterator<Item = u32> {
        self.kinds.get(&kind).into_iter().flat_map(|homes| &homes.rooms).copied()
    }

    /// What of the rooms has changed since, as far as it may let a class fit.
    pub fn growth_since(&self, since: Version) -> Growth {
        let mut growth = Growth::default();
        match self.changes.since(since) {
            Some(rooms) => rooms.for_each(|room| growth.add(self.get(room))),
            None => self.rooms.iter().for_each(|room| growth.add(room)),
        }
        growth
    }

    pub(super) fn room_mut(&mut self, room: u32) -> &mut Room {
        &mut self.rooms[room as usize]
    }

    /// Remembers that executors of a kind live in a room.
    pub(super) fn begins(&mut self, room: u32, kind: Kind) {
        let forgotten = self.version;
        let homes = self.kinds.entry(kind).or_insert_with(|| Homes {
            rooms: BTreeSet::new(),
            changes: Changes { forgotten, ..Changes::default() },
        });
        homes.rooms.insert(room);
    }

    /// Remembers that none of a kind lives in a room any more.
    pub(super) fn ends(&mut self, room: u32, kind: Kind) {
        if let Some(homes) = self.kinds.get_mut(&kind) {
            homes.rooms.remove(&room);
            if homes.rooms.is_empty() {
                self.kinds.remove(&kind);
            }
        }
    }

    /// Remembers that a room is not what it was.
    pub(super) fn changed(&mut self, room: u32) {
        self.version.0 += 1;
        self.changes.push(self.version, room, self.rooms.len());
        for kind in &self.rooms[room as usize].warm {
            if let Some(homes) = self.kinds.get_mut(kind) {
                homes.changes.push(self.version, room, homes.rooms.len());
            }
        }
    }

    /// Takes out an order, with all that has changed. It is given back by [`Rooms::keep`].
    pub(super) fn order(&mut self, key: &OrderKey, since: Option<Version>) -> Order {
        let mut order = self.orders.remove(key).unwrap_or_default();
        self.entries -= order.len();
        if let Some(since) = since.filter(|since| order.seen.is_none_or(|seen| seen < *since)) {
            // Whatever it holds is of rooms that can take none.
            order = Order::empty(since);
        }
        let seen = order.seen.replace(self.version);
        match key.warm_kind() {
            None => {
                let all = (0..self.count()).zip(&self.rooms);
                order.catch_up(key, seen.and_then(|s| self.changes.since(s)), &self.rooms, all);
            }
            Some(kind) => match self.kinds.get(&kind) {
                None => order.clear(),
                Some(homes) => {
                    let all = homes.rooms.iter().map(|room| (*room, self.get(*room)));
                    let changed = seen.and_then(|seen| homes.changes.since(seen));
                    order.catch_up(key, changed, &self.rooms, all);
                }
            },
        }
        order
    }

    /// Keeps an order for the next class that needs it.
    pub(super) fn keep(&mut self, key: OrderKey, order: Order) {
        self.entries += order.len();
        self.orders.insert(key, order);
        let most = ENTRIES_KEPT + 4 * self.rooms.len();
        if self.entries > most || self.orders.len() > ORDERS_KEPT {
            self.orders.clear();
            self.entries = 0;
        }
    }
}

/// Which rooms changed when, the latest last.
#[derive(Debug, Default)]
struct Changes {
    rooms: Vec<(Version, u32)>,
    /// Those up to this one are not remembered.
    forgotten: Version,
}

impl Changes {
    /// What changed since then; nothing if that is forgotten.
    fn since(&self, version: Version) -> Option<impl ExactSizeIterator<Item = u32>> {
        let at = self.rooms.partition_point(|(at, _)| *at <= version);
        (version >= self.forgotten).then(|| self.rooms[at..].iter().map(|(_, room)| *room))
    }

    fn push(&mut self, version: Version, room: u32, of: usize) {
        /// Changes that are remembered beside one for every room.
        const KEPT: usize = 64;
        // Who is further behind than there are rooms looks at each of them instead.
        let kept = of + KEPT;
        if self.rooms.len() >= 2 * kept {
            let begin = self.rooms.len() - kept;
            self.forgotten = self.rooms[begin - 1].0;
            self.rooms.drain(..begin);
        }
        self.rooms.push((version, room));
    }
}

/// What rooms that changed have at the most: whoever does not fit into all of it together fits into
/// none of them.
#[derive(Debug, Clone, Default)]
pub struct Growth {
    most: Amounts,
    warm: BTreeSet<Kind>,
    allowed_by: Bits,
}

impl Growth {
    fn add(&mut self, room: &Room) {
        if self.most.len() < room.free.len() {
            self.most.resize(room.free.len(), 0);
        }
        for (most, free) in self.most.iter_mut().zip(&room.free) {
            *most = (*most).max(*free);
        }
        if !room.free.is_empty() {
            self.warm.extend(&room.warm);
            self.allowed_by.add_all(&room.allowed_by);
        }
    }

    /// Whether no room has grown.
    pub fn is_none(&self) -> bool {
        self.most.is_empty()
    }

    /// The most that there is of the first dimension, by which shapes are sorted.
    pub fn most_of_first(&self) -> u64 {
        self.most.first().copied().unwrap_or(0)
    }

    /// Whether a shard of a shape may fit now where it did not fit before.
    pub fn may_fit(&self, shape: &Shape) -> bool {
        // Most of those that sleep are settled by this, and there may be many.
        let most = self.most.iter().chain(std::iter::repeat(&0));
        if shape.need.iter().zip(most).any(|(need, most)| need > most) {
            return false;
        }
        if shape.set != SetId::NONE && !self.allowed_by.contains(shape.set.0) {
            return false;
        }
        let overhead: &[u64] = if self.warm.contains(&shape.kind) { &[] } else { &shape.overhead };
        fits(&self.most, &shape.need, overhead) > 0
    }
}

//! First come, first served: each shard of a class takes the best room that is left.
//!
//! Best means: not the one to be avoided, then one of the value with the fewest shards of the run
//! (when it is spread over an attribute, such as the host), then one where the executor lives already, then the one with room for the fewest
//! further shards of the class (tightest fit), then the lowest number. Total, bounded and
//! deterministic: equal rooms and classes have equal places.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
};

use super::{
    order::{Entry, Order, OrderKey},
    problem::{Chosen, Class, Placed, Unplaced},
    rooms::{Room, Rooms},
};

/// How good a room is for the next shard of a class; the least is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Score {
    pub(super) avoided: bool,
    /// How many shards of the run are where the attribute that it is spread over is the same.
    pub(super) beside: u32,
    pub(super) cold: bool,
    /// How many further shards of the class fit after this one.
    pub(super) room_after: u64,
    pub(super) room: u32,
}

impl Score {
    /// The same as others may know it.
    pub(super) fn chosen(self, class: &Class) -> Chosen {
        Chosen {
            avoided: self.avoided,
            beside: class.spread.as_ref().map(|_| self.beside),
            warm: !self.cold,
            room_after: self.room_after,
        }
    }
}

impl Rooms {
    /// Places as many shards of a class as fit, but at most `limit`.
    pub fn place(&mut self, class: &Class, limit: usize) -> Placed {
        if class.count > 0 && (limit == 0 || class.all_at_once && class.count > limit) {
            return Placed { unplaced: Some(Unplaced::Later), ..Placed::default() };
        }
        let mut search = Search::new(self, class);
        let mut placed = Placed::default();
        while placed.rooms.len() < class.count {
            if placed.rooms.len() >= limit {
                placed.unplaced = Some(Unplaced::Later);
                break;
            }
            let Some(best) = search.best() else {
                placed.unplaced = Some(Unplaced::NoRoom);
                break;
            };
            search.take(best.room);
            placed.rooms.push(best.room);
            placed.chosen.push(best.chosen(class));
        }
        if class.all_at_once && placed.unplaced.is_some() {
            search.give_back(&placed.rooms);
            (placed.rooms, placed.chosen) = (Vec::new(), Vec::new());
        }
        search.end();
        placed
    }
}

/// The rooms that can take one more shard of a class, best first.
///
/// Rooms come from two orders that all classes of a shape share: those where the executor lives,
/// then all others. What the orders do not know of (attributes, the room to avoid, what this class has
/// taken) only makes a room worse than its place in them. So it is rated when its turn comes and
/// set aside, and one that is aside is taken once it is no worse than whatever may still come.
struct Search<'a> {
    rooms: &'a mut Rooms,
    class: &'a Class,
    /// None for shards that have executors of their own.
    warm: Option<Source>,
    cold: Source,
    /// Rooms that have come up. A score may be too good, never too bad: it is rated again.
    aside: BinaryHeap<Reverse<Score>>,
    /// Shards of the run by the value of the attribute that it is spread over.
    there: BTreeMap<u32, u32>,
    /// The rooms taken that the executor did not live in.
    started: BTreeSet<u32>,
    /// All rooms taken.
    taken: BTreeSet<u32>,
}

/// An order in use.
struct Source {
    key: OrderKey,
    order: Order,
    /// What came up and still holds for other classes.
    used: Vec<Entry>,
}

impl<'a> Search<'a> {
    fn new(rooms: &'a mut Rooms, class: &'a Class) -> Self {
        let mut source = |key: OrderKey| {
            let order = rooms.order(&key, class.since);
            Source { key, order, used: Vec::new() }
        };
        let warm = OrderKey::warm(class).map(&mut source);
        let cold = source(OrderKey::cold(class));
        Self {
            rooms,
            class,
            warm,
            cold,
            aside: BinaryHeap::new(),
            there: class.spread.as_ref().map(|spread| spread.there.clone()).unwrap_or_default(),
            started: BTreeSet::new(),
            taken: BTreeSet::new(),
        }
    }

    /// The best room there is.
    fn best(&mut self) -> Option<Score> {
        loop {
            let upcoming = self.upcoming();
            let aside = self.aside.peek().map(|Reverse(score)| *score);
            match (aside, upcoming) {
                (Some(score), next) if next.is_none_or(|next| score <= next) => {
                    self.aside.pop();
                    match self.rate(score.room) {
                        Some(now) if now == score => return Some(score),
                        now => self.aside.extend(now.map(Reverse)),
                    }
                }
                (_, Some(next)) => {
                    let warm = self.warm.as_mut().filter(|_| !next.cold);
                    let source = warm.unwrap_or(&mut self.cold);
                    source.used.extend(source.order.pop());
                    let score = self.rate(next.room);
                    self.aside.extend(score.map(Reverse));
                }
                (_, None) => return None,
            }
        }
    }

    /// The best score that a room which has not come up can have.
    fn upcoming(&mut self) -> Option<Score> {
        if let Some(warm) = &mut self.warm {
            while let Some(entry) = warm.order.best() {
                if entry.holds(&warm.key, self.rooms.get(entry.room)) {
                    return Some(best_of(entry, false));
                }
                warm.order.pop();
            }
        }
        while let Some(entry) = self.cold.order.best() {
            let room = self.rooms.get(entry.room);
            let holds = entry.holds(&self.cold.key, room);
            if holds && !room.is_warm(&self.class.shape) {
                return Some(best_of(entry, true));
            }
            let entry = self.cold.order.pop().filter(|_| holds);
            self.cold.used.extend(entry);
        }
        None
    }

    /// How good a room is now.
    fn rate(&self, number: u32) -> Option<Score> {
        let room = self.rooms.get(number);
        let is_open = room.is_open(self.class.through);
        let fits = if is_open { room.fits(&self.class.shape) } else { 0 };
        Some(Score {
            avoided: self.class.avoid == Some(number),
            beside: self.beside(room),
            cold: !room.is_warm(&self.class.shape),
            room_after: fits.checked_sub(1)?,
            room: number,
        })
    }

    /// How many shards of the run are where the attribute that it is spread over is the same.
    fn beside(&self, room: &Room) -> u32 {
        let value = self.class.spread.as_ref().map(|spread| room.value(spread.over));
        value.and_then(|value| self.there.get(&value)).copied().unwrap_or(0)
    }

    /// Puts a shard into a room.
    fn take(&mut self, number: u32) {
        let shape = &self.class.shape;
        let room = self.rooms.room_mut(number);
        subtract(&mut room.free, &shape.need);
        if let Some(spread) = &self.class.spread {
            *self.there.entry(room.value(spread.over)).or_default() += 1;
        }
        if !shape.alone && room.warm.insert(shape.kind) {
            subtract(&mut room.free, &shape.overhead);
            self.started.insert(number);
            self.rooms.begins(number, shape.kind);
        }
        self.taken.insert(number);
        let score = self.rate(number);
        self.aside.extend(score.map(Reverse));
    }

    /// Takes all shards out again.
    fn give_back(&mut self, chosen: &[u32]) {
        let shape = &self.class.shape;
        for number in chosen {
            let room = self.rooms.room_mut(*number);
            add(&mut room.free, &shape.need);
            if self.started.remove(number) {
                add(&mut room.free, &shape.overhead);
                room.warm.remove(&shape.kind);
                self.rooms.ends(*number, shape.kind);
            }
        }
    }

    /// Leaves the orders as the next class wants them. A room that was taken counts as changed also
    /// when it was given back: its entries may have been passed over in between.
    fn end(self) {
        for room in self.taken {
            self.rooms.changed(room);
        }
        for source in self.warm.into_iter().chain([self.cold]) {
            let Source { key, mut order, used } = source;
            used.into_iter().for_each(|entry| order.put_back(entry));
            self.rooms.keep(key, order);
        }
    }
}

fn best_of(entry: Entry, cold: bool) -> Score {
    let room_after = entry.room_after();
    Score { avoided: false, beside: 0, cold, room_after, room: entry.room }
}

fn subtract(free: &mut [u64], amounts: &[u64]) {
    for (free, amount) in free.iter_mut().zip(amounts) {
        *free -= amount;
    }
}

fn add(free: &mut [u64], amounts: &[u64]) {
    for (free, amount) in free.iter_mut().zip(amounts) {
        *free += amount;
    }
}

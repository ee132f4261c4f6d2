//! Where connections wait while something is due from their peers, each for a bounded time, and
//! never more than a bounded number of them.
//!
//! When a room is full whoever has sat there longest has to go: peers that mean it need a moment,
//! and those that open connections slowly or only hold them wait for ever. So a flood of these
//! leaves everybody else as long as it takes to fill the room.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::Notify, time::Instant};

use super::bounds::Bounds;

/// What a connection is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// Its first whole request.
    Newcomers,
    /// The proof of an agent.
    Handshakes,
    /// The next request, after one that was whole; or its turn to send a large one.
    Idle,
    /// The body of a call, of one who has said who it is.
    Bodies,
}

/// Why a connection has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It took too long.
    TimedOut,
    /// Others needed its place.
    Crowded,
    /// Its stream was not read.
    NotReading,
}

/// All rooms of one server.
#[derive(Debug)]
pub(super) struct Rooms {
    bounds: Bounds,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    newest: u64,
    newcomers: BTreeMap<u64, Arc<Place>>,
    handshakes: BTreeMap<u64, Arc<Place>>,
    idle: BTreeMap<u64, Arc<Place>>,
    bodies: BTreeMap<u64, Arc<Place>>,
}

impl Inner {
    fn room(&mut self, room: Room) -> &mut BTreeMap<u64, Arc<Place>> {
        match room {
            Room::Newcomers => &mut self.newcomers,
            Room::Handshakes => &mut self.handshakes,
            Room::Idle => &mut self.idle,
            Room::Bodies => &mut self.bodies,
        }
    }
}

/// Where one connection is.
#[derive(Debug, Default)]
struct Place {
    state: Mutex<State>,
    /// For [`Visitor::ended`].
    changed: Notify,
    /// For [`Visitor::last_answer`].
    closing: Notify,
}

#[derive(Debug, Default)]
struct State {
    seat: Option<(Room, u64)>,
    deadline: Option<Instant>,
    /// No request is taken after the one that is being answered.
    last: bool,
    ended: Option<Ended>,
}

impl Place {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, why: Ended) {
        self.state().ended.get_or_insert(why);
        self.changed.notify_one();
    }
}

/// One connection, as the rooms know it; clones are the same connection.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    rooms: Arc<Rooms>,
    place: Arc<Place>,
}

/// Takes its connection out of all rooms when it is dropped.
#[derive(Debug)]
pub(super) struct Visit(pub(super) Visitor);

impl Rooms {
    pub(super) fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self { bounds, inner: Mutex::default() })
    }

    /// A new connection, which has the first room's time to send a request.
    pub(super) fn visit(self: &Arc<Self>) -> Visit {
        let visitor = Visitor { rooms: Arc::clone(self), place: Arc::default() };
        visitor.wait_in(Room::Newcomers);
        Visit(visitor)
    }

    /// Ends the connection that has waited longest, for there is no file left for a new one.
    pub(super) fn make_room(&self) {
        let mut inner = self.inner();
        let rooms = [Room::Newcomers, Room::Bodies, Room::Idle];
        let oldest = rooms.into_iter().find_map(|room| inner.room(room).pop_first());
        if let Some((_, oldest)) = oldest {
            oldest.end(Ended::Crowded);
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Visitor {
    /// Something is due from the peer from now on.
    pub(super) fn wait_in(&self, room: Room) {
        let bounds = self.rooms.bounds;
        let (most, time) = match room {
            Room::Newcomers | Room::Handshakes => (bounds.unproved, bounds.handshake),
            Room::Idle => (bounds.idle_connections, bounds.idle),
            Room::Bodies => (bounds.unproved, bounds.body),
        };
        let mut inner = self.rooms.inner();
        self.stand_up(&mut inner);
        inner.newest += 1;
        let ticket = inner.newest;
        let seats = inner.room(room);
        seats.insert(ticket, Arc::clone(&self.place));
        let crowded = if seats.len() > most { seats.pop_first() } else { None };
        let mut state = self.place.state();
        state.seat = Some((room, ticket));
        state.deadline = Some(Instant::now() + time);
        drop(state);
        self.place.changed.notify_one();
        if let Some((_, oldest)) = crowded {
            oldest.end(Ended::Crowded);
        }
    }

    /// Nothing is due from the peer for now.
    pub(super) fn leave(&self) {
        self.stand_up(&mut self.rooms.inner());
        self.place.changed.notify_one();
    }

    /// The connection ends after what it is sending; its peer has a newcomer's time to take that.
    pub(super) fn close(&self) {
        self.stand_up(&mut self.rooms.inner());
        let mut state = self.place.state();
        state.deadline = Some(Instant::now() + self.rooms.bounds.handshake);
        state.last = true;
        drop(state);
        self.place.closing.notify_one();
        self.place.changed.notify_one();
    }

    /// Returns when no further request is to be taken.
    pub(super) async fn last_answer(&self) {
        while !self.place.state().last {
            self.place.closing.notified().await;
        }
    }

    /// The connection must end.
    pub(super) fn end(&self, why: Ended) {
        self.place.end(why);
    }

    /// Returns when the connection must end.
    pub(super) async fn ended(&self) -> Ended {
        loop {
            let (ended, deadline) = {
                let state = self.place.state();
                (state.ended, state.deadline)
            };
            if let Some(ended) = ended {
                return ended;
            }
            let late = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.place.changed.notified() => {}
                () = late => return Ended::TimedOut,
            }
        }
    }

    fn stand_up(&self, inner: &mut Inner) {
        let mut state = self.place.state();
        state.deadline = None;
        if let Some((room, ticket)) = state.seat.take() {
            inner.room(room).remove(&ticket);
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.leave();
    }
}

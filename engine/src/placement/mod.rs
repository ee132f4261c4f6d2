//! Where waiting shards go. Placement knows nothing of runs and agents: it sees small integers.
//!
//! [`Rooms`] is what agents have free. [`Rooms::place`] puts the shards of one [`Class`] into the
//! best rooms there are, in time that grows with the shards and with the rooms that changed, not
//! with all rooms.

mod bits;
mod order;
mod problem;
mod rooms;
mod search;
#[cfg(test)]
mod tests;

pub use bits::Bits;
pub use problem::{
    Amounts, Chosen, Class, Kind, Placed, SetId, Shape, Spreading, Unplaced, Version,
};
pub use rooms::{Growth, Room, Rooms};

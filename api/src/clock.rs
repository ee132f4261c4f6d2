//! Reads the two clocks of the machine. The only such place in Muster; pure cores are given
//! their [`Now`] and never call this.

use rustix::time::{ClockId, clock_gettime};

use crate::{Mono, Now, Timestamp};

/// The present on both clocks.
pub fn now() -> Now {
    Now { wall: wall(), mono: mono() }
}

/// The wall clock (`CLOCK_REALTIME`).
pub fn wall() -> Timestamp {
    let time = clock_gettime(ClockId::Realtime);
    Timestamp::from_millis(time.tv_sec * 1000 + time.tv_nsec / 1_000_000)
}

/// The clock that counts since boot, sleep included (`CLOCK_BOOTTIME`).
pub fn mono() -> Mono {
    let time = clock_gettime(ClockId::Boottime);
    let millis = time.tv_sec * 1000 + time.tv_nsec / 1_000_000;
    Mono::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// The wall clock in nanoseconds since the Unix epoch; 0 before it. For measurements only.
pub fn wall_nanos() -> u64 {
    nanos(ClockId::Realtime)
}

/// The clock that counts since boot, in nanoseconds. For measurements only.
pub fn mono_nanos() -> u64 {
    nanos(ClockId::Boottime)
}

fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).unwrap_or(0)
}

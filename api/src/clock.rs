//! Reads the two clocks of the machine. The only such place in Muster; pure cores are given
//! their [`Now`] and never call this.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use rustix::time::{ClockId, clock_gettime};

use crate::{Mono, Now, Timestamp};

/// Names a file whose number of milliseconds is added to [`wall`], looked at anew each time.
///
/// For tests of a wall clock that is set while a process runs, and for nothing else: a server
/// that is started with it says so as an error in its log. No code of users ever gets it.
pub const OFFSET_VARIABLE: &str = "MUSTER_TEST_CLOCK_OFFSET_FILE";

/// Read once, so that without it a look at the clock costs one comparison more.
static OFFSET_FILE: LazyLock<Option<PathBuf>> =
    LazyLock::new(|| env::var_os(OFFSET_VARIABLE).map(PathBuf::from));

/// The present on both clocks.
pub fn now() -> Now {
    Now { wall: wall(), mono: mono() }
}

/// The wall clock (`CLOCK_REALTIME`).
pub fn wall() -> Timestamp {
    let time = clock_gettime(ClockId::Realtime);
    let millis = time.tv_sec * 1000 + time.tv_nsec / 1_000_000;
    Timestamp::from_millis(millis.saturating_add(offset_file().map_or(0, offset_in)))
}

/// The file that [`OFFSET_VARIABLE`] names.
pub fn offset_file() -> Option<&'static Path> {
    OFFSET_FILE.as_deref()
}

/// What a file says is to be added; nothing before it is there.
#[cold]
fn offset_in(file: &Path) -> i64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_a_number_of_milliseconds() {
        let file = env::temp_dir().join(format!("muster-offset-{}", std::process::id()));
        assert_eq!(offset_in(&file), 0);
        for (text, offset) in [("-5000\n", -5000), ("3600000", 3_600_000), ("soon", 0), ("", 0)] {
            fs::write(&file, text).expect("the folder of temporary files can be written to");
            assert_eq!(offset_in(&file), offset, "{text}");
        }
        fs::remove_file(file).expect("it was made");
    }
}

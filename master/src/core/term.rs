//! Terms, of which each start has its own.

use muster_api::{
    Now,
    step::{Records, Write},
};

use super::{RestoreError, record};

/// The term of a start over these records, and the write that stores it: greater than the last, and
/// at least the wall clock's milliseconds, so that it grows also over a restored backup. Who starts
/// without a master of its own needs one too, for the order of its commits.
pub fn next_term(records: &Records, now: Now) -> Result<(u64, Write), RestoreError> {
    let last = record::read(records)?.term;
    let term = after(last, now);
    Ok((term, record::put_term(term)))
}

/// The term after that one.
pub(super) fn after(last: u64, now: Now) -> u64 {
    let millis = u64::try_from(now.wall.as_millis()).unwrap_or(0);
    last.saturating_add(1).max(millis)
}

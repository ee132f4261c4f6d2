//! Jitter: jobs with the same schedule need not start in the same instant.

use super::{InvalidSchedule, Schedule};
use crate::{JobUid, Span, ids, limits};

/// How long after each planned instant a job fires: one offset for each job, the same at every fire
/// and on every host, and evenly spread over 0 up to, not including, `jitter` for many jobs.
///
/// It is the SplitMix64 finaliser over the two halves of the job's uid, scaled to `jitter`.
pub fn jitter_offset(jitter: Span, job: JobUid) -> Span {
    let (high, low) = job.as_uuid().as_u64_pair();
    let hash = ids::mix(ids::mix(high) ^ low);
    let scaled = (u128::from(hash) * u128::from(jitter.as_millis())) >> 64;
    Span::from_millis(u64::try_from(scaled).expect("it is less than the jitter"))
}

/// A jitter is less than what lies between two instants, so that a fire never comes after the next
/// instant. What has one instant only has a bound of its own.
pub(super) fn check(jitter: Span, schedule: &Schedule) -> Result<(), InvalidSchedule> {
    let most = Span::from_secs(limits::JITTER_MAX.as_secs());
    match schedule.least_distance() {
        Some(least) if jitter >= least && !jitter.is_zero() => {
            Err(InvalidSchedule::JitterTooLong { jitter, least })
        }
        None if jitter > most => Err(InvalidSchedule::JitterOfOneTooLong { jitter, most }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{IdStream, Timestamp};

    #[test]
    fn offsets_are_fixed_and_spread_evenly() {
        let job: JobUid = "019a0000-0000-7000-8000-000000000001".parse().unwrap();
        // Stored nowhere, so it must not change with a version either.
        assert_eq!(jitter_offset(Span::from_secs(60), job), Span::from_millis(47_042));
        assert_eq!(jitter_offset(Span::ZERO, job), Span::ZERO);
        let mut ids = IdStream::new(1, 1);
        let mut tenths = [0; 10];
        for at in 0..10_000 {
            let job = JobUid::from_uuid(ids.uuid(Timestamp::from_millis(1_700_000_000_000 + at)));
            let offset = jitter_offset(Span::from_millis(1_000), job).as_millis();
            tenths[offset as usize / 100] += 1;
            assert!(jitter_offset(Span::from_millis(u64::MAX), job) < Span::from_millis(u64::MAX));
        }
        assert!(tenths.iter().all(|count| (900..1_100).contains(count)), "{tenths:?}");
    }
}

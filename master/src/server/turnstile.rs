//! How many calls are under way at one time, of each caller and of all.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use muster_api::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use super::reply::Refusal;
use crate::core::Stream;

/// Lets calls pass: large ones while their bodies come, and all when those are there and not
/// understood yet. Of one caller a few, so that one that calls without end, or sends slowly, does
/// not keep others waiting, and of all so many bytes as the messages made of them may take.
#[derive(Debug)]
pub(super) struct Turnstile {
    /// Requests that are whole and not answered.
    whole: Semaphore,
    /// Large calls, from their reading to their answer.
    large: Semaphore,
    senders: Lanes,
    callers: Lanes,
    bytes: Semaphore,
}

/// Whose calls wait for each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// Those of one subscription.
    Stream(Stream),
    /// Those of a principal that belong to none.
    Principal(String),
    /// All others.
    Nobody,
}

/// A call under way. What it holds is given back in this order, its lane last.
#[derive(Debug)]
pub(super) struct Passage<'a> {
    _share: SemaphorePermit<'a>,
    _permit: OwnedSemaphorePermit,
    _queue: Queue<'a>,
}

/// The lanes in which there is anybody.
#[derive(Debug)]
struct Lanes {
    /// How many of each may pass at one time.
    abreast: usize,
    lanes: Mutex<BTreeMap<Lane, Inside>>,
}

/// Those in a lane.
#[derive(Debug)]
struct Inside {
    permits: Arc<Semaphore>,
    /// How many wait or have passed.
    count: usize,
}

/// A call that waits in its lane, or has passed. The last one that leaves a lane takes it away.
#[derive(Debug)]
struct Queue<'a> {
    lanes: &'a Lanes,
    lane: Lane,
}

impl Turnstile {
    pub(super) fn new() -> Self {
        Self {
            whole: Semaphore::new(limits::CALLS_WHOLE),
            large: Semaphore::new(limits::CALLS_LARGE),
            senders: Lanes::new(limits::CALLS_LARGE_PER_CALLER),
            callers: Lanes::new(limits::CALLS_PER_CALLER),
            bytes: Semaphore::new(limits::CALLS_BYTES as usize),
        }
    }

    /// A place for a request that is whole, until it is answered.
    pub(super) fn admit(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        let full = |_| Refusal::unavailable("Too many calls wait; try again");
        self.whole.try_acquire().map_err(full)
    }

    /// Waits until a large call of this lane may be read.
    pub(super) async fn read_large(&self, lane: Lane) -> Passage<'_> {
        self.senders.pass(lane, &self.large, 1).await
    }

    /// Waits until a call of so many bytes may pass. Of one lane so many wait; one more is told to
    /// try again, so that there is room for those of others.
    pub(super) async fn pass(&self, lane: Lane, bytes: usize) -> Result<Passage<'_>, Refusal> {
        if self.callers.count(&lane) >= limits::CALLS_WAITING_PER_CALLER {
            return Err(Refusal::unavailable("Too many of your calls wait; try again"));
        }
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(limits::CALLS_BYTES);
        Ok(self.callers.pass(lane, &self.bytes, bytes).await)
    }
}

impl Lanes {
    fn new(abreast: usize) -> Self {
        Self { abreast, lanes: Mutex::default() }
    }

    /// Waits for those before it in its lane, and then for its share of what all have.
    async fn pass<'a>(&'a self, lane: Lane, all: &'a Semaphore, share: u32) -> Passage<'a> {
        let (queue, permits) = self.enter(lane);
        let permit = permits.acquire_owned().await.expect("nobody closes a lane");
        let share = all.acquire_many(share).await.expect("nobody closes the turnstile");
        Passage { _share: share, _permit: permit, _queue: queue }
    }

    /// Enters a lane. Whoever gives up waiting leaves it as one does who is through.
    fn enter(&self, lane: Lane) -> (Queue<'_>, Arc<Semaphore>) {
        let mut lanes = self.lanes();
        let new = || Inside { permits: Arc::new(Semaphore::new(self.abreast)), count: 0 };
        let inside = lanes.entry(lane.clone()).or_insert_with(new);
        inside.count += 1;
        (Queue { lanes: self, lane }, Arc::clone(&inside.permits))
    }

    /// How many are in a lane.
    fn count(&self, lane: &Lane) -> usize {
        self.lanes().get(lane).map_or(0, |inside| inside.count)
    }

    fn lanes(&self) -> MutexGuard<'_, BTreeMap<Lane, Inside>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Queue<'_> {
    fn drop(&mut self) {
        let mut lanes = self.lanes.lanes();
        let Some(inside) = lanes.get_mut(&self.lane) else { return };
        inside.count -= 1;
        if inside.count == 0 {
            lanes.remove(&self.lane);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    const A: Lane = Lane::Stream(Stream(1));
    const B: Lane = Lane::Nobody;

    fn passes<T>(waiting: impl Future<Output = T>) -> Option<T> {
        match pin!(waiting).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(passage) => Some(passage),
            Poll::Pending => None,
        }
    }

    #[test]
    fn one_caller_does_not_keep_another_waiting() {
        let turnstile = Turnstile::new();
        let first: Vec<_> = (0..limits::CALLS_PER_CALLER)
            .map(|_| passes(turnstile.pass(A, 1)).map(Result::unwrap))
            .collect();
        assert!(first.iter().all(Option::is_some));
        assert!(passes(turnstile.pass(A, 1)).map(Result::unwrap).is_none());
        assert!(passes(turnstile.pass(B, 1)).map(Result::unwrap).is_some());
        drop(first);
        assert!(passes(turnstile.pass(A, 1)).map(Result::unwrap).is_some());
        assert!(turnstile.callers.lanes().is_empty(), "nothing is kept of those who are through");
    }

    #[test]
    fn nothing_is_kept_of_those_who_give_up_waiting() {
        let turnstile = Turnstile::new();
        let largest = passes(turnstile.pass(A, usize::MAX)).map(Result::unwrap);
        assert!(
            passes(turnstile.pass(B, 1)).map(Result::unwrap).is_none(),
            "it waited for bytes, and is dropped"
        );
        assert!(!turnstile.callers.lanes().contains_key(&B));
        drop(largest);

        let full: Vec<_> = (0..limits::CALLS_PER_CALLER)
            .map(|_| passes(turnstile.pass(A, 1)).map(Result::unwrap))
            .collect();
        let mut waiting = Box::pin(turnstile.pass(A, 1));
        let polled = waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending(), "it waits for its lane");
        drop(full);
        drop(waiting);
        assert!(turnstile.callers.lanes().is_empty());
    }

    #[test]
    fn the_bytes_of_all_are_bounded_and_the_largest_call_passes_alone() {
        let turnstile = Turnstile::new();
        let largest = passes(turnstile.pass(A, usize::MAX)).map(Result::unwrap);
        assert!(largest.is_some());
        assert!(passes(turnstile.pass(B, 1)).map(Result::unwrap).is_none());
        drop(largest);
        assert!(passes(turnstile.pass(B, 1)).map(Result::unwrap).is_some());
    }

    #[test]
    fn one_caller_does_not_hold_all_places_of_large_calls() {
        let turnstile = Turnstile::new();
        let slow: Vec<_> =
            (0..limits::CALLS_LARGE_PER_CALLER).map(|_| passes(turnstile.read_large(B))).collect();
        assert!(slow.iter().all(Option::is_some));
        assert!(passes(turnstile.read_large(B)).is_none());
        assert!(passes(turnstile.read_large(Lane::Principal("fw".to_owned()))).is_some());
    }

    #[test]
    fn beyond_so_many_that_wait_in_its_lane_a_call_is_told_to_try_again_and_others_are_not() {
        let turnstile = Turnstile::new();
        let mut waiting: Vec<_> =
            (0..limits::CALLS_WAITING_PER_CALLER).map(|_| Box::pin(turnstile.pass(A, 1))).collect();
        let mut context = Context::from_waker(Waker::noop());
        let mut passed: Vec<_> =
            waiting.iter_mut().map(|one| one.as_mut().poll(&mut context)).collect();
        let refused = passes(turnstile.pass(A, 1)).unwrap();
        assert_eq!(refused.unwrap_err().status, 503);
        assert!(passes(turnstile.pass(B, 1)).is_some_and(|passage| passage.is_ok()));
        assert_eq!(turnstile.callers.count(&A), limits::CALLS_WAITING_PER_CALLER);
        passed.truncate(limits::CALLS_PER_CALLER);
        assert!(passed.iter().all(std::task::Poll::is_ready));
        drop((waiting, passed));
        assert_eq!(turnstile.callers.count(&A), 0);
    }

    #[test]
    fn beyond_so_many_calls_that_wait_the_next_is_told_to_try_again() {
        let turnstile = Turnstile::new();
        let waiting: Vec<_> = (0..limits::CALLS_WHOLE).map(|_| turnstile.admit()).collect();
        assert!(waiting.iter().all(Result::is_ok));
        assert_eq!(turnstile.admit().unwrap_err().status, 503);
        drop(waiting);
        assert!(turnstile.admit().is_ok());
    }
}

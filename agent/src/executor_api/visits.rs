//! The connections to the executor API. On most of them something is due from their peers, for a
//! bounded time; and when there is no place for another one, whoever has let the agent wait for
//! longest has to go. So nobody who only holds connections keeps executors out.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

/// All connections at one time.
#[derive(Debug)]
pub(super) struct Visits {
    /// How many there may be.
    most: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    present: usize,
    newest: u64,
    /// Those of which something is due, the longest wait first.
    waiting: BTreeMap<u64, Weak<Visit>>,
}

/// One connection. It counts for as long as anything of it is there.
#[derive(Debug)]
pub(super) struct Visit {
    visits: Arc<Visits>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Where it waits.
    ticket: Option<u64>,
    deadline: Option<Instant>,
    /// Requests that it has made.
    requests: u64,
    is_cut: bool,
}

/// One request of a connection: what is said about one that others have followed counts no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn(u64);

impl Visits {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, inner: Mutex::default() })
    }

    /// A new connection, of which a request is due within this time; `None` when there is no place
    /// for it.
    pub(super) fn begin(self: &Arc<Self>, time: Duration) -> Option<Arc<Visit>> {
        if self.inner().present >= self.most && !self.make_room() {
            return None;
        }
        self.inner().present += 1;
        let (state, changed) = (Mutex::default(), Notify::new());
        let visit = Arc::new(Visit { visits: Arc::clone(self), state, changed });
        visit.waits(time);
        Some(visit)
    }

    /// Ends the connection of which something has been due for longest; says whether there is one.
    pub(super) fn make_room(&self) -> bool {
        loop {
            let Some((_, longest)) = self.inner().waiting.pop_first() else { return false };
            if let Some(longest) = longest.upgrade() {
                longest.cut();
                return true;
            }
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Visit {
    /// A request has come: nothing is due from the peer until somebody says so.
    pub(super) fn serve(&self) -> Turn {
        let mut state = self.state();
        state.requests += 1;
        let turn = Turn(state.requests);
        drop(state);
        self.serve_on();
        turn
    }

    /// Nothing is due from the peer any more.
    pub(super) fn serve_on(&self) {
        let mut inner = self.visits.inner();
        let mut state = self.state();
        state.deadline = None;
        if let Some(ticket) = state.ticket.take() {
            inner.waiting.remove(&ticket);
        }
    }

    /// Something is due from the peer within this time: else the connection ends.
    pub(super) fn waits(self: &Arc<Self>, time: Duration) {
        let mut inner = self.visits.inner();
        let mut state = self.state();
        if let Some(ticket) = state.ticket.take() {
            inner.waiting.remove(&ticket);
        }
        inner.newest += 1;
        let ticket = inner.newest;
        inner.waiting.insert(ticket, Arc::downgrade(self));
        state.ticket = Some(ticket);
        state.deadline = Some(Instant::now() + time);
        drop(state);
        self.changed.notify_one();
    }

    /// The same, if no other request has come since this one.
    pub(super) fn waits_after(self: &Arc<Self>, turn: Turn, time: Duration) {
        if self.state().requests == turn.0 {
            self.waits(time);
        }
    }

    fn cut(&self) {
        self.state().is_cut = true;
        self.changed.notify_one();
    }

    /// Returns when the connection must end.
    pub(super) async fn ended(&self) {
        loop {
            let (is_cut, deadline) = {
                let state = self.state();
                (state.is_cut, state.deadline)
            };
            if is_cut {
                return;
            }
            let late = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.changed.notified() => {}
                () = late => {
                    // What was due may have come a moment ago.
                    if self.state().deadline == deadline {
                        return;
                    }
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut inner = self.visits.inner();
        inner.present -= 1;
        if let Some(ticket) = self.state().ticket {
            inner.waiting.remove(&ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const TIME: Duration = Duration::from_secs(10);

    async fn has_ended(visit: &Visit) -> bool {
        timeout(Duration::ZERO, visit.ended()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_due_is_waited_for_so_long_and_no_longer() {
        let visits = Visits::new(8);
        let visit = visits.begin(TIME).unwrap();
        let began = Instant::now();
        visit.ended().await;
        assert_eq!(began.elapsed(), TIME);
        let visit = visits.begin(TIME).unwrap();
        let turn = visit.serve();
        assert!(timeout(TIME * 100, visit.ended()).await.is_err(), "nothing is due");
        visit.waits_after(turn, TIME);
        assert!(timeout(TIME, visit.ended()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_places_are_taken_the_longest_wait_has_an_end() {
        let visits = Visits::new(3);
        let busy = visits.begin(TIME).unwrap();
        busy.serve();
        let first = visits.begin(TIME).unwrap();
        let second = visits.begin(TIME).unwrap();
        // It has made a request meanwhile, so that the other one is idle for longer.
        let turn = first.serve();
        first.waits_after(turn, TIME);
        let third = visits.begin(TIME).unwrap();
        assert!(has_ended(&second).await && !has_ended(&first).await && !has_ended(&busy).await);
        drop(second);
        for visit in [&first, &third] {
            visit.serve();
        }
        assert!(visits.begin(TIME).is_none(), "nothing is due from any of them");
        drop(third);
        assert!(visits.begin(TIME).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_said_of_a_former_request_counts_no_more() {
        let visit = Visits::new(1).begin(TIME).unwrap();
        let former = visit.serve();
        visit.serve();
        visit.waits_after(former, TIME);
        assert!(timeout(TIME * 100, visit.ended()).await.is_err());
    }
}

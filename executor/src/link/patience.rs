//! How long an agent is dialled that does not answer, or refuses.

use std::time::Duration;

use hyper::StatusCode;
use muster_api::{Mono, Span, limits};

/// How long an agent may say that it does not know this executor, or refuse its calls again and again.
/// One that was just restarted may not have read all of its records.
const REFUSED_MAX: Duration = Duration::from_secs(30);

/// Why the agent is dialled no more, before it ever took the subscription or because it does not any
/// longer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GivenUp {
    #[error("the agent at `{agent}` refuses this executor with status {status}")]
    Refused { agent: String, status: StatusCode },
    #[error(
        "the agent at `{agent}` has not taken the subscription of this executor within {after}"
    )]
    Unanswered { agent: String, after: Span },
}

/// What one attempt to speak with the agent came to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    /// Whether the agent took the subscription.
    pub(super) subscribed: bool,
    /// The status with which it refused, if it did: the subscription, or a call after it.
    pub(super) refusal: Option<StatusCode>,
    /// Whether it could not even be reached.
    pub(super) unreachable: bool,
    /// Whether something else ends this executor when its agent stays away: a lease, which the
    /// supervisor of our agents holds.
    pub(super) leased: bool,
}

/// What is to be done after an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Dial again.
    Dial,
    /// The agent is gone with all that it knew: end all tasks, and the executor with them.
    End,
    /// It makes no sense to dial again.
    GiveUp(GivenUp),
}

/// How long the agent is dialled again.
#[derive(Debug)]
pub(super) struct Patience {
    agent: String,
    /// How long tasks go on without their agent; without that they end with its connection.
    recovery: Option<Duration>,
    begun: Mono,
    /// Since when there is no connection, after there was one.
    lost_since: Option<Mono>,
    refused_since: Option<Mono>,
    /// When the attempt before this one was over.
    tried: Mono,
}

impl Patience {
    pub(super) fn new(agent: String, recovery: Option<Duration>, now: Mono) -> Self {
        Self { agent, recovery, begun: now, lost_since: None, refused_since: None, tried: now }
    }

    /// What follows from an attempt that is over.
    pub(super) fn after(&mut self, now: Mono, attempt: Attempt) -> Next {
        let lasted = now.since(std::mem::replace(&mut self.tried, now));
        if attempt.subscribed {
            self.lost_since = Some(now);
            // A subscription that soon ends with a refused call changes nothing: the same call would
            // be refused after the next one, without end.
            if attempt.refusal.is_none() || lasted >= REFUSED_MAX {
                self.refused_since = None;
            }
        }
        match attempt.refusal {
            Some(status) => {
                let since = *self.refused_since.get_or_insert(now);
                if now.since(since) >= REFUSED_MAX {
                    let agent = self.agent.clone();
                    return Next::GiveUp(GivenUp::Refused { agent, status });
                }
            }
            // While an agent restarts, it cannot be reached in between.
            None if attempt.unreachable => {}
            None => self.refused_since = None,
        }
        match self.lost_since {
            Some(_) if attempt.leased => Next::Dial,
            Some(since) => match self.recovery {
                Some(recovery) if now.since(since) < recovery => Next::Dial,
                _ => Next::End,
            },
            None => {
                let longest = self.recovery.unwrap_or(limits::EXECUTOR_REGISTRATION);
                if now.since(self.begun) < longest {
                    return Next::Dial;
                }
                let after = Span::from_secs(longest.as_secs());
                Next::GiveUp(GivenUp::Unanswered { agent: self.agent.clone(), after })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECOVERY: Option<Duration> = Some(Duration::from_secs(900));
    const NOTHING: Attempt =
        Attempt { subscribed: false, refusal: None, unreachable: true, leased: false };
    const SUBSCRIBED: Attempt = Attempt { subscribed: true, unreachable: false, ..NOTHING };
    const REFUSED: Attempt =
        Attempt { refusal: Some(StatusCode::BAD_REQUEST), unreachable: false, ..NOTHING };
    const BUSY: Attempt = Attempt { unreachable: false, ..NOTHING };

    const fn at(seconds: u64) -> Mono {
        Mono::from_millis(seconds * 1000)
    }

    fn patience(recovery: Option<Duration>) -> Patience {
        Patience::new("a".to_owned(), recovery, at(100))
    }

    #[test]
    fn without_checkpoints_the_tasks_end_with_the_connection() {
        assert_eq!(patience(None).after(at(101), SUBSCRIBED), Next::End);
    }

    #[test]
    fn with_checkpoints_the_agent_has_its_time_to_come_back() {
        let mut patience = patience(RECOVERY);
        assert_eq!(patience.after(at(200), SUBSCRIBED), Next::Dial);
        assert_eq!(patience.after(at(1_099), NOTHING), Next::Dial);
        assert_eq!(patience.after(at(1_100), NOTHING), Next::End);
        // It counts anew from each connection.
        let mut patience = self::patience(RECOVERY);
        assert_eq!(patience.after(at(200), SUBSCRIBED), Next::Dial);
        assert_eq!(patience.after(at(1_000), SUBSCRIBED), Next::Dial);
        assert_eq!(patience.after(at(1_899), NOTHING), Next::Dial);
        assert_eq!(patience.after(at(1_900), NOTHING), Next::End);
    }

    #[test]
    fn where_there_is_a_lease_nothing_else_counts() {
        for recovery in [None, RECOVERY] {
            let mut patience = patience(recovery);
            let leased = |attempt| Attempt { leased: true, ..attempt };
            assert_eq!(patience.after(at(101), leased(SUBSCRIBED)), Next::Dial);
            assert_eq!(patience.after(at(1_000_000), leased(NOTHING)), Next::Dial);
        }
    }

    #[test]
    fn an_agent_that_never_answers_is_given_up() {
        for (recovery, after) in [(None, 60), (RECOVERY, 900)] {
            let mut patience = patience(recovery);
            assert_eq!(patience.after(at(100 + after - 1), NOTHING), Next::Dial);
            let next = patience.after(at(100 + after), NOTHING);
            let after = Span::from_secs(after);
            assert_eq!(next, Next::GiveUp(GivenUp::Unanswered { agent: "a".to_owned(), after }));
        }
    }

    #[test]
    fn a_refusal_counts_when_it_lasts() {
        let refused = || {
            let status = StatusCode::BAD_REQUEST;
            Next::GiveUp(GivenUp::Refused { agent: "a".to_owned(), status })
        };
        let mut patience = patience(RECOVERY);
        assert_eq!(patience.after(at(101), REFUSED), Next::Dial);
        assert_eq!(patience.after(at(120), NOTHING), Next::Dial, "it restarts once more");
        assert_eq!(patience.after(at(130), REFUSED), Next::Dial);
        assert_eq!(patience.after(at(131), REFUSED), refused());
        for between in [BUSY, SUBSCRIBED] {
            let mut patience = self::patience(RECOVERY);
            assert_eq!(patience.after(at(101), REFUSED), Next::Dial);
            assert_eq!(patience.after(at(120), between), Next::Dial);
            assert_eq!(patience.after(at(131), REFUSED), Next::Dial, "it counts anew");
        }
    }

    #[test]
    fn a_call_that_is_refused_after_each_subscription_counts_as_a_refusal() {
        let refused = Attempt { subscribed: true, ..REFUSED };
        let mut patience = patience(RECOVERY);
        for second in 101..131 {
            assert_eq!(patience.after(at(second), refused), Next::Dial, "after {second} s");
        }
        assert!(matches!(patience.after(at(131), refused), Next::GiveUp(GivenUp::Refused { .. })));
        // Once in a long while is no such thing.
        let mut patience = self::patience(RECOVERY);
        for hour in 1..5 {
            assert_eq!(patience.after(at(100 + hour * 3600), refused), Next::Dial);
        }
    }
}

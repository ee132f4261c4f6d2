//! What reaches the link, and what it wants done.

use std::fmt;

use muster_api::TaskId;
use muster_proto::scheduler::{self, Call};

use super::MasterAddress;

/// One try to subscribe, and all that follows of it; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt(pub u64);

/// One call beside SUBSCRIBE; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallNumber(pub u64);

/// How a master has answered a request, unless it has with a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The status of HTTP.
    pub status: u16,
    /// Where it sends us instead.
    pub location: Option<String>,
    /// Its words.
    pub body: String,
}

/// What became of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    Answered(Answer),
    /// Not a byte of it has left.
    NotSent {
        /// Why.
        why: String,
    },
    /// It may have arrived or not.
    Unknown {
        /// Why.
        why: String,
    },
}

/// What happens to the link.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "moved once, by value, and never kept")]
pub enum Event {
    /// The master has answered SUBSCRIBE with a stream.
    Opened {
        /// Which try.
        attempt: Attempt,
        /// The `Mesos-Stream-Id`, if it gave one.
        stream_id: Option<String>,
    },
    /// The master has answered SUBSCRIBE with something else.
    Refused {
        /// Which try.
        attempt: Attempt,
        /// What.
        answer: Answer,
    },
    /// An event has come by the stream.
    Heard {
        /// Of which try.
        attempt: Attempt,
        /// The event.
        event: scheduler::Event,
    },
    /// There is no stream, or none any more.
    Closed {
        /// Of which try.
        attempt: Attempt,
        /// Why.
        why: String,
    },
    /// A call is over.
    Called {
        /// Of which try.
        attempt: Attempt,
        /// Which.
        number: CallNumber,
        /// What became of it.
        outcome: Outcome,
    },
    /// The time that [`Link::next_wakeup`](super::Link::next_wakeup) asked for has come.
    Tick,
}

/// What is to be done, once what led to it is durable.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "moved once, by value, and never kept")]
pub enum Effect {
    /// Connect to a master and subscribe there.
    Subscribe {
        /// The number of this try.
        attempt: Attempt,
        /// Which master.
        master: MasterAddress,
        /// The call.
        call: Call,
    },
    /// Send a call, after those before it.
    Call {
        /// To whom that try has led.
        attempt: Attempt,
        /// Its number.
        number: CallNumber,
        /// The stream that it belongs to.
        stream_id: Option<String>,
        /// The call.
        call: Call,
    },
    /// Give up a try: end its stream and what is under way.
    Leave(Attempt),
    /// End this scheduler: it must not go on.
    Stop {
        /// Why, and what to do.
        why: String,
    },
}

/// What the link has for the engine, in order.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "moved once, by value, and never kept")]
pub enum Heard {
    /// The master says something.
    Event(scheduler::Event),
    /// The subscription is over.
    Broken,
    /// The master has removed our framework: its id is of no use any more, and what it has is
    /// being killed.
    Removed,
    /// Tasks whose launch has certainly not reached the master.
    NotLaunched {
        /// Which.
        tasks: Vec<TaskId>,
        /// Why.
        why: String,
    },
}

/// What an operator may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// There is a subscription.
    Subscribed {
        /// With which master.
        master: MasterAddress,
        /// Under which id.
        framework: String,
    },
    /// The subscription has ended, or none came to be.
    Broken {
        /// With which master.
        master: MasterAddress,
        /// Why.
        why: String,
    },
    /// Another master leads.
    Redirected {
        /// Who says so.
        from: MasterAddress,
        /// Which.
        to: MasterAddress,
    },
    /// The master does not know who we are, or that we may.
    Unauthorized {
        /// Which.
        master: MasterAddress,
        /// Its words.
        words: String,
    },
    /// The master does not take our subscription.
    Refused {
        /// Which.
        master: MasterAddress,
        /// Its words.
        words: String,
    },
    /// The master has removed our framework; another subscription follows.
    Removed,
    /// A call was refused.
    CallRefused {
        /// Its type.
        call: String,
        /// By what answer.
        words: String,
    },
}

/// What one event led to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Step {
    /// What is to be done, in order.
    pub effects: Vec<Effect>,
    /// What the engine is to be told, in order.
    pub heard: Vec<Heard>,
    /// What an operator may want to know.
    pub notes: Vec<Note>,
}

impl Answer {
    /// As people read it.
    pub(super) fn words(&self) -> String {
        match self.body.trim() {
            "" => format!("it answered {}", self.status),
            body => format!("it answered {}: {body}", self.status),
        }
    }
}

impl Step {
    /// Does what is in another one after this.
    pub(super) fn append(&mut self, other: Self) {
        self.effects.extend(other.effects);
        self.heard.extend(other.heard);
        self.notes.extend(other.notes);
    }

    /// These tasks were certainly not launched, if there are any.
    pub(super) fn not_launched(&mut self, tasks: Vec<TaskId>, why: String) {
        if !tasks.is_empty() {
            self.heard.push(Heard::NotLaunched { tasks, why });
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subscribed { master, framework } => {
                write!(f, "subscribed with the master at {master} as framework {framework}")
            }
            Self::Broken { master, why } => {
                write!(f, "no subscription with the master at {master}: {why}")
            }
            Self::Redirected { from, to } => {
                write!(f, "the master at {from} says that the one at {to} leads")
            }
            Self::Unauthorized { master, words } => write!(
                f,
                "the master at {master} does not let this scheduler in ({words}); see to \
                 --mesos-principal, --mesos-secret-file and --mesos-role"
            ),
            Self::Refused { master, words } => {
                write!(f, "the master at {master} refuses the subscription: {words}")
            }
            Self::Removed => f.write_str(
                "the master has removed this framework and ends its tasks; they count as perhaps \
                 alive for the wait of unreachable hosts, and the scheduler subscribes anew",
            ),
            Self::CallRefused { call, words } => {
                write!(f, "the master has refused a call of type {call}: {words}")
            }
        }
    }
}

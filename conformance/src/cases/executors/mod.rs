//! Custom executors under an agent.

mod answers;
mod ends;
mod environment;
mod groups;
mod messages;
mod statuses;
mod subscriptions;

use crate::case::Case;

/// The tables, in their order.
pub(super) fn tables() -> Vec<&'static [Case]> {
    vec![
        environment::CASES,
        answers::CASES,
        subscriptions::CASES,
        statuses::CASES,
        messages::CASES,
        groups::CASES,
        ends::CASES,
    ]
}

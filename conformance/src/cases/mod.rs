//! The cases, by subject. What each holds is what a real Mesos was seen to do, or what its sources
//! say it does; never what ours does.

mod calls;
pub(crate) mod commands;
mod credentials;
mod executors;
mod failover;
mod http;
mod launches;
mod mapping;
mod offers;
mod reconciliation;
mod refusals;
mod sharing;
mod subscriptions;
mod updates;

use crate::case::Case;

/// All cases, in the order of the table.
pub fn all() -> Vec<Case> {
    let scheduler_side = [
        http::CASES,
        mapping::CASES,
        subscriptions::CASES,
        calls::CASES,
        credentials::CASES,
        offers::CASES,
        refusals::CASES,
        sharing::CASES,
        launches::CASES,
        commands::CASES,
        updates::CASES,
        reconciliation::CASES,
        failover::CASES,
    ];
    let executor_side = executors::tables();
    scheduler_side.into_iter().chain(executor_side).flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_say_their_subject() {
        let mut seen = BTreeSet::new();
        for case in all() {
            assert!(seen.insert(case.name), "{} is there twice", case.name);
            assert_eq!(case.name.split('/').count(), 2, "{}", case.name);
        }
        let of_executors = seen.iter().filter(|name| name.starts_with("executor/")).count();
        assert!(of_executors >= 25 && seen.len() - of_executors >= 60, "{}", seen.len());
    }
}

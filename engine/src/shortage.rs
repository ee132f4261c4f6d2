//! What is short on a host, and how that is said.

use muster_api::{Amount, Resources};

use crate::{
    placement::Amounts,
    world::{Agent, World},
};

/// How short a host is of what something needs: the least is the best host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shortage {
    /// Whether it has too little even when it is empty: what it lacks never comes.
    for_ever: bool,
    /// How many dimensions are short.
    dimensions: usize,
    /// By how much in all, in thousandths.
    sum: u64,
}

impl Shortage {
    /// What is short on a host of `need`, which is `amounts` in placement's numbers. One that offers
    /// nothing because it was given back is short of what it was then.
    pub(crate) fn of(world: &World, need: &Resources, amounts: &Amounts, agent: &Agent) -> Self {
        let last = agent.offered_last().map(|last| world.offered.known_amounts(last).0);
        let free: &[u64] = match (&last, agent.room) {
            (Some(last), _) => last,
            (None, Some(room)) => &world.offered.rooms.get(room).free,
            (None, None) => &[],
        };
        let short = amounts.iter().enumerate().filter_map(|(dimension, amount)| {
            let free = free.get(dimension).copied().unwrap_or(0);
            amount.checked_sub(free).filter(|short| *short > 0)
        });
        let (dimensions, sum) = short.fold((0, 0), |(n, sum), short| (n + 1, sum + short));
        let for_ever = agent.total.as_ref().is_some_and(|total| !total.covers(need));
        Self { for_ever, dimensions, sum }
    }

    /// With what no host has ever had: so many dimensions, and so much of them.
    pub(crate) fn and(self, (dimensions, sum): (usize, u64)) -> Self {
        Self { dimensions: self.dimensions + dimensions, sum: self.sum + sum, ..self }
    }

    /// Whether nothing is short.
    pub(crate) fn is_none(self) -> bool {
        self.dimensions == 0
    }
}

/// What of a need is not there.
pub(crate) fn missing(need: &Resources, free: &Resources) -> Resources {
    let short = need.iter().filter_map(|(name, amount)| {
        let short = amount.thousandths().checked_sub(free.get(name).thousandths())?;
        (short > 0).then(|| (name.to_owned(), Amount::from_thousandths(short)))
    });
    short.collect()
}

/// What is short, in words.
pub(crate) fn shortage_words(need: &Resources, free: &Resources) -> String {
    let short = missing(need, free);
    let words = short.iter().map(|(name, short)| {
        let (amount, has) = (need.get(name), free.get(name));
        let short = amount_in_words(name, short);
        format!("is short of {short} ({amount} needed, {has} free)")
    });
    words.collect::<Vec<_>>().join(" and ")
}

/// Resources as people say them: `2 cpus and 256 MiB mem`.
pub(crate) fn in_words(resources: &Resources) -> String {
    let words: Vec<_> =
        resources.iter().map(|(name, amount)| amount_in_words(name, amount)).collect();
    match words.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => words.concat(),
    }
}

fn amount_in_words(name: &str, amount: Amount) -> String {
    match name {
        "mem" | "disk" => format!("{amount} MiB {name}"),
        "cpus" if amount == Amount::from_thousandths(1_000) => format!("{amount} cpu"),
        _ => format!("{amount} {name}"),
    }
}

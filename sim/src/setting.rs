//! What a world is like, before anything happens in it: its hosts, and what its users do.

use std::{collections::BTreeMap, num::NonZeroU32};

use crate::stage::Stage;

/// A resource that only some hosts have.
pub(crate) const LICENCES: &str = "licences";
/// Hosts of worlds with daemon jobs: wherever the tasks of those are, they fit.
const CPUS_FOR_DAEMONS: u64 = 3;
/// The fewest tasks that a limit allows: all daemon jobs of a world have fewer.
const TASKS_MIN: u64 = 8;

/// What a world is like.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) hosts: Vec<HostFacts>,
    /// Some jobs are daemons.
    pub(crate) daemons: bool,
    /// Some jobs want certain hosts only.
    pub(crate) constraints: bool,
    /// Operators drain hosts.
    pub(crate) draining: bool,
    /// Operators end single tasks.
    pub(crate) killing: bool,
    /// How many tasks may be there at once, in all.
    pub(crate) tasks: Option<NonZeroU32>,
    /// How many of the app, if its document says so.
    pub(crate) tasks_of_app: u32,
}

/// What a host is like.
#[derive(Debug)]
pub(crate) struct HostFacts {
    pub(crate) cpus: u64,
    pub(crate) licences: u64,
    pub(crate) attributes: BTreeMap<String, String>,
}

impl HostFacts {
    /// How many tasks fit there beside one executor: each takes a quarter, and so does that.
    fn room(&self) -> u64 {
        4 * self.cpus - 1
    }

    /// The rack that it is in.
    pub(crate) fn rack(&self) -> &str {
        self.attributes.get("rack").map_or("", String::as_str)
    }
}

impl Setting {
    pub(crate) fn draw(stage: &mut Stage) -> Self {
        let hosts = stage.between(1, 4);
        let daemons = stage.percent(50);
        let hosts: Vec<HostFacts> = (0..hosts)
            .map(|_| {
                let cpus = stage.between(1, 3);
                let rack = format!("r{}", stage.between(0, 1));
                let mut attributes = BTreeMap::from([("rack".to_owned(), rack)]);
                if stage.percent(50) {
                    attributes.insert("ssd".to_owned(), "true".to_owned());
                }
                let cpus = if daemons { CPUS_FOR_DAEMONS } else { cpus };
                let licences = if stage.percent(40) { stage.between(1, 3) } else { 0 };
                HostFacts { cpus, licences, attributes }
            })
            .collect();
        let mut limit = |chance| {
            let limit = stage.between(TASKS_MIN, 2 * TASKS_MIN);
            stage.percent(chance).then(|| u32::try_from(limit).unwrap_or(u32::MAX))
        };
        let tasks = limit(20).and_then(NonZeroU32::new);
        let tasks_of_app = limit(20).unwrap_or(0);
        Self {
            hosts,
            daemons,
            constraints: stage.percent(30),
            draining: stage.percent(40),
            killing: stage.percent(50),
            tasks,
            tasks_of_app,
        }
    }

    /// How many tasks fit onto the hosts that are meant, if nothing else is there and each needs this
    /// many licences.
    pub(crate) fn room(&self, licences: u64, is_meant: impl Fn(&HostFacts) -> bool) -> u64 {
        let meant = self.hosts.iter().filter(|host| is_meant(host));
        let room = |host: &HostFacts| match host.licences.checked_div(licences) {
            None => host.room(),
            Some(most) => host.room().min(most),
        };
        let fit: u64 = meant.map(room).sum();
        let limits = self.tasks.map(NonZeroU32::get).into_iter();
        let limits = limits.chain((self.tasks_of_app > 0).then_some(self.tasks_of_app));
        limits.map(u64::from).fold(fit, u64::min)
    }
}

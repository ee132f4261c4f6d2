//! What a world is like, before anything happens in it: its hosts, and what its users do.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use crate::stage::Stage;

/// A resource that only some hosts have.
pub(crate) const LICENCES: &str = "licences";
/// Hosts of worlds with daemon jobs: wherever the tasks of those are, they fit.
const CPUS_FOR_DAEMONS: u64 = 3;
/// The fewest tasks that a limit allows. All daemon jobs of a world have fewer than the larger one; where
/// there are none, a lower limit is met more often.
const TASKS_MIN: u64 = 4;
const TASKS_MIN_BESIDE_DAEMONS: u64 = 8;

/// Of so many worlds one has its hosts at a master that is not the scheduler's own.
const FOREIGN: u64 = 4;
/// Of so many worlds one has a framework beside the scheduler; and so has each fourth foreign one.
const SHARED: u64 = 4;
/// That master, and another one of its cluster, which never leads.
pub(crate) const LEADER: &str = "leader";
pub(crate) const STANDBY: &str = "standby";

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
    /// The hosts are those of another master.
    pub(crate) foreign: Option<ForeignFacts>,
    /// Another framework is beside the scheduler.
    pub(crate) guest: bool,
}

/// What the scheduler is told of a master that is not its own.
#[derive(Debug, Clone)]
pub(crate) struct ForeignFacts {
    /// Where it is, as users write it.
    pub(crate) masters: String,
    /// How long a task counts as perhaps alive of which nobody can say whether it lives.
    pub(crate) unreachable_wait: Duration,
}

impl ForeignFacts {
    fn draw(stage: &mut Stage) -> Self {
        let masters = match stage.between(0, 2) {
            0 => format!("http://{LEADER}:5050"),
            1 => format!("http://{LEADER}:5050,{STANDBY}:5050"),
            _ => format!("http://{STANDBY}:5050,{LEADER}:5050"),
        };
        let unreachable_wait = Duration::from_secs(stage.between(30, 180));
        Self { masters, unreachable_wait }
    }
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
    pub(crate) fn draw(stage: &mut Stage, seed: u64) -> Self {
        let foreign = seed.is_multiple_of(FOREIGN).then(|| ForeignFacts::draw(stage));
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
        let fewest = if daemons { TASKS_MIN_BESIDE_DAEMONS } else { TASKS_MIN };
        let mut limit = |chance| {
            let limit = stage.between(fewest, 2 * fewest);
            stage.percent(chance).then(|| u32::try_from(limit).unwrap_or(u32::MAX))
        };
        let tasks = limit(20).and_then(NonZeroU32::new);
        let tasks_of_app = limit(20).unwrap_or(0);
        Self {
            hosts,
            daemons,
            constraints: stage.percent(30),
            // Whoever operates another master has orders of their own.
            draining: stage.percent(40) && foreign.is_none(),
            killing: stage.percent(50),
            tasks,
            tasks_of_app,
            foreign,
            guest: seed % SHARED == 2 || seed % (4 * FOREIGN) == FOREIGN,
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

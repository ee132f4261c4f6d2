//! How many tasks may run at one time: of one app, and of all.
//!
//! Who is at a limit is not tried. What waits for it is parked in the queue until a task of its app
//! ends, or the limit changes; nothing is counted but by what begins and ends.

use std::{collections::BTreeMap, num::NonZeroU32};

use muster_api::{AppUid, spec::AppSpec};

use crate::{queue::Limited, world::World};

/// The tasks that are not over, by app, and how many there may be.
#[derive(Debug, Default)]
pub(crate) struct Running {
    of_app: BTreeMap<AppUid, u32>,
    /// How many tasks there may be in all.
    most: Option<NonZeroU32>,
}

impl Running {
    /// How many tasks of an app are not over.
    pub(crate) fn of_app(&self, app: AppUid) -> u32 {
        self.of_app.get(&app).copied().unwrap_or(0)
    }

    /// A task of an app is there.
    pub(crate) fn begins(&mut self, app: AppUid) {
        *self.of_app.entry(app).or_default() += 1;
    }

    fn ends(&mut self, app: AppUid) {
        if let Some(count) = self.of_app.get_mut(&app) {
            *count -= 1;
            if *count == 0 {
                self.of_app.remove(&app);
            }
        }
    }
}

/// A limit that is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    /// Whose it is.
    pub(crate) whose: Limited,
    /// How many tasks there may be.
    pub(crate) most: u32,
}

impl World {
    /// How many tasks of all apps may run, where that is limited.
    pub(crate) fn limit_of_all(&self) -> Option<u32> {
        self.running.most.map(NonZeroU32::get)
    }

    /// How many tasks of an app may run, where that is limited, as its newest document says.
    pub(crate) fn limit_of_app(&self, app: &AppSpec) -> Option<u32> {
        self.apps.get(&app.name).map(|app| app.spec.max_tasks).filter(|most| *most != 0)
    }

    /// How many more tasks may start, of any app.
    pub(crate) fn tasks_left(&self) -> usize {
        let most = self.running.most.map_or(usize::MAX, |most| most.get() as usize);
        most.saturating_sub(self.tasks.len())
    }

    /// How many more tasks of an app may start. Its newest document says so, whatever revision runs.
    pub(crate) fn tasks_left_of(&self, app: &AppSpec, uid: AppUid) -> usize {
        let newest = self.apps.get(&app.name).map_or(0, |app| app.spec.max_tasks);
        let of_app = match newest {
            0 => usize::MAX,
            most => most.saturating_sub(self.running.of_app(uid)) as usize,
        };
        of_app.min(self.tasks_left())
    }

    /// The limit that keeps `count` tasks of an app from starting at once, if one does.
    pub(crate) fn limit_for(&self, app: &AppSpec, uid: AppUid, count: usize) -> Option<Limit> {
        if self.tasks_left() < count {
            return self.running.most.map(|most| Limit { whose: Limited::All, most: most.get() });
        }
        let most = self.apps.get(&app.name).map_or(0, |app| app.spec.max_tasks);
        let whose = Limited::App(uid.as_uuid().as_u128());
        (self.tasks_left_of(app, uid) < count).then_some(Limit { whose, most })
    }

    /// Has another number of tasks run in all.
    pub(crate) fn limit_tasks(&mut self, most: Option<NonZeroU32>) {
        self.running.most = most;
        self.queue.unpark(Limited::All);
    }

    /// A task of an app is over: one that waits for that may start.
    pub(crate) fn task_ends(&mut self, app: AppUid) {
        self.running.ends(app);
        self.queue.unpark(Limited::App(app.as_uuid().as_u128()));
        self.queue.unpark(Limited::All);
    }
}

//! The runs that wait for room, in the order in which they are served, and which of them sleep.
//!
//! Runs whose shards need the same stand in one line: where the first of them has no room, none of
//! them has. Then the line sleeps, however long it is, until an agent has more than before and may
//! take one of its shards. So what does not fit costs nothing while nothing changes, and a small
//! offer wakes only the lines that it may serve.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use muster_api::{JobName, RunId, Timestamp};

use crate::placement::{Growth, Rooms, SetId, Shape, Version};

/// The place of a run in the queue: priority, planned time, name, id.
pub(crate) type Place = (Reverse<u8>, Timestamp, JobName, RunId);

/// What decides whether a run fits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Need {
    /// What each shard needs. It comes first: lines that need little are first.
    pub(crate) shape: Arc<Shape>,
    /// How many shards must fit at once, when all must.
    pub(crate) together: Option<u32>,
}

/// Runs that need the same.
#[derive(Debug, Default)]
struct Line {
    places: BTreeSet<Place>,
    asleep: bool,
    /// The run that was the first when it fell asleep last.
    blocked: Option<RunId>,
    /// Only what has changed since may let one of them fit, when that is known.
    since: Option<Version>,
}

/// Whose tasks are as many as may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Limited {
    /// Those of all apps.
    All,
    /// Those of one.
    App(u128),
}

/// Runs at their turn with shards that wait for room.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// The line of each run. None for one that needs what no agent has ever had.
    runs: BTreeMap<RunId, Option<Need>>,
    lines: BTreeMap<Need, Line>,
    /// The lines to be tried, by their first place.
    awake: BTreeMap<Place, Need>,
    asleep: BTreeSet<Need>,
    /// The same lines, by their first place.
    dozing: BTreeMap<Place, Need>,
    /// Up to this place runs may be placed where others may not.
    preferred: Option<Place>,
    /// The lines that are at a limit of tasks, by whose it is: no room helps them.
    parked: BTreeMap<Limited, BTreeSet<Need>>,
    /// The runs without a line.
    stranded: BTreeSet<Place>,
    /// The changes of rooms that all lines know of.
    seen: Version,
}

impl Queue {
    /// How many runs wait here.
    pub(crate) fn len(&self) -> usize {
        self.runs.len()
    }

    /// Whether a run waits here.
    pub(crate) fn contains(&self, run: &RunId) -> bool {
        self.runs.contains_key(run)
    }

    /// Whether a run stands in a line of shards that have executors of their own.
    pub(crate) fn is_alone(&self, run: &RunId) -> bool {
        let need = self.runs.get(run).and_then(Option::as_ref);
        need.is_some_and(|need| need.shape.alone)
    }

    /// Whether the line of a run is to be tried.
    pub(crate) fn is_to_be_tried(&self, run: &RunId) -> bool {
        let need = self.runs.get(run).and_then(Option::as_ref);
        need.and_then(|need| self.lines.get(need)).is_some_and(|line| !line.asleep)
    }

    /// Whether there is a line to be tried.
    pub(crate) fn is_awake(&self) -> bool {
        !self.awake.is_empty()
    }

    /// Whether an offer could let a run start: one waits, and not because of a limit.
    pub(crate) fn wants_room(&self) -> bool {
        !self.awake.is_empty() || !self.asleep.is_empty() || !self.stranded.is_empty()
    }

    /// Puts a run into the line of what it needs; whether that is to be tried. It sleeps with that
    /// line: a further run cannot fit where those before it did not.
    pub(crate) fn enter(&mut self, place: Place, need: Option<Need>) -> bool {
        self.runs.insert(place.3, need.clone());
        let Some(need) = need else {
            self.stranded.insert(place);
            return false;
        };
        let line = self.lines.entry(need.clone()).or_default();
        let former = line.places.first().cloned();
        let first = former.as_ref().is_none_or(|former| place < *former);
        line.places.insert(place.clone());
        let asleep = line.asleep;
        if !first {
            return !asleep;
        }
        let index = match asleep {
            false => &mut self.awake,
            true if self.asleep.contains(&need) => &mut self.dozing,
            true => return false,
        };
        former.map(|former| index.remove(&former));
        let preferred = self.preferred.as_ref().is_some_and(|preferred| place <= *preferred);
        index.insert(place, need.clone());
        if preferred && self.asleep.contains(&need) {
            // It may find room where those that sleep with it may not look.
            self.wake_line(&need, None);
            return true;
        }
        !asleep
    }

    /// Takes a run out.
    pub(crate) fn leave(&mut self, place: &Place) {
        let Some(need) = self.runs.remove(&place.3) else { return };
        let Some(need) = need else {
            self.stranded.remove(place);
            return;
        };
        self.awake.remove(place);
        self.dozing.remove(place);
        let Some(line) = self.lines.get_mut(&need) else { return };
        line.places.remove(place);
        match line.places.first().cloned() {
            None => {
                self.lines.remove(&need);
                self.asleep.remove(&need);
                self.forget_parked(&need);
            }
            Some(next) if !line.asleep => {
                self.awake.insert(next, need);
            }
            Some(next) if self.asleep.contains(&need) => {
                self.dozing.insert(next, need);
            }
            Some(_) => {}
        }
    }

    /// The place of the first run of those that found no room.
    pub(crate) fn first_asleep(&self) -> Option<&Place> {
        self.dozing.first_key_value().map(|(place, _)| place)
    }

    /// The first run of each line that found no room, in order, with what it needs.
    pub(crate) fn asleep_in_order(&self) -> impl Iterator<Item = (&Place, &Need)> {
        self.dozing.iter()
    }

    /// Has runs up to this place be placed where others may not, so that those that sleep are tried
    /// again.
    pub(crate) fn prefer(&mut self, preferred: Option<Place>) {
        self.preferred = preferred;
        let Some(last) = &self.preferred else { return };
        let before = self.dozing.range(..=last).map(|(_, need)| need.clone());
        for need in before.collect::<Vec<_>>() {
            self.wake_line(&need, None);
        }
    }

    /// The first run that is to be tried, what it needs, and since when only changes may help it.
    pub(crate) fn first(&self) -> Option<(RunId, Need, Option<Version>)> {
        let (place, need) = self.awake.first_key_value()?;
        Some((place.3, need.clone(), self.lines.get(need)?.since))
    }

    /// Lets a line sleep whose first run was tried and has no room, as of a version of the rooms.
    /// Whether that is news: another run was the first when it fell asleep before.
    pub(crate) fn sleep(&mut self, need: &Need, version: Version) -> bool {
        let Some(line) = self.lines.get_mut(need) else { return false };
        line.asleep = true;
        // There may be room for some of those that must start at once.
        line.since = need.together.is_none().then_some(version);
        let first = line.places.first().inspect(|first| drop(self.awake.remove(first)));
        if let Some(first) = first {
            self.dozing.insert(first.clone(), need.clone());
        }
        let first = first.map(|first| first.3);
        self.asleep.insert(need.clone());
        std::mem::replace(&mut line.blocked, first) != first
    }

    /// Lets a line sleep that is at a limit, until [`Queue::unpark`]. Whether that is news, as for
    /// [`Queue::sleep`].
    pub(crate) fn park(&mut self, need: &Need, limited: Limited) -> bool {
        let Some(line) = self.lines.get_mut(need) else { return false };
        line.asleep = true;
        let first = line.places.first().inspect(|first| drop(self.awake.remove(first)));
        let first = first.map(|first| first.3);
        self.parked.entry(limited).or_default().insert(need.clone());
        std::mem::replace(&mut line.blocked, first) != first
    }

    /// Wakes the lines that were at a limit.
    pub(crate) fn unpark(&mut self, limited: Limited) {
        for need in self.parked.remove(&limited).unwrap_or_default() {
            // Whatever changed while it was parked was not looked at.
            self.wake_line(&need, None);
        }
    }

    fn forget_parked(&mut self, need: &Need) {
        for limited in [Limited::All, Limited::App(need.shape.kind.app)] {
            if let Some(parked) = self.parked.get_mut(&limited) {
                parked.remove(need);
                if parked.is_empty() {
                    self.parked.remove(&limited);
                }
            }
        }
    }

    /// Wakes the lines that may fit now, for what has changed of the rooms.
    pub(crate) fn wake(&mut self, rooms: &Rooms) {
        if self.seen == rooms.version() {
            return;
        }
        let growth = rooms.growth_since(self.seen);
        let since = std::mem::replace(&mut self.seen, rooms.version());
        if !growth.is_none() && !self.asleep.is_empty() {
            for need in self.that_may_fit(&growth) {
                self.wake_line(&need, Some(since));
            }
        }
    }

    fn that_may_fit(&self, growth: &Growth) -> Vec<Need> {
        // Sleeping lines are sorted by what they need of the first dimension.
        let need = |need: &&Need| need.shape.need.first().copied().unwrap_or(0);
        let small = self.asleep.iter().take_while(|line| need(line) <= growth.most_of_first());
        small.filter(|need| growth.may_fit(&need.shape)).cloned().collect()
    }

    /// The runs that need what no agent has ever had.
    pub(crate) fn stranded(&self) -> Vec<RunId> {
        self.stranded.iter().map(|place| place.3).collect()
    }

    /// The runs that wait for room for executors of an app.
    pub(crate) fn of_app(&self, app: u128) -> Vec<RunId> {
        let lines = self.lines.iter().filter(|(need, _)| need.shape.kind.app == app);
        let places = lines.flat_map(|(_, line)| &line.places).chain(&self.stranded);
        places.map(|place| place.3).collect()
    }

    /// The sets of constraints of those that wait.
    pub(crate) fn sets(&self) -> BTreeSet<SetId> {
        self.lines.keys().map(|need| need.shape.set).collect()
    }

    /// Every run, with what it needs.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Place, Option<&Need>)> {
        let lines = self.lines.iter();
        let lines = lines.flat_map(|(need, line)| line.places.iter().map(move |p| (p, Some(need))));
        lines.chain(self.stranded.iter().map(|place| (place, None)))
    }

    /// The first run of each line that sleeps.
    pub(crate) fn sleepers(&self) -> impl Iterator<Item = (RunId, &Need)> {
        let first = |need: &Need| self.lines.get(need).and_then(|line| line.places.first());
        self.asleep.iter().filter_map(move |need| Some((first(need)?.3, need)))
    }

    fn wake_line(&mut self, need: &Need, since: Option<Version>) {
        self.asleep.remove(need);
        let Some(line) = self.lines.get_mut(need) else { return };
        line.asleep = false;
        line.since = line.since.and(since);
        if let Some(first) = line.places.first() {
            self.dozing.remove(first);
            self.awake.insert(first.clone(), need.clone());
        }
    }
}

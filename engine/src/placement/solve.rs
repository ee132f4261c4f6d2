//! First come, first served: each class in its order takes the best agent for each shard.
//!
//! Best means: not the one to be avoided, then the host with the fewest shards of the run (when
//! it is spread), then one where the executor lives already, then the one with room for the fewest
//! further shards of the class (tightest fit), then the lowest index. Total, bounded and
//! deterministic: equal problems have equal solutions.

use std::collections::{BTreeMap, BTreeSet};

use super::problem::{Amounts, Class, Placed, Problem, Room, Solution, Unplaced};

/// How good an agent is for the next shard of a class; the least is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    avoided: bool,
    on_host: u32,
    cold: bool,
    /// How many further shards of the class fit after this one.
    room_after: u64,
    agent: u32,
}

/// Places as many shards as fit.
pub(crate) fn solve(problem: &Problem) -> Solution {
    let mut rooms = problem.rooms.clone();
    let mut left = problem.limit;
    let mut hopeless: Vec<&Class> = Vec::new();
    let mut classes = Vec::with_capacity(problem.classes.len());
    for class in &problem.classes {
        let placed = if hopeless.iter().any(|failed| needs_at_least(class, failed)) {
            Placed { rooms: Vec::new(), unplaced: Some(Unplaced::NoRoom) }
        } else {
            place(&mut rooms, class, left)
        };
        left -= placed.rooms.len().min(left);
        if placed.unplaced == Some(Unplaced::NoRoom) && !class.all_at_once {
            hopeless.push(class);
        }
        classes.push(placed);
    }
    Solution { classes }
}

/// Whether `class` cannot fit anywhere that `failed` did not fit: rooms only shrink, and warm
/// agents only help shards of the same executor.
fn needs_at_least(class: &Class, failed: &Class) -> bool {
    let covers = |a: &Amounts, b: &Amounts| a.iter().zip(b).all(|(a, b)| a >= b);
    class.executor == failed.executor
        && covers(&class.need, &failed.need)
        && covers(&class.overhead, &failed.overhead)
}

fn place(rooms: &mut [Room], class: &Class, limit: usize) -> Placed {
    if limit == 0 || class.all_at_once && class.count > limit {
        return Placed { rooms: Vec::new(), unplaced: Some(Unplaced::Later) };
    }
    let mut search = Search::new(rooms, class);
    let mut chosen = Vec::new();
    let mut undo: Vec<(u32, Room)> = Vec::new();
    let mut unplaced = None;
    while chosen.len() < class.count {
        if chosen.len() >= limit {
            unplaced = Some(Unplaced::Later);
            break;
        }
        let Some(agent) = search.best() else {
            unplaced = Some(Unplaced::NoRoom);
            break;
        };
        if class.all_at_once {
            undo.push((agent, search.rooms[agent as usize].clone()));
        }
        search.take(agent);
        chosen.push(agent);
    }
    if class.all_at_once && unplaced.is_some() {
        for (agent, before) in undo.into_iter().rev() {
            rooms[agent as usize] = before;
        }
        chosen.clear();
    }
    Placed { rooms: chosen, unplaced }
}

/// The agents that can take one more shard of a class, best first.
struct Search<'a> {
    rooms: &'a mut [Room],
    class: &'a Class,
    scores: BTreeSet<Score>,
    /// The scores by agent, to find and replace them.
    current: BTreeMap<u32, Score>,
    on_host: BTreeMap<u32, u32>,
    /// The agents of each host, when shards are spread over hosts.
    hosts: BTreeMap<u32, Vec<u32>>,
}

impl<'a> Search<'a> {
    fn new(rooms: &'a mut [Room], class: &'a Class) -> Self {
        let mut hosts: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        if class.spread.is_some() {
            for (agent, room) in (0u32..).zip(rooms.iter()) {
                hosts.entry(room.host).or_default().push(agent);
            }
        }
        let on_host = class.spread.clone().unwrap_or_default();
        let agents = 0..u32::try_from(rooms.len()).unwrap_or(u32::MAX);
        let (scores, current) = (BTreeSet::new(), BTreeMap::new());
        let mut search = Self { rooms, class, scores, current, on_host, hosts };
        for agent in agents {
            search.rate(agent);
        }
        search
    }

    fn best(&self) -> Option<u32> {
        self.scores.first().map(|score| score.agent)
    }

    /// Puts a shard on an agent.
    fn take(&mut self, agent: u32) {
        let room = &mut self.rooms[agent as usize];
        let cold = room.warm.insert(self.class.executor);
        subtract(&mut room.free, &self.class.need);
        if cold {
            subtract(&mut room.free, &self.class.overhead);
        }
        let host = room.host;
        if self.class.spread.is_some() {
            *self.on_host.entry(host).or_default() += 1;
            for neighbour in self.hosts.get(&host).cloned().unwrap_or_default() {
                self.rate(neighbour);
            }
        } else {
            self.rate(agent);
        }
    }

    /// Finds out how good an agent is now.
    fn rate(&mut self, agent: u32) {
        if let Some(before) = self.current.remove(&agent) {
            self.scores.remove(&before);
        }
        let room = &self.rooms[agent as usize];
        let cold = !room.warm.contains(&self.class.executor);
        if let Some(fits) = fits(room, self.class, cold) {
            let on_host = match self.class.spread {
                Some(_) => self.on_host.get(&room.host).copied().unwrap_or(0),
                None => 0,
            };
            let avoided = self.class.avoid == Some(agent);
            let score = Score { avoided, on_host, cold, room_after: fits - 1, agent };
            self.scores.insert(score);
            self.current.insert(agent, score);
        }
    }
}

fn subtract(free: &mut Amounts, need: &Amounts) {
    for (free, need) in free.iter_mut().zip(need) {
        *free -= need;
    }
}

/// How many shards of a class fit, if any.
fn fits(room: &Room, class: &Class, cold: bool) -> Option<u64> {
    let mut count = u64::MAX;
    for (dimension, free) in room.free.iter().enumerate() {
        let overhead = if cold { class.overhead[dimension] } else { 0 };
        let left = free.checked_sub(overhead)?;
        if let Some(n) = left.checked_div(class.need[dimension]) {
            count = count.min(n);
        }
    }
    (count > 0).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(free: [u64; 2], host: u32, warm: &[u32]) -> Room {
        Room { free: free.to_vec(), host, warm: warm.iter().copied().collect() }
    }

    fn class(need: [u64; 2], count: usize) -> Class {
        Class { need: need.to_vec(), overhead: vec![10, 10], count, ..Class::default() }
    }

    fn rooms_of(rooms: Vec<Room>, classes: Vec<Class>) -> Vec<Vec<u32>> {
        let solution = solve(&Problem { rooms, classes, limit: 1000 });
        solution.classes.into_iter().map(|placed| placed.rooms).collect()
    }

    #[test]
    fn overhead_is_charged_once_per_executor() {
        // 10 for the executor and 30 for each of three shards is just 100.
        let rooms = vec![room([100, 100], 0, &[])];
        assert_eq!(rooms_of(rooms, vec![class([30, 30], 4)]), [vec![0, 0, 0]]);
    }

    #[test]
    fn two_apps_pay_each_their_own_overhead() {
        let other = Class { executor: 1, ..class([30, 30], 1) };
        let rooms = vec![room([79, 79], 0, &[])];
        assert_eq!(rooms_of(rooms, vec![class([30, 30], 1), other]), [vec![0], vec![]]);
    }

    #[test]
    fn warm_goes_before_tight_and_tight_before_roomy() {
        let rooms =
            vec![room([500, 500], 0, &[]), room([100, 100], 1, &[]), room([900, 900], 2, &[0])];
        assert_eq!(rooms_of(rooms.clone(), vec![class([30, 30], 1)]), [vec![2]]);
        let cold = Class { executor: 7, ..class([30, 30], 4) };
        assert_eq!(rooms_of(rooms, vec![cold]), [vec![1, 1, 1, 0]]);
    }

    #[test]
    fn spread_goes_before_warm_and_counts_hosts_not_agents() {
        let spread = Class { spread: Some(BTreeMap::new()), ..class([30, 30], 4) };
        let rooms =
            vec![room([500, 500], 0, &[0]), room([500, 500], 0, &[]), room([500, 500], 1, &[])];
        assert_eq!(rooms_of(rooms, vec![spread]), [vec![0, 2, 0, 2]]);
    }

    #[test]
    fn all_at_once_takes_nothing_when_not_all_fit() {
        let all = Class { all_at_once: true, ..class([30, 30], 4) };
        let rooms = vec![room([100, 100], 0, &[])];
        // What it would have taken is there for the next class.
        assert_eq!(
            rooms_of(rooms, vec![all, class([30, 30], 3)]),
            [Vec::<u32>::new(), vec![0, 0, 0]]
        );
    }

    #[test]
    fn the_avoided_agent_is_taken_last_but_taken() {
        let avoiding = Class { avoid: Some(0), ..class([30, 30], 3) };
        let rooms = vec![room([500, 500], 0, &[0]), room([70, 70], 1, &[])];
        assert_eq!(rooms_of(rooms, vec![avoiding]), [vec![1, 1, 0]]);
    }

    #[test]
    fn the_bound_of_a_round_is_kept() {
        let problem = Problem {
            rooms: vec![room([1000, 1000], 0, &[])],
            classes: vec![class([10, 10], 5), class([10, 10], 5)],
            limit: 7,
        };
        let solution = solve(&problem);
        assert_eq!(solution.classes[0].rooms.len(), 5);
        assert_eq!(solution.classes[1].rooms.len(), 2);
        assert_eq!(solution.classes[1].unplaced, Some(Unplaced::Later));
    }
}

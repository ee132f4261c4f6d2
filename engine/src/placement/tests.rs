//! The rules of placement, and that lazy orders give what looking at every room gives.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;

use super::{
    Bits, Class, Kind, Placed, Room, Rooms, SetId, Shape, Spreading, Unplaced, Version,
    search::Score,
};

fn kind(app: u128) -> Kind {
    Kind { app, revision: 1 }
}

fn room(free: [u64; 2], host: u32, warm: &[u128]) -> Room {
    let warm = warm.iter().map(|app| kind(*app)).collect();
    Room { free: free.to_vec(), attributes: on_host(host), warm, ..Room::default() }
}

/// The attribute that names the host.
const HOST: u32 = 1;

fn on_host(host: u32) -> BTreeMap<u32, u32> {
    BTreeMap::from([(HOST, host + 1)])
}

fn spread_over(over: u32) -> Option<Spreading> {
    Some(Spreading { over, there: BTreeMap::new() })
}

fn shape(need: [u64; 2], app: u128) -> Arc<Shape> {
    let (need, overhead) = (need.to_vec(), vec![10, 10]);
    Arc::new(Shape { need, overhead, kind: kind(app), ..Shape::default() })
}

fn class(need: [u64; 2], count: usize) -> Class {
    Class { shape: shape(need, 0), count, ..Class::default() }
}

fn rooms_of(rooms: Vec<Room>, classes: &[Class]) -> Vec<Vec<u32>> {
    let mut all = Rooms::default();
    for room in rooms {
        all.add(room);
    }
    classes.iter().map(|class| all.place(class, 1000).rooms).collect()
}

#[test]
fn overhead_is_charged_once_per_executor() {
    // 10 for the executor and 30 for each of three shards is just 100.
    let rooms = vec![room([100, 100], 0, &[])];
    assert_eq!(rooms_of(rooms, &[class([30, 30], 4)]), [vec![0, 0, 0]]);
}

#[test]
fn two_apps_pay_each_their_own_overhead() {
    let other = Class { shape: shape([30, 30], 1), ..class([30, 30], 1) };
    let rooms = vec![room([79, 79], 0, &[])];
    assert_eq!(rooms_of(rooms, &[class([30, 30], 1), other]), [vec![0], vec![]]);
}

#[test]
fn warm_goes_before_tight_and_tight_before_roomy() {
    let rooms = vec![room([500, 500], 0, &[]), room([100, 100], 1, &[]), room([900, 900], 2, &[0])];
    assert_eq!(rooms_of(rooms.clone(), &[class([30, 30], 1)]), [vec![2]]);
    let cold = Class { shape: shape([30, 30], 7), ..class([30, 30], 4) };
    assert_eq!(rooms_of(rooms, &[cold]), [vec![1, 1, 1, 0]]);
}

#[test]
fn spread_goes_before_warm_and_counts_hosts_not_agents() {
    let spread = Class { spread: spread_over(HOST), ..class([30, 30], 4) };
    let rooms = vec![room([500, 500], 0, &[0]), room([500, 500], 0, &[]), room([500, 500], 1, &[])];
    assert_eq!(rooms_of(rooms, &[spread]), [vec![0, 2, 0, 2]]);
}

#[test]
fn spread_is_as_even_over_the_values_of_an_attribute_as_room_allows() {
    const RACK: u32 = 2;
    let in_rack = |number: u32, rack: Option<u32>, free: u64| {
        let mut room = room([free, free], number, &[]);
        room.attributes.extend(rack.map(|rack| (RACK, rack)));
        room
    };
    // Two racks, the second of one host with room for two, and a host that is in none.
    let rooms = vec![
        in_rack(0, Some(1), 500),
        in_rack(1, Some(1), 500),
        in_rack(2, Some(2), 70),
        in_rack(3, None, 500),
    ];
    let class = Class { spread: spread_over(RACK), ..class([30, 30], 9) };
    let placed = rooms_of(rooms.clone(), std::slice::from_ref(&class));
    assert_eq!(placed, [vec![2, 0, 3, 2, 0, 3, 0, 3, 0]]);
    // Shards that are there already count.
    let there = BTreeMap::from([(1, 2), (0, 1)]);
    let later = Spreading { over: RACK, there };
    let class = Class { spread: Some(later), count: 3, ..class };
    assert_eq!(rooms_of(rooms, &[class]), [vec![2, 2, 3]]);
}

#[test]
fn only_rooms_that_a_set_allows_are_taken_warm_or_tight_as_others_may_be() {
    let allowed = |mut room: Room, sets: &[u32]| {
        room.allowed_by = sets.iter().copied().collect();
        room
    };
    let rooms = vec![
        allowed(room([70, 70], 0, &[0]), &[]),
        allowed(room([900, 900], 1, &[]), &[1]),
        allowed(room([500, 500], 2, &[]), &[1, 2]),
    ];
    let of_set = |set: u32, count: usize| {
        let shape = Shape { set: SetId(set), ..(*shape([30, 30], 0)).clone() };
        Class { shape: Arc::new(shape), ..class([30, 30], count) }
    };
    assert_eq!(rooms_of(rooms.clone(), &[of_set(1, 1), of_set(0, 1)]), [vec![2], vec![0]]);
    let all = Class { all_at_once: true, ..of_set(2, 20) };
    let placed = rooms_of(rooms, &[all, of_set(2, 17), of_set(3, 1)]);
    assert_eq!(placed, [vec![], vec![2; 16], vec![]]);
}

/// Shards that have executors of their own: what they need is what both need.
fn alone(count: usize) -> Class {
    let shape = Shape { need: vec![40, 40], kind: kind(0), alone: true, ..Shape::default() };
    Class { shape: Arc::new(shape), count, ..Class::default() }
}

#[test]
fn an_executor_of_its_own_is_paid_each_time_and_is_nobody_elses() {
    let rooms = vec![room([120, 120], 0, &[]), room([100, 100], 1, &[0])];
    // 40 for each, also where an executor lives; the one that lives there is used by others.
    let placed = rooms_of(rooms, &[alone(6), class([30, 30], 1), class([20, 20], 1)]);
    assert_eq!(placed, [vec![1, 1, 0, 0, 0], vec![], vec![1]]);
}

#[test]
fn all_at_once_takes_nothing_when_not_all_fit() {
    let all = Class { all_at_once: true, ..class([30, 30], 4) };
    let rooms = vec![room([100, 100], 0, &[])];
    // What it would have taken is there for the next class.
    assert_eq!(rooms_of(rooms, &[all, class([30, 30], 3)]), [Vec::<u32>::new(), vec![0, 0, 0]]);
}

#[test]
fn the_avoided_room_is_taken_last_but_taken() {
    let avoiding = Class { avoid: Some(0), ..class([30, 30], 3) };
    let rooms = vec![room([500, 500], 0, &[0]), room([70, 70], 1, &[])];
    assert_eq!(rooms_of(rooms, &[avoiding]), [vec![1, 1, 0]]);
}

#[test]
fn the_bound_of_a_round_is_kept() {
    let mut rooms = Rooms::default();
    rooms.add(room([1000, 1000], 0, &[]));
    let placed = rooms.place(&class([10, 10], 5), 2);
    assert_eq!((placed.rooms, placed.unplaced), (vec![0, 0], Some(Unplaced::Later)));
    let all = Class { all_at_once: true, ..class([10, 10], 5) };
    assert_eq!(rooms.place(&all, 4).unplaced, Some(Unplaced::Later));
    assert_eq!(rooms.place(&all, 5).rooms.len(), 5);
    assert_eq!(rooms.place(&class([10, 10], 0), 0), Placed::default());
}

#[test]
fn a_room_without_offers_takes_nothing() {
    let nothing = Class { shape: Arc::default(), count: 1, ..Class::default() };
    assert_eq!(rooms_of(vec![Room::default()], &[nothing]), [Vec::<u32>::new()]);
}

/// What placement is, without any index: every shard looks at every room.
fn place_naively(rooms: &mut [Room], class: &Class, limit: usize) -> Placed {
    if class.count > 0 && (limit == 0 || class.all_at_once && class.count > limit) {
        return Placed { unplaced: Some(Unplaced::Later), ..Placed::default() };
    }
    let before = rooms.to_vec();
    let over = class.spread.as_ref().map(|spread| spread.over);
    let mut there = class.spread.clone().unwrap_or_default().there;
    let mut placed = Placed::default();
    while placed.rooms.len() < class.count {
        if placed.rooms.len() == limit {
            placed.unplaced = Some(Unplaced::Later);
            break;
        }
        let scores = (0..).zip(rooms.iter()).filter_map(|(number, room)| {
            let cold = class.shape.alone || !room.warm.contains(&class.shape.kind);
            let fits = fits_naively(room, &class.shape, class.through);
            (fits > 0).then(|| Score {
                avoided: class.avoid == Some(number),
                beside: over.map_or(0, |over| there.get(&room.value(over)).copied().unwrap_or(0)),
                cold,
                room_after: fits - 1,
                room: number,
            })
        });
        let Some(best) = scores.min() else {
            placed.unplaced = Some(Unplaced::NoRoom);
            break;
        };
        take_naively(&mut rooms[best.room as usize], &class.shape);
        if let Some(over) = over {
            *there.entry(rooms[best.room as usize].value(over)).or_default() += 1;
        }
        placed.rooms.push(best.room);
        placed.chosen.push(best.chosen(class));
    }
    if class.all_at_once && placed.unplaced.is_some() {
        rooms.clone_from_slice(&before);
        (placed.rooms, placed.chosen) = (Vec::new(), Vec::new());
    }
    placed
}

fn take_naively(room: &mut Room, shape: &Shape) {
    let cold = shape.alone || room.warm.insert(shape.kind);
    for (at, free) in room.free.iter_mut().enumerate() {
        *free -= shape.need[at] + if cold { shape.overhead[at] } else { 0 };
    }
}

/// How many shards can be taken one after the other, up to more than any test asks for.
fn fits_naively(room: &Room, shape: &Shape, through: bool) -> u64 {
    if room.held && !through || shape.set.0 > 0 && !room.allowed_by.contains(shape.set.0) {
        return 0;
    }
    let mut room = room.clone();
    let fits = |room: &Room| {
        let cold = shape.alone || !room.warm.contains(&shape.kind);
        let needed = |at: usize| shape.need[at] + if cold { shape.overhead[at] } else { 0 };
        !room.free.is_empty() && (0..shape.need.len()).all(|at| room.free[at] >= needed(at))
    };
    let mut count = 0;
    while fits(&room) {
        take_naively(&mut room, shape);
        count += 1;
    }
    count
}

/// Something that happens to placement.
#[derive(Debug, Clone)]
enum Happens {
    Place(Class, usize),
    Room(u32, Room),
}

const ROOMS: u32 = 6;

fn some_room() -> impl Strategy<Value = Room> {
    let free = prop_oneof![
        1 => Just(Vec::new()),
        6 => prop::collection::vec(0u64..40, 2),
    ];
    let attributes = prop::collection::btree_map(1u32..3, 1u32..4, 0..3);
    let allowed_by = prop::collection::btree_set(1u32..4, 0..4);
    let allowed_by = allowed_by.prop_map(|sets| sets.into_iter().collect::<Bits>());
    let warm = prop::collection::btree_set((0u128..3).prop_map(kind), 0..3);
    (free, attributes, allowed_by, prop::bool::weighted(0.2), warm).prop_map(
        |(free, attributes, allowed_by, held, warm)| Room {
            free,
            attributes,
            allowed_by,
            held,
            warm,
        },
    )
}

fn some_class() -> impl Strategy<Value = Class> {
    let shape = (
        prop::sample::select(vec![[1, 1], [3, 5], [5, 3], [9, 0], [20, 20]]),
        prop::sample::select(vec![[0, 0], [4, 4], [0, 9]]),
        (0u128..3).prop_map(kind),
        prop::bool::weighted(0.3),
        prop_oneof![2 => Just(0u32), 1 => 1u32..5].prop_map(SetId),
    );
    let there = prop::collection::btree_map(0u32..4, 1u32..3, 0..3);
    let spread = (0u32..3, there).prop_map(|(over, there)| Spreading { over, there });
    let spread = prop::option::weighted(0.4, spread);
    let avoid = prop::option::weighted(0.3, 0..ROOMS);
    let (at_once, through) = (prop::bool::weighted(0.3), prop::bool::weighted(0.2));
    (shape, 0usize..8, at_once, through, spread, avoid).prop_map(
        |((need, overhead, kind, alone, set), count, all_at_once, through, spread, avoid)| Class {
            shape: Arc::new(Shape {
                need: need.to_vec(),
                // What has an executor of its own has that in its need.
                overhead: if alone { vec![0, 0] } else { overhead.to_vec() },
                kind,
                alone,
                set,
            }),
            count,
            all_at_once,
            through,
            spread,
            avoid,
            since: None,
        },
    )
}

fn some_history() -> impl Strategy<Value = Vec<Happens>> {
    let happens = prop_oneof![
        3 => (some_class(), 0usize..12).prop_map(|(class, limit)| Happens::Place(class, limit)),
        1 => (0..ROOMS, some_room()).prop_map(|(room, now)| Happens::Room(room, now)),
    ];
    prop::collection::vec(happens, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn orders_find_what_looking_at_every_room_finds(
        begin in prop::collection::vec(some_room(), ROOMS as usize),
        history in some_history(),
    ) {
        let mut naive = begin.clone();
        let mut rooms = Rooms::default();
        for room in begin {
            rooms.add(room);
        }
        // When the last class of a shape found no room.
        let mut full: BTreeMap<(Arc<Shape>, bool), Version> = BTreeMap::new();
        for happens in history {
            match happens {
                Happens::Room(number, now) => {
                    naive[number as usize] = now.clone();
                    rooms.set_free(number, now.free);
                    rooms.set_attributes(number, now.attributes, now.allowed_by);
                    rooms.set_held(number, now.held);
                    rooms.set_warm(number, now.warm);
                }
                Happens::Place(class, limit) => {
                    let since = full.remove(&(class.shape.clone(), class.through));
                    if let Some(since) = since {
                        let grown = rooms.growth_since(since).may_fit(&class.shape);
                        let fits = |room: &Room| fits_naively(room, &class.shape, class.through) > 0;
                        let fits = naive.iter().any(fits);
                        prop_assert!(grown || !fits, "{class:?} has room and sleeps");
                    }
                    let class = Class { since, ..class };
                    let expected = place_naively(&mut naive, &class, limit);
                    let placed = rooms.place(&class, limit);
                    prop_assert_eq!(&placed, &expected, "{:?}", class);
                    if placed.unplaced == Some(Unplaced::NoRoom) && !class.all_at_once {
                        full.insert((class.shape.clone(), class.through), rooms.version());
                    }
                }
            }
            for (number, room) in (0..).zip(&naive) {
                prop_assert_eq!(rooms.get(number), room);
            }
        }
    }

    /// What is taken is never more than there was, also where orders were dropped in between.
    #[test]
    fn many_shapes_share_the_rooms(
        begin in prop::collection::vec(some_room(), ROOMS as usize),
        needs in prop::collection::vec((1u64..9, 1u64..9, 0u128..200), 1..300),
    ) {
        let mut naive = begin.clone();
        let mut rooms = Rooms::default();
        for room in begin {
            rooms.add(room);
        }
        for (cpus, mem, app) in needs {
            let class = Class { shape: shape([cpus, mem], app), count: 1, ..Class::default() };
            let expected = place_naively(&mut naive, &class, 9);
            prop_assert_eq!(rooms.place(&class, 9), expected);
        }
    }
}

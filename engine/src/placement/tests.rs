//! The rules of placement, and that lazy orders give what looking at every room gives.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;

use super::{Class, Kind, Placed, Room, Rooms, Shape, Unplaced, Version, search::Score};

fn kind(app: u128) -> Kind {
    Kind { app, revision: 1 }
}

fn room(free: [u64; 2], host: u32, warm: &[u128]) -> Room {
    Room { free: free.to_vec(), host, warm: warm.iter().map(|app| kind(*app)).collect() }
}

fn shape(need: [u64; 2], app: u128) -> Arc<Shape> {
    Arc::new(Shape { need: need.to_vec(), overhead: vec![10, 10], kind: kind(app) })
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
    let spread = Class { spread: Some(BTreeMap::new()), ..class([30, 30], 4) };
    let rooms = vec![room([500, 500], 0, &[0]), room([500, 500], 0, &[]), room([500, 500], 1, &[])];
    assert_eq!(rooms_of(rooms, &[spread]), [vec![0, 2, 0, 2]]);
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
    assert_eq!(placed, Placed { rooms: vec![0, 0], unplaced: Some(Unplaced::Later) });
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
        return Placed { rooms: Vec::new(), unplaced: Some(Unplaced::Later) };
    }
    let before = rooms.to_vec();
    let mut on_host = class.spread.clone().unwrap_or_default();
    let mut placed = Placed::default();
    while placed.rooms.len() < class.count {
        if placed.rooms.len() == limit {
            placed.unplaced = Some(Unplaced::Later);
            break;
        }
        let scores = (0..).zip(rooms.iter()).filter_map(|(number, room)| {
            let cold = !room.warm.contains(&class.shape.kind);
            let fits = fits_naively(room, &class.shape);
            (fits > 0).then(|| Score {
                avoided: class.avoid == Some(number),
                on_host: on_host.get(&room.host).copied().unwrap_or(0),
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
        if class.spread.is_some() {
            *on_host.entry(rooms[best.room as usize].host).or_default() += 1;
        }
        placed.rooms.push(best.room);
    }
    if class.all_at_once && placed.unplaced.is_some() {
        rooms.clone_from_slice(&before);
        placed.rooms.clear();
    }
    placed
}

fn take_naively(room: &mut Room, shape: &Shape) {
    let cold = room.warm.insert(shape.kind);
    for (at, free) in room.free.iter_mut().enumerate() {
        *free -= shape.need[at] + if cold { shape.overhead[at] } else { 0 };
    }
}

/// How many shards can be taken one after the other, up to more than any test asks for.
fn fits_naively(room: &Room, shape: &Shape) -> u64 {
    let mut room = room.clone();
    let fits = |room: &Room| {
        let cold = !room.warm.contains(&shape.kind);
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
    (free, 0u32..4, prop::collection::btree_set((0u128..3).prop_map(kind), 0..3))
        .prop_map(|(free, host, warm)| Room { free, host, warm })
}

fn some_class() -> impl Strategy<Value = Class> {
    let shape = (
        prop::sample::select(vec![[1, 1], [3, 5], [5, 3], [9, 0], [20, 20]]),
        prop::sample::select(vec![[0, 0], [4, 4], [0, 9]]),
        (0u128..3).prop_map(kind),
    );
    let spread = prop::option::weighted(0.4, prop::collection::btree_map(0u32..4, 1u32..3, 0..3));
    let avoid = prop::option::weighted(0.3, 0..ROOMS);
    (shape, 0usize..8, prop::bool::weighted(0.3), spread, avoid).prop_map(
        |((need, overhead, kind), count, all_at_once, spread, avoid)| Class {
            shape: Arc::new(Shape { need: need.to_vec(), overhead: overhead.to_vec(), kind }),
            count,
            all_at_once,
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
        let mut full: BTreeMap<Arc<Shape>, Version> = BTreeMap::new();
        for happens in history {
            match happens {
                Happens::Room(number, now) => {
                    naive[number as usize] = now.clone();
                    rooms.set_free(number, now.free, now.host);
                    rooms.set_warm(number, now.warm);
                }
                Happens::Place(class, limit) => {
                    let since = full.remove(&class.shape);
                    if let Some(since) = since {
                        let grown = rooms.growth_since(since).may_fit(&class.shape);
                        let fits = naive.iter().any(|room| fits_naively(room, &class.shape) > 0);
                        prop_assert!(grown || !fits, "{class:?} has room and sleeps");
                    }
                    let class = Class { since, ..class };
                    let expected = place_naively(&mut naive, &class, limit);
                    let placed = rooms.place(&class, limit);
                    prop_assert_eq!(&placed, &expected, "{:?}", class);
                    if placed.unplaced == Some(Unplaced::NoRoom) && !class.all_at_once {
                        full.insert(class.shape.clone(), rooms.version());
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

//! Random plans: fires, runs of any length, downtimes, policies, changes and triggers, in step with
//! the model.

use std::time::Duration;

use muster_api::{schedule::jitter_offset, spec::MisfirePolicy};
use muster_engine::event::Event;
use proptest::prelude::*;
use serde_json::json;

use super::{
    model::Model,
    world::{WIDE, World},
};

#[derive(Debug, Clone, Copy)]
enum Action {
    Wait(u64),
    /// The scheduler is down for so many seconds.
    Down(u64),
    Offer,
    Finish,
    Trigger,
    Misfire(MisfirePolicy, u32, u64),
    Every(u64),
    Disable,
    Enable,
    Cancel(usize),
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let policy = prop_oneof![
        Just(MisfirePolicy::Skip),
        Just(MisfirePolicy::Coalesce),
        Just(MisfirePolicy::Replay),
    ];
    // Short graces, and such as are longer than all that a plan takes.
    let grace = prop_oneof![1u64..60, Just(1_000_000)];
    let action = prop_oneof![
        6 => (1u64..40).prop_map(Action::Wait),
        2 => (1u64..400).prop_map(Action::Down),
        4 => Just(Action::Offer),
        4 => Just(Action::Finish),
        1 => Just(Action::Trigger),
        3 => (policy, 1u32..6, grace).prop_map(|(p, cap, grace)| Action::Misfire(p, cap, grace)),
        1 => (1u64..20).prop_map(Action::Every),
        1 => Just(Action::Disable),
        2 => Just(Action::Enable),
        1 => (0usize..5).prop_map(Action::Cancel),
    ];
    prop::collection::vec(action, 1..60)
}

/// The engine and the model, side by side.
struct Pair {
    world: World,
    model: Model,
    misfire: (MisfirePolicy, u32, u64),
    every: u64,
    jitter: u64,
}

impl Pair {
    fn new(jitter: u64) -> Self {
        let world = World::new(WIDE);
        let every = 20;
        let model = Model::new(world.now.wall, Duration::from_secs(every));
        let misfire = (MisfirePolicy::Coalesce, 100, 7 * 24 * 3600);
        let mut pair = Self { world, model, misfire, every, jitter };
        pair.put();
        let spread = muster_api::Span::from_secs(jitter);
        pair.model.offset = jitter_offset(spread, pair.world.job("j").uid).duration();
        pair
    }

    fn put(&mut self) {
        let (policy, cap, grace) = self.misfire;
        let (every, jitter) = (format!("{}s", self.every), format!("{}s", self.jitter));
        let document = json!({
            "schedule": {"every": every, "jitter": jitter},
            "misfire": {"policy": policy, "cap": cap, "grace": format!("{grace}s")},
        });
        self.world.put_job("j", &document).unwrap();
    }

    fn tick(&mut self) {
        self.world.step(Event::Tick);
        self.stepped();
    }

    /// After each step of the engine the model takes one, and both must be the same.
    fn stepped(&mut self) {
        self.model.step(self.world.now.wall);
        self.world.started();
        let uid = self.world.job("j").uid;
        assert_eq!(self.world.ledger(&uid), self.model.ledger);
        let live = self.world.live_runs(&uid).into_values();
        let live: Vec<_> =
            live.map(|r| (r.planned_at, r.planned_until, r.fires.unwrap())).collect();
        assert_eq!(live, self.model.live());
    }

    fn act(&mut self, action: Action) {
        let now = self.world.now.wall;
        match action {
            Action::Wait(seconds) => {
                let until = now + Duration::from_secs(seconds);
                while let Some(at) = self.world.next_wakeup().filter(|at| *at <= until) {
                    self.world.wait(at.since(self.world.now.wall));
                    self.tick();
                }
                self.world.wait(until.since(self.world.now.wall));
            }
            Action::Down(seconds) => {
                self.world.wait(Duration::from_secs(seconds));
                self.world.restart();
                self.model.room = false;
                self.tick();
            }
            // The host has room for one task, and says so once.
            Action::Offer if self.world.task.is_none() && !self.model.room => {
                self.model.room = true;
                self.world.offer();
                self.stepped();
            }
            Action::Finish if self.world.task.is_some() => {
                self.model.finish();
                self.world.finish();
                self.stepped();
            }
            Action::Offer | Action::Finish => {}
            Action::Trigger => {
                self.model.trigger();
                let _ = self.world.trigger("j", None);
                self.stepped();
            }
            Action::Misfire(policy, cap, grace) => {
                self.misfire = (policy, cap, grace);
                self.model.set_misfire(policy, cap as usize, Duration::from_secs(grace));
                self.put();
                self.stepped();
            }
            Action::Every(seconds) => {
                if seconds != self.every {
                    self.every = seconds;
                    // Jitter is less than the period.
                    self.jitter = 0;
                    self.model.set_every(now, Duration::from_secs(seconds));
                    self.model.offset = Duration::ZERO;
                    self.put();
                    self.stepped();
                }
            }
            Action::Disable | Action::Enable => {
                let disable = matches!(action, Action::Disable);
                if disable {
                    self.model.disable(now);
                } else {
                    self.model.enable(now);
                }
                self.world.disable("j", disable);
                self.stepped();
            }
            Action::Cancel(which) => {
                if let Some(planned) = self.model.cancel(which) {
                    let uid = self.world.job("j").uid;
                    let run = self.world.live_runs(&uid)[&planned].id;
                    self.world.cancel(run);
                    self.stepped();
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]
    #[test]
    fn every_instant_has_the_outcome_of_the_table(plan in actions(), jitter in 0u64..20) {
        let mut pair = Pair::new(jitter);
        for action in plan {
            pair.act(action);
        }
        let uid = pair.world.job("j").uid;
        // What was counted is what is stored.
        let ledger = pair.world.ledger(&uid);
        let of = |wanted: fn(&super::world::Outcome) -> bool| {
            ledger.values().filter(|outcome| wanted(outcome)).count() as u64
        };
        use super::world::Outcome;
        let counted = pair.world.tally.fires;
        prop_assert_eq!(counted.ran, of(|o| *o == Outcome::Ran));
        prop_assert_eq!(counted.coalesced, of(|o| matches!(o, Outcome::Coalesced(_))));
        prop_assert_eq!(counted.skipped, of(|o| *o == Outcome::Skipped));
        prop_assert_eq!(counted.dropped, of(|o| *o == Outcome::Dropped));
        prop_assert_eq!(pair.world.tally.lateness.len() as u64, counted.ran);
    }
}

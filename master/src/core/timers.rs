//! What the passing of time brings: agents fall silent, filters and drains end, long answers go on.

use muster_api::Now;

use super::{event::Step, master::Master};

impl Master {
    pub(super) fn tick(&mut self, now: Now, step: &mut Step) {
        while self.watches.first().is_some_and(|(at, _)| *at <= now.mono) {
            if let Some((_, agent)) = self.watches.pop_first() {
                self.fall_silent(&agent, step);
            }
        }
        while self.expiries.first().is_some_and(|(at, ..)| *at <= now.mono) {
            if let Some((_, framework, agent)) = self.expiries.pop_first() {
                self.end_filters(now, &framework, &agent);
            }
        }
        while self.deadlines.first().is_some_and(|(at, _)| *at <= now.mono) {
            if let Some((_, agent)) = self.deadlines.pop_first() {
                self.evict_when_over(now, &agent, step);
            }
        }
        self.tick_naming(now, step);
    }
}

//! What the passing of time brings: agents fall silent and are lost, filters, offers, drains and the
//! patience with frameworks end, long answers go on.

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
            if let Some((_, framework, role, agent)) = self.expiries.pop_first() {
                self.end_filters(now, &framework, &role, &agent);
            }
        }
        while self.offer_ends.first().is_some_and(|(at, _)| *at <= now.mono) {
            if let Some((_, offer)) = self.offer_ends.pop_first() {
                self.end_offer(now, &offer, step);
            }
        }
        while self.failovers.first().is_some_and(|(at, _)| *at <= now.mono) {
            if let Some((_, framework)) = self.failovers.pop_first() {
                self.remove_framework(now, &framework, "it was away for too long", step);
            }
        }
        while self.losses.first().is_some_and(|(at, _)| *at <= now.mono) {
            if let Some((_, agent)) = self.losses.pop_first() {
                self.lose_agent(now, &agent, step);
            }
        }
        while self.deadlines.first().is_some_and(|(at, _)| *at <= now.mono) {
            if let Some((_, agent)) = self.deadlines.pop_first() {
                self.evict_when_over(now, &agent, step);
            }
        }
        self.tick_questions(now, step);
    }
}

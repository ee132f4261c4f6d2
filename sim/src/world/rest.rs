//! How a world comes to rest when its faults are over, and what must hold then.
//!
//! First daemon jobs must come to be as their documents say, whatever else goes on. Then they are
//! disabled, and everything must end.

use super::{Next, World};
use crate::{
    agent_node::AgentNode,
    guest_node::GuestNode,
    master_node::MasterNode,
    oracles::{self, Violation},
};

/// How often somebody looks whether daemon jobs are as they should be.
const LOOK_EVERY: u64 = 1_000;

impl World {
    /// How much is not over, when faults are.
    pub(super) fn calm_begins(&mut self) {
        let left = oracles::shards_left(&self.scheduler.store);
        self.patience.begin(self.stage.time(), left);
    }

    /// What there is to say of a world without faults after one of its happenings.
    pub(super) fn come_to_rest(&mut self) -> Next {
        if !self.users.have_retired_daemons() {
            self.look_at_daemons();
        }
        if let Some(master) = &mut self.master {
            master.remove_what_returns(&mut self.stage);
        }
        if self.is_at_rest() && self.charges().is_ok_and(|charges| charges) {
            return match self.judge_the_end() {
                Ok(()) => Next::AtRest,
                Err(violation) => Next::Broken(violation),
            };
        }
        let ended = self.stage.truth.ended();
        if self.patience.is_over(self.stage.time(), ended) {
            return Next::Broken(self.restless("after all that time"));
        }
        Next::GoesOn
    }

    /// Once daemon jobs are as they should be, they are disabled.
    fn look_at_daemons(&mut self) {
        if self.stage.time() < self.look_at || !self.users.are_content() {
            return;
        }
        self.look_at = self.stage.time() + LOOK_EVERY;
        if self.scheduler.is_up() && self.daemons_are_settled().is_ok() {
            self.stage.log(format_args!("daemon jobs are as they should be"));
            self.users.retire_daemons(&mut self.stage);
        }
    }

    fn daemons_are_settled(&self) -> Result<(), String> {
        oracles::daemons_are_settled(&self.stage.truth, &self.scheduler.store)
    }

    fn is_at_rest(&self) -> bool {
        self.users.have_retired_daemons()
            && self.users.are_content()
            && self.scheduler.is_up()
            && self.master.as_ref().is_none_or(MasterNode::is_up)
            && self.guest.as_ref().is_none_or(GuestNode::is_at_rest)
            && self.agents.iter().all(AgentNode::is_at_rest)
            && oracles::everything_converges(&self.scheduler.store, &[]).is_ok()
    }

    /// Whether the master has had its say about what is in use: nothing, or that is wrong. Asked
    /// once everything else is at rest; masters of agents that have just come back know last.
    fn charges(&mut self) -> Result<bool, Violation> {
        let Some(master) = &self.master else {
            let Some(agents) = self.scheduler.agents(&self.stage) else { return Ok(false) };
            return oracles::nothing_is_charged_at_rest(&agents).map(|()| true);
        };
        let Some((agents, offer)) = master.looks(&self.stage) else { return Ok(false) };
        oracles::nothing_is_charged_at_rest(&agents)?;
        oracles::no_offer_is_kept(offer).map(|()| true)
    }

    fn judge_the_end(&self) -> Result<(), Violation> {
        let store = &self.scheduler.store;
        let (accepted, denied) = self.users.triggers();
        oracles::nothing_accepted_is_lost(&self.stage.truth, store)?;
        oracles::each_notice_is_delivered(&self.stage.truth)?;
        self.stage.truth.fires.each_planned_instant_has_one_outcome()?;
        oracles::each_trigger_is_one_run(store, accepted, denied)?;
        let (reruns, doubtful) = self.users.reruns();
        oracles::each_rerun_is_one_run(store, reruns, doubtful)
    }

    /// What keeps the world from coming to rest.
    pub(super) fn restless(&mut self, words: &str) -> Violation {
        if self.is_at_rest()
            && let Err(charged) = self.charges()
        {
            return charged;
        }
        let mut left = vec![words.to_owned()];
        for (host, agent) in self.agents.iter().enumerate() {
            if !agent.is_at_rest() {
                left.push(format!("host{host} is not at rest"));
            }
        }
        left.extend(self.guest.iter().flat_map(GuestNode::left));
        if !self.users.are_content() {
            left.push("users wait for answers".to_owned());
        } else if !self.users.have_retired_daemons()
            && let Err(what) = self.daemons_are_settled()
        {
            return Violation { oracle: "daemons_are_settled", what };
        }
        let verdict = oracles::everything_converges(&self.scheduler.store, &left);
        verdict.expect_err("there is at least the first word")
    }
}

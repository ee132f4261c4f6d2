//! How the cores begin: with what is stored, and with whoever has the hosts.

use std::collections::VecDeque;

use muster_api::{Now, step::Records};
use muster_engine::{EngineConfig, event::Event as EngineEvent};
use muster_master::core::{Master, next_term};
use muster_session::{MasterKind, Session, link::Event as LinkEvent};

use crate::{
    Foreign, Loader,
    event::{RestoreError, Turn},
    turn::{Core, Inner},
    upstream::{self, Upstream},
};

impl Core {
    /// The scheduler as it was when `records` were written. `seed` is fresh entropy.
    pub fn restore(seed: u64, records: &Records, now: Now) -> Result<(Self, Turn), RestoreError> {
        let mut loader = Loader::default();
        for (key, value) in records {
            loader.take(key, value);
        }
        loader.finish(seed, now)
    }

    /// The scheduler of what a loader took in: the engine's records, and all others.
    pub(crate) fn loaded(
        config: EngineConfig,
        seed: u64,
        stored: muster_engine::Loader,
        others: &Records,
        foreign: Option<Foreign>,
        now: Now,
    ) -> Result<(Self, Turn), RestoreError> {
        let (engine, engine_step) = stored.finish(config, seed, now)?;
        let mut session = Session::restore(others)?;
        let (inbox, held) = (VecDeque::new(), Vec::new());
        let mut turn = Turn::default();
        let seed = seed.rotate_left(32);
        let mut core = match foreign {
            None => {
                let (master, step) = Master::restore(seed, others, now)?;
                let upstream = Upstream::Embedded(Box::new(master));
                let mut core = Self { engine, session, upstream, inbox, held };
                core.belongs_to(MasterKind::Own, others, &mut turn)?;
                core.master_did(step, &mut turn);
                core.inbox.push_back(Inner::ToMaster(core.session.subscribe()));
                core
            }
            Some(foreign) => {
                let (term, write) = next_term(others, now)?;
                let link = upstream::link(foreign, seed, &mut session);
                let upstream = Upstream::Linked { link, term };
                let mut core = Self { engine, session, upstream, inbox, held };
                core.belongs_to(MasterKind::Foreign, others, &mut turn)?;
                turn.writes.push(write);
                core.inbox.push_back(Inner::ToEngine(EngineEvent::Shared(true)));
                core.link_step(now, LinkEvent::Tick, &mut turn);
                core
            }
        };
        core.run(now, &mut turn);
        // What the engine wants to say could not be said before there was a subscription.
        core.engine_did(engine_step, &mut turn);
        core.run(now, &mut turn);
        turn.writes.extend(core.take_writes(now));
        Ok((core, turn))
    }
}

//! The scheduler of a life: its core, its disk, and the ways in which it is killed.

use std::collections::BTreeMap;

use muster_api::{
    IdStream, Now,
    step::{Records, Write},
};
use muster_engine::event::{Command, CommandReply, Event as EngineEvent, RequestId};
use muster_turn::{Core, Effect, Event, RestoreError, Turn};

/// One in so many commits is the last of its process.
const COMMITS_OF_A_PROCESS: u64 = 150;

/// A scheduler that may be down.
#[derive(Debug, Default)]
pub(super) struct Scheduler {
    core: Option<Core>,
    disk: Records,
    /// Numbers that tell what was ever written, and in which order.
    pub(super) digest: u64,
    pub(super) starts: u64,
    pub(super) turns: u64,
}

/// What came of an event.
#[derive(Debug)]
pub(super) enum Came {
    /// It is stored, and these effects leave.
    Of(Vec<Effect>),
    /// The process was killed; it may be stored, as the reply that nobody heard says.
    Killed(Option<CommandReply>),
}

impl Scheduler {
    pub(super) fn core(&self) -> Option<&Core> {
        self.core.as_ref()
    }

    /// Starts from what is on the disk.
    pub(super) fn start(&mut self, now: Now, chance: &mut IdStream) -> Result<Came, RestoreError> {
        self.starts += 1;
        let (core, first) = Core::restore(chance.bits(), &self.disk, now)?;
        self.core = Some(core);
        Ok(self.commit(first, chance))
    }

    /// Takes in an event, unless it is down.
    pub(super) fn turn(&mut self, now: Now, event: Event, chance: &mut IdStream) -> Came {
        let Some(core) = &mut self.core else { return Came::Killed(None) };
        self.turns += 1;
        let turn = core.turn(now, event);
        self.commit(turn, chance)
    }

    pub(super) fn ask(&mut self, now: Now, command: Command, chance: &mut IdStream) -> Came {
        let request = RequestId(self.turns);
        self.turn(now, Event::Engine(EngineEvent::Command { request, command }), chance)
    }

    /// What a turn decided goes to the disk and then leaves; or the process is killed before it, or
    /// in between.
    fn commit(&mut self, turn: Turn, chance: &mut IdStream) -> Came {
        if turn.writes.is_empty() {
            return Came::Of(turn.effects);
        }
        let killed = chance.bits().is_multiple_of(COMMITS_OF_A_PROCESS);
        if killed {
            self.core = None;
            if chance.bits().is_multiple_of(2) {
                return Came::Killed(None);
            }
        }
        for write in turn.writes {
            self.note(&write);
            match write {
                Write::Put { key, value } => self.disk.insert(key, value),
                Write::Delete { key } => self.disk.remove(&key),
            };
        }
        if !killed {
            return Came::Of(turn.effects);
        }
        let replies = turn.effects.into_iter().filter_map(|effect| match effect {
            Effect::Reply { reply, .. } => Some(reply),
            _ => None,
        });
        Came::Killed(replies.last())
    }

    fn note(&mut self, write: &Write) {
        let value = match write {
            Write::Put { value, .. } => value.as_slice(),
            Write::Delete { .. } => &[],
        };
        for byte in write.key().iter().chain(value) {
            self.digest = (self.digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// The records under a prefix, read.
    pub(super) fn rows<T: serde::de::DeserializeOwned>(&self, prefix: &str) -> BTreeMap<&str, T> {
        let rows = self.disk.range(prefix.as_bytes().to_vec()..);
        let rows = rows.take_while(|(key, _)| key.starts_with(prefix.as_bytes()));
        rows.map(|(key, value)| {
            let key = std::str::from_utf8(key).expect("keys of the engine are text");
            (key, muster_engine::records::decode(value).expect("it was just written"))
        })
        .collect()
    }
}

//! What has been decided and is not durable yet.

use std::collections::BTreeMap;

use muster_api::{Now, Timestamp, events::TraceEvent, limits, step::Write};
use muster_engine::{effect::Note, event::RequestId};
use muster_turn::{Effect, Turn};
use tokio::sync::oneshot;

use crate::{
    metrics::Metrics,
    store::HISTORY_PREFIX,
    trace::{Change, EventLog},
};

/// Effects that wait for one commit.
const EFFECTS: usize = 1_000;

/// What is to be one commit, and what leaves after it.
#[derive(Default)]
pub(super) struct Pending {
    /// By key: of several writes of one record only the last is worth a place in the commit.
    writes: BTreeMap<Vec<u8>, Write>,
    bytes: usize,
    effects: Vec<Effect>,
    /// What happened.
    trace: Vec<TraceEvent>,
    /// The latest time at which any of that was decided.
    latest: Timestamp,
    /// Those who wait until what they had forgotten is gone.
    forgotten: Vec<oneshot::Sender<()>>,
    /// How many events led to this.
    events: u64,
}

impl Pending {
    /// Adds what an event led to. What somebody had asked for comes before what came of it.
    pub(super) fn add(
        &mut self,
        now: Now,
        turn: Turn,
        changes: &mut BTreeMap<RequestId, Change>,
        metrics: &Metrics,
    ) {
        self.events += 1;
        self.latest = self.latest.max(now.wall);
        for effect in &turn.effects {
            if let Effect::Reply { request, reply } = effect
                && let Some(change) = changes.remove(request)
            {
                self.trace.extend(change.made(now.wall, reply, &turn.trace));
            }
        }
        self.bytes += turn.trace.iter().map(message_bytes).sum::<usize>();
        self.trace.extend(turn.trace);
        self.add_writes(turn.writes);
        self.effects.extend(turn.effects);
        metrics.did(turn.tally);
        for note in turn.notes {
            metrics.noted(&note);
            log_note(&note);
        }
        for note in turn.master_notes {
            log_master_note(&note);
        }
        for note in turn.link_notes {
            log_link_note(&note);
        }
        for what in turn.passed_over {
            tracing::warn!(what, "a message of the master was passed over");
        }
    }

    /// Adds something that happened beside.
    pub(super) fn trace(&mut self, event: TraceEvent) {
        self.latest = self.latest.max(event.at);
        self.trace.push(event);
    }

    /// Adds the record of what happened, as the last before the commit.
    pub(super) fn log(&mut self, now: Timestamp, log: &mut EventLog, metrics: &Metrics) {
        // The ids of runs and tasks begin with when they were decided, whatever the clock shows now.
        let now = now.max(std::mem::take(&mut self.latest));
        let trace = std::mem::take(&mut self.trace);
        metrics.happened(&trace);
        self.add_writes(log.write(now, trace));
    }

    /// Adds writes that belong to what was added.
    pub(super) fn add_writes(&mut self, writes: Vec<Write>) {
        self.bytes += writes.iter().map(size).sum::<usize>();
        self.writes.extend(writes.into_iter().map(|write| (write.key().to_vec(), write)));
    }

    /// Adds records of history to be forgotten, and whom to tell.
    pub(super) fn forget(&mut self, keys: Vec<Vec<u8>>, done: oneshot::Sender<()>) {
        let (history, others): (Vec<_>, Vec<_>) =
            keys.into_iter().partition(|key| key.starts_with(HISTORY_PREFIX));
        debug_assert!(others.is_empty(), "only history is forgotten");
        self.add_writes(history.into_iter().map(|key| Write::Delete { key }).collect());
        self.forgotten.push(done);
        self.events += 1;
    }

    /// Whether it is time to commit before anything else is taken in.
    pub(super) fn is_full(&self, kept_back: usize) -> bool {
        self.effects.len() >= EFFECTS
            || self.writes.len() + kept_back >= limits::COMMIT_RECORDS / 2
            || self.bytes >= limits::COMMIT_BYTES / 2
    }

    /// What is to be committed, and of how many events it is.
    pub(super) fn take_writes(&mut self) -> (Vec<Write>, u64) {
        self.bytes = 0;
        let writes = std::mem::take(&mut self.writes).into_values().collect();
        (writes, std::mem::take(&mut self.events))
    }

    /// What may leave once all writes are durable.
    pub(super) fn take_effects(&mut self) -> Vec<Effect> {
        for done in std::mem::take(&mut self.forgotten) {
            // Whoever asked may have gone; it is forgotten all the same.
            let _ = done.send(());
        }
        std::mem::take(&mut self.effects)
    }
}

/// What is worth counting of an event before it is written: the rest of it is a few bytes.
fn message_bytes(event: &TraceEvent) -> usize {
    event.message.as_ref().map_or(0, |message| message.len().min(limits::EVENT_MESSAGE_BYTES))
}

fn size(write: &Write) -> usize {
    match write {
        Write::Put { key, value } => key.len() + value.len(),
        Write::Delete { key } => key.len(),
    }
}

fn log_note(note: &Note) {
    match note {
        Note::Zombie { task } => tracing::warn!(%task, "a task that should be dead is killed"),
        Note::Fenced { executor, agent } => {
            tracing::warn!(%executor, %agent, "a lease ended on a silent host");
        }
        Note::RunEnded { run, state } => tracing::info!(%run, ?state, "run ended"),
        Note::RunCreated { run } => tracing::info!(%run, "run created"),
        note => tracing::debug!(?note, "engine"),
    }
}

fn log_link_note(note: &muster_session::link::Note) {
    use muster_session::link::Note;
    match note {
        Note::Subscribed { .. } | Note::Redirected { .. } => tracing::info!("{note}"),
        Note::Broken { .. } | Note::CallRefused { .. } => tracing::warn!("{note}"),
        Note::Unauthorized { .. } | Note::Refused { .. } | Note::Removed => {
            tracing::error!("{note}");
        }
    }
}

fn log_master_note(note: &muster_master::core::Note) {
    use muster_master::core::Note;
    match note {
        Note::AgentGone { agent } => tracing::warn!(%agent, "an operator declared a host gone"),
        Note::AgentRefused { hostname, reason } => {
            tracing::info!(hostname, reason, "an agent was refused");
        }
        Note::AgentStale { agent } => {
            tracing::info!(%agent, "an agent was silent for long and has to register anew");
        }
        note => tracing::debug!(?note, "master"),
    }
}

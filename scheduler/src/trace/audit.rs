//! The audit trail: who changed what. A change is an event of the commit that makes it.

use std::{borrow::Cow, net::SocketAddr};

use muster_api::{
    Timestamp,
    events::{EventKind, EventSource, TraceEvent},
};
use muster_engine::event::{self, Accepted, Command, CommandReply};

/// Who asks for a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The name of the user.
    pub name: Cow<'static, str>,
    /// From where.
    pub peer: Option<SocketAddr>,
}

impl Actor {
    /// Whoever knows the token of the administrator.
    pub fn admin(peer: Option<SocketAddr>) -> Self {
        Self { name: "admin".into(), peer }
    }
}

/// A change that somebody asks for, to be told if it is made.
#[derive(Debug)]
pub struct Change {
    event: TraceEvent,
    /// Words for people, beside where the request came from.
    words: Vec<String>,
    /// What its reply must say for it to be a change.
    counts: Counts,
}

/// When a command that was accepted has changed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counts {
    /// In any case.
    Always,
    /// When what it put is another than what was there.
    WhenChanged,
    /// When a run began: a request that came again is answered as the first time.
    WhenBegun,
    /// When something came of it for its run: one that is being ended already is not ended again.
    WhenTraced,
}

impl Change {
    /// What a command asks for.
    pub fn asked(by: Actor, command: &Command) -> Self {
        // The time is that of the step that makes it.
        let at = Timestamp::default();
        let mut event = TraceEvent::new(at, EventKind::Change, "", EventSource::Scheduler);
        event.actor = Some(by.name.into_owned());
        let mut words = Vec::new();
        let (action, counts) = describe(command, &mut event, &mut words);
        event.state = action.into();
        words.extend(by.peer.map(|peer| format!("from {peer}")));
        Self { event, words, counts }
    }

    /// The event, if the reply says that something was changed. `trace` is what came of it.
    pub fn made(
        self,
        now: Timestamp,
        reply: &CommandReply,
        trace: &[TraceEvent],
    ) -> Option<TraceEvent> {
        let accepted = reply.as_ref().ok()?;
        let Self { mut event, words, counts } = self;
        let mut is_changed = true;
        match accepted {
            Accepted::App(app, change) => {
                event.version = Some(app.version);
                is_changed = *change != event::Change::Unchanged;
            }
            Accepted::Job(job, change) => {
                event.version = Some(job.version);
                is_changed = *change != event::Change::Unchanged;
            }
            Accepted::Run(run) => {
                event.app = event.app.or_else(|| of_run(trace, run.id).and_then(|e| e.app.clone()));
                event.job = Some(run.job.clone());
                event.run = Some(run.id);
            }
            Accepted::Agent(agent) => event.hostname = Some(agent.hostname.clone()),
            Accepted::Deleted | Accepted::Resumed | Accepted::Reconciling { .. } => {}
        }
        let run = event.run;
        let of_its_run = |told: &&TraceEvent| run.is_some() && told.run == run;
        let is_made = match counts {
            Counts::Always => true,
            Counts::WhenChanged => is_changed,
            Counts::WhenBegun => trace.iter().filter(of_its_run).any(is_begin),
            Counts::WhenTraced => trace.iter().any(|told| of_its_run(&told)),
        };
        event.at = now;
        event.message = (!words.is_empty()).then(|| words.join(", "));
        is_made.then_some(event)
    }
}

fn of_run(trace: &[TraceEvent], run: muster_api::RunId) -> Option<&TraceEvent> {
    trace.iter().find(|event| event.run == Some(run))
}

fn is_begin(event: &TraceEvent) -> bool {
    event.kind == EventKind::Run && event.state == "pending"
}

/// What a command does, as a state, and when it counts; the rest goes into the event.
fn describe(
    command: &Command,
    event: &mut TraceEvent,
    words: &mut Vec<String>,
) -> (&'static str, Counts) {
    match command {
        Command::PutApp { spec, .. } => {
            event.app = Some(spec.name.clone());
            ("put_app", Counts::WhenChanged)
        }
        Command::DeleteApp { name, .. } => {
            event.app = Some(name.clone());
            ("delete_app", Counts::Always)
        }
        Command::SetAppDisabled { name, disabled, kill } => {
            event.app = Some(name.clone());
            disable(*disabled, *kill, words)
        }
        Command::PutJob { spec, .. } => {
            (event.app, event.job) = (Some(spec.app.clone()), Some(spec.name.clone()));
            ("put_job", Counts::WhenChanged)
        }
        Command::DeleteJob { name, .. } => {
            event.job = Some(name.clone());
            ("delete_job", Counts::Always)
        }
        Command::SetJobDisabled { name, disabled, kill } => {
            event.job = Some(name.clone());
            disable(*disabled, *kill, words)
        }
        Command::Trigger { job, .. } => {
            event.job = Some(job.clone());
            ("trigger", Counts::WhenBegun)
        }
        Command::Rerun { former, .. } => {
            (event.app, event.job) = (Some(former.app.clone()), Some(former.job.clone()));
            words.push(format!("of run {}", former.id));
            ("rerun", Counts::WhenBegun)
        }
        Command::Cancel { run } => {
            event.run = Some(*run);
            ("cancel", Counts::WhenTraced)
        }
        Command::KillTask { run, item } => {
            (event.run, event.item) = (Some(*run), Some(*item));
            ("kill", Counts::WhenTraced)
        }
        Command::Resume { replay } => {
            words.extend(replay.then(|| "replay".to_owned()));
            ("resume", Counts::Always)
        }
        Command::Reconcile => ("reconcile", Counts::Always),
        Command::MarkAgentGone { agent } => {
            event.agent = Some(agent.clone());
            ("gone", Counts::Always)
        }
        Command::DrainAgent { agent, deadline } => {
            event.agent = Some(agent.clone());
            words.extend(deadline.map(|deadline| format!("within {deadline}")));
            ("drain", Counts::Always)
        }
        Command::ActivateAgent { agent } => {
            event.agent = Some(agent.clone());
            ("activate", Counts::Always)
        }
    }
}

fn disable(disabled: bool, kill: bool, words: &mut Vec<String>) -> (&'static str, Counts) {
    words.extend(kill.then(|| "running ones are killed".to_owned()));
    match (disabled, kill) {
        (false, _) => ("enable", Counts::WhenChanged),
        (true, false) => ("disable", Counts::WhenChanged),
        // What is disabled already may have been left to end by itself.
        (true, true) => ("disable", Counts::Always),
    }
}

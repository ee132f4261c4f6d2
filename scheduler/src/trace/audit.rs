//! The audit trail: who changed what. A change is an event of the commit that makes it.

use std::{borrow::Cow, net::SocketAddr};

use muster_api::{
    Amount, Timestamp,
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
    /// When something came of it for its host: one that takes tasks is not activated, and one that
    /// is gone is so once.
    WhenHostTraced,
}

impl Change {
    /// What a command asks for.
    pub fn asked(by: Actor, command: &Command) -> Self {
        // The time is that of the step that makes it.
        let at = Timestamp::default();
        let mut event = TraceEvent::new(at, EventKind::Change, "", EventSource::Scheduler);
        event.actor = Some(by.name.into_owned());
        let mut words = Vec::new();
        aim(command, &mut event);
        let (action, counts) = describe(command, &mut words);
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
                event.app = Some(job.spec.app.clone());
                event.version = Some(job.version);
                is_changed = *change != event::Change::Unchanged;
            }
            Accepted::Run(run) => {
                event.app = event.app.or_else(|| of_run(trace, run.id).and_then(|e| e.app.clone()));
                event.job = Some(run.job.clone());
                event.run = Some(run.id);
            }
            Accepted::Role(_, change) => is_changed = *change != event::Change::Unchanged,
            Accepted::Agent(agent) => event.hostname = Some(agent.hostname.clone()),
            Accepted::Deleted { app } => event.app = Some(app.clone()),
            Accepted::Resumed
            | Accepted::Reconciling { .. }
            | Accepted::Credential(_)
            | Accepted::Revoked
            | Accepted::Removed => {}
        }
        let run = event.run;
        let of_its_run = |told: &&TraceEvent| run.is_some() && told.run == run;
        let host = event.agent.clone();
        let of_its_host = |told: &&TraceEvent| told.kind == EventKind::Host && told.agent == host;
        let is_made = match counts {
            Counts::Always => true,
            Counts::WhenChanged => is_changed,
            Counts::WhenBegun => trace.iter().filter(of_its_run).any(is_begin),
            Counts::WhenTraced => trace.iter().any(|told| of_its_run(&told)),
            Counts::WhenHostTraced => trace.iter().any(|told| of_its_host(&told)),
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

/// What a command is about, as fields of its event.
fn aim(command: &Command, event: &mut TraceEvent) {
    match command {
        Command::PutApp { spec, .. } => event.app = Some(spec.name.clone()),
        Command::DeleteApp { name, .. } | Command::SetAppDisabled { name, .. } => {
            event.app = Some(name.clone());
        }
        Command::PutJob { spec, .. } => {
            (event.app, event.job) = (Some(spec.app.clone()), Some(spec.name.clone()));
        }
        Command::DeleteJob { name, .. }
        | Command::SetJobDisabled { name, .. }
        | Command::Trigger { job: name, .. } => event.job = Some(name.clone()),
        Command::Rerun { former, .. } => {
            (event.app, event.job) = (Some(former.app.clone()), Some(former.job.clone()));
        }
        Command::Cancel { run } => event.run = Some(*run),
        Command::KillTask { run, item } => (event.run, event.item) = (Some(*run), Some(*item)),
        Command::MarkAgentGone { agent }
        | Command::DrainAgent { agent, .. }
        | Command::ActivateAgent { agent } => event.agent = Some(agent.clone()),
        Command::Resume { .. }
        | Command::Reconcile
        | Command::SetWeight { .. }
        | Command::CreateCredential { .. }
        | Command::RevokeCredential { .. }
        | Command::RemoveFramework { .. } => {}
    }
}

/// What a command does, as a state, and when it counts; what has no field is said in words.
fn describe(command: &Command, words: &mut Vec<String>) -> (&'static str, Counts) {
    match command {
        Command::PutApp { .. } => ("put_app", Counts::WhenChanged),
        Command::DeleteApp { .. } => ("delete_app", Counts::Always),
        Command::SetAppDisabled { disabled, kill, .. }
        | Command::SetJobDisabled { disabled, kill, .. } => disable(*disabled, *kill, words),
        Command::PutJob { .. } => ("put_job", Counts::WhenChanged),
        Command::DeleteJob { .. } => ("delete_job", Counts::Always),
        Command::Trigger { .. } => ("trigger", Counts::WhenBegun),
        Command::Rerun { former, .. } => {
            words.push(format!("of run {}", former.id));
            ("rerun", Counts::WhenBegun)
        }
        Command::Cancel { .. } => ("cancel", Counts::WhenTraced),
        Command::KillTask { .. } => ("kill", Counts::WhenTraced),
        Command::Resume { replay } => {
            words.extend(replay.then(|| "replay".to_owned()));
            ("resume", Counts::Always)
        }
        Command::Reconcile => ("reconcile", Counts::Always),
        Command::MarkAgentGone { .. } => ("gone", Counts::WhenHostTraced),
        Command::DrainAgent { deadline, .. } => {
            words.extend(deadline.map(|deadline| format!("within {deadline}")));
            ("drain", Counts::Always)
        }
        Command::ActivateAgent { .. } => ("activate", Counts::WhenHostTraced),
        Command::SetWeight { role, thousandths } => {
            let weight = Amount::from_thousandths((*thousandths).into());
            words.push(format!("role {role} to {weight}"));
            ("set_weight", Counts::WhenChanged)
        }
        Command::CreateCredential { principal, .. } => {
            words.push(format!("for {principal}"));
            ("create_credential", Counts::Always)
        }
        Command::RevokeCredential { principal } => {
            words.push(format!("of {principal}"));
            ("revoke_credential", Counts::Always)
        }
        Command::RemoveFramework { framework } => {
            words.push(format!("framework {framework}"));
            ("remove_framework", Counts::Always)
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

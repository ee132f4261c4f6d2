//! What users ask for, as the REST layer takes it in.

use muster_api::{
    NoticeId, RunId,
    views::{AgentView, RerunRequest},
};
use muster_engine::{
    event::{Command, CommandReply, Event as EngineEvent, Rejected, RequestId, Tried},
    query::{Answer, Query},
    records,
};
use muster_turn::{Effect, Event};

use super::{SchedulerNode, work::is_due};
use crate::{bugs::Bug, happening::Happening, stage::Stage};

impl SchedulerNode {
    /// A user asks for a change, or a question. Where nobody listens, the wait for an answer is as
    /// good as a refusal.
    pub(crate) fn ask(&mut self, stage: &mut Stage, event: EngineEvent) {
        if self.listens() {
            self.take(stage, Event::Engine(event));
        }
    }

    /// A user asks for a run once more. It is read from the store, off the driver, and handed to the
    /// engine as it was then.
    pub(crate) fn ask_again_for(
        &mut self,
        stage: &mut Stage,
        request: RequestId,
        run: RunId,
        rerun: RerunRequest,
        key: String,
    ) {
        if !self.listens() {
            return;
        }
        if self.store.contains_key(&records::run_key(&run)) {
            let detail = format!("run `{run}` is not over yet");
            return refuse(stage, request, Err(Rejected::Conflict { detail }));
        }
        let stored = stage.truth.past_run_key(&run).and_then(|key| self.store.get(key));
        match stored.and_then(|value| records::decode(value).ok()) {
            None => {
                let name = run.to_string();
                refuse(stage, request, Err(Rejected::NotFound { kind: "run", name }));
            }
            Some(former) => {
                let former = Box::new(former);
                let idempotency_key = (stage.bug != Some(Bug::RerunKeyLost)).then_some(key);
                let command = Command::Rerun { former, request: rerun, idempotency_key };
                self.ask(stage, EngineEvent::Command { request, command });
            }
        }
    }

    /// The process that tried to deliver a notice hears what came of it.
    pub(crate) fn notice_tried(
        &mut self,
        stage: &mut Stage,
        process: u64,
        notice: NoticeId,
        outcome: Tried,
    ) {
        if process == self.processes {
            self.take(stage, Event::Engine(EngineEvent::NoticeTried { notice, outcome }));
        }
    }

    /// What the master says of all hosts, when it has nothing else to do.
    pub(crate) fn agents(&mut self, stage: &Stage) -> Option<Vec<AgentView>> {
        let now = self.clock.now(stage);
        let process = self.process.as_mut()?;
        if process.committing.is_some() || is_due(&process.core, now) {
            return None;
        }
        let event = EngineEvent::Query { request: RequestId(0), query: Query::Agents };
        let turn = process.core.advance(now, Event::Engine(event));
        turn.effects.into_iter().find_map(|effect| match effect {
            Effect::Answer { answer: Answer::Agents(agents), .. } => Some(agents),
            _ => None,
        })
    }
}

fn refuse(stage: &mut Stage, request: RequestId, reply: CommandReply) {
    let delay = stage.between(0, 20);
    stage.after(delay, Happening::UserHears { request, reply });
}

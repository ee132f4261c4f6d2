//! What the scheduler decides, sent to agents and users.

use muster_engine::query::Answer;
use muster_master::core::Connection;
use muster_proto::agent::MasterBody;
use muster_session::link::Effect as LinkEffect;
use muster_turn::Effect;

use super::SchedulerNode;
use crate::{doors::FrameworkDoor, happening::Happening, oracles, stage::Stage, webhook};

impl SchedulerNode {
    pub(super) fn release(&mut self, stage: &mut Stage, effects: Vec<Effect>) {
        stage.truth.commit_is_over();
        for effect in effects {
            match effect {
                Effect::Reply { request, reply } => {
                    let delay = stage.between(0, 20);
                    stage.after(delay, Happening::UserHears { request, reply });
                }
                Effect::Answer { answer: Answer::Queue(rows), .. } => {
                    stage.log(format_args!("a user sees {} runs wait", rows.len()));
                    stage.judge(oracles::every_wait_has_a_reason(&self.store, &rows));
                }
                Effect::Answer { answer: Answer::Agents(agents), .. } => {
                    let delay = stage.between(0, 20);
                    stage.after(delay, Happening::UserSees { agents });
                }
                Effect::Answer { .. } | Effect::RunOver(_) => {}
                Effect::Deliver(record) => {
                    stage.judge(oracles::what_is_told_is_stored(&self.store, &record));
                    let (process, delay) = (self.processes, webhook::way(stage));
                    stage.after(delay, Happening::WebhookHears { process, record });
                }
                Effect::ToAgent { connection, body } => self.tell(stage, connection, body),
                Effect::CloseAgent(connection) => {
                    let Some(process) = &mut self.process else { return };
                    let event = process.agents.end(stage, connection);
                    self.take_of_master(stage, event);
                }
                Effect::Link(effect) => self.carry_out(stage, effect),
                Effect::ToStream { stream, event } => {
                    if let Some(process) = &self.process {
                        process.frameworks.tell(stage, stream, event);
                    }
                }
                Effect::EndStream(stream) => {
                    let Some(process) = &mut self.process else { return };
                    let event = process.frameworks.end(stage, stream);
                    self.take_of_master(stage, event);
                }
                Effect::AnswerCall { request, answer } => {
                    let Some(process) = &mut self.process else { return };
                    if let Some(stream) = process.frameworks.answer(stage, request, answer) {
                        FrameworkDoor::beat_later(stage, self.processes, stream);
                    }
                }
                // Nobody needs credentials.
                Effect::Credentials(_) => {}
            }
        }
    }

    fn tell(&self, stage: &mut Stage, connection: Connection, body: MasterBody) {
        let Some(process) = &self.process else { return };
        if let MasterBody::Acknowledge(ack) = &body {
            stage.judge(oracles::what_is_acknowledged_is_stored(&stage.truth, &self.store, ack));
        }
        process.agents.tell(stage, connection, body);
    }
}

/// Whether an effect is the acknowledgement of a status.
pub(super) fn is_ack(effect: &Effect) -> bool {
    match effect {
        Effect::ToAgent { body, .. } => matches!(body, MasterBody::Acknowledge(_)),
        Effect::Link(LinkEffect::Call { call, .. }) => call.acknowledge.is_some(),
        _ => false,
    }
}

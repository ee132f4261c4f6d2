//! What the scheduler decides, sent to agents and users.

use muster_engine::query::Answer;
use muster_master::core::Connection;
use muster_proto::agent::MasterBody;
use muster_turn::Effect;

use super::SchedulerNode;
use crate::{
    happening::Happening,
    network::{Packet, Side},
    oracles,
    stage::Stage,
    webhook,
};

impl SchedulerNode {
    pub(super) fn release(&mut self, stage: &mut Stage, effects: Vec<Effect>) {
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
                Effect::CloseAgent(connection) => self.end(stage, connection),
                // No other framework is in this world.
                Effect::ToFramework { .. } => {}
            }
        }
    }

    fn tell(&self, stage: &mut Stage, connection: Connection, body: MasterBody) {
        let Some(process) = &self.process else { return };
        if let MasterBody::Acknowledge(ack) = &body {
            stage.judge(oracles::what_is_acknowledged_is_stored(&stage.truth, &self.store, ack));
        }
        if let Some(wire) = process.wires.get(&connection) {
            let term = process.core.term();
            stage.send(*wire, Side::Listener, Packet::FromMaster { term, body });
        }
    }
}

/// Whether an effect is the acknowledgement of a status.
pub(super) fn is_ack(effect: &Effect) -> bool {
    matches!(effect, Effect::ToAgent { body: MasterBody::Acknowledge(_), .. })
}

//! Daemon jobs: one run each for as long as they are enabled, whose tasks are resident (SEMANTICS 6).

use muster_api::RunId;

use crate::{
    cx::Cx,
    event::{CommandReply, Rejected},
};

/// Ends the task of one shard.
pub(crate) fn kill_task(_cx: &mut Cx<'_>, run: RunId, _item: u32) -> CommandReply {
    Err(Rejected::NotFound { kind: "run", name: run.to_string() })
}

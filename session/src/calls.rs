//! What the engine wants, as calls of the scheduler API.

use muster_api::{
    AgentId, OfferId, Span, TaskId,
    task::{EXPECT_ALIVE, EXPECT_NEW, LABEL_EXPECT},
};
use muster_engine::effect::{Effect, LaunchBatch, TaskLaunch};
use muster_proto as mesos;
use muster_proto::scheduler::{
    Accept, Acknowledge, Call, CallType, Decline, Kill, Reconcile, ReconcileTask, Shutdown,
};
use prost::Message;

/// The call that carries out an effect; nothing for effects that are not for the master.
pub fn call(effect: &Effect, framework: &mesos::FrameworkId) -> Option<Call> {
    let bare = |r#type: CallType| Call {
        framework_id: Some(framework.clone()),
        r#type: Some(r#type as i32),
        ..Call::default()
    };
    Some(match effect {
        Effect::Reply { .. } | Effect::Answer { .. } | Effect::RunOver(_) | Effect::Deliver(_) => {
            return None;
        }
        Effect::Launch(batch) => Call { accept: Some(accept(batch)), ..bare(CallType::Accept) },
        Effect::Suppress => bare(CallType::Suppress),
        Effect::Revive => bare(CallType::Revive),
        Effect::Decline { offers, refuse } => {
            let decline = Decline { offer_ids: offer_ids(offers), filters: Some(filters(*refuse)) };
            Call { decline: Some(decline), ..bare(CallType::Decline) }
        }
        Effect::Kill { task, agent, grace } => {
            Call { kill: Some(kill(*task, agent, *grace)), ..bare(CallType::Kill) }
        }
        Effect::Shutdown { executor, agent } => {
            let shutdown = Shutdown {
                executor_id: Some(mesos::ExecutorId::new(executor.to_string())),
                agent_id: Some(agent_id(agent)),
            };
            Call { shutdown: Some(shutdown), ..bare(CallType::Shutdown) }
        }
        Effect::Acknowledge { task, agent, uuid } => {
            let acknowledge = Acknowledge {
                agent_id: Some(agent_id(agent)),
                task_id: Some(task_id(*task)),
                uuid: uuid.to_vec(),
            };
            Call { acknowledge: Some(acknowledge), ..bare(CallType::Acknowledge) }
        }
        Effect::Reconcile { tasks } => {
            let tasks = tasks.iter().map(|(task, agent)| ReconcileTask {
                task_id: Some(task_id(*task)),
                agent_id: Some(agent_id(agent)),
            });
            let reconcile = Reconcile { tasks: tasks.collect() };
            Call { reconcile: Some(reconcile), ..bare(CallType::Reconcile) }
        }
    })
}

fn kill(task: TaskId, agent: &AgentId, grace: Span) -> Kill {
    Kill {
        task_id: Some(task_id(task)),
        agent_id: Some(agent_id(agent)),
        kill_policy: Some(mesos::KillPolicy { grace_period: Some(duration(grace)) }),
    }
}

fn accept(batch: &LaunchBatch) -> Accept {
    let task_infos = batch.tasks.iter().map(|task| task_info(task, &batch.agent)).collect();
    Accept {
        offer_ids: offer_ids(&batch.offers),
        operations: vec![mesos::Operation {
            r#type: Some(mesos::OperationType::Launch as i32),
            launch: Some(mesos::Launch { task_infos }),
            ..mesos::Operation::default()
        }],
        filters: Some(WANTED_AGAIN),
    }
}

/// What is left or given back may be offered again at once.
const WANTED_AGAIN: mesos::Filters = mesos::Filters { refuse_seconds: Some(0.0) };

/// The same is not wanted again for so long.
fn filters(refuse: Span) -> mesos::Filters {
    mesos::Filters { refuse_seconds: Some(refuse.duration().as_secs_f64()) }
}

fn offer_ids(offers: &[OfferId]) -> Vec<mesos::OfferId> {
    offers.iter().map(|id| mesos::OfferId::new(id.as_str())).collect()
}

fn task_info(task: &TaskLaunch, agent: &AgentId) -> mesos::TaskInfo {
    let expected = if task.executor_is_new { EXPECT_NEW } else { EXPECT_ALIVE };
    mesos::TaskInfo {
        name: task.name.clone(),
        task_id: Some(task_id(task.task)),
        agent_id: Some(agent_id(agent)),
        resources: crate::describe::resources(&task.resources),
        executor: mesos::ExecutorInfo::decode(&*task.executor_info).ok(),
        data: Some(task.payload.clone()),
        labels: Some(mesos::Labels::of([(LABEL_EXPECT, expected)])),
        ..mesos::TaskInfo::default()
    }
}

fn task_id(task: TaskId) -> mesos::TaskId {
    mesos::TaskId::new(task.to_string())
}

fn agent_id(agent: &AgentId) -> mesos::AgentId {
    mesos::AgentId::new(agent.as_str())
}

fn duration(span: Span) -> mesos::DurationInfo {
    let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    mesos::DurationInfo { nanoseconds: millis.saturating_mul(1_000_000) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(effect: &Effect) -> Call {
        call(effect, &mesos::FrameworkId::new("f")).expect("it is for the master")
    }

    /// What goes back to be joined is wanted at once; what nothing can use is not for a while.
    #[test]
    fn what_goes_back_says_for_how_long() {
        for (refuse, seconds) in [(Span::ZERO, 0.0), (Span::from_secs(5), 5.0)] {
            let offers = vec!["o1".parse().expect("an id of an offer")];
            let decline = of(&Effect::Decline { offers, refuse }).decline.unwrap_or_default();
            assert_eq!(decline.offer_ids, [mesos::OfferId::new("o1")]);
            assert_eq!(decline.filters.and_then(|one| one.refuse_seconds), Some(seconds));
        }
    }

    #[test]
    fn whether_offers_are_wanted_is_a_call_without_a_body() {
        for (effect, kind) in
            [(Effect::Suppress, CallType::Suppress), (Effect::Revive, CallType::Revive)]
        {
            let bare = Call {
                framework_id: Some(mesos::FrameworkId::new("f")),
                r#type: Some(kind as i32),
                ..Call::default()
            };
            assert_eq!(of(&effect), bare);
        }
    }
}

//! What an ACCEPT launches and uses up, and how one is made that a master takes.

use muster_api::{TaskId, limits};
use muster_proto::{
    Filters, TaskInfo,
    scheduler::{Call, CallType, Decline},
};
use prost::Message as _;

/// What a field of a message takes beside its content, at the most.
const FIELD_BYTES: usize = 16;

/// The tasks that a call launches.
pub(super) fn tasks_of(call: &Call) -> Vec<TaskId> {
    let operations = call.accept.iter().flat_map(|accept| &accept.operations);
    let tasks = operations.flat_map(|operation| &operation.launch).flat_map(|it| &it.task_infos);
    tasks.filter_map(id_of).collect()
}

fn id_of(task: &TaskInfo) -> Option<TaskId> {
    task.task_id.as_ref()?.value.parse().ok()
}

/// The call that gives back what an ACCEPT was to use up: it was refused, and its master holds the
/// offers for us all the same. They are not wanted again at once, for the same may be refused again.
pub(super) fn give_back(call: &Call) -> Option<Call> {
    let offer_ids = call.accept.as_ref()?.offer_ids.clone();
    let refuse_seconds = Some(limits::OFFER_REFUSED.as_secs_f64());
    Some(Call {
        framework_id: call.framework_id.clone(),
        r#type: Some(CallType::Decline as i32),
        decline: Some(Decline { offer_ids, filters: Some(Filters { refuse_seconds }) }),
        ..Call::default()
    })
}

/// An ACCEPT of so many bytes at the most, with those of its tasks that have no place in it. The rest
/// of what is offered comes again at once, and with it their turn.
pub(super) fn cut(mut call: Call, most: usize) -> (Call, Vec<TaskId>) {
    let mut left = Vec::new();
    let bytes = call.encoded_len();
    let Some(accept) = call.accept.as_mut().filter(|_| bytes > most) else { return (call, left) };
    let launches = || accept.operations.iter().flat_map(|operation| &operation.launch);
    let tasks: usize = launches().flat_map(|it| &it.task_infos).map(TaskInfo::encoded_len).sum();
    let mut room = most.saturating_sub(bytes - tasks);
    for launch in accept.operations.iter_mut().flat_map(|operation| &mut operation.launch) {
        let fits = |task: &&TaskInfo| match room.checked_sub(task.encoded_len() + FIELD_BYTES) {
            Some(rest) => {
                room = rest;
                true
            }
            None => false,
        };
        let kept = launch.task_infos.iter().take_while(fits).count();
        left.extend(launch.task_infos.split_off(kept).iter().filter_map(id_of));
    }
    (call, left)
}

#[cfg(test)]
mod tests {
    use muster_proto::{FrameworkId, Launch, OfferId, Operation, scheduler::Accept};

    use super::*;

    fn accept(tasks: u128, bytes: usize) -> Call {
        let info = |number| TaskInfo {
            task_id: Some(muster_proto::TaskId::new(uuid::Uuid::from_u128(number).to_string())),
            data: Some(vec![7; bytes]),
            ..TaskInfo::default()
        };
        let launch = Some(Launch { task_infos: (0..tasks).map(info).collect() });
        let operations = vec![Operation { launch, ..Operation::default() }];
        let offer_ids = vec![OfferId::new("o1")];
        let accept = Some(Accept { offer_ids, operations, ..Accept::default() });
        let framework_id = Some(FrameworkId::new("f"));
        Call { framework_id, r#type: Some(CallType::Accept as i32), accept, ..Call::default() }
    }

    #[test]
    fn a_call_is_cut_to_its_bound_and_no_task_is_lost_on_the_way() {
        for bytes in [0, 1, 100, 127, 128, 5_000] {
            let whole = accept(50, bytes);
            let all = tasks_of(&whole);
            let length = whole.encoded_len();
            for most in [0, 60, 100, 1_000, 10_000, length - 1, length, usize::MAX] {
                let (call, left) = cut(whole.clone(), most);
                let kept = tasks_of(&call);
                assert_eq!([&kept[..], &left[..]].concat(), all, "{bytes} {most}");
                assert!(call.encoded_len() <= most || kept.is_empty(), "{bytes} {most}");
                assert_eq!(left.is_empty(), length <= most, "{bytes} {most}");
            }
            let (call, _) = cut(whole, length / 2);
            // It is not far from full.
            let one = length / 50;
            assert!(call.encoded_len() + 3 * one + 60 * FIELD_BYTES >= length / 2, "{bytes}");
        }
    }

    #[test]
    fn what_is_no_accept_is_not_touched() {
        let revive = Call { r#type: Some(CallType::Revive as i32), ..Call::default() };
        assert_eq!(cut(revive.clone(), 0), (revive.clone(), Vec::new()));
        assert_eq!(give_back(&revive), None);
    }
}

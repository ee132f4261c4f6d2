//! The protobuf of Mesos as its second version is read: what is required must be there, and what an
//! enumeration does not have counts as not sent.
#![allow(clippy::unwrap_used, reason = "a message that cannot be read is a failed test")]

use std::fmt::Debug;

use muster_proto::{
    AgentId, Capability, CapabilityInfo, ContainerId, ContainerInfo, CsiProvisioning, CsiVolume,
    DiskInfo, DiskSource, ExecutorInfo, Launch, LaunchGroup, Operation, Quantity, Resource,
    TaskGroupInfo, TaskId, TaskInfo, TaskState, TaskStatus, executor,
    json::{self, Fields, InvalidJson, Problem},
    scheduler,
    wire::{InvalidMessage, Shaped, from_slice},
};
use proptest::prelude::*;
use prost::Message;

const LIMIT: usize = 1 << 20;

fn from_json<M: Fields>(body: &str) -> M {
    json::from_slice(body.as_bytes(), LIMIT).unwrap_or_else(|error| panic!("{error}: {body}"))
}

/// A field of bytes: a string, or a message.
fn part(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

fn missing<M: Fields + Shaped + Message + Debug>(bytes: &[u8]) -> String {
    match from_slice::<M>(bytes) {
        Err(InvalidMessage::Missing { paths, .. }) => paths.join(", "),
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_that_is_missing_is_told_by_its_path() {
    let resource = part(4, &[0x10, 0]);
    let first = [part(2, &part(1, b"t")), resource].concat();
    let limit = part(15, &[part(1, b"cpus"), part(2, b"")].concat());
    let second = [part(1, b"b"), part(2, b""), part(3, &part(1, b"a")), limit].concat();
    let launch = part(2, &[part(1, &first), part(1, &second)].concat());
    let call = part(4, &part(2, &[&[0x08, 1][..], &launch].concat()));
    assert_eq!(
        from_slice::<scheduler::Call>(&call).unwrap_err().to_string(),
        "Failed to parse body into Call protobuf: Missing required fields: \
         accept.operations[0].launch.task_infos[0].name, \
         accept.operations[0].launch.task_infos[0].agent_id, \
         accept.operations[0].launch.task_infos[0].resources[0].name, \
         accept.operations[0].launch.task_infos[1].task_id.value, \
         accept.operations[0].launch.task_infos[1].limits[0].value.value"
    );
}

fn quantity(value: f64) -> Quantity {
    Quantity { value: Some(value) }
}

#[test]
fn a_zero_in_a_map_is_written() {
    let limits = [("".to_owned(), quantity(0.0)), ("cpus".to_owned(), quantity(0.0))].into();
    let task = TaskInfo { limits, ..task() };
    assert_eq!(from_slice::<TaskInfo>(&task.encode_to_vec()).unwrap(), task);
}

#[test]
fn an_entry_of_a_map_that_is_no_entry_is_refused() {
    let task = task().encode_to_vec();
    assert!(from_slice::<TaskInfo>(&task).is_ok());
    // Number 15 as an integer, which would be read as the length of the entry, and as a float.
    for entry in [&b"\x78\x00"[..], b"\x7d\0\0\0\0"] {
        let error = from_slice::<TaskInfo>(&[&task, entry].concat()).unwrap_err();
        assert_eq!(error, InvalidMessage::Unreadable { message: "TaskInfo" });
    }
    let volume = [part(1, b"v"), part(2, &part(3, b"\x08\x01"))].concat();
    assert!(from_slice::<CsiProvisioning>(&[&volume[..], b"\x32\x00"].concat()).is_ok());
    let error = from_slice::<CsiProvisioning>(&[&volume[..], b"\x30\x00"].concat()).unwrap_err();
    assert_eq!(error, InvalidMessage::Unreadable { message: "CsiProvisioning" });
}

fn task() -> TaskInfo {
    let (task_id, agent_id) = (Some(TaskId::new("t")), Some(AgentId::new("a")));
    TaskInfo { name: "t".to_owned(), task_id, agent_id, ..TaskInfo::default() }
}

#[test]
fn an_empty_body_lacks_what_is_required_and_nothing_else() {
    assert_eq!(from_slice::<scheduler::Call>(b"").unwrap(), scheduler::Call::default());
    assert_eq!(missing::<executor::Call>(b""), "executor_id, framework_id");
    assert_eq!(missing::<TaskStatus>(b""), "task_id, state");
    assert_eq!(missing::<scheduler::Call>(&part(6, b"")), "kill.task_id");
}

#[test]
fn what_is_required_may_be_empty_or_zero_if_it_is_there() {
    let status = from_slice::<TaskStatus>(b"\x0a\x02\x0a\x00\x10\x00").unwrap();
    assert_eq!((status.task_id.unwrap().value.as_str(), status.state), ("", 0));
}

#[test]
fn a_hundred_missing_fields_are_enough() {
    let call = [vec![0x4a, 0xd0, 0x0f], part(1, b"").repeat(1000)].concat();
    let Err(InvalidMessage::Missing { paths, .. }) = from_slice::<scheduler::Call>(&call) else {
        panic!("a task without an id is taken");
    };
    assert_eq!(paths.len(), 100);
    assert_eq!(paths[99], "reconcile.tasks[99].task_id");
}

#[test]
fn bytes_that_are_no_message_are_refused_in_the_words_of_mesos() {
    for bytes in [&b"\xff\xff"[..], b"\x12\x05abc", b"hello there", b"\x0b\x0b", b"\x0d\0\0\0\0"] {
        let error = from_slice::<scheduler::Call>(bytes).unwrap_err().to_string();
        assert_eq!(error, "Failed to parse body into Call protobuf", "{bytes:?}");
    }
}

#[test]
fn the_pieces_of_a_message_make_one() {
    let user = part(3, &part(1, &part(1, b"u")));
    let name = part(3, &part(1, &part(2, b"n")));
    assert_eq!(missing::<scheduler::Call>(&user), "subscribe.framework_info.name");
    assert_eq!(missing::<scheduler::Call>(&name), "subscribe.framework_info.user");
    let call: scheduler::Call = from_slice(&[user, name].concat()).unwrap();
    let info = call.subscribe.unwrap().framework_info.unwrap();
    assert_eq!((info.user.as_str(), info.name.as_str()), ("u", "n"));
}

#[test]
fn a_value_that_an_enumeration_does_not_have_counts_as_not_sent() {
    let capability: Capability = from_slice(b"\x08\x63").unwrap();
    assert_eq!(capability.r#type, None);
    let call: scheduler::Call = from_slice(b"\x10\x63").unwrap();
    assert_eq!(call.r#type, None);

    let running = TaskState::Running as u8;
    assert_eq!(missing::<TaskStatus>(b"\x0a\x02\x0a\x00\x10\x63"), "state");
    let again = [&b"\x0a\x02\x0a\x00\x10\x63\x10"[..], &[running]].concat();
    assert_eq!(from_slice::<TaskStatus>(&again).unwrap().state, i32::from(running));
    let gone = [&b"\x0a\x02\x0a\x00\x10"[..], &[running], b"\x10\x63"].concat();
    assert_eq!(missing::<TaskStatus>(&gone), "state");
}

#[test]
fn lists_of_enumerations_keep_what_is_known_one_by_one_and_packed() {
    let (chown, unknown) = ([0xe8, 0x07], [0xcf, 0x0f]);
    let single = [&[0x08][..], &chown, &[0x08], &unknown, &[0x08], &chown].concat();
    let packed = part(1, &[chown, unknown, chown].concat());
    for bytes in [single, packed] {
        let info: CapabilityInfo = from_slice(&bytes).unwrap();
        assert_eq!(info.capabilities, [1000, 1000]);
        let nested = [vec![0x08, 2], part(8, &part(2, &bytes))].concat();
        let container: ContainerInfo = from_slice(&nested).unwrap();
        let linux = container.linux_info.unwrap();
        assert_eq!(linux.bounding_capabilities.unwrap().capabilities, [1000, 1000]);
    }
}

#[test]
fn depth_is_bounded() {
    let mut id = part(1, b"x");
    let nest = |id: &[u8]| {
        let mut outer = vec![0x12];
        prost::encode_length_delimiter(id.len(), &mut outer).unwrap();
        [part(1, b"x"), outer, id.to_vec()].concat()
    };
    for _ in 0..64 {
        id = nest(&id);
    }
    assert!(from_slice::<ContainerId>(&id).is_ok());
    assert!(from_slice::<ContainerId>(&nest(&id)).is_err());
    for _ in 0..10_000 {
        id = nest(&id);
    }
    assert!(matches!(from_slice::<ContainerId>(&id), Err(InvalidMessage::Unreadable { .. })));
}

#[test]
fn a_volume_of_a_csi_plugin_keeps_all_that_is_said_of_it() {
    let body = concat!(
        r#"{"plugin_name":"p","static_provisioning":{"volume_id":"v","volume_capability":"#,
        r#"{"mount":{"fs_type":"xfs","mount_flags":["ro"]},"access_mode":"#,
        r#"{"mode":"MULTI_NODE_READER_ONLY"}},"readonly":true,"node_stage_secrets":"#,
        r#"{"a":{"type":"REFERENCE","reference":{"name":"n"}}},"volume_context":{"k":"v"}}}"#
    );
    let volume: CsiVolume = from_json(body);
    assert_eq!(String::from_utf8(json::to_vec(&volume)).unwrap(), body);
    assert_eq!(from_slice::<CsiVolume>(&volume.encode_to_vec()).unwrap(), volume);
    let secret = [part(1, b"a"), part(2, &part(2, b""))].concat();
    let staged = [part(1, b"v"), part(2, &part(3, &[0x08, 1])), part(4, &secret)].concat();
    assert_eq!(
        missing::<CsiVolume>(&part(2, &staged)),
        "plugin_name, static_provisioning.node_stage_secrets[0].value.reference.name"
    );
}

/// What was recorded is read, and as `prost` reads it.
fn check_recorded<M: Fields + Shaped + Message + PartialEq + Debug>(samples: &str) {
    for line in samples.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let data = format!("{{\"data\":{}}}", line["bytes"]);
        let bytes = from_json::<executor::EventMessage>(&data).data;
        let message = from_slice::<M>(&bytes).unwrap();
        assert_eq!(message, M::decode(bytes.as_slice()).unwrap());
    }
}

#[test]
fn what_was_recorded_lacks_nothing() {
    check_recorded::<scheduler::Call>(include_str!("samples/scheduler.calls.protobuf.jsonl"));
    check_recorded::<scheduler::Event>(include_str!("samples/scheduler.events.protobuf.jsonl"));
    check_recorded::<executor::Call>(include_str!("samples/executor.calls.protobuf.jsonl"));
    check_recorded::<executor::Event>(include_str!("samples/executor.events.protobuf.jsonl"));
}

/// One of the recorded messages in JSON.
fn recorded(which: prop::sample::Index) -> &'static str {
    let calls = include_str!("samples/scheduler.calls.jsonl").lines();
    let all: Vec<_> = calls.chain(include_str!("samples/scheduler.events.jsonl").lines()).collect();
    all[which.index(all.len())]
}

/// A call that may lack much of what is required: messages are left out, and enumerations have
/// values that they do not know, which are not written in JSON.
fn any_call() -> impl Strategy<Value = scheduler::Call> {
    let id = prop::option::of(Just(()));
    let resources = prop::collection::vec((0..6i32, prop::option::of(0..3u64)), 0..3);
    let limits = prop::collection::btree_map("[a-c]", 0u32..3, 0..3);
    let task = (id.clone(), id.clone(), id.clone(), resources, limits).prop_map(
        |(task_id, agent_id, executor, resources, limits)| TaskInfo {
            name: "n".into(),
            task_id: task_id.map(|()| TaskId::new("t")),
            agent_id: agent_id.map(|()| AgentId::new("a")),
            executor: executor.map(|()| ExecutorInfo::default()),
            resources: resources
                .into_iter()
                .map(|(r#type, disk)| Resource {
                    r#type,
                    disk: disk.map(|kind| Box::new(disk_of(kind))),
                    ..Resource::scalar("r", 1.0)
                })
                .collect(),
            limits: limits.into_iter().map(|(k, v)| (k, quantity(v.into()))).collect(),
            ..TaskInfo::default()
        },
    );
    let groups = prop::collection::vec(task, 0..4);
    (groups, id.clone(), id, 0..9i32).prop_map(|(tasks, executor, group, kind)| scheduler::Call {
        r#type: Some(kind * 5),
        accept: Some(scheduler::Accept {
            operations: vec![
                Operation { launch: Some(Launch { task_infos: tasks.clone() }), ..kind_of(kind) },
                Operation {
                    launch_group: Some(Box::new(LaunchGroup {
                        executor: executor.map(|()| ExecutorInfo::default()),
                        task_group: group.map(|()| TaskGroupInfo { tasks }),
                    })),
                    ..kind_of(kind * 30)
                },
            ],
            ..scheduler::Accept::default()
        }),
        ..scheduler::Call::default()
    })
}

fn kind_of(kind: i32) -> Operation {
    Operation { r#type: Some(kind), ..Operation::default() }
}

fn disk_of(kind: u64) -> DiskInfo {
    let r#type = kind as i32 * 4;
    DiskInfo { source: Some(DiskSource { r#type, ..DiskSource::default() }), ..DiskInfo::default() }
}

/// Both forms of a message are read alike, or lack the same.
fn agree(call: &scheduler::Call) {
    let body = json::to_vec(call);
    let read = json::from_slice::<scheduler::Call>(&body, LIMIT);
    match (read, from_slice::<scheduler::Call>(&call.encode_to_vec())) {
        (Ok(one), Ok(other)) => assert_eq!(one, other),
        (
            Err(InvalidJson::NotTheMessage {
                problem: Problem::Missing { paths: mut one }, ..
            }),
            Err(InvalidMessage::Missing { paths: mut other, .. }),
        ) => {
            one.sort();
            other.sort();
            assert_eq!(one, other);
        }
        (one, other) => panic!("{one:?} {other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn both_forms_miss_the_same(call in any_call()) {
        agree(&call);
    }

    #[test]
    fn whatever_is_read_is_what_prost_reads_but_for_unknown_values(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        new in any::<u8>(),
        end in any::<prop::sample::Index>(),
    ) {
        let body = recorded(which).as_bytes();
        let Ok(event) = json::from_slice::<scheduler::Event>(body, LIMIT) else { return Ok(()) };
        let mut bytes = event.encode_to_vec();
        if bytes.is_empty() {
            return Ok(());
        }
        let place = at.index(bytes.len());
        bytes[place] = new;
        for bytes in [&bytes[..], &bytes[..end.index(bytes.len())]] {
            if let Ok(read) = from_slice::<scheduler::Event>(bytes) {
                let mut plain = scheduler::Event::decode(bytes).unwrap();
                plain.forget_unknown();
                prop_assert_eq!(&read, &plain);
                let again = from_slice::<scheduler::Event>(&read.encode_to_vec());
                prop_assert_eq!(again.unwrap(), read);
            }
        }
    }
}

#[test]
fn resources_without_a_kind_are_no_resources() {
    let mut bytes = Resource::scalar("cpus", 1.0).encode_to_vec();
    assert!(from_slice::<Resource>(&bytes).is_ok());
    bytes.extend([0x10, 9]);
    assert_eq!(missing::<Resource>(&bytes), "type");
    let task = TaskInfo { name: "t".into(), ..TaskInfo::default() };
    assert_eq!(missing::<TaskInfo>(&task.encode_to_vec()), "task_id, agent_id");
}

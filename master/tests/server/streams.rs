//! Streams of frameworks, from SUBSCRIBED to their end, whichever that is.

use std::time::Duration;

use muster_master::{
    core::{Answer, Event, Stream, StreamName},
    server::Bounds,
};
use muster_proto::{
    AgentId, ExecutorId, json,
    scheduler::{self, EventType, MessageBody},
};
use prost::Message;

use crate::{
    http::{Http, JSON, PROTOBUF, SCHEDULER, SUBSCRIBE, event, subscribed},
    world::{Served, within},
};

/// A framework that is subscribed, and its stream.
async fn subscribe(served: &mut Served) -> (Http, Stream, String) {
    let mut http = Http::dial(served.address).await;
    http.call(None, SUBSCRIBE).await;
    let stream = served.let_in().await;
    served.streams.send(stream, subscribed("f"));
    let reply = http.reply().await;
    assert_eq!(reply.status, 200);
    let name = reply.header("mesos-stream-id").unwrap().to_owned();
    for wanted in [EventType::Subscribed, EventType::Heartbeat] {
        let event = http.event().await.unwrap();
        assert_eq!(event.r#type, Some(wanted as i32));
    }
    (http, stream, name)
}

/// A message to a framework of so many bytes and more.
fn message(bytes: usize) -> scheduler::Event {
    let body = MessageBody {
        agent_id: Some(AgentId::new("a")),
        executor_id: Some(ExecutorId::new("e")),
        data: vec![0; bytes],
    };
    scheduler::Event { message: Some(body), ..event(EventType::Message) }
}

async fn left(served: &mut Served, stream: Stream) {
    assert_eq!(served.calls.recv().await, Some(Event::Left { stream }));
    assert_eq!(served.streams.count(), 0);
    served.streams.send(stream, event(EventType::Heartbeat));
    served.streams.end(stream);
    tokio::task::yield_now().await;
    assert!(served.calls.try_recv().is_err(), "it is told once");
}

#[test]
fn a_stream_begins_as_that_of_mesos_in_the_form_that_was_asked_for() {
    within(async {
        let mut served = Served::new().await;
        for (form, accept) in [(JSON, JSON), (PROTOBUF, PROTOBUF), (PROTOBUF, JSON)] {
            let mut http = Http::dial(served.address).await;
            let call: scheduler::Call = json::from_slice(SUBSCRIBE.as_bytes(), 1_000).unwrap();
            let body = if form == JSON { SUBSCRIBE.into() } else { call.encode_to_vec() };
            let headers = [("Content-Type", form), ("Accept", accept), ("Connection", "close")];
            http.send(&format!("POST {SCHEDULER}"), &headers, body).await;
            let stream = served.let_in().await;
            let mut event = subscribed("f");
            let info = muster_proto::MasterInfo { id: "7".into(), ..Default::default() };
            event.subscribed.as_mut().unwrap().master_info = Some(info);
            served.streams.send(stream, event);

            let reply = http.reply().await;
            let names: Vec<_> = reply.headers.iter().map(|(name, _)| name.as_str()).collect();
            let order = ["Date", "Transfer-Encoding", "Mesos-Stream-Id", "Content-Type"];
            assert_eq!(names[..4], order);
            assert_eq!((reply.status, reply.header("transfer-encoding")), (200, Some("chunked")));
            assert_eq!(reply.header("content-type"), Some(accept));
            assert_eq!(reply.header("mesos-stream-id").unwrap().len(), 36);

            let decode = |record: Vec<u8>| {
                if accept == JSON {
                    json::from_slice::<scheduler::Event>(&record, 10_000).unwrap()
                } else {
                    scheduler::Event::decode(&record[..]).unwrap()
                }
            };
            let first = decode(http.record().await.unwrap()).subscribed.unwrap();
            assert_eq!(first.framework_id.unwrap().value, "f");
            assert_eq!(first.heartbeat_interval_seconds, Some(15.0));
            let info = first.master_info.unwrap();
            let port = served.address.port();
            assert_eq!((info.id.as_str(), info.ip, info.port), ("7", 16_777_343, port.into()));
            assert_eq!(info.pid, Some(format!("master@127.0.0.1:{port}")));
            assert_eq!(info.version.as_deref(), Some("1.11.0"));
            let address = info.address.unwrap();
            assert_eq!((address.ip.as_deref(), address.port), (Some("127.0.0.1"), port.into()));
            let second = decode(http.record().await.unwrap());
            assert_eq!(second, event_of_heartbeat());
            drop(http);
            left(&mut served, stream).await;
        }
    });
}

fn event_of_heartbeat() -> scheduler::Event {
    event(EventType::Heartbeat)
}

#[test]
fn a_call_names_its_stream() {
    within(async {
        let mut served = Served::new().await;
        let (http, stream, name) = subscribe(&mut served).await;
        let revive = r#"{"type":"REVIVE","framework_id":{"value":"f"}}"#;
        let mut calls = Http::dial(served.address).await;
        for (said, meant) in [
            (Some(name.as_str()), StreamName::Open(stream)),
            (None, StreamName::Missing),
            (Some("other"), StreamName::Unknown),
        ] {
            calls.call(said, revive).await;
            assert_eq!(served.answer(Answer::Accepted).await.1, meant);
            assert_eq!(calls.reply().await.status, 202);
        }
        drop(http);
        left(&mut served, stream).await;
        calls.call(Some(&name), revive).await;
        assert_eq!(served.answer(Answer::Accepted).await.1, StreamName::Unknown);
    });
}

#[test]
fn heartbeats_have_a_clock_of_their_own_and_only_those_who_are_let_in_get_them() {
    within(async {
        let heartbeat = Duration::from_millis(20);
        let mut served = Served::within(Bounds { heartbeat, ..Bounds::default() }).await;
        let (mut http, stream, _) = subscribe(&mut served).await;
        for _ in 0..3 {
            assert_eq!(http.event().await, Some(event(EventType::Heartbeat)));
            served.streams.send(stream, message(1));
            assert_eq!(http.event().await.unwrap().message.unwrap().data, [0]);
        }

        let mut refused = Http::dial(served.address).await;
        refused.call(None, SUBSCRIBE).await;
        let stream = served.let_in().await;
        assert_eq!(refused.reply().await.status, 200);
        // As long as another one takes to get some.
        for _ in 0..3 {
            assert_eq!(http.event().await, Some(event(EventType::Heartbeat)));
        }
        let error = scheduler::Error { message: "no".into() };
        let error = scheduler::Event { error: Some(error), ..event(EventType::Error) };
        served.streams.send(stream, error.clone());
        served.streams.end(stream);
        assert_eq!(refused.event().await, Some(error), "the first record is the last");
        assert_eq!(refused.record().await, None);
        assert!(refused.is_closed().await);
    });
}

#[test]
fn the_core_hears_once_of_the_end_of_a_stream_whoever_ends_it() {
    within(async {
        let mut served = Served::new().await;
        let (http, stream, _) = subscribe(&mut served).await;
        drop(http);
        left(&mut served, stream).await;

        let (mut http, stream, _) = subscribe(&mut served).await;
        served.streams.send(stream, message(1));
        served.streams.end(stream);
        assert!(http.record().await.is_some(), "what was sent before comes");
        assert_eq!(http.record().await, None);
        left(&mut served, stream).await;

        // The core does not let it in.
        let mut http = Http::dial(served.address).await;
        http.call(None, SUBSCRIBE).await;
        let Some(Event::Subscribe { by, stream }) = served.calls.recv().await else { panic!() };
        served.streams.answer(by.request, Answer::Invalid("no".into()));
        assert!(http.reply().await.is(400, "no"));
        left(&mut served, stream).await;

        // The framework goes before it is answered.
        let mut http = Http::dial(served.address).await;
        http.call(None, SUBSCRIBE).await;
        let Some(Event::Subscribe { by, stream }) = served.calls.recv().await else { panic!() };
        drop(http);
        left(&mut served, stream).await;
        served.streams.answer(by.request, Answer::Streaming);
    });
}

#[test]
fn a_framework_that_does_not_read_is_cut_off_at_its_bound_and_no_other_is_slowed_down() {
    within(async {
        let backlog = 1 << 20;
        let mut served = Served::within(Bounds { backlog, ..Bounds::default() }).await;
        let (mut reading, fast, _) = subscribe(&mut served).await;
        let (_not_reading, slow, _) = subscribe(&mut served).await;
        let mut sent = 0;
        let end = loop {
            for stream in [fast, slow] {
                served.streams.send(stream, message(10_000));
            }
            sent += 1;
            assert!(reading.record().await.is_some(), "nobody waits for the other");
            if let Ok(end) = served.calls.try_recv() {
                break end;
            }
        };
        assert_eq!(end, Event::Left { stream: slow });
        // What the kernel takes on both sides comes on top of what waits here.
        assert!(sent * 10_000 > backlog && sent * 10_000 < 100 * backlog, "{sent}");
        assert_eq!(served.streams.count(), 1);
        served.streams.send(fast, message(1));
        assert!(reading.record().await.is_some());
    });
}

#[test]
fn a_framework_that_takes_nothing_of_what_waits_is_cut_off_in_time() {
    within(async {
        let stall = Duration::from_millis(100);
        let mut served = Served::within(Bounds { stall, ..Bounds::default() }).await;
        let (mut reading, fast, _) = subscribe(&mut served).await;
        // The second time, so that one that has read all has had nothing to take for long enough.
        for _ in 0..2 {
            let (mut http, slow, _) = subscribe(&mut served).await;
            for _ in 0..12 {
                served.streams.send(slow, message(1_000_000));
            }
            assert_eq!(served.calls.recv().await, Some(Event::Left { stream: slow }));
            while http.chunk_or_end().await.is_some() {}
        }
        served.streams.send(fast, message(1));
        assert!(reading.record().await.is_some(), "who has read all waits for ever");
        assert!(served.calls.try_recv().is_err());
    });
}

#[test]
fn streams_are_bounded() {
    within(async {
        let mut served = Served::within(Bounds { streams: 1, ..Bounds::default() }).await;
        let (http, stream, _) = subscribe(&mut served).await;
        let mut second = Http::dial(served.address).await;
        second.call(None, SUBSCRIBE).await;
        let reply = second.reply().await;
        assert!(reply.is(503, "There are 1 subscriptions already"), "{reply:?}");
        drop(http);
        left(&mut served, stream).await;
        second.call(None, SUBSCRIBE).await;
        served.let_in().await;
        assert_eq!(second.reply().await.status, 200);
    });
}

//! The suite itself is put to the test: against what a real master was recorded to answer all cases
//! pass, and against a master that answers anything else they fail.

#![allow(clippy::unwrap_used, reason = "a recording that cannot be read is a failed test")]

use std::{
    collections::BTreeMap,
    convert::Infallible,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use muster_conformance::{
    cases,
    context::{Suite, fresh_ids},
    encoding::Encoding,
    remote::Remotes,
    runner::{self, Choice, Verdict},
    target::Target,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};

/// What of an answer a master gets wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Status,
    Text,
    ContentType,
}

/// What of a stream a master gets wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StreamFault {
    None,
    HeartbeatFirst,
    NoHeartbeat,
    NoStreamId,
    OtherInterval,
    CharsetInType,
}

/// A recorded request with its answer.
struct Recorded {
    method: String,
    path: String,
    content_type: Option<String>,
    body: Vec<u8>,
    answer: Value,
}

struct Master {
    recorded: Vec<Recorded>,
    subscribed: Vec<Value>,
    fault: Fault,
    stream_fault: StreamFault,
    /// Streams are kept open for as long as the master lives.
    open: Mutex<Vec<mpsc::Sender<Bytes>>>,
}

type Body = BoxBody<Bytes, Infallible>;

fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("recorded")
}

fn lines(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(recordings().join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

impl Master {
    fn new(fault: Fault, stream_fault: StreamFault) -> Self {
        let lines = lines("04-errors.jsonl");
        let calls = lines.iter().filter(|line| line["do"] == "call");
        let recorded = calls.map(|line| {
            let request = &line["request"];
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let headers = request["headers"].as_array().unwrap().iter();
            let content_type = headers
                .filter(|header| header[0] == "Content-Type")
                .map(|header| text(&header[1]))
                .next();
            let body = match &request["json"] {
                Value::Null if request["bytes"] == "////" => vec![0xff; 3],
                Value::Null => text(&request["text"]).into_bytes(),
                call => call.to_string().into_bytes(),
            };
            Recorded {
                method: text(&request["method"]),
                path: text(&request["path"]),
                content_type,
                body,
                answer: line["answer"].clone(),
            }
        });
        let recorded = recorded.collect();
        let events = lines.iter().filter(|line| line["on"] == "047");
        let subscribed = events.map(|line| line["event"].clone()).collect();
        Self { recorded, subscribed, fault, stream_fault, open: Mutex::default() }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let content_type = head.headers.get("content-type");
        let content_type = content_type.map(|value| value.to_str().unwrap().to_owned());
        let is_it = |recorded: &&Recorded| {
            // Fields may come in another order.
            let json = |body| serde_json::from_slice::<Value>(body).ok();
            let same = recorded.body == body
                || json(&body).is_some_and(|it| json(&recorded.body) == Some(it));
            recorded.method == head.method.as_str()
                && recorded.path == head.uri.path()
                && recorded.content_type == content_type
                && same
        };
        if let Some(recorded) = self.recorded.iter().find(is_it) {
            return self.recorded_answer(&recorded.answer);
        }
        let call: Value = serde_json::from_slice(&body).unwrap_or_default();
        match (call["type"].as_str(), head.uri.path()) {
            (Some("SUBSCRIBE"), _) => self.stream(),
            (_, "/version") => {
                respond(200, &[("content-type", "application/json")], r#"{"version":"1.12.0"}"#)
            }
            (_, "/health") => respond(200, &[], ""),
            _ => respond(202, &[], ""),
        }
    }

    fn recorded_answer(&self, answer: &Value) -> Response<Body> {
        let mut status = u16::try_from(answer["status"].as_u64().unwrap()).unwrap();
        let mut body = answer["body"].as_str().unwrap().to_owned();
        let mut headers: BTreeMap<_, _> = answer["headers"]
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, _)| *name != "content-length")
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .collect();
        match self.fault {
            Fault::None => {}
            Fault::Status => status += 1,
            Fault::Text => body.push('.'),
            Fault::ContentType => {
                headers.insert("content-type", "text/plain");
            }
        }
        respond(status, &headers.into_iter().collect::<Vec<_>>(), &body)
    }

    fn stream(&self) -> Response<Body> {
        let mut events: Vec<_> =
            self.subscribed.iter().filter(|event| event["type"] != "OFFERS").cloned().collect();
        let mut response = Response::builder().header("content-type", "application/json");
        match self.stream_fault {
            StreamFault::HeartbeatFirst => events.reverse(),
            StreamFault::NoHeartbeat => events.retain(|event| event["type"] != "HEARTBEAT"),
            StreamFault::OtherInterval => {
                events[0]["subscribed"]["heartbeat_interval_seconds"] = json!(10.0);
            }
            StreamFault::CharsetInType => {
                let headers = response.headers_mut().unwrap();
                headers.insert("content-type", "application/json; charset=utf-8".parse().unwrap());
            }
            StreamFault::None | StreamFault::NoStreamId => {}
        }
        if self.stream_fault != StreamFault::NoStreamId {
            response = response.header("mesos-stream-id", "73f51499-7ada-4323-9aee-e937dcfa32a6");
        }
        let (sender, receiver) = mpsc::channel::<Bytes>(1_000);
        let mut bytes = Vec::new();
        for event in events {
            muster_proto::recordio::encode(event.to_string().as_bytes(), &mut bytes);
        }
        // Each byte is a chunk of its own: borders of chunks mean nothing.
        for byte in bytes {
            sender.try_send(Bytes::copy_from_slice(&[byte])).unwrap();
        }
        self.open.lock().unwrap().push(sender);
        response.body(BoxBody::new(Pieces(receiver))).unwrap()
    }
}

/// A body that comes piece by piece.
struct Pieces(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

fn respond(status: u16, headers: &[(&str, &str)], body: &str) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(BoxBody::new(Full::new(Bytes::from(body.to_owned())))).unwrap()
}

/// Runs cases against such a master, and gives which failed.
async fn failed(
    master: Master,
    only: &[&str],
    encoding: Option<Encoding>,
) -> (usize, Vec<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let master = Arc::new(master);
    let serving = tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let master = master.clone();
            tokio::spawn(async move {
                let service = service_fn(|request| {
                    let master = master.clone();
                    async move { Ok::<_, Infallible>(master.answer(request).await) }
                });
                let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
            });
        }
    });
    let target =
        Target { master: address, agent: None, credentials: None, program: PathBuf::new() };
    let remotes = Remotes::listen().await.unwrap();
    let suite = Suite::new(target, remotes, None, fresh_ids());
    let only = only.iter().map(|name| (*name).to_owned()).collect();
    let rows = runner::run(&Arc::new(suite), &cases::all(), &Choice { only, encoding }).await;
    serving.abort();
    let failed = rows.iter().filter_map(|row| match &row.verdict {
        Verdict::Failed(why) => Some((row.name.to_owned(), why.clone())),
        _ => None,
    });
    (rows.len(), failed.collect())
}

/// Cases whose requests are in the recording word for word.
const RECORDED: [&str; 1] = ["http/"];

#[tokio::test]
async fn what_a_real_master_answered_passes() {
    let (run, failed) = failed(Master::new(Fault::None, StreamFault::None), &RECORDED, None).await;
    assert!(run >= 24, "{run}");
    assert_eq!(failed, []);
}

#[tokio::test]
async fn a_master_that_answers_otherwise_fails() {
    // Those of operators do not look at the text, and say so in their names.
    for (fault, least) in [(Fault::Status, 22), (Fault::Text, 20), (Fault::ContentType, 18)] {
        let (_, failed) = failed(Master::new(fault, StreamFault::None), &RECORDED, None).await;
        assert!(failed.len() >= least, "{fault:?}: only {failed:?}");
    }
}

/// Cases of streams that a master without a memory can pass.
const STREAMS: [&str; 5] = [
    "subscribe/the-answer-is-a-chunked-stream",
    "subscribe/subscribed-is-first",
    "subscribe/a-heartbeat-comes-at-once",
    "subscribe/nothing-is-compressed",
    "subscribe/json-without-accept",
];

#[tokio::test]
async fn a_master_whose_stream_is_wrong_fails() {
    for (fault, caught_by) in [
        (StreamFault::None, ""),
        (StreamFault::HeartbeatFirst, "subscribe/subscribed-is-first"),
        (StreamFault::NoHeartbeat, "subscribe/a-heartbeat-comes-at-once"),
        (StreamFault::NoStreamId, "subscribe/the-answer-is-a-chunked-stream"),
        (StreamFault::OtherInterval, "subscribe/subscribed-is-first"),
        (StreamFault::CharsetInType, "subscribe/the-answer-is-a-chunked-stream"),
    ] {
        let master = Master::new(Fault::None, fault);
        let (run, failed) = failed(master, &STREAMS, Some(Encoding::Json)).await;
        assert_eq!(run, STREAMS.len());
        let is_caught = failed.iter().any(|(name, _)| name == caught_by);
        let is_good = fault == StreamFault::None;
        assert!(is_caught && !is_good || is_good && failed.is_empty(), "{fault:?}: {failed:?}");
    }
}

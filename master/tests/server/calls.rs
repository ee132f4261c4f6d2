//! Calls of frameworks: which reach the core, and how they are answered.

use std::{collections::BTreeMap, time::Duration};

use muster_api::limits;
use muster_master::{
    core::{Answer, Event, Principal, StreamName},
    server::Bounds,
};
use muster_proto::{
    FrameworkId,
    json::base64,
    scheduler::{Call, CallType},
};
use prost::Message;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use crate::{
    http::{Http, JSON, PROTOBUF, SCHEDULER, SUBSCRIBE, ask},
    world::{Served, within},
};

const REVIVE: &str = r#"{"type":"REVIVE","framework_id":{"value":"f"}}"#;

fn revive() -> Call {
    Call {
        framework_id: Some(FrameworkId::new("f")),
        r#type: Some(CallType::Revive as i32),
        ..Call::default()
    }
}

#[test]
fn both_forms_and_both_paths_reach_the_core_and_its_answer_is_the_answer() {
    within(async {
        let mut served = Served::new().await;
        let bodies =
            [(JSON, muster_proto::json::to_vec(&revive())), (PROTOBUF, revive().encode_to_vec())];
        let other = Answer::OtherStream(FrameworkId::new("f"));
        let wrong = "The stream ID 'nobody's' included in this request didn't match the stream ID \
                     currently associated with framework ID f";
        let answers = [
            (Answer::Accepted, 202, ""),
            (Answer::Done, 200, ""),
            (Answer::Invalid("i".into()), 400, "i"),
            (other, 400, wrong),
            (Answer::Forbidden("f".into()), 403, "f"),
            (Answer::Conflict("c".into()), 409, "c"),
            (Answer::Unknown("u".into()), 501, "u"),
        ];
        let mut http = Http::dial(served.address).await;
        for path in [SCHEDULER, "/master/api/v1/scheduler"] {
            for (form, body) in &bodies {
                for (answer, status, text) in &answers {
                    let headers = [("Content-Type", *form), ("Mesos-Stream-Id", "nobody's")];
                    http.send(&format!("POST {path}"), &headers, body).await;
                    let (by, named) = served.answer(answer.clone()).await;
                    assert_eq!((by.call, by.principal), (revive(), None));
                    assert_eq!(named, StreamName::Unknown);
                    let reply = http.reply().await;
                    assert!(reply.is(*status, text), "{reply:?}");
                    let length = text.len().to_string();
                    assert_eq!(reply.header("content-length"), Some(length.as_str()));
                }
            }
        }
    });
}

#[test]
fn a_call_that_is_not_whole_is_refused_in_the_words_and_in_the_order_of_mesos() {
    within(async {
        let mut served = Served::new().await;
        let json = ("Content-Type", JSON);
        let protobuf = ("Content-Type", PROTOBUF);
        let text = ("Content-Type", "text/plain");
        let charset = ("Content-Type", "application/json; charset=utf-8");
        let html = ("Accept", "text/html");
        let stream = ("Mesos-Stream-Id", "x");
        let method = "405 Method Not Allowed. Expecting one of { 'POST' }, but received";
        let types = "Expecting 'Content-Type' of application/json or application/x-protobuf";
        let expecting =
            |what| format!("Failed to validate scheduler::Call: Expecting '{what}' to be present");
        let no_json = "Failed to parse body into JSON: syntax error at line 1 near: ";
        let no_call = "Failed to convert JSON into Call protobuf:";
        let no_user = format!("{no_call} Missing required fields: subscribe.framework_info.user");
        let differs = "Failed to validate scheduler::Call: 'framework_id' differs from \
                       'subscribe.framework_info.id'";
        let accept = "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'";
        let with_stream = "Subscribe calls should not include the 'Mesos-Stream-Id' header";
        let nameless = r#"{"type":"SUBSCRIBE","subscribe":{"framework_info":{"name":"n"}}}"#;
        let ids = r#"{"type":"SUBSCRIBE","framework_id":{"value":"a"},
            "subscribe":{"framework_info":{"user":"u","name":"n"}}}"#;
        let short = r#"{"type":"ACKNOWLEDGE","framework_id":{"value":"f"},"acknowledge":
            {"agent_id":{"value":"a"},"task_id":{"value":"t"},"uuid":"c2hvcnQ="}}"#;
        for (method, headers, body, status, words) in [
            ("GET", &[][..], "", 405, format!("{method} 'GET'.")),
            ("PUT", &[text], "{}", 405, format!("{method} 'PUT'.")),
            ("POST", &[], "{}", 400, "Expecting 'Content-Type' to be present".into()),
            ("POST", &[text], "{}", 415, types.into()),
            ("POST", &[charset], "{}", 415, types.into()),
            ("POST", &[json], "", 400, no_json.into()),
            ("POST", &[json, html, stream], "{}", 400, expecting("type")),
            ("POST", &[json], "[]", 400, format!("{no_call} Expecting a JSON object")),
            ("POST", &[json], r#"{"type":"FOO"}"#, 400, expecting("type")),
            ("POST", &[json], r#"{"type":"SUBSCRIBE"}"#, 400, expecting("subscribe")),
            ("POST", &[json], r#"{"type":"REVIVE"}"#, 400, expecting("framework_id")),
            ("POST", &[json], nameless, 400, no_user),
            ("POST", &[json, html, stream], ids, 400, differs.into()),
            ("POST", &[json, html, stream], SUBSCRIBE, 406, accept.into()),
            ("POST", &[json, stream], SUBSCRIBE, 400, with_stream.into()),
            ("POST", &[protobuf], "\u{1}", 400, "Failed to parse body into Call protobuf".into()),
            ("POST", &[protobuf], "", 400, expecting("type")),
            (
                "POST",
                &[json],
                short,
                400,
                "Failed to validate scheduler::Call: Not a valid UUID".into(),
            ),
        ] {
            let line = format!("{method} {SCHEDULER}");
            let reply = ask(served.address, &line, headers, body).await;
            assert!(reply.is(status, &words), "{method} {headers:?} {body}: {reply:?}");
            assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
            assert_eq!(reply.header("allow"), (status == 405).then_some("POST"));
        }
        assert!(served.calls.try_recv().is_err(), "the core hears of none of them");
    });
}

/// Whether the answer can be written matters for the two calls that have one.
#[test]
fn accept_is_looked_at_where_there_is_something_to_accept() {
    within(async {
        let mut served = Served::new().await;
        let reconcile = r#"{"type":"RECONCILE_OPERATIONS","framework_id":{"value":"f"},"reconcile_operations":{}}"#;
        let headers = [("Content-Type", JSON), ("Accept", "text/html")];
        let line = format!("POST {SCHEDULER}");
        assert_eq!(ask(served.address, &line, &headers, reconcile).await.status, 406);
        let mut http = Http::dial(served.address).await;
        http.send(&line, &headers, REVIVE).await;
        served.answer(Answer::Accepted).await;
        assert_eq!(http.reply().await.status, 202);
    });
}

#[test]
fn a_call_is_bounded_and_one_that_is_not_finished_ends() {
    within(async {
        let handshake = Duration::from_millis(200);
        let mut served = Served::within(Bounds { handshake, ..Bounds::default() }).await;
        let line = format!("POST {SCHEDULER}");
        let long = (limits::CALL_BYTES + 1).to_string();
        let headers = [("Content-Type", JSON), ("Content-Length", long.as_str())];
        let reply = ask(served.address, &line, &headers, "").await;
        assert_eq!(reply.status, 413, "{reply:?}");

        // Without a length it is found out on the way.
        let mut http = Http::dial(served.address).await;
        let head = format!(
            "{line} HTTP/1.1\r\nHost: m\r\nContent-Type: {JSON}\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        http.stream.write_all(head.as_bytes()).await.unwrap();
        let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, " ".repeat(1 << 20));
        for _ in 0..limits::CALL_BYTES >> 20 {
            http.stream.write_all(chunk.as_bytes()).await.unwrap();
        }
        http.stream.write_all(b"1\r\n \r\n").await.unwrap();
        assert_eq!(http.reply().await.status, 413);

        let spaces = " ".repeat(limits::CALL_BYTES - REVIVE.len());
        let mut http = Http::dial(served.address).await;
        http.send(&line, &[("Content-Type", JSON)], format!("{REVIVE}{spaces}")).await;
        served.answer(Answer::Accepted).await;
        assert_eq!(http.reply().await.status, 202, "the longest is taken");

        for part in ["POST /api", "POST /api/v1/scheduler HTTP/1.1\r\nContent-Type: x\r\n"] {
            let mut http = Http::dial(served.address).await;
            http.stream.write_all(part.as_bytes()).await.unwrap();
            assert!(http.is_closed().await);
        }
        assert!(served.calls.try_recv().is_err());

        let (body, handshake) = (Duration::from_millis(200), Duration::from_secs(600));
        let mut served = Served::within(Bounds { body, handshake, ..Bounds::default() }).await;
        let mut http = Http::dial(served.address).await;
        let headers = [("Content-Type", JSON), ("Content-Length", "100")];
        http.send(&line, &headers, "{").await;
        assert!(http.is_closed().await, "the rest of its body did not come");
        assert!(served.calls.try_recv().is_err());
    });
}

/// Who sends a large call slowly holds one of a few places, and not for long.
#[test]
fn who_sends_slowly_keeps_nobody_waiting_but_itself_and_not_for_long() {
    let basic = |name: &str| {
        let mut value = b"Basic ".to_vec();
        base64::encode(format!("{name}:secret").as_bytes(), &mut value);
        String::from_utf8(value).unwrap()
    };
    let principals = ["slow", "other"];
    let (slow, other) = (basic(principals[0]), basic(principals[1]));
    let line = format!("POST {SCHEDULER}");
    let large = format!("{REVIVE}{}", " ".repeat(limits::CALL_SMALL_BYTES + 1));
    let serve = async |body| {
        let handshake = Duration::from_secs(600);
        let served = Served::start(Bounds { body, handshake, ..Bounds::default() }, false).await;
        let digest: [u8; 32] = Sha256::digest("secret").into();
        served.credentials.set(principals.map(|name| (name.to_owned(), digest)).into());
        served
    };
    let begin = async |served: &Served| {
        let mut http = Http::dial(served.address).await;
        let long = (large.len() + 1).to_string();
        let headers =
            [("Authorization", &*slow), ("Content-Type", JSON), ("Content-Length", &*long)];
        http.send(&line, &headers, &large).await;
        http
    };
    let whole = async |served: &Served, who: &str| {
        let mut http = Http::dial(served.address).await;
        http.send(&line, &[("Authorization", who), ("Content-Type", JSON)], &large).await;
        http
    };
    within(async {
        let mut served = serve(Duration::from_secs(600)).await;
        let mut stuck = Vec::new();
        for _ in 0..=limits::CALLS_LARGE {
            stuck.push(begin(&served).await);
        }
        let mut http = whole(&served, &other).await;
        let (by, _) = served.answer(Answer::Accepted).await;
        assert_eq!(by.principal.unwrap().name, "other");
        assert_eq!(http.reply().await.status, 202);

        let mut served = serve(Duration::from_millis(500)).await;
        let mut stuck = begin(&served).await;
        let mut waiting = whole(&served, &slow).await;
        served.answer(Answer::Accepted).await;
        assert_eq!(waiting.reply().await.status, 202);
        assert!(stuck.is_closed().await);
    });
}

#[test]
fn connections_are_kept_for_further_calls_but_not_for_ever() {
    within(async {
        let idle = Duration::from_millis(100);
        let bounds = Bounds { idle, idle_connections: 2, ..Bounds::default() };
        let mut served = Served::within(bounds).await;
        let mut kept = Vec::new();
        for _ in 0..3 {
            let mut http = Http::dial(served.address).await;
            for _ in 0..3 {
                http.call(None, REVIVE).await;
                served.answer(Answer::Accepted).await;
                assert_eq!(http.reply().await.status, 202);
            }
            kept.push(http);
        }
        assert!(kept[0].is_closed().await, "it made room for the third");
        for http in &mut kept[1..] {
            assert!(http.is_closed().await, "it was idle for too long");
        }
    });
}

/// The core is slow to answer: that is no fault of those who wait.
#[test]
fn a_call_under_way_outlasts_all_bounds_and_a_chatty_framework_keeps_nobody_waiting() {
    within(async {
        let short = Duration::from_millis(50);
        let bounds = Bounds { handshake: short, idle: short, ..Bounds::default() };
        let mut served = Served::within(bounds).await;
        let mut quiet = Http::dial(served.address).await;
        quiet.call(None, SUBSCRIBE).await;
        served.let_in().await;
        let quiet = quiet.reply().await.header("mesos-stream-id").unwrap().to_owned();

        let mut chatty = Vec::new();
        let mut waiting = Vec::new();
        for _ in 0..2 * limits::CALLS_PER_CALLER {
            let mut http = Http::dial(served.address).await;
            http.call(None, REVIVE).await;
            chatty.push(http);
        }
        while waiting.len() < limits::CALLS_PER_CALLER {
            let Some(Event::Foreign { by, .. }) = served.calls.recv().await else { panic!() };
            waiting.push(by.request);
        }
        let mut other = Http::dial(served.address).await;
        other.call(Some(&quiet), REVIVE).await;
        let (_, named) = served.answer(Answer::Accepted).await;
        assert!(matches!(named, StreamName::Open(_)), "it has not waited for the others");
        assert_eq!(other.reply().await.status, 202);
        assert!(other.is_closed().await, "idle for as long as all the others wait");

        for request in waiting {
            served.streams.answer(request, Answer::Accepted);
        }
        for _ in 0..limits::CALLS_PER_CALLER {
            served.answer(Answer::Accepted).await;
        }
        for mut http in chatty {
            assert_eq!(http.reply().await.status, 202);
        }
    });
}

#[test]
fn a_call_that_nobody_can_answer_any_more_is_told_to_try_again() {
    within(async {
        let mut served = Served::new().await;
        let mut http = Http::dial(served.address).await;
        http.call(None, REVIVE).await;
        assert!(served.calls.recv().await.is_some());
        drop(served.calls);
        let mut late = Http::dial(served.address).await;
        late.call(None, REVIVE).await;
        assert_eq!(late.reply().await.status, 503);
        served.stop.send(()).unwrap();
        served.ended.await.unwrap();
        assert!(http.is_closed().await);
    });
}

#[test]
fn without_credentials_nothing_else_is_looked_at() {
    within(async {
        let mut served = Served::start(Bounds::default(), false).await;
        let basic = |pair: &str| {
            let mut value = b"Basic ".to_vec();
            base64::encode(pair.as_bytes(), &mut value);
            String::from_utf8(value).unwrap()
        };
        let line = format!("POST {SCHEDULER}");
        let right = basic("fw:secret");
        let authorized = [("Authorization", right.as_str()), ("Content-Type", JSON)];
        let early = ask(served.address, &line, &authorized, REVIVE).await;
        assert!(early.is(503, "Master has not finished recovery"), "{early:?}");

        let digest = Sha256::digest("secret").into();
        served.credentials.set(BTreeMap::from([("fw".to_owned(), digest)]));
        let wrong = basic("fw:other");
        for headers in [
            &[][..],
            &[("Content-Type", "text/plain")],
            &[("Authorization", wrong.as_str()), ("Content-Type", JSON)],
            &[("Authorization", "Bearer secret")],
        ] {
            for method in ["GET", "POST"] {
                let line = format!("{method} {SCHEDULER}");
                let reply = ask(served.address, &line, headers, "no json").await;
                assert!(reply.is(401, "401 Unauthorized."), "{reply:?}");
                let realm = "Basic realm=\"mesos-master-scheduler\"";
                assert_eq!(reply.header("www-authenticate"), Some(realm));
            }
        }
        assert!(served.calls.try_recv().is_err());

        let mut http = Http::dial(served.address).await;
        http.send(&line, &authorized, REVIVE).await;
        let (by, _) = served.answer(Answer::Accepted).await;
        assert_eq!(by.principal, Some(Principal { name: "fw".to_owned(), digest }));
        assert_eq!(http.reply().await.status, 202);
        // The core finds that the credentials were revoked meanwhile.
        http.send(&line, &authorized, REVIVE).await;
        served.answer(Answer::Unauthorized).await;
        let reply = http.reply().await;
        assert!(reply.is(401, "401 Unauthorized."), "{reply:?}");
        let mut http = Http::dial(served.address).await;
        let other = SUBSCRIBE.replace("\"name\"", "\"principal\":\"someone\",\"name\"");
        http.send(&line, &authorized, other).await;
        let words = "Failed to validate scheduler::Call: Authenticated principal 'fw' does not \
                     match principal 'someone' set in `FrameworkInfo`";
        let reply = http.reply().await;
        assert!(reply.is(400, words), "{reply:?}");
        for path in ["/version", "/health"] {
            let reply = ask(served.address, &format!("GET {path}"), &[], "").await;
            assert_eq!(reply.status, 200, "{path}");
        }
    });
}

#[test]
fn the_state_is_what_consoles_read() {
    within(async {
        let served = Served::new().await;
        for path in ["/state", "/master/state"] {
            let reply = ask(served.address, &format!("GET {path}"), &[], "").await;
            assert_eq!((reply.status, reply.header("content-type")), (200, Some(JSON)));
            let state: Value = serde_json::from_str(&reply.body).unwrap();
            assert_eq!(state["pid"], format!("master@{}", served.address));
            assert_eq!((&state["version"], &state["id"]), (&json!("1.11.0"), &json!("7")));
            assert_eq!(state["activated_slaves"], 1.0);
            let slave = &state["slaves"][0];
            assert_eq!((&slave["hostname"], &slave["active"]), (&json!("h"), &json!(true)));
            assert_eq!(slave["attributes"], json!({"rack": "r1"}));
            let used = json!({"cpus": 1.0, "mem": 24.0, "disk": 0.0, "gpus": 0.0});
            assert_eq!(slave["used_resources"], used);
            let framework = &state["frameworks"][0];
            assert_eq!((&framework["id"], &framework["active"]), (&json!("f"), &json!(true)));
            assert_eq!(framework["failover_timeout"], 60.0);
            let task = &framework["tasks"][0];
            assert_eq!((&task["slave_id"], &task["executor_id"]), (&json!("a"), &json!("")));
            assert_eq!(task["state"], "TASK_RUNNING");
        }
        let closed = Served::start(Bounds::default(), false).await;
        let reply = ask(closed.address, "GET /state", &[], "").await;
        let realm = "Basic realm=\"mesos-master-readonly\"";
        assert_eq!((reply.status, reply.header("www-authenticate")), (401, Some(realm)));
    });
}

#[test]
fn of_the_operator_api_health_and_version_are_served_and_the_rest_is_refused_aloud() {
    within(async {
        let served = Served::new().await;
        let json = [("Content-Type", JSON)];
        let missing = "Failed to validate master::Call: Expecting 'type' to be present";
        for (path, body, status, answer) in [
            (
                "/api/v1",
                r#"{"type":"GET_HEALTH"}"#,
                200,
                r#"{"get_health":{"healthy":true},"type":"GET_HEALTH"}"#,
            ),
            (
                "/api/v1/operator",
                r#"{"type":"GET_VERSION"}"#,
                200,
                r#"{"get_version":{"version_info":{"version":"1.11.0"}},"type":"GET_VERSION"}"#,
            ),
            (
                "/master/api/v1",
                r#"{"type":"GET_STATE"}"#,
                501,
                "GET_STATE is not served here; /state and the REST API of the scheduler have more",
            ),
            ("/api/v1/nothing", "{}", 400, missing),
        ] {
            let reply = ask(served.address, &format!("POST {path}"), &json, body).await;
            assert!(reply.is(status, answer), "{path}: {reply:?}");
        }
        assert_eq!(ask(served.address, "GET /api/v1", &json, "").await.status, 405);
        let protobuf = [("Content-Type", PROTOBUF)];
        assert_eq!(ask(served.address, "POST /api/v1", &protobuf, "").await.status, 501);
    });
}

#[test]
fn calls_are_counted_by_type_and_answer() {
    within(async {
        let mut served = Served::new().await;
        let mut http = Http::dial(served.address).await;
        for answer in [Answer::Accepted, Answer::Accepted, Answer::Forbidden(String::new())] {
            http.call(None, REVIVE).await;
            served.answer(answer).await;
            http.reply().await;
        }
        http.call(None, "{").await;
        http.reply().await;
        let mut calls = served.streams.counts().calls;
        assert_eq!(calls[&("SUBSCRIBE", 200)], 0, "what was not called is there too");
        calls.retain(|_, count| *count > 0);
        let wanted = [(("REVIVE", 202), 2), (("REVIVE", 403), 1), (("unread", 400), 1)];
        assert_eq!(calls, BTreeMap::from(wanted));
    });
}

#[test]
fn what_clients_ask_before_they_subscribe() {
    within(async {
        let served = Served::new().await;
        for prefix in ["", "/master"] {
            let get =
                async |path| ask(served.address, &format!("GET {prefix}{path}"), &[], "").await;
            assert!(get("/health").await.is(200, ""));
            let version = get("/version").await;
            assert_eq!(version.header("content-type"), Some(JSON));
            assert!(version.body.starts_with(r#"{"muster_version":""#), "{}", version.body);
            assert!(version.body.contains(r#""version":"1.11.0""#), "{}", version.body);
            let redirect = get("/redirect").await;
            let here = format!("//{}", served.address);
            assert_eq!((redirect.status, redirect.header("location")), (307, Some(here.as_str())));
            for none in ["/nothing", "/teardown"] {
                assert!(get(none).await.is(404, "404 Not Found."));
            }
        }
    });
}

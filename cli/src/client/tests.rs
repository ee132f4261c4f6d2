//! The client against a server that says what a test wants.

use muster_api::views::Problem;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    task::JoinHandle,
};

use super::*;

/// What was sent: the request line, the headers in lower case, the body.
#[derive(Debug)]
struct Sent {
    line: String,
    headers: String,
    body: String,
}

/// A server that answers one connection after another with these bytes, and tells what was sent.
async fn server(answers: Vec<String>) -> (Client, JoinHandle<Vec<Sent>>) {
    let (address, serving) = serve(answers).await;
    (Client::new(address, None).unwrap(), serving)
}

async fn serve(answers: Vec<String>) -> (Address, JoinHandle<Vec<Sent>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string().parse().unwrap();
    let serving = tokio::spawn(async move {
        let mut all = Vec::new();
        for answer in answers {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let (mut line, mut headers) = (String::new(), String::new());
            stream.read_line(&mut line).await.unwrap();
            while !headers.ends_with("\r\n\r\n") && headers != "\r\n" {
                stream.read_line(&mut headers).await.unwrap();
            }
            let headers = headers.to_lowercase();
            let length = headers.split("content-length: ").nth(1).and_then(|s| s.lines().next());
            let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
            stream.read_exact(&mut body).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            let body = String::from_utf8(body).unwrap();
            all.push(Sent { line: line.trim().to_owned(), headers, body });
        }
        all
    });
    (address, serving)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

fn json_answer(body: &Value) -> String {
    answer("200 OK", "content-type: application/json\r\n", &body.to_string())
}

#[tokio::test]
async fn calls_are_sent_whole() {
    let created = answer("201 Created", "Muster-Change: created\r\n", r#"{"name":"a"}"#);
    let (client, serving) = server(vec![created, answer("204 No Content", "", "")]).await;
    let put = Call::put("/v1/apps/a", json!({"name": "a"})).header("if-match", "\"1\"".to_owned());
    let done = client.send(put).await.unwrap();
    assert_eq!((done.change(), &done.body["name"]), ("created", &json!("a")));
    let delete = Call::delete("/v1/apps/a").query("x", "a b&ü").query("y", 1);
    assert_eq!(client.send(delete).await.unwrap().body, Value::Null);
    let sent = serving.await.unwrap();
    assert_eq!(sent[0].line, "PUT /v1/apps/a HTTP/1.1");
    assert_eq!(sent[0].body, r#"{"name":"a"}"#);
    for header in ["content-type: application/json\r\n", "if-match: \"1\"\r\n", "host: 127.0.0.1"] {
        assert!(sent[0].headers.contains(header), "{header}");
    }
    assert_eq!(sent[1].line, "DELETE /v1/apps/a?x=a%20b%26%C3%BC&y=1 HTTP/1.1");
}

#[tokio::test]
async fn the_token_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("admin.token");
    std::fs::write(&file, "secret\n").unwrap();
    let (address, serving) = serve(vec![json_answer(&json!({}))]).await;
    let client = Client::new(address.clone(), Some(&file)).unwrap();
    client.send(Call::get("/v1/apps")).await.unwrap();
    assert!(serving.await.unwrap()[0].headers.contains("authorization: bearer secret\r\n"));
    std::fs::write(&file, "no token\nat all").unwrap();
    assert!(Client::new(address, Some(&file)).is_err());
}

#[tokio::test]
async fn refusals_are_told_with_all_faults() {
    let problem = json!({"type": "/problems/invalid_document", "title": "Invalid document",
        "status": 422, "detail": "the document has 2 faults", "code": "invalid_document",
        "faults": [{"field": "name", "message": "bad"}, {"field": "app", "message": "worse"}]});
    let refusal = answer("422 Unprocessable", "", &problem.to_string());
    let (client, _serving) = server(vec![refusal, answer("502 Bad Gateway", "", "<html>")]).await;
    let error = client.send(Call::get("/")).await.unwrap_err();
    assert_eq!(error.to_string(), "the document has 2 faults\n  name: bad\n  app: worse");
    assert!(!error.may_pass() && !error.is_not_found());
    let error = client.send(Call::get("/x")).await.unwrap_err();
    assert!(error.to_string().contains("`GET /x` (502 Bad Gateway) is not understood"), "{error}");
}

#[tokio::test]
async fn failures_that_may_pass_are_told_apart() {
    let (client, serving) =
        server(vec!["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx".into()]).await;
    let broken = client.send(Call::get("/")).await.unwrap_err();
    assert!(matches!(broken, ClientError::Broken { .. }) && broken.may_pass());
    serving.await.unwrap();
    let away = client.send(Call::get("/")).await.unwrap_err();
    assert!(away.may_pass() && away.to_string().contains("start one with `muster dev`"));
    let problem = |status| {
        ClientError::Refused(Box::new(Problem {
            kind: String::new(),
            title: "title".to_owned(),
            status,
            detail: String::new(),
            code: String::new(),
            faults: Vec::new(),
        }))
    };
    assert!(problem(503).may_pass() && problem(404).is_not_found() && !problem(404).may_pass());
    assert!(problem(401).to_string().contains("--token-file"));
}

#[tokio::test]
async fn lists_are_followed_to_their_end_or_bound() {
    let page = |items: Value, next: Value| json_answer(&json!({"items": items, "next": next}));
    let pages = vec![page(json!([1, 2]), json!("c/1")), page(json!([3]), Value::Null)];
    let (client, serving) = server(pages.clone()).await;
    let all = client.list(Call::get("/v1/runs").query("job", "j"), 50).await.unwrap();
    assert_eq!((all.items, all.next), (vec![json!(1), json!(2), json!(3)], None));
    let sent = serving.await.unwrap();
    assert_eq!(sent[0].line, "GET /v1/runs?job=j&limit=50 HTTP/1.1");
    assert_eq!(sent[1].line, "GET /v1/runs?job=j&limit=48&cursor=c%2F1 HTTP/1.1");
    let (client, _serving) = server(pages).await;
    let some = client.list(Call::get("/v1/runs"), 2).await.unwrap();
    assert_eq!((some.items.len(), some.next), (2, Some("c/1".to_owned())));
}

#[tokio::test]
async fn output_is_read_as_it_comes() {
    let chunks = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n";
    let whole = format!("{chunks}0\r\n\r\n");
    let (client, _serving) = server(vec![whole, chunks.to_owned()]).await;
    let mut text = Vec::new();
    let mut output = client.stream(Call::get("/logs")).await.unwrap();
    while let Some(bytes) = output.next().await.unwrap() {
        text.extend_from_slice(&bytes);
    }
    assert_eq!(text, b"onetwo");
    let mut output = client.stream(Call::get("/logs")).await.unwrap();
    let broken = loop {
        match output.next().await {
            Ok(bytes) => assert!(bytes.is_some(), "the end was not said"),
            Err(error) => break error,
        }
    };
    assert!(broken.may_pass());
}

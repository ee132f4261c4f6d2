//! An executor that speaks the API of Mesos over plain HTTP, and the requests of one.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
};

use muster_proto::recordio::Decoder;
use serde_json::{Value, json};

use super::{PATIENCE, eventually, listen_of, read_head};

/// An answer: its head and its body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            (found == name).then_some(value)
        })
    }
}

/// Makes a request, byte for byte as given, and reads the whole answer.
pub fn request(listen: &str, request: &[u8]) -> Answer {
    let mut socket = TcpStream::connect(listen).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(request).unwrap();
    read_answer(&mut socket)
}

fn read_answer(socket: &mut TcpStream) -> Answer {
    let head = read_head(socket);
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut answer = Answer { status, head, body: Vec::new() };
    let length = answer.header("Content-Length").map_or(0, |length| length.parse().unwrap());
    answer.body.resize(length, 0);
    socket.read_exact(&mut answer.body).unwrap();
    answer
}

/// A POST to the executor API with these headers.
pub fn post(listen: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut bytes = b"POST /api/v1/executor HTTP/1.1\r\nHost: agent\r\n".to_vec();
    for (name, value) in headers {
        bytes.extend(format!("{name}: {value}\r\n").bytes());
    }
    bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
    bytes.extend_from_slice(body);
    request(listen, &bytes)
}

pub const JSON: (&str, &str) = ("Content-Type", "application/json");
pub const PROTOBUF: (&str, &str) = ("Content-Type", "application/x-protobuf");

/// A command that leaves its environment in its sandbox and goes on for ever.
pub const FOREVER: &str =
    "echo $$ > pid; env > env.new; echo PWD_IS=$(pwd) >> env.new; mv env.new env; exec sleep 1000";

/// An executor that has begun: its sandbox, and its environment.
pub struct Begun {
    pub sandbox: PathBuf,
    pub env: BTreeMap<String, String>,
}

impl Begun {
    /// The executor of this id that runs [`FOREVER`] and is in none of these sandboxes.
    pub fn again(work_dir: &Path, executor: &str, former: &[&Path]) -> Self {
        eventually("the executor has begun", || {
            let folders = std::fs::read_dir(work_dir.join("executors")).ok()?;
            folders.flatten().find_map(|folder| {
                let sandbox = folder.path().join("sandbox");
                let text = std::fs::read_to_string(sandbox.join("env")).ok()?;
                let pairs = text.lines().filter_map(|line| line.split_once('='));
                let env: BTreeMap<_, _> =
                    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                let is_it = env.get("MESOS_EXECUTOR_ID").is_some_and(|id| id == executor)
                    && !former.contains(&sandbox.as_path());
                is_it.then_some(Self { sandbox, env })
            })
        })
    }

    /// The executor of this id that runs [`FOREVER`].
    pub fn of(work_dir: &Path, executor: &str) -> Self {
        Self::again(work_dir, executor, &[])
    }
}

/// An executor of a foreign framework that speaks JSON.
pub struct Foreign {
    pub listen: String,
    pub framework: String,
    pub executor: String,
    pub token: Option<String>,
}

impl Foreign {
    /// The executor of this id, which its agent has started or will start.
    pub fn of(work_dir: &Path, executor: &str) -> Self {
        let listen = eventually("the agent is ready", || listen_of(work_dir));
        let framework = "framework-1".to_owned();
        Self { listen, framework, executor: executor.to_owned(), token: None }
    }

    /// A call with its ids, and this beside them.
    pub fn call(&self, kind: &str, body: Value) -> Value {
        let mut call = json!({
            "type": kind,
            "framework_id": {"value": self.framework},
            "executor_id": {"value": self.executor},
        });
        if !body.is_null() {
            call[kind.to_lowercase()] = body;
        }
        call
    }

    pub fn post(&self, call: &Value) -> Answer {
        let token = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let mut headers = vec![JSON];
        headers.extend(token.as_deref().map(|token| ("Authorization", token)));
        post(&self.listen, &headers, call.to_string().as_bytes())
    }

    pub fn update(&self, task: &str, state: &str, number: u8) -> Answer {
        self.post(&self.call("UPDATE", json!({"status": self.status(task, state, number)})))
    }

    /// A status with all that it must have; the number makes its uuid.
    pub fn status(&self, task: &str, state: &str, number: u8) -> Value {
        json!({
            "task_id": {"value": task},
            "state": state,
            "source": "SOURCE_EXECUTOR",
            "uuid": uuid(number),
        })
    }

    /// Subscribes and reads the first event.
    pub fn subscribe(&self) -> (Events, Value) {
        self.subscribe_with(json!({}))
    }

    pub fn subscribe_with(&self, subscribe: Value) -> (Events, Value) {
        let mut events = self.open(&self.call("SUBSCRIBE", subscribe), "application/json");
        let first = events.next().expect("an event");
        (events, first)
    }

    /// Sends a SUBSCRIBE that is answered with a stream.
    pub fn open(&self, call: &Value, accept: &str) -> Events {
        let (body, token) = (call.to_string(), self.token.as_ref());
        let token = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
        let request = format!(
            "POST /slave(1)/api/v1/executor HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\
             Content-Type: application/json\r\nAccept: {accept}\r\n{}Content-Length: {}\r\n\r\n{body}",
            token.unwrap_or_default(),
            body.len()
        );
        let mut socket = TcpStream::connect(&self.listen).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(request.as_bytes()).unwrap();
        let head = read_head(&mut socket);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        Events { socket, head, records: Decoder::new(1 << 26) }
    }
}

/// The bytes of a uuid, as JSON has them.
pub fn uuid(number: u8) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes = [number; 16];
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut bits = 0u32;
        for at in 0..3 {
            bits = bits << 8 | u32::from(chunk.get(at).copied().unwrap_or(0));
        }
        for at in 0..4 {
            let is_padding = at > chunk.len();
            let digit = (bits >> (18 - 6 * at)) & 63;
            text.push(if is_padding { '=' } else { char::from(alphabet[digit as usize]) });
        }
    }
    text
}

/// The events of a subscribed executor.
pub struct Events {
    socket: TcpStream,
    pub head: String,
    records: Decoder,
}

impl Events {
    /// The next record, which must be one chunk; `None` at the end of the stream.
    pub fn record(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            match self.socket.read(&mut byte) {
                Ok(1) => line.push(byte[0]),
                Ok(_) => return None,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    panic!("nothing came in time")
                }
                Err(_) => return None,
            }
        }
        let length = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
        if length == 0 {
            return None;
        }
        let mut chunk = vec![0; length + 2];
        self.socket.read_exact(&mut chunk).unwrap();
        self.records.feed(&chunk[..length]);
        let record = self.records.next_record().unwrap().expect("a whole record").to_vec();
        assert!(self.records.is_between_records(), "one chunk holds one record");
        Some(record)
    }

    /// The next event in JSON.
    pub fn next(&mut self) -> Option<Value> {
        Some(serde_json::from_slice(&self.record()?).unwrap())
    }

    /// The next event, which must be of this kind; gives its body.
    pub fn expect(&mut self, kind: &str) -> Value {
        let event = self.next().expect("an event");
        assert_eq!(event["type"], kind, "{event}");
        event[kind.to_lowercase()].clone()
    }
}

//! A webhook: it takes what is posted to it, and answers as it is told.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// What was posted.
#[derive(Debug, Clone)]
pub(crate) struct Posted {
    /// Method, path and version.
    pub(crate) line: String,
    /// The headers, by their names in small letters.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Posted {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// How a webhook answers.
#[derive(Debug, Clone, Copy)]
#[allow(dead_code, reason = "each of the tests that share it needs another part")]
pub(crate) enum Answer {
    /// With this status.
    Status(u16),
    /// Not at all, for as long as the other side waits.
    Never,
    /// It closes the connection.
    Closes,
}

/// A webhook on a free port, until it is dropped.
pub(crate) struct Webhook {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    posted: Mutex<Vec<Posted>>,
    /// Those to come; then it is 204.
    answers: Mutex<VecDeque<Answer>>,
    ends: AtomicBool,
}

impl Webhook {
    pub(crate) fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        state.answers.lock().unwrap().extend(answers);
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.ends.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&shared);
                // Whoever closes early is no matter of the webhook's.
                thread::spawn(move || shared.serve(stream?));
            }
        });
        Self { address, state }
    }

    pub(crate) fn uri(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All that was posted so far.
    pub(crate) fn posted(&self) -> Vec<Posted> {
        self.state.posted.lock().unwrap().clone()
    }

    /// Answers so from now on, and then with 204.
    #[allow(dead_code, reason = "each of the tests that share it needs another part")]
    pub(crate) fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        let mut all = self.state.answers.lock().unwrap();
        all.clear();
        all.extend(answers);
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.state.ends.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for a connection.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let mut headers = BTreeMap::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let Some((name, value)) = header.split_once(':') else { break };
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").and_then(|length| length.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body)?;
        self.posted.lock().unwrap().push(Posted { line: line.trim().to_owned(), headers, body });
        let answer = self.answers.lock().unwrap().pop_front();
        match answer.unwrap_or(Answer::Status(204)) {
            Answer::Closes => Ok(()),
            Answer::Never => reader.read_to_end(&mut Vec::new()).map(drop),
            Answer::Status(status) => {
                let elsewhere = "location: /elsewhere\r\n";
                let mut stream = stream;
                write!(stream, "HTTP/1.1 {status} X\r\n{elsewhere}content-length: 0\r\n\r\n")
            }
        }
    }
}

//! What the suite and its executors say to each other: lines of JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::http::{Answer, Head, Request};

/// What an executor finds when it starts; the first thing that it says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Hello {
    /// Which one it is.
    pub key: String,
    /// Its environment.
    pub environment: BTreeMap<String, String>,
    /// Its working directory.
    pub folder: String,
    /// The names of the files there.
    pub files: Vec<String>,
    /// Its process id.
    pub pid: i32,
    /// Its process group.
    pub group: i32,
    /// Its session.
    pub session: i32,
}

/// What the suite tells an executor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub(super) enum Order {
    /// Make a request and tell the whole answer.
    Request {
        /// What the answer is to be told by.
        id: u64,
        /// Whom to ask.
        address: String,
        /// What to ask.
        request: Request,
    },
    /// Make a request and tell its answer piece by piece.
    Open {
        /// What it is to be told by.
        id: u64,
        /// Whom to ask.
        address: String,
        /// What to ask.
        request: Request,
    },
    /// Close the connection of a request that was opened.
    Close {
        /// Which.
        id: u64,
    },
    /// End with this exit code.
    Exit {
        /// The code.
        code: u8,
    },
    /// Send yourself this signal.
    Signal {
        /// The signal.
        signal: i32,
    },
}

/// What an executor tells the suite.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub(super) enum Report {
    /// It is there.
    Hello(Hello),
    /// The answer to a request.
    Answered {
        /// Which.
        id: u64,
        /// The answer, or why there is none.
        answer: Result<Answer, String>,
    },
    /// The head of an answer that comes piece by piece.
    Opened {
        /// Which.
        id: u64,
        /// The head, or why there is none.
        head: Result<Head, String>,
    },
    /// A piece of it.
    Piece {
        /// Which.
        id: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Its end.
    Ended {
        /// Which.
        id: u64,
        /// Why it broke, if it did.
        broken: Option<String>,
    },
}

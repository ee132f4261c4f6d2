//! A recording, as it lies in a file: one line of JSON a thing that happened.

use std::{collections::BTreeMap, fs, io, path::Path};

use serde::Deserialize;
use serde_json::Value;

/// A recording.
#[derive(Debug)]
pub struct Recording {
    /// Its name: that of the file.
    pub name: String,
    /// What happened, in this order.
    pub(super) lines: Vec<Line>,
}

/// Something that happened.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Line {
    /// An event came.
    Came(Came),
    /// Somebody did something.
    Done(Box<Done>),
}

/// An event on a stream.
#[derive(Debug, Deserialize)]
pub(super) struct Came {
    /// The event.
    pub(super) event: Value,
    /// The number of the request that opened the stream.
    pub(super) on: String,
    /// The executor whose stream it is; of the scheduler if there is none.
    pub(super) by: Option<String>,
}

/// Something that a client or an operator did.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub(super) enum Done {
    /// A request with a whole answer.
    Call(Exchange),
    /// A request that opened a stream.
    Subscribe(Exchange),
    /// The scheduler closed the connection of a stream.
    Close {
        /// The number of the request that opened it.
        on: String,
    },
    /// The process of an executor ended by itself.
    End {
        /// The executor.
        by: String,
        /// Its wait status.
        status: i32,
    },
    /// Nothing for a time, on which what follows depends.
    Wait {
        /// How long.
        seconds: u64,
    },
    /// Something was done to the process of the agent.
    Agent {
        /// What: `kill` or `start`.
        order: String,
    },
}

/// A request with its answer.
#[derive(Debug, Deserialize)]
pub(super) struct Exchange {
    /// Number and name.
    pub(super) step: String,
    /// The executor that asked; the scheduler if there is none.
    pub(super) by: Option<String>,
    /// What was asked.
    pub(super) request: Asked,
    /// What was answered.
    pub(super) answer: Answered,
}

/// A request, with ids of then.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    /// The method.
    pub(super) method: String,
    /// The path.
    pub(super) path: String,
    /// Names and values.
    pub(super) headers: Vec<(String, String)>,
    /// A body of JSON.
    pub(super) json: Option<Value>,
    /// A body of protobuf, as JSON.
    pub(super) protobuf: Option<Value>,
    /// Any other text.
    pub(super) text: Option<String>,
    /// Any other bytes, in base64.
    pub(super) bytes: Option<String>,
}

/// An answer, with ids of then.
#[derive(Debug, Deserialize)]
pub(super) struct Answered {
    /// The status.
    pub(super) status: u16,
    /// Those headers that matter.
    pub(super) headers: BTreeMap<String, String>,
    /// The body; none of a stream.
    pub(super) body: Option<String>,
}

/// A file is no recording.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It cannot be read.
    #[error("cannot read {path}")]
    Io {
        /// Which.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// A line of it is not what is expected there.
    #[error("line {line} of {path} is no line of a recording")]
    Line {
        /// Which file.
        path: String,
        /// Which line, from 1.
        line: usize,
        /// Why not.
        source: serde_json::Error,
    },
}

impl Asked {
    /// Whether it is a call of this type.
    pub(super) fn is(&self, kind: &str) -> bool {
        self.json.as_ref().or(self.protobuf.as_ref()).is_some_and(|call| call["type"] == kind)
    }
}

impl Recording {
    /// Reads one.
    pub fn read(path: &Path) -> Result<Self, Unreadable> {
        let told = path.display().to_string();
        let text = fs::read_to_string(path);
        let text = text.map_err(|source| Unreadable::Io { path: told.clone(), source })?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let lines = text.lines().enumerate().map(|(at, line)| {
            let invalid = |source| Unreadable::Line { path: told.clone(), line: at + 1, source };
            serde_json::from_str(line).map_err(invalid)
        });
        Ok(Self { name, lines: lines.collect::<Result<_, _>>()? })
    }

    /// How many things happened.
    pub fn count(&self) -> usize {
        self.lines.len()
    }

    /// Whether offers are taken back in it, which may have been held for too long.
    pub(super) fn withdraws_offers(&self) -> bool {
        let is_rescind =
            |line: &Line| matches!(line, Line::Came(came) if came.event["type"] == "RESCIND");
        self.lines.iter().any(is_rescind)
    }

    /// Whether an executor asked for something in it, and so had a process.
    pub(super) fn has_process(&self, executor: &str) -> bool {
        let asked = |line: &Line| match line {
            Line::Done(done) => match done.as_ref() {
                Done::Call(it) | Done::Subscribe(it) => it.by.as_deref() == Some(executor),
                _ => false,
            },
            Line::Came(_) => false,
        };
        self.lines.iter().any(asked)
    }

    /// The offers of the recording by their ids.
    pub(super) fn offers(&self) -> BTreeMap<String, Value> {
        let events = self.lines.iter().filter_map(|line| match line {
            Line::Came(came) => Some(&came.event),
            Line::Done(_) => None,
        });
        let offers = events.filter_map(|event| event["offers"]["offers"].as_array()).flatten();
        offers
            .filter_map(|offer| Some((offer["id"]["value"].as_str()?.to_owned(), offer.clone())))
            .collect()
    }
}

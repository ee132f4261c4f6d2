//! Why there is no connection to the agent, or no longer one.

use hyper::StatusCode;
use muster_proto::recordio;

/// Why there is no connection, or no longer one.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("the agent cannot be reached")]
    Dial(#[source] std::io::Error),
    #[error("the agent does not answer in time")]
    Slow,
    #[error("the agent cannot be asked")]
    Ask(#[source] hyper::Error),
    #[error("the token of the executor cannot be sent")]
    Token(#[source] hyper::http::Error),
    #[error("the agent answers with {status}{words}")]
    Status { status: StatusCode, words: Words },
    #[error("the stream broke")]
    Broke(#[source] std::io::Error),
    #[error("the stream broke")]
    BodyBroke(#[source] hyper::Error),
    #[error("the agent has closed the stream")]
    Closed,
    #[error("the agent sent damaged framing")]
    Framing(#[from] recordio::InvalidRecord),
    #[error("the agent sent what is no message")]
    Message(#[from] prost::DecodeError),
    #[error("the agent has ended the subscription: {0}")]
    Over(String),
}

impl LinkError {
    /// The agent has answered with this, and said no more.
    pub(super) fn status(status: StatusCode) -> Self {
        Self::Status { status, words: Words(String::new()) }
    }

    /// The status with which the agent does not want this executor, or does not know it.
    pub(super) fn refusal(&self) -> Option<StatusCode> {
        let Self::Status { status, .. } = self else { return None };
        let refuses = matches!(
            *status,
            StatusCode::BAD_REQUEST
                | StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::NOT_FOUND
        );
        refuses.then_some(*status)
    }
}

/// What an agent says beside a status, after a colon.
#[derive(Debug)]
pub(super) struct Words(pub(super) String);

impl std::fmt::Display for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.trim() {
            "" => Ok(()),
            words => write!(f, ": {words}"),
        }
    }
}

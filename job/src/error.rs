//! Why a handler failed.

use std::{error::Error, fmt};

/// The failure of a handler: any error of the standard kind, or a text.
///
/// It is deliberately no [`Error`] itself, so that every error converts into it with `?`. Its
/// text is the error and all its causes, and becomes the message of the failed task.
pub struct JobError {
    cause: Box<dyn Error + Send + Sync>,
}

impl JobError {
    /// A failure that is described by a text alone.
    pub fn new(text: impl Into<String>) -> Self {
        Self { cause: text.into().into() }
    }

    /// A failure from an error that is boxed already, such as one of `anyhow`.
    pub fn from_boxed(cause: Box<dyn Error + Send + Sync>) -> Self {
        Self { cause }
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for JobError {
    fn from(error: E) -> Self {
        Self { cause: Box::new(error) }
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cause)?;
        let mut cause = self.cause.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("failed to read `{name}`")]
    struct Unreadable {
        name: &'static str,
        source: std::io::Error,
    }

    #[test]
    fn the_text_names_all_causes() {
        let source = std::io::Error::other("the disk is on fire");
        let error = JobError::from(Unreadable { name: "a", source });
        assert_eq!(error.to_string(), "failed to read `a`: the disk is on fire");
        assert_eq!(JobError::new("no input").to_string(), "no input");
    }
}

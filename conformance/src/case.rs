//! What a case is.

use std::pin::Pin;

use crate::{context::Context, encoding::Encoding, outcome::Outcome};

/// What a case needs of the cluster; those that need nothing run beside all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: its frameworks want no offers.
    Nothing,
    /// A master that authenticates frameworks, and a principal that it knows.
    Credentials,
    /// Offers, so that no other case may want any meanwhile.
    Offers,
    /// Offers of the agent on this host, for processes of the suite.
    Executors,
}

impl Needs {
    /// Whether the case wants offers.
    pub fn offers(self) -> bool {
        matches!(self, Self::Offers | Self::Executors)
    }
}

/// Which encodings a case is run in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// JSON only: it is about JSON, or the encoding plays no part.
    Json,
    /// Protobuf only: it is about that.
    Protobuf,
    /// Once in each.
    Both,
}

impl Speaks {
    /// Whether the case is run in this encoding.
    pub fn includes(self, encoding: Encoding) -> bool {
        match self {
            Self::Json => encoding == Encoding::Json,
            Self::Protobuf => encoding == Encoding::Protobuf,
            Self::Both => true,
        }
    }
}

/// A case under way.
pub type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// One thing that a Mesos does.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// `subject/what-it-does`.
    pub name: &'static str,
    /// What it needs.
    pub needs: Needs,
    /// In which encodings it is run.
    pub speaks: Speaks,
    /// Does it.
    pub run: fn(Context) -> Running,
}

/// A line of a table of cases: what it needs and speaks, its name and its function.
macro_rules! case {
    ($needs:ident, $speaks:ident, $name:literal, $function:path) => {
        $crate::case::Case {
            name: $name,
            needs: $crate::case::Needs::$needs,
            speaks: $crate::case::Speaks::$speaks,
            run: |context| Box::pin(async move { $function(&context).await }),
        }
    };
}

pub(crate) use case;

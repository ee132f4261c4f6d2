//! What the command is given.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::encoding::Encoding;

/// Holds a Mesos v1 master, and an agent on this host, against what a real Mesos does.
#[derive(Debug, Parser)]
#[command(name = "muster-conformance", version, args_conflicts_with_subcommands = true)]
#[command(subcommand_negates_reqs = true)]
pub struct Arguments {
    /// Another thing to do than to run the cases.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Whom to judge.
    #[command(flatten)]
    pub cases: Option<Cases>,
}

/// The cases.
#[derive(Debug, Args)]
pub struct Cases {
    /// The master, as HOST:PORT or URL
    #[arg(long, value_name = "URL", required = true)]
    pub master: String,
    /// An agent of it on this host; without it no executor is judged
    #[arg(long, value_name = "URL")]
    pub agent: Option<String>,
    /// Who the suite says it is, if the master authenticates frameworks
    #[arg(long, requires = "secret_file")]
    pub principal: Option<String>,
    /// The file that holds the secret of the principal
    #[arg(long, value_name = "FILE", requires = "principal")]
    pub secret_file: Option<PathBuf>,
    /// Only cases whose name contains this
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// Only in one encoding
    #[arg(long, value_enum)]
    pub encoding: Option<Spoken>,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// What else there is to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the cases
    List,
    /// Send recorded requests in their order and compare what comes back with the recordings
    Replay(Replay),
    /// Be an executor of the suite: what an agent starts
    #[command(hide = true)]
    Executor {
        /// Where the suite listens
        address: String,
        /// What the suite knows this executor by
        key: String,
    },
}

/// A replay.
#[derive(Debug, Args)]
pub struct Replay {
    /// Recordings: files, or folders of them
    #[arg(required = true)]
    pub recordings: Vec<PathBuf>,
    /// The master, as HOST:PORT or URL
    #[arg(long, value_name = "URL")]
    pub master: String,
    /// An agent of it on this host
    #[arg(long, value_name = "URL")]
    pub agent: String,
    /// The secret of a principal of the recordings, in a file
    #[arg(long = "secret", value_name = "PRINCIPAL=FILE")]
    pub secrets: Vec<String>,
    /// A command of the shell that is run with `kill` or `start` where that was done to the agent
    #[arg(long, value_name = "COMMAND")]
    pub agent_hook: Option<String>,
    /// The differences that are known and accepted; each has to be met
    #[arg(long, value_name = "FILE")]
    pub accepted: Option<PathBuf>,
}

/// An encoding, as it is named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Spoken {
    /// `application/json`
    Json,
    /// `application/x-protobuf`
    Protobuf,
}

impl Spoken {
    /// The encoding.
    pub fn encoding(self) -> Encoding {
        match self {
            Self::Json => Encoding::Json,
            Self::Protobuf => Encoding::Protobuf,
        }
    }
}

/// A way to print results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

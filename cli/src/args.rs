//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use muster_api::{AppName, JobName, RunId, limits, views::RunState};
use serde::Deserialize;

use crate::{client::Address, config::text, screen::Format, server::ServerCommand};

/// Muster: a distributed scheduler for sharded jobs.
#[derive(Debug, Parser)]
#[command(name = "muster", version, about)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) client: ClientFlags,
    /// TOML file with defaults for flags, in the sections `[client]`, `[dev]`, `[scheduler]` and
    /// `[agent]`
    #[arg(long, global = true, env = "MUSTER_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every client command.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ClientFlags {
    /// The scheduler to call [default: that of `muster dev`, else http://127.0.0.1:8899]
    #[arg(long, global = true, env = "MUSTER_SERVER", value_name = "URL")]
    #[serde(deserialize_with = "text")]
    pub(crate) server: Option<Address>,
    /// File with the token to show it
    #[arg(long, global = true, env = "MUSTER_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// How to show answers [default: table]
    #[arg(long, short, global = true, env = "MUSTER_OUTPUT", value_name = "FORMAT")]
    pub(crate) output: Option<Format>,
}

impl ClientFlags {
    /// These, and where they are silent those of a file.
    pub(crate) fn or(self, file: Self) -> Self {
        Self {
            server: self.server.or(file.server),
            token_file: self.token_file.or(file.token_file),
            output: self.output.or(file.output),
        }
    }
}

/// What to be or to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Server(ServerCommand),
    #[command(flatten)]
    Client(ClientCommand),
}

/// What to have a scheduler do.
#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// Create or change apps and jobs
    Apply(ApplyArgs),
    /// List the apps
    Apps,
    /// List the jobs
    Jobs,
    /// Start a run of a job now
    Run(RunArgs),
    /// List runs, or show one with its shards
    Runs(RunsArgs),
    /// Show what the tasks of a run have written
    Logs(LogsArgs),
    /// End a run
    Cancel {
        /// The run
        run: RunId,
    },
    /// Show when a job fires next
    Next {
        /// The job
        job: JobName,
        /// How many fires
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
        count: u32,
    },
    /// Show what became of the planned fires of a job, the newest first
    Fires {
        /// The job
        job: JobName,
        /// How many at most
        #[arg(long, default_value_t = 50, value_parser = rows())]
        limit: usize,
    },
    /// Let an app or job fire and run
    Enable {
        #[command(subcommand)]
        subject: SubjectArg,
    },
    /// Keep an app or job from firing; the running run ends as usual
    Disable {
        #[command(subcommand)]
        subject: SubjectArg,
        /// End the running run too
        #[arg(long)]
        kill: bool,
    },
    /// Delete an app or job and kill its tasks; with an app go its jobs
    Delete {
        #[command(subcommand)]
        subject: SubjectArg,
    },
    /// List the executor hosts
    Agents,
    /// Show which runs wait, and why
    Queue,
}

/// An app or a job.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum SubjectArg {
    /// An app
    App {
        /// Its name
        name: AppName,
    },
    /// A job
    Job {
        /// Its name
        name: JobName,
    },
}

/// Which documents to apply.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// YAML or JSON file, folder of such files, or `-` for standard input; may be given again
    #[arg(long = "file", short, required = true, value_name = "FILE|DIR")]
    pub(crate) files: Vec<PathBuf>,
}

/// What to run and how long to stay.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The job
    pub(crate) job: JobName,
    /// Parameter of this run, in place of the job's
    #[arg(long, value_name = "TEXT")]
    pub(crate) parameter: Option<String>,
    /// Shards to run, as in 0,2 [default: all]
    #[arg(long, value_delimiter = ',', value_name = "ITEMS")]
    pub(crate) items: Option<Vec<u32>>,
    /// Stay until the run is over; exit with 0 if it succeeded, else with 1
    #[arg(long)]
    pub(crate) wait: bool,
    /// Stay and show what its tasks write
    #[arg(long)]
    pub(crate) follow: bool,
}

/// Which runs to show.
#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    /// Show this run with its shards
    #[arg(conflicts_with_all = ["job", "state", "limit"])]
    pub(crate) run: Option<RunId>,
    /// Only runs of this job
    #[arg(long)]
    pub(crate) job: Option<JobName>,
    /// Only runs in this state
    #[arg(long, value_parser = state)]
    pub(crate) state: Option<RunState>,
    /// How many at most
    #[arg(long, default_value_t = 50, value_parser = rows())]
    pub(crate) limit: usize,
}

/// Which output to show.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// The run
    pub(crate) run: RunId,
    /// The shard [default: all, each line with its shard in front]
    pub(crate) item: Option<u32>,
    /// Only this stream [default: both, each to its own]
    #[arg(long)]
    pub(crate) stream: Option<Stream>,
    /// Stay and show what is written until the shard is over
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Which attempt at the shard [default: the newest]
    #[arg(long, requires = "item", conflicts_with = "follow", value_name = "N")]
    pub(crate) attempt: Option<u32>,
}

/// An output stream of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Its name in the API.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

fn state(text: &str) -> Result<RunState, String> {
    serde_json::from_value(text.into()).map_err(|_| {
        "a run is pending, running, stopping, succeeded, failed, timed_out or cancelled".to_owned()
    })
}

/// From one row to ten full pages.
fn rows() -> impl clap::builder::TypedValueParser<Value = usize> {
    use clap::builder::{RangedU64ValueParser, TypedValueParser as _};
    let most = (10 * limits::PAGE_ROWS) as u64;
    RangedU64ValueParser::<u64>::new().range(1..=most).map(|rows| rows as usize)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_of_the_client_stand_anywhere() {
        for line in [
            "muster --server http://h:1 --output json jobs",
            "muster jobs --server http://h:1 -o json",
        ] {
            let cli = parse(line).unwrap();
            assert_eq!(cli.client.server, Some("http://h:1".parse().unwrap()));
            assert_eq!(cli.client.output, Some(Format::Json));
        }
        assert!(parse("muster jobs --server https://h").is_err());
        assert!(parse("muster jobs --output xml").is_err());
    }

    #[test]
    fn servers_take_the_flags_of_the_design() {
        for line in [
            "muster dev --data-dir d --http 127.0.0.1:0 --master-listen 127.0.0.1:0 --agents 2 \
             --resources cpus:4;mem:4096",
            "muster scheduler --data-dir d --http 127.0.0.1:0 --master-listen 127.0.0.1:0",
            "muster agent --master h:1 --work-dir d --listen 127.0.0.1:0 --resources cpus:1;mem:64 \
             --attributes rack:r1;ssd:true --hostname n --join-token-file f --plaintext",
            "muster supervise --dir d",
            "muster executor",
        ] {
            let cli = parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert!(matches!(cli.command, Command::Server(_)));
        }
        assert!(parse("muster dev --agents 65").is_err());
        assert!(parse("muster dev --resources cpus").is_err());
    }

    #[test]
    fn runs_are_started_with_parameters() {
        let cli = parse("muster run nightly --wait --follow --items 0,2 --parameter p").unwrap();
        let Command::Client(ClientCommand::Run(args)) = cli.command else { panic!("a run") };
        assert_eq!((args.wait, args.follow), (true, true));
        assert_eq!((args.items, args.parameter), (Some(vec![0, 2]), Some("p".into())));
        for bad in ["muster run", "muster run a:b", "muster run j --items x"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_run_or_a_list_is_shown() {
        let run = "019a0000-0000-7000-8000-000000000000";
        assert!(parse(&format!("muster runs {run}")).is_ok());
        assert!(parse("muster runs --job j --state timed_out --limit 5").is_ok());
        for bad in
            [&format!("muster runs {run} --job j"), "muster runs --state odd", "muster runs x"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse(&format!("muster logs {run} 0 --stream stderr --attempt 2")).is_ok());
        assert!(parse(&format!("muster logs {run} --attempt 2")).is_err());
    }

    #[test]
    fn subjects_have_a_kind_and_a_name() {
        let cli = parse("muster disable job nightly --kill")
            .or(parse("muster disable --kill job nightly"));
        let Command::Client(ClientCommand::Disable { subject, kill }) = cli.unwrap().command else {
            panic!("disable")
        };
        assert_eq!(subject, SubjectArg::Job { name: "nightly".parse().unwrap() });
        assert!(kill);
        assert!(parse("muster delete app reports").is_ok());
        assert!(parse("muster delete reports").is_err());
    }
}

//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use muster_api::{
    InvalidName, JobName, RunId, Timestamp, limits,
    spec::{Gap, Overlap},
    views::RunState,
};

use crate::{
    client_flags::{ClientFlags, WithFlags},
    server::ServerCommand,
    stored::StoredCommand,
};

/// Muster: a distributed scheduler for sharded jobs.
#[derive(Debug, Parser)]
#[command(name = "muster", version)]
pub(crate) struct Cli {
    /// TOML file with defaults for flags, in the sections `[client]`, `[dev]`, `[scheduler]` and
    /// `[agent]`
    #[arg(long, global = true, env = "MUSTER_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Those that stand before the name of the command.
    #[command(flatten)]
    pub(crate) client: ClientFlags,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to be or to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Server(ServerCommand),
    #[command(flatten)]
    Client(WithFlags<ClientCommand>),
    #[command(flatten)]
    Stored(StoredCommand),
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
    /// Run again what is over: all shards of a run, or some
    Rerun(RerunArgs),
    /// End a run
    Cancel {
        /// The run
        #[arg(value_parser = run_id)]
        run: RunId,
    },
    /// Show when a job fires next, or when a cron expression would
    Next(NextArgs),
    /// Show what became of the planned fires of a job, the newest first
    Fires(FiresArgs),
    /// Let an app or job fire and run
    Enable {
        #[command(flatten)]
        subject: SubjectArgs,
    },
    /// Keep an app or job from firing; the running run ends as usual
    Disable {
        #[command(flatten)]
        subject: SubjectArgs,
        /// End the running run too
        #[arg(long)]
        kill: bool,
    },
    /// Delete an app or job and kill its tasks; with an app go its jobs
    Delete {
        #[command(flatten)]
        subject: SubjectArgs,
    },
    /// List the executor hosts, or say that one will never come back
    Agents {
        #[command(subcommand)]
        order: Option<AgentsOrder>,
    },
    /// Have the master asked for the truth about every task
    Reconcile,
    /// Show which runs wait, and why
    Queue,
    /// Say why a job or run is as it is: what it waits for, where it runs, what was missed
    Explain {
        /// The job, or the id of a run
        #[arg(value_name = "JOB|RUN")]
        what: JobName,
    },
    /// Show what is offered, to whom and since when
    Offers,
    /// Let a restored scheduler fire, launch and kill again
    Resume {
        /// Make good what was missed, as the misfire rule of each job says [default: pass it over]
        #[arg(long)]
        replay: bool,
    },
}

/// What to do with an executor host.
#[derive(Debug, Subcommand)]
pub(crate) enum AgentsOrder {
    /// Say that a host will never come back: its tasks count as dead and start again elsewhere
    ///
    /// This is your word, and nobody checks it: if the host runs on, its shards run twice until its
    /// agent is back, which then ends them. It does not wait for any lease.
    Gone {
        /// The id of its agent, or its host name if no other agent has that
        host: String,
    },
}

/// An app or a job.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct SubjectArgs {
    /// What it is: `app` or `job`
    #[arg(value_name = "app|job", value_parser = kind)]
    pub(crate) kind: Kind,
    /// Its name
    #[arg(value_parser = name)]
    pub(crate) name: String,
}

/// What there are documents of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An app.
    App,
    /// A job.
    Job,
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
    #[arg(long, value_delimiter = ',', value_name = "ITEMS", value_parser = item)]
    pub(crate) items: Option<Vec<u32>>,
    #[command(flatten)]
    pub(crate) stay: StayArgs,
}

/// What to run again and how long to stay.
#[derive(Debug, Args)]
pub(crate) struct RerunArgs {
    /// The run, which is over
    #[arg(value_parser = run_id)]
    pub(crate) run: RunId,
    /// Only the shards that did not succeed
    #[arg(long, conflicts_with = "items")]
    pub(crate) failed: bool,
    /// Shards to run, as in 0,2 [default: all of that run]
    #[arg(long, value_delimiter = ',', value_name = "ITEMS", value_parser = item)]
    pub(crate) items: Option<Vec<u32>>,
    #[command(flatten)]
    pub(crate) stay: StayArgs,
}

/// How long to stay with a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub(crate) struct StayArgs {
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
    #[arg(conflicts_with_all = ["job", "state", "limit"], value_parser = run_id)]
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

/// Which planned fires to show.
#[derive(Debug, Args)]
pub(crate) struct FiresArgs {
    /// The job
    pub(crate) job: JobName,
    /// Only those planned at this time or later, as in 2026-03-28T00:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<Timestamp>,
    /// Only those planned before this time
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<Timestamp>,
    /// How many at most
    #[arg(long, default_value_t = 50, value_parser = rows())]
    pub(crate) limit: usize,
}

/// Which coming fires to show.
#[derive(Debug, Args)]
pub(crate) struct NextArgs {
    /// The job
    #[arg(required_unless_present = "cron")]
    pub(crate) job: Option<JobName>,
    /// How many fires
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) count: u32,
    /// Try this expression, without a scheduler
    #[arg(long, value_name = "EXPRESSION", conflicts_with = "job")]
    pub(crate) cron: Option<String>,
    /// Its time zone [default: UTC]
    #[arg(long, visible_alias = "time-zone", conflicts_with = "job", value_name = "ZONE")]
    pub(crate) zone: Option<String>,
    /// What becomes of a local time that does not exist: `run_after` or `skip` [default: run_after]
    #[arg(long, conflicts_with = "job", value_name = "RULE", value_parser = gap)]
    pub(crate) gap: Option<Gap>,
    /// What becomes of one that comes twice: `first`, `second` or `both` [default: first]
    #[arg(long, conflicts_with = "job", value_name = "RULE", value_parser = overlap)]
    pub(crate) overlap: Option<Overlap>,
    /// The time from which on to look, as in 2026-03-28T00:00:00Z [default: now]
    #[arg(long, conflicts_with = "job", value_name = "TIME")]
    pub(crate) from: Option<Timestamp>,
}

/// Which output to show.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// The run
    #[arg(value_parser = run_id)]
    pub(crate) run: RunId,
    /// The shard [default: all, each line with its shard in front]
    #[arg(value_parser = item)]
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

fn kind(text: &str) -> Result<Kind, String> {
    match text {
        "app" => Ok(Kind::App),
        "job" => Ok(Kind::Job),
        _ if text.parse::<JobName>().is_ok() => Err(format!("say `job {text}` or `app {text}`")),
        _ => Err("say `job` or `app`, and then its name".to_owned()),
    }
}

/// Names of apps and of jobs follow one rule.
fn name(text: &str) -> Result<String, InvalidName> {
    text.parse().map(|name: JobName| name.to_string())
}

fn run_id(text: &str) -> Result<RunId, String> {
    text.parse().map_err(|_| format!("`{text}` is no id of a run; `muster runs` lists them"))
}

fn item(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("`{text}` is no shard; shards are numbered 0, 1, 2 ..."))
}

fn state(text: &str) -> Result<RunState, String> {
    serde_json::from_value(text.into()).map_err(|_| {
        "a run is pending, running, stopping, succeeded, failed, timed_out or cancelled".to_owned()
    })
}

fn gap(text: &str) -> Result<Gap, String> {
    serde_json::from_value(text.into()).map_err(|_| "it is run_after or skip".to_owned())
}

fn overlap(text: &str) -> Result<Overlap, String> {
    serde_json::from_value(text.into()).map_err(|_| "it is first, second or both".to_owned())
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
    use crate::screen::Format;

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
            let Command::Client(command) = cli.command else { panic!("{line}") };
            let flags = command.flags.or(cli.client);
            assert_eq!(flags.server, Some("http://h:1".parse().unwrap()));
            assert_eq!(flags.output, Some(Format::Json));
        }
        assert!(parse("muster jobs --server https://h").is_err());
        assert!(parse("muster jobs --output xml").is_err());
    }

    #[test]
    fn servers_do_not_have_them() {
        let mut all = Cli::command();
        all.build();
        for name in ["dev", "scheduler", "agent", "executor", "supervise"] {
            let server = all.find_subcommand(name).unwrap();
            assert!(server.get_arguments().all(|arg| arg.get_id() != "server"), "{name}");
            assert!(parse(&format!("muster {name} --server http://h:1")).is_err(), "{name}");
        }
        let help = all.find_subcommand_mut("disable").unwrap().render_help().to_string();
        assert!(help.contains("--token-file") && help.contains("[env: MUSTER_SERVER]"), "{help}");
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
    fn stores_are_copied_and_looked_at() {
        for line in [
            "muster backup -o f",
            "muster --server http://h:1 backup --output - --token-file t",
            "muster restore --from f --data-dir d --store redb",
            "muster store inspect --data-dir d --output json",
        ] {
            let cli = parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert!(matches!(cli.command, Command::Stored(_)), "{line}");
        }
        for line in ["muster backup", "muster restore --from f --data-dir d --store tape"] {
            assert!(parse(line).is_err(), "{line}");
        }
        for line in ["muster resume", "muster resume --replay -o json"] {
            assert!(parse(line).is_ok(), "{line}");
        }
        for line in ["muster dev --store redb", "muster scheduler --store sled"] {
            assert!(parse(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn runs_are_started_with_parameters() {
        let cli = parse("muster run nightly --wait --follow --items 0,2 --parameter p").unwrap();
        let Command::Client(WithFlags { command: ClientCommand::Run(args), .. }) = cli.command
        else {
            panic!("a run")
        };
        assert_eq!(args.stay, StayArgs { wait: true, follow: true });
        assert_eq!((args.items, args.parameter), (Some(vec![0, 2]), Some("p".into())));
        for bad in ["muster run", "muster run a:b"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let error = parse("muster run j --items 0,x").unwrap_err().to_string();
        assert!(error.contains("`x` is no shard"), "{error}");
    }

    #[test]
    fn runs_are_repeated_in_whole_or_in_part() {
        let run = "019a0000-0000-7000-8000-000000000000";
        let cli = parse(&format!("muster rerun {run} --items 0,2 --wait")).unwrap();
        let Command::Client(WithFlags { command: ClientCommand::Rerun(args), .. }) = cli.command
        else {
            panic!("a rerun")
        };
        assert_eq!((args.run.to_string(), args.failed), (run.to_owned(), false));
        assert_eq!((args.items, args.stay.wait), (Some(vec![0, 2]), true));
        assert!(parse(&format!("muster rerun {run} --failed --follow")).is_ok());
        for bad in
            ["muster rerun", "muster rerun j", &format!("muster rerun {run} --failed --items 1")]
        {
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
        let error = parse("muster runs xyz").unwrap_err().to_string();
        assert!(error.contains("`xyz` is no id of a run"), "{error}");
    }

    #[test]
    fn fires_are_shown_of_a_time() {
        let line = "muster fires j --from 2026-03-28T00:00:00Z --to 2026-03-29T00:00:00Z --limit 7";
        let Command::Client(WithFlags { command: ClientCommand::Fires(args), .. }) =
            parse(line).unwrap().command
        else {
            panic!("the fires of a job")
        };
        assert!(args.from < args.to && args.limit == 7);
        for bad in ["muster fires", "muster fires j --from monday", "muster fires j --limit 0"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn expressions_are_tried_in_place_of_a_job() {
        let line = ["muster", "next", "--cron", "0 30 2 * * ?", "--zone", "Europe/Berlin"];
        let more = ["--gap", "skip", "--overlap", "both", "--from", "2026-03-28T00:00:00Z"];
        let cli = Cli::try_parse_from(line.iter().chain(&more)).unwrap();
        let Command::Client(WithFlags { command: ClientCommand::Next(args), .. }) = cli.command
        else {
            panic!("the next fires")
        };
        assert_eq!((args.job, args.count), (None, 10));
        assert_eq!((args.gap, args.overlap), (Some(Gap::Skip), Some(Overlap::Both)));
        assert!(parse("muster next nightly --count 3").is_ok());
        for bad in [
            "muster next",
            "muster next nightly --cron x",
            "muster next nightly --zone UTC",
            "muster next --cron x --gap leap",
            "muster next --cron x --from monday",
            "muster next nightly --count 0",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn subjects_have_a_kind_and_a_name() {
        for line in ["muster disable job nightly --kill", "muster disable --kill job nightly"] {
            let Command::Client(WithFlags { command, .. }) = parse(line).unwrap().command else {
                panic!("{line}")
            };
            let ClientCommand::Disable { subject, kill } = command else { panic!("{line}") };
            assert_eq!(subject, SubjectArgs { kind: Kind::Job, name: "nightly".to_owned() });
            assert!(kill);
        }
        let error = parse("muster disable hello").unwrap_err().to_string();
        assert!(error.contains("say `job hello` or `app hello`"), "{error}");
        assert!(parse("muster disable job a:b").is_err());
        assert!(parse("muster delete app reports").is_ok());
        assert!(parse("muster delete reports").is_err());
    }
}

//! The command line.

mod frameworks;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use muster_api::{
    AppName, InvalidName, JobName, RunId, Span, TaskId, Timestamp,
    events::{EventId, EventKind},
    limits,
    spec::{Gap, Overlap},
    views::RunState,
};

pub(crate) use self::frameworks::{CredentialsOrder, FrameworksOrder, RolesOrder};
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
    /// End the task of one shard; that of a daemon job gets another one
    Kill {
        /// The run
        #[arg(value_parser = run_id)]
        run: RunId,
        /// The shard, from 0
        item: u32,
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
    /// List the executor hosts; drain one, use it again, or say that it will never come back
    Agents {
        #[command(subcommand)]
        order: Option<AgentsOrder>,
    },
    /// List the frameworks that share the hosts, or remove one
    Frameworks {
        #[command(subcommand)]
        order: Option<FrameworksOrder>,
    },
    /// List the roles and what each gets of the hosts, or say what one is worth
    Roles {
        #[command(subcommand)]
        order: Option<RolesOrder>,
    },
    /// Say who may call the master as a framework
    Credentials {
        #[command(subcommand)]
        order: CredentialsOrder,
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
    /// Show what happened: to tasks, runs, fires and hosts, and who changed what, the newest first
    Events(EventsArgs),
    /// Show what is offered, to whom and since when
    Offers,
    /// Show which notices wait to be delivered, and what became of the tries
    Notices,
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
    /// Have a host give up its work: nothing new starts there
    ///
    /// Its tasks go on until they end. With a deadline those that are left then are ended and start
    /// again elsewhere, where their jobs have failover; without failover they are never moved. The
    /// tasks of daemon jobs, which do not end, are moved one after the other as other hosts have
    /// room, and at the deadline in any case. Said again it sets another deadline, counted from now.
    Drain {
        /// The id of its agent, or its host name if no other agent has that
        host: String,
        /// How long its tasks may go on before they are moved, as in `10m`; `0s` moves them at once
        /// [default: until they end]
        #[arg(long, value_name = "SPAN")]
        deadline: Option<Span>,
        /// Wait until nothing runs there, and show what is left until then
        #[arg(long)]
        wait: bool,
    },
    /// Let a host that was drained take tasks again
    Activate {
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

/// Which events to show.
#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Only those of this app
    #[arg(long)]
    pub(crate) app: Option<AppName>,
    /// Only those of this job
    #[arg(long)]
    pub(crate) job: Option<JobName>,
    /// Only those of this run
    #[arg(long, value_parser = run_id)]
    pub(crate) run: Option<RunId>,
    /// Only those of this task
    #[arg(long, value_parser = task_id)]
    pub(crate) task: Option<TaskId>,
    /// Only those of this host: the id of its agent, or its name
    #[arg(long, value_name = "HOST")]
    pub(crate) agent: Option<String>,
    /// Only those about this: task, run, fire, execution, host, executor, notice, change or scheduler
    #[arg(long, value_parser = event_kind)]
    pub(crate) kind: Option<EventKind>,
    /// Only those with this state, as in failed
    #[arg(long)]
    pub(crate) state: Option<String>,
    /// Only changes that this user made
    #[arg(long, value_name = "USER")]
    pub(crate) actor: Option<String>,
    /// Only what happened at this time or later, as in 2026-03-28T00:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<Timestamp>,
    /// Only what happened before this time
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<Timestamp>,
    /// How many at most
    #[arg(long, default_value_t = 50, value_parser = rows())]
    pub(crate) limit: usize,
    /// Stay and show events as they happen, one a line, over restarts of the scheduler too
    #[arg(long, short, conflicts_with_all = ["limit", "from", "to"])]
    pub(crate) follow: bool,
    /// Begin behind this event, by its id
    #[arg(long, requires = "follow", value_name = "ID")]
    pub(crate) after: Option<EventId>,
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

fn task_id(text: &str) -> Result<TaskId, String> {
    text.parse().map_err(|_| format!("`{text}` is no id of a task; `muster runs RUN` lists them"))
}

fn event_kind(text: &str) -> Result<EventKind, String> {
    let known = EventKind::ALL.into_iter().find(|kind| kind.as_str() == text);
    known.ok_or_else(|| {
        let names: Vec<_> = EventKind::ALL.into_iter().map(EventKind::as_str).collect();
        format!("the kinds are {}", names.join(", "))
    })
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

//! `muster dev`: the whole of Muster on one machine.

use std::{
    fs::{self, DirBuilder},
    io,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use serde::Deserialize;
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};
use tracing::{info, warn};

use super::{
    DevFlags,
    children::{self, AgentCommand},
    folders::default_folder,
    told_to_end,
};
use crate::{
    client::Pointer,
    screen::{Format, Screen},
};

/// How long the scheduler may take to be ready. Opening a large store takes a while.
const READY_MAX: Duration = Duration::from_secs(120);
/// What a scheduler says when it is ready.
const READY: &str = "ready.json";
/// The folder of the agents' folders, in the data folder.
const AGENTS: &str = "agents";
/// Between two looks for `ready.json`.
const READY_LOOK: Duration = Duration::from_millis(20);

/// Runs a scheduler in this process and agents beside it until it is told to end.
pub(super) async fn run(flags: DevFlags) -> anyhow::Result<()> {
    let told_to_end = told_to_end()?;
    let data_dir = prepare(&flags)?;
    let (end_scheduler, scheduler_ends) = watch::channel(false);
    let before = identity(&data_dir);
    let mut scheduler = start_scheduler(&flags, &data_dir, scheduler_ends)?;
    let ready = tokio::select! {
        ended = &mut scheduler => return stopped_early(ended?),
        ready = timeout(READY_MAX, ready(&data_dir, before)) => {
            ready.context("the scheduler does not get ready")?
        }
    };

    let (end_agents, agents_end) = watch::channel(false);
    let mut agents = start_agents(&flags, &data_dir, ready.master, &agents_end).await?;
    let pointer = announce(&data_dir, ready.http);
    welcome(&data_dir, ready.http, agents.len())?;

    let outcome = tokio::select! {
        () = told_to_end => Ok(()),
        ended = &mut scheduler => stopped_early(ended?),
        Some(ended) = agents.join_next() => ended?.context("cannot keep an agent running"),
    };

    // The scheduler goes first: it need not hear of the ends that follow and start anything anew.
    info!("stopping");
    retract(pointer);
    end_scheduler.send_replace(true);
    let scheduler_ended = if outcome.is_ok() { scheduler.await? } else { Ok(()) };
    end_agents.send_replace(true);
    while let Some(ended) = agents.join_next().await {
        ended??;
    }
    end_executors(&data_dir).await?;
    outcome.and(scheduler_ended)
}

/// The data folder, by its absolute path: agents are told it, and run in folders of their own.
fn prepare(flags: &DevFlags) -> anyhow::Result<PathBuf> {
    for address in [flags.installation.http, flags.installation.master_listen].into_iter().flatten()
    {
        let local = address.ip().is_loopback();
        anyhow::ensure!(local, "`muster dev` stays on this machine, and {address} is not loopback");
    }
    let folder = flags.installation.data_dir.clone().map_or_else(|| default_folder("dev"), Ok)?;
    let make = || {
        DirBuilder::new().recursive(true).mode(0o700).create(folder.join(AGENTS))?;
        fs::canonicalize(&folder)
    };
    make().with_context(|| format!("cannot make the data folder `{}`", folder.display()))
}

fn start_scheduler(
    flags: &DevFlags,
    data_dir: &Path,
    mut ends: watch::Receiver<bool>,
) -> anyhow::Result<JoinHandle<anyhow::Result<()>>> {
    let config = flags.installation.clone().config(data_dir.to_owned(), false)?;
    Ok(tokio::spawn(muster_scheduler::run(config, async move {
        // An error means that nobody can say it any more, which says it as well.
        let _ = ends.wait_for(|ends| *ends).await;
    })))
}

fn stopped_early(ended: anyhow::Result<()>) -> anyhow::Result<()> {
    ended.and_then(|()| anyhow::bail!("the scheduler has stopped by itself"))
}

/// Where the scheduler can be reached.
#[derive(Debug, Deserialize)]
struct Ready {
    http: SocketAddr,
    master: SocketAddr,
}

/// Which `ready.json` it is, to tell the one of this start from one that a killed process left.
fn identity(data_dir: &Path) -> Option<(u64, i64, i64)> {
    let file = fs::metadata(data_dir.join(READY)).ok()?;
    Some((file.ino(), file.mtime(), file.mtime_nsec()))
}

/// Waits until the scheduler says where it can be reached.
async fn ready(data_dir: &Path, before: Option<(u64, i64, i64)>) -> Ready {
    loop {
        let now = identity(data_dir);
        if now.is_some() && now != before {
            // It comes by rename, so it is there as a whole or not at all.
            let file = fs::read(data_dir.join(READY)).ok();
            if let Some(ready) = file.and_then(|file| serde_json::from_slice(&file).ok()) {
                return ready;
            }
        }
        sleep(READY_LOOK).await;
    }
}

/// Starts the agents. What a `muster dev` with more of them left behind is ended.
async fn start_agents(
    flags: &DevFlags,
    data_dir: &Path,
    master: SocketAddr,
    ends: &watch::Receiver<bool>,
) -> anyhow::Result<JoinSet<anyhow::Result<()>>> {
    let command = AgentCommand {
        program: std::env::current_exe().context("cannot find the muster program")?,
        master: master.to_string(),
        join_token_file: data_dir.join("join.token"),
        resources: flags.resources.as_ref().map(ToString::to_string),
    };
    let folder = |number| data_dir.join(AGENTS).join(format!("agent-{number}"));
    let wanted: Vec<_> = (1..=flags.agents.unwrap_or(1)).map(folder).collect();
    for former in agent_folders(data_dir)? {
        if !wanted.contains(&former) {
            children::end_former(&former).await?;
            muster_agent::end_all(&former).await?;
        }
    }
    let mut agents = JoinSet::new();
    for folder in wanted {
        agents.spawn(children::keep_running(command.clone(), folder, ends.clone()));
    }
    Ok(agents)
}

fn agent_folders(data_dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(data_dir.join(AGENTS))?.collect::<Result<Vec<_>, _>>()?;
    let paths = entries.iter().map(fs::DirEntry::path);
    Ok(paths.filter(|path| path.is_dir()).collect())
}

async fn end_executors(data_dir: &Path) -> anyhow::Result<()> {
    for folder in agent_folders(data_dir)? {
        let ended = muster_agent::end_all(&folder).await;
        ended.with_context(|| format!("cannot end all executors in `{}`", folder.display()))?;
    }
    Ok(())
}

/// The pointer file, and what it says while this runs.
type Announced = Option<(PathBuf, Pointer)>;

/// Lets clients find this scheduler. Without it they need flags, which is no reason to stop.
fn announce(data_dir: &Path, http: SocketAddr) -> Announced {
    let token_file = data_dir.join("admin.token");
    let pointer = Pointer { http: http.to_string(), token_file, pid: std::process::id() };
    let path = Pointer::path()?;
    match pointer.write(&path) {
        Ok(()) => Some((path, pointer)),
        Err(error) => {
            warn!("clients need --server and --token-file: {error:#}");
            None
        }
    }
}

fn retract(announced: Announced) {
    if let Some((path, pointer)) = announced
        && let Err(error) = pointer.remove(&path)
    {
        warn!("{error:#}");
    }
}

fn welcome(data_dir: &Path, http: SocketAddr, agents: usize) -> io::Result<()> {
    let data = data_dir.display();
    Screen::new(Format::Table).line(format_args!(
        "\
muster is ready, with {agents} agent(s)

  REST    http://{http}
  token   {data}/admin.token
  data    {data}
  logs    {data}/{AGENTS}/*.log

try in another terminal:

  muster agents
  muster apply -f FILE
  muster run JOB --follow
"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::flags::InstallationFlags;

    #[tokio::test]
    async fn a_stale_ready_file_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let write = |port: u16| {
            let ready = format!(r#"{{"pid":1,"http":"127.0.0.1:{port}","master":"127.0.0.1:1"}}"#);
            fs::write(folder.path().join("new"), ready).unwrap();
            fs::rename(folder.path().join("new"), folder.path().join(READY)).unwrap();
        };
        assert_eq!(identity(folder.path()), None);
        write(1);
        let before = identity(folder.path());
        let waits = ready(folder.path(), before);
        let (ready, ()) = tokio::join!(waits, async { write(2) });
        assert_eq!(ready.http.port(), 2);
    }

    #[test]
    fn it_stays_on_this_machine() {
        let flags = |http, data_dir| DevFlags {
            installation: InstallationFlags { http, data_dir, ..InstallationFlags::default() },
            ..DevFlags::default()
        };
        let refused = prepare(&flags(Some("0.0.0.0:1".parse().unwrap()), None)).unwrap_err();
        assert!(refused.to_string().contains("not loopback"));
        let folder = tempfile::tempdir().unwrap();
        let prepared = prepare(&flags(None, Some(folder.path().join("a/b")))).unwrap();
        assert!(prepared.is_absolute() && prepared.join(AGENTS).is_dir());
        assert_eq!(agent_folders(&prepared).unwrap(), Vec::<PathBuf>::new());
    }
}

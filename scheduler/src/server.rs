//! The scheduler process: opens what it needs, wires it up, and serves until it is told to stop.

use std::{
    fs::DirBuilder,
    future::Future,
    net::SocketAddr,
    num::NonZeroU32,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use muster_api::clock;
use muster_turn::{Core, Loader, Turn};
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
};

use crate::{
    addresses,
    backup::Tapped,
    driver::{Driver, Link, Served},
    handle, load, logs,
    mesos::{self, Ends, LinkCounts, MesosConfig, Program, Shell},
    metrics::Metrics,
    notices::{self, Notifying},
    port::{Inland, Port},
    ready, rest,
    retention::{HistoryLimits, Keeper},
    secrets,
    store::{DiskStore, History, State, StoreError, StoreKind},
    trace::EventLog,
    upgrade::upgrade,
};

/// The folder of the store, in the data folder.
pub(crate) const STORE: &str = "store";

/// What a scheduler is told at its start.
#[derive(Debug, Clone)]
pub struct Config {
    /// The only state of a scheduler.
    pub data_dir: PathBuf,
    /// What keeps its state; none for what the folder was made with.
    pub store: Option<StoreKind>,
    /// Where REST listens.
    pub http: SocketAddr,
    /// Where the embedded master listens. It does not where there is another one.
    pub master_listen: SocketAddr,
    /// The master, where it is not in this process.
    pub mesos: Option<MesosConfig>,
    /// Whether agents may connect without TLS from beyond loopback.
    pub plaintext: bool,
    /// Whether frameworks need no credentials; only where the master listens on loopback.
    pub anonymous_frameworks: bool,
    /// How long a framework may keep an offer that it does nothing with; none is for ever.
    pub offer_timeout: Option<Duration>,
    /// How many tasks may run at one time, of all apps; none is no bound.
    pub max_tasks: Option<NonZeroU32>,
    /// How much history is kept.
    pub history: HistoryLimits,
    /// What is told without being asked, and where.
    pub notices: Notifying,
}

/// Runs a scheduler until `shutdown` is done. Executors go on without it.
pub async fn run(config: Config, shutdown: impl Future<Output = ()> + Send) -> anyhow::Result<()> {
    addresses::check(&config)?;
    if let Some(mesos) = &config.mesos {
        mesos::check(mesos, config.http)?;
    }
    config.history.check()?;
    make_folder(&config.data_dir)?;
    let (store, loader) = open(&config)?;
    let admin_token = secrets::open_token(&config.data_dir, secrets::ADMIN_TOKEN)?;
    let join_token = secrets::open_token(&config.data_dir, secrets::JOIN_TOKEN)?;
    let (http, master, ready) = addresses::listen(&config).await?;
    let program = program(&config)?;
    let (core, first) = restore(&config, loader, ready.http, program.as_ref())?;

    let (stop, stopping) = watch::channel(false);
    let term = core.term();
    let (port, inland) = Port::new(&first);
    let (handle, requests, runs_over) = handle::channel();
    let (link, shell) = link(&config, &stopping)?;
    let metrics = metrics(&inland, shell.counts.clone());
    let keeper = keeper(&config, store.history(), handle.clone(), &metrics, stopping.clone());
    let (deliveries, sender) = sender(&config, handle.clone(), stopping.clone())?;
    let log = EventLog::open(&*store.history())?;
    let rest = rest::Rest::new(
        handle.clone(),
        store.history(),
        store.backups(),
        logs::source(&config, inland.connections.clone()),
        log.listen(),
        Arc::clone(&metrics),
        admin_token,
    );
    let driver = Driver {
        core,
        store: Box::new(store),
        requests,
        link,
        port: inland,
        runs_over,
        deliveries,
        stop: stopping.clone(),
        metrics,
        log,
        served: Served::default(),
    };
    let mut driver = DriverThread::start(driver, first)?;
    let until = stopped(stopping.clone());
    let master_task = port.serve(master, &config, &join_token, term, handle, until);
    let routes = rest::router(rest).merge(program.map(Program::routes).unwrap_or_default());
    let rest_task = tokio::spawn(rest::serve(http, routes, stopped(stopping)));
    let (keeper_task, sender_task) = (tokio::spawn(keeper.run()), tokio::spawn(sender.run()));

    ready::announce(&config.data_dir, &ready)?;
    tracing::info!(http = %ready.http, master = ?ready.master, "ready");
    let ended_early = tokio::select! {
        () = shutdown => None,
        result = driver.ended() => Some(result),
        why = shell.must_stop => Some(Err(anyhow!(why))),
    };
    tracing::info!("stopping");
    ready::retract(&config.data_dir)?;
    stop.send_replace(true);
    let result = match ended_early {
        Some(result) => result,
        None => driver.ended().await,
    };
    // They end by themselves once they are told to; what they were doing is not ours to judge.
    let _ = tokio::join!(rest_task, master_task, keeper_task, sender_task, shell.task);
    result
}

/// What is counted, also at the master's port and by the link to another master.
fn metrics(inland: &Inland, link: Option<Arc<LinkCounts>>) -> Arc<Metrics> {
    let mut metrics = Metrics::new(clock::wall());
    metrics.watch(inland.streams.clone());
    if let Some(counts) = link {
        metrics.watch_link(counts);
    }
    Arc::new(metrics)
}

/// What forgets old history.
fn keeper(
    config: &Config,
    history: Arc<dyn History>,
    driver: handle::DriverHandle,
    metrics: &Arc<Metrics>,
    stopping: watch::Receiver<bool>,
) -> Keeper {
    let (limits, metrics) = (config.history, Arc::clone(metrics));
    Keeper { history, driver, limits, metrics, stopping }
}

/// What sends notices, and where it is told of them.
fn sender(
    config: &Config,
    driver: handle::DriverHandle,
    stopping: watch::Receiver<bool>,
) -> anyhow::Result<(notices::Deliveries, notices::Sender)> {
    let (deliveries, inbox) = notices::channel();
    let name = config.notices.name.clone();
    let sender = notices::Sender::new(&config.data_dir, name, inbox, driver, stopping)?;
    Ok((deliveries, sender))
}

/// Makes the data folder, which holds tokens and what jobs are told, for nobody but its owner. One
/// that is there already keeps its rights.
fn make_folder(path: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("cannot make the data folder `{}`", path.display()))
}

/// Opens the store, brings it to the layout of this version, and loads it.
fn open(config: &Config) -> anyhow::Result<(Tapped, Loader)> {
    let mut store = DiskStore::open(&config.data_dir.join(STORE), config.store)?;
    // Now that the folder is locked nobody else can have announced itself there.
    ready::retract(&config.data_dir)?;
    upgrade(&mut store)?;
    let mut loader = load::load(&store)?;
    loader.notify(config.notices.installation.clone());
    let kind = store.kind().name();
    Ok((Tapped::new(Box::new(store), kind)?, loader))
}

/// Restores the cores from what was loaded. `http` is where this scheduler is reached.
fn restore(
    config: &Config,
    mut loader: Loader,
    http: SocketAddr,
    program: Option<&Program>,
) -> anyhow::Result<(Core, Turn)> {
    if let Some(mesos) = &config.mesos {
        loader.foreign(mesos.foreign(http, program));
        tracing::warn!(masters = %mesos.masters, "{}", mesos::PROMISES);
        if let Some(advice) = mesos::advise(mesos, http) {
            tracing::warn!("{advice}");
        }
    }
    let records = loader.taken();
    let (mut core, first) = loader.finish(seed()?, clock::now())?;
    core.limit_tasks(config.max_tasks);
    core.offer_timeout(config.offer_timeout);
    tracing::info!(records, term = core.term(), "state restored");
    if let Some(since) = core.held() {
        tracing::warn!(%since, "this restored store is held: nothing fires, is launched or is \
            killed until `muster resume`");
    }
    Ok((core, first))
}

/// Our program, where agents of others are to fetch it from here.
fn program(config: &Config) -> anyhow::Result<Option<Program>> {
    let wanted = config.mesos.as_ref().is_some_and(|mesos| mesos.executor_uri.is_none());
    if wanted { Program::open().map(Some) } else { Ok(None) }
}

/// What goes on beside the driver for the link to another master.
struct LinkTask {
    task: JoinHandle<()>,
    /// Says why this scheduler must not go on; silent otherwise.
    must_stop: Pin<Box<dyn Future<Output = String> + Send>>,
    /// What is done there, if there is one.
    counts: Option<Arc<LinkCounts>>,
}

/// Starts the shell of the link to another master, if there is one.
fn link(
    config: &Config,
    stopping: &watch::Receiver<bool>,
) -> anyhow::Result<(Option<Link>, LinkTask)> {
    let Some(mesos) = &config.mesos else {
        let must_stop = Box::pin(std::future::pending());
        let task = tokio::spawn(async {});
        return Ok((None, LinkTask { task, must_stop, counts: None }));
    };
    let (shell, Ends { handle, events, stopped, counts }) = Shell::new(mesos, stopping.clone())?;
    let must_stop = Box::pin(async {
        match stopped.await {
            Ok(why) => why,
            // It ends with the process, and has nothing to say then.
            Err(_) => std::future::pending().await,
        }
    });
    let task = tokio::spawn(shell.run());
    let counts = Some(counts);
    Ok((Some(Link { handle, events }), LinkTask { task, must_stop, counts }))
}

async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error means that whoever could say so is gone.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// The thread of the driver, and what becomes of it.
struct DriverThread {
    thread: Option<std::thread::JoinHandle<()>>,
    result: oneshot::Receiver<Result<(), StoreError>>,
}

impl DriverThread {
    fn start(driver: Driver, first: Turn) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Handle::current();
        let (over, result) = oneshot::channel();
        let thread = std::thread::Builder::new().name("driver".to_owned()).spawn(move || {
            // The other side waits for as long as the server runs.
            let _ = over.send(runtime.block_on(driver.run(first)));
        })?;
        Ok(Self { thread: Some(thread), result })
    }

    /// Waits for its end. A panic is one too: memory may be wrong then, and what is stored is not.
    async fn ended(&mut self) -> anyhow::Result<()> {
        let result = (&mut self.result).await;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            bail!("the driver panicked; what is stored is safe, start again");
        }
        match result {
            Ok(result) => result.context("a commit failed; what is stored is safe, start again"),
            Err(_) => bail!("the driver ended without a word; what is stored is safe, start again"),
        }
    }
}

fn seed() -> anyhow::Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).context("the system gives no random bytes")?;
    Ok(u64::from_le_bytes(bytes))
}

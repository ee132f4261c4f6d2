//! The scheduler process: opens what it needs, wires it up, and serves until it is told to stop.

use std::{
    fs::DirBuilder,
    future::Future,
    net::SocketAddr,
    num::NonZeroU32,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, bail};
use muster_api::clock;
use muster_master::server::{Connections, ServerConfig};
use muster_turn::{Core, Turn};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot, watch},
};

use crate::{
    backup::Tapped,
    driver::{Driver, Served},
    handle, load, logs,
    metrics::Metrics,
    notices::{self, Notifying},
    ready::{self, Ready},
    rest,
    retention::{HistoryLimits, Keeper},
    secrets,
    store::{DiskStore, History, State, StoreError, StoreKind},
    trace::EventLog,
    upgrade::upgrade,
};

/// Events of agents that wait for the driver; when they are this many, reading from agents stops.
const AGENT_EVENTS: usize = 4096;

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
    /// Where the embedded master listens.
    pub master_listen: SocketAddr,
    /// Whether agents may connect without TLS from beyond loopback.
    pub plaintext: bool,
    /// How many tasks may run at one time, of all apps; none is no bound.
    pub max_tasks: Option<NonZeroU32>,
    /// How much history is kept.
    pub history: HistoryLimits,
    /// What is told without being asked, and where.
    pub notices: Notifying,
}

/// Runs a scheduler until `shutdown` is done. Executors go on without it.
pub async fn run(config: Config, shutdown: impl Future<Output = ()> + Send) -> anyhow::Result<()> {
    check_addresses(&config)?;
    config.history.check()?;
    make_folder(&config.data_dir)?;
    let (store, core, first) = open(&config)?;
    let admin_token = secrets::open_token(&config.data_dir, secrets::ADMIN_TOKEN)?;
    let join_token = secrets::open_token(&config.data_dir, secrets::JOIN_TOKEN)?;
    let (http, master, ready) = listen(&config).await?;

    let (stop, stopping) = watch::channel(false);
    let term = core.term();
    let (events, agents) = mpsc::channel(AGENT_EVENTS);
    let connections = Connections::default();
    let (driver_handle, requests, runs_over) = handle::channel();
    let log_source = Arc::new(logs::AgentLogs::new(connections.clone()));
    let metrics = Arc::new(Metrics::new(clock::wall()));
    let (history, driver) = (store.history(), driver_handle.clone());
    let keeper = keeper(&config, history, driver, &metrics, stopping.clone());
    let (deliveries, sender) = sender(&config, driver_handle.clone(), stopping.clone())?;
    let log = EventLog::open(&*store.history())?;
    let rest = rest::Rest::new(
        driver_handle,
        store.history(),
        store.backups(),
        log_source,
        log.listen(),
        Arc::clone(&metrics),
        admin_token,
    );
    let mut driver = DriverThread::start(
        Driver {
            core,
            store: Box::new(store),
            requests,
            agents,
            connections: connections.clone(),
            runs_over,
            deliveries,
            stop: stopping.clone(),
            metrics,
            log,
            served: Served::default(),
        },
        first,
    )?;
    let master_task = tokio::spawn(muster_master::server::serve(
        master,
        ServerConfig { join_token: join_token.as_str().to_owned(), term },
        events,
        connections,
        stopped(stopping.clone()),
    ));
    let rest_task = tokio::spawn(rest::serve(http, rest::router(rest), stopped(stopping)));
    let keeper_task = tokio::spawn(keeper.run());
    let sender_task = tokio::spawn(sender.run());

    ready::announce(&config.data_dir, &ready)?;
    tracing::info!(http = %ready.http, master = ?ready.master, "ready");
    let ended_early = tokio::select! {
        () = shutdown => None,
        result = driver.ended() => Some(result),
    };
    tracing::info!("stopping");
    ready::retract(&config.data_dir)?;
    stop.send_replace(true);
    let result = match ended_early {
        Some(result) => result,
        None => driver.ended().await,
    };
    // They end by themselves once they are told to; what they were doing is not ours to judge.
    let _ = tokio::join!(rest_task, master_task, keeper_task, sender_task);
    result
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

/// Opens the store, brings it to the layout of this version, and restores the cores from it.
fn open(config: &Config) -> anyhow::Result<(Tapped, Core, Turn)> {
    let mut store = DiskStore::open(&config.data_dir.join(STORE), config.store)?;
    // Now that the folder is locked nobody else can have announced itself there.
    ready::retract(&config.data_dir)?;
    upgrade(&mut store)?;
    let mut loader = load::load(&store)?;
    loader.notify(config.notices.installation.clone());
    let records = loader.taken();
    let (mut core, first) = loader.finish(seed()?, clock::now())?;
    core.limit_tasks(config.max_tasks);
    tracing::info!(records, term = core.term(), "state restored");
    if let Some(since) = core.held() {
        tracing::warn!(%since, "this restored store is held: nothing fires, is launched or is \
            killed until `muster resume`");
    }
    let kind = store.kind().name();
    Ok((Tapped::new(Box::new(store), kind)?, core, first))
}

/// Binds both addresses, and what is to be said of them.
async fn listen(config: &Config) -> anyhow::Result<(TcpListener, TcpListener, Ready)> {
    let http = bind(config.http, "REST").await?;
    let master = bind(config.master_listen, "the master").await?;
    let pid = std::process::id();
    let ready = Ready { pid, http: http.local_addr()?, master: Some(master.local_addr()?) };
    Ok((http, master, ready))
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

/// Nothing listens beyond loopback without TLS unless that is asked for.
fn check_addresses(config: &Config) -> anyhow::Result<()> {
    for (what, address) in [("--http", config.http), ("--master-listen", config.master_listen)] {
        if !address.ip().is_loopback() && !config.plaintext {
            bail!(
                "{what} {address} is reachable from other machines, and there is no TLS yet: \
                 use an address of 127.0.0.1, or say --plaintext if the network is yours alone"
            );
        }
    }
    Ok(())
}

async fn bind(address: SocketAddr, what: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address} for {what}: is another scheduler running there?")
    })
}

fn seed() -> anyhow::Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).context("the system gives no random bytes")?;
    Ok(u64::from_le_bytes(bytes))
}

//! The agent's loop: it owns the core and the order of things. First what a step decided is in
//! the journal, then its effects leave.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use muster_api::{AgentId, Resources, Timestamp, clock};
use muster_proto::{Form, agent::Hello, executor::Subscribe};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::sleep,
};

use crate::{
    AgentConfig,
    config::{boot_id, complete, detect_hostname},
    core::{Agent, Answer, Call, Config, Connection, Container, Event, Identity, Session, Step},
    entropy,
    executor_api::{self, ExecutorApi, Permits, StateView},
    fetch,
    journal::{self, Journal},
    link::Link,
    notes,
    outbox::Outbox,
    sandbox::{Host, own_user},
    shell::Shell,
    work_dir::{AgentFile, WorkDir},
};

/// Inputs that may wait for the loop; when it is full, streams are not read on.
const INPUTS_MAX: usize = 4096;
/// Inputs that share one write of the journal.
const BATCH_MAX: usize = 1024;
/// Between two looks for sandboxes that are kept long enough.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);

/// What the loop is told by the tasks around it.
#[allow(clippy::large_enum_variant, reason = "inputs are mostly core events, which are as large")]
pub(crate) enum Input {
    /// An event that the core understands as it is.
    Core(Event),
    /// A master asks for a proof.
    Challenged { connection: Connection, term: u64, version: u32, hello: oneshot::Sender<Hello> },
    /// A master has registered this agent; what is said to it goes to the outbox.
    Welcomed { connection: Connection, term: u64, agent: AgentId, outbox: Outbox },
    /// An executor has subscribed on a stream of ours; what it is told goes to the outbox.
    Subscribed { session: Session, container: Container, subscribe: Subscribe, outbox: Outbox },
    /// An executor makes a call of Mesos; what it is told then, if it subscribes by it, goes to the
    /// outbox. Its permits are held until the core has it.
    Called {
        call: Call,
        stream: Option<(Session, Form, Outbox)>,
        permits: Permits,
        answer: oneshot::Sender<Answer>,
    },
    /// Somebody wants to know what runs here.
    Viewed(StateView),
}

/// Runs an agent until `shutdown` is ready. Executors live on: their supervisors keep them.
pub async fn run(
    config: AgentConfig,
    shutdown: impl Future<Output = ()> + Send,
) -> anyhow::Result<()> {
    config.check()?;
    let work = Arc::new(WorkDir::open(&config.work_dir)?);
    work.write_ready(None).context("cannot remove ready.json")?;
    if let Err(error) = fetch::remove_unfinished(&work.cache()) {
        tracing::warn!(error = &error as &dyn std::error::Error, "cannot clean the cache");
    }
    let (inputs, mut received) = mpsc::channel(INPUTS_MAX);
    let mut agent = start(&config, &work, inputs).await?;
    let mut batch = Vec::new();
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    tokio::pin!(shutdown);
    loop {
        let until_wakeup = agent.core.next_wakeup().map(|at| at.since(clock::mono()));
        tokio::select! {
            () = &mut shutdown => break,
            _ = received.recv_many(&mut batch, BATCH_MAX) => {}
            () = sleep(until_wakeup.unwrap_or(SWEEP_EVERY)) => {
                batch.push(Input::Core(Event::Tick));
            }
            _ = sweep.tick() => agent.shell.sweep(agent.core.containers().cloned().collect()),
        }
        agent.handle(&mut batch)?;
    }
    work.write_ready(None).context("cannot remove ready.json")?;
    tracing::info!("agent stopped; executors live on");
    Ok(())
}

/// The core, and what carries out its decisions.
struct Running {
    /// What ends with the agent: the link and the executor API. They are dropped before what they
    /// listen to, so that they do not complain of its end after the agent's last words.
    _tasks: JoinSet<()>,
    core: Agent,
    shell: Shell,
    journal: Journal,
    file: AgentFile,
    work: Arc<WorkDir>,
}

async fn start(
    config: &AgentConfig,
    work: &Arc<WorkDir>,
    inputs: mpsc::Sender<Input>,
) -> anyhow::Result<Running> {
    let (file, entries) = recall(work)?;
    let mut address = config.listen;
    if address.port() == 0 {
        address.set_port(file.executor_port);
    }
    let listener = executor_api::bind(address).await;
    let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
    let endpoint = listener.local_addr().context("cannot tell the executor port")?;
    let file = AgentFile { executor_port: endpoint.port(), ..file };
    let identity = Identity { agent: file.agent_id.clone(), term: file.term };
    let core_config = core_config(config, endpoint, &file)?;
    let restored = Agent::restore(core_config, identity, seed()?, entries, clock::now());
    let (core, step) = restored?;
    // What a former boot left is gone before this boot's id says that the journal is of this one.
    let journal = Journal::write(work.journal(), &core.snapshot())?;
    work.write_agent(&file).context("cannot write agent.json")?;
    let user = own_user();
    if rustix::process::getuid().is_root() {
        tracing::warn!(user, "the agent runs as root, and so does the code of users");
    } else {
        tracing::info!(user, "the code of users runs as this user");
    }
    let mut tasks = JoinSet::new();
    let api = ExecutorApi::new(Arc::clone(work), inputs.clone());
    tasks.spawn(api.serve(listener));
    let link = Link { master: config.master.clone(), join_token: config.join_token.clone() };
    tasks.spawn(link.keep(inputs.clone()));
    let muster = config.muster_program.clone();
    let agent = file.agent_id.as_ref().map(ToString::to_string).unwrap_or_default();
    let host = Host { endpoint, agent, muster };
    let shell = Shell::new(Arc::clone(work), host, inputs);
    tracing::info!(listen = %endpoint, master = config.master, "agent started");
    let work = Arc::clone(work);
    let mut running = Running { _tasks: tasks, core, shell, journal, file, work };
    running.carry_out(vec![step])?;
    Ok(running)
}

/// What the agent wrote down before; nothing of it but the agent's id outlives the host.
fn recall(work: &WorkDir) -> anyhow::Result<(AgentFile, Vec<crate::core::Entry>)> {
    let boot_id = boot_id().context("cannot read the boot id")?;
    match work.read_agent()? {
        Some(file) if file.boot_id == boot_id => Ok((file, journal::read(&work.journal())?)),
        Some(file) => {
            tracing::info!("the host has booted anew: what ran here before is dead");
            Ok((AgentFile { boot_id, ..file }, Vec::new()))
        }
        None => Ok((AgentFile { boot_id, ..AgentFile::default() }, Vec::new())),
    }
}

fn core_config(
    config: &AgentConfig,
    endpoint: SocketAddr,
    file: &AgentFile,
) -> anyhow::Result<Config> {
    let given = config.resources.clone().unwrap_or_else(Resources::none);
    let resources = complete(given).context("cannot detect this host's resources")?;
    Ok(Config {
        hostname: config.hostname.clone().unwrap_or_else(detect_hostname),
        resources,
        attributes: config.attributes.clone(),
        ip: endpoint.ip(),
        port: endpoint.port(),
        boot_id: file.boot_id.clone(),
        executor_registration: config.executor_registration,
        executor_reregistration: config.executor_reregistration,
        authenticate_executors: config.authenticate_executors,
    })
}

fn seed() -> anyhow::Result<u64> {
    Ok(u64::from_le_bytes(entropy::bytes().context("cannot get entropy")?))
}

impl Running {
    /// Handles inputs in order; their writes share one append.
    fn handle(&mut self, batch: &mut Vec<Input>) -> anyhow::Result<()> {
        let mut steps = Vec::with_capacity(batch.len());
        for input in batch.drain(..) {
            if let Input::Viewed(view) = input {
                // Whoever asked may have gone.
                let _ = view.send(self.core.overview());
            } else if let Some(event) = self.shell.take_in(input) {
                steps.push(self.core.step(clock::now(), event));
            }
        }
        self.carry_out(steps)
    }

    fn carry_out(&mut self, steps: Vec<Step>) -> anyhow::Result<()> {
        let (mut entries, mut identity, mut effects) = (Vec::new(), None, Vec::new());
        for step in steps {
            for write in step.writes {
                match write {
                    crate::core::Write::Entry(entry) => entries.push(entry),
                    crate::core::Write::Identity(newest) => identity = Some(newest),
                }
            }
            step.notes.iter().for_each(notes::log);
            effects.extend(step.effects);
        }
        self.journal.append(&entries).context("the agent stops, for it cannot keep its journal")?;
        if let Some(Identity { agent, term }) = identity {
            self.file = AgentFile { agent_id: agent, term, ..self.file.clone() };
            self.work.write_agent(&self.file).context("cannot write agent.json")?;
        }
        for effect in effects {
            self.shell.carry_out(effect)?;
        }
        let core = &self.core;
        self.journal.compact(|| core.snapshot()).context("cannot rewrite the journal")
    }
}

/// Until when sandboxes of ended executors are kept: those that ended before are removed.
pub(crate) fn kept_since() -> Timestamp {
    const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
    clock::wall().before(KEPT)
}

//! Carries out what the core decides. Nothing is decided here.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use anyhow::Context as _;
use muster_api::{Mono, clock};
use muster_proto::{
    ExecutorId, ExecutorInfo, FrameworkInfo,
    agent::{AgentBody, FromAgent, Hello, ReadLog},
    recordio,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use crate::{
    core::{Connection, Effect, Event, Note, Session},
    executor_api::new_token,
    fetch,
    logs::{self, LiveTasks},
    outbox::Outbox,
    run::{Input, kept_since},
    sandbox::Host,
    supervise::{Exit, ToSupervisor, Why, line},
    supervisors,
    work_dir::{self, ExecutorDir, WorkDir},
};

/// Between two warnings that messages of executors are dropped.
const FULL_AGAIN: Duration = Duration::from_secs(60);

/// The hands of the agent.
pub(crate) struct Shell {
    work: Arc<WorkDir>,
    host: Host,
    inputs: mpsc::Sender<Input>,
    /// Who waits for a hello.
    greeting: Option<(Connection, oneshot::Sender<Hello>)>,
    master: Option<(Connection, Outbox)>,
    sessions: BTreeMap<Session, Outbox>,
    supervisors: BTreeMap<ExecutorId, Outbox>,
    live: LiveTasks,
    /// When it was last told that messages of executors are dropped.
    full_at: Option<Mono>,
    /// What works in the background; it ends with the agent.
    tasks: JoinSet<()>,
}

/// Streams end with the agent, so that their other sides look for the next one.
impl Drop for Shell {
    fn drop(&mut self) {
        let master = self.master.iter().map(|(_, outbox)| outbox);
        self.sessions.values().chain(master).for_each(Outbox::close);
    }
}

impl Shell {
    pub(crate) fn new(work: Arc<WorkDir>, host: Host, inputs: mpsc::Sender<Input>) -> Self {
        Self {
            work,
            host,
            inputs,
            greeting: None,
            master: None,
            sessions: BTreeMap::new(),
            supervisors: BTreeMap::new(),
            live: LiveTasks::default(),
            full_at: None,
            tasks: JoinSet::new(),
        }
    }

    /// Keeps the sending side of what came in; gives what the core is to know.
    pub(crate) fn take_in(&mut self, input: Input) -> Event {
        match input {
            Input::Challenged { connection, term, hello } => {
                self.greeting = Some((connection, hello));
                Event::Challenged { connection, term }
            }
            Input::Welcomed { connection, term, agent, outbox } => {
                self.master = Some((connection, outbox));
                Event::Welcomed { connection, term, agent }
            }
            Input::Subscribed { session, executor, subscribe, outbox } => {
                self.sessions.insert(session, outbox);
                Event::Subscribed { session, executor, subscribe }
            }
            Input::Core(event) => {
                match &event {
                    Event::Left { session } => drop(self.sessions.remove(session)),
                    Event::Exited { executor, .. } => drop(self.supervisors.remove(executor)),
                    _ => {}
                }
                event
            }
        }
    }

    /// Does what the core decided.
    pub(crate) fn carry_out(&mut self, effect: Effect) -> anyhow::Result<()> {
        match effect {
            Effect::Hello { connection, hello } => {
                if let Some((_, sender)) = self.greeting.take_if(|(asked, _)| *asked == connection)
                {
                    // The connection may have ended meanwhile.
                    let _ = sender.send(*hello);
                }
            }
            Effect::ToMaster { connection, term, body } => self.tell_master(connection, term, body),
            Effect::Disconnect { connection } => {
                self.greeting.take_if(|(asked, _)| *asked == connection);
                if let Some((_, outbox)) = self.master.take_if(|(open, _)| *open == connection) {
                    outbox.close();
                }
            }
            Effect::Registered { agent } => {
                self.host.agent = agent.to_string();
                let listen = self.host.endpoint.to_string();
                let ready = serde_json::json!({ "pid": std::process::id(), "listen": listen });
                self.work.write_ready(Some(&ready)).context("cannot write ready.json")?;
                tracing::info!(agent.id = %agent, "registered");
            }
            Effect::GiveUp { message } => anyhow::bail!("the master refuses this agent: {message}"),
            Effect::Fetch { info } => self.fetch(*info),
            Effect::Start { framework, info, deadline } => {
                self.start(&framework, &info, deadline);
            }
            Effect::Attach { executor } => {
                let (dir, outbox) = (self.work.executor(&executor), self.outbox_of(&executor));
                let inputs = self.inputs.clone();
                self.background(supervisors::follow(executor, dir, None, outbox, inputs));
            }
            Effect::SetDeadline { executor, at, said } => {
                let (at_ms, said_ms) = (at.as_millis(), said.as_millis());
                self.tell_supervisor(&executor, &ToSupervisor::Deadline { at_ms, said_ms });
            }
            Effect::End { executor, grace } => {
                let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
                self.tell_supervisor(&executor, &ToSupervisor::End { grace_ms });
            }
            Effect::ToExecutor { session, event } => {
                if let Some(outbox) = self.sessions.get(&session) {
                    outbox.push(|bytes| recordio::encode_message(&*event, bytes));
                }
            }
            Effect::CloseSession { session } => {
                if let Some(outbox) = self.sessions.remove(&session) {
                    outbox.close();
                }
            }
            Effect::ReadLog { connection, term, request } => {
                self.read_log(connection, term, request);
            }
            Effect::TaskBegan { task } => self.live.began(&task),
            Effect::TaskOver { task } => self.live.over(&task),
        }
        Ok(())
    }

    /// Removes sandboxes of executors that ended long ago, in the background.
    pub(crate) fn sweep(&self, live: BTreeSet<ExecutorId>) {
        let work = Arc::clone(&self.work);
        tokio::task::spawn_blocking(move || {
            let live = live.iter().map(|id| work.executor(id).path().to_owned()).collect();
            if let Err(error) = sweep(&work, &live) {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot sweep sandboxes");
            }
        });
    }

    fn background(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        while self.tasks.try_join_next().is_some() {}
        self.tasks.spawn(task);
    }

    fn tell_master(&mut self, connection: Connection, term: u64, body: AgentBody) {
        let master = self.master.as_ref().filter(|(open, _)| *open == connection);
        let Some((_, outbox)) = master else { return };
        let executor = match &body {
            AgentBody::ExecutorMessage(message) => message.executor_id.clone(),
            _ => return say(outbox, term, body),
        };
        let message = FromAgent { term, body: Some(body) };
        let taken = outbox.push_unless_full(|bytes| recordio::encode_message(&message, bytes));
        if taken {
            return;
        }
        // Whoever says too much says it often, and is not to fill the log too.
        let now = clock::mono();
        if self.full_at.is_none_or(|told| now.since(told) >= FULL_AGAIN) {
            self.full_at = Some(now);
            let executor = executor.unwrap_or_default();
            tracing::warn!(
                executor.id = %executor,
                "messages of executors are dropped: too much waits for the master"
            );
        }
    }

    fn tell_supervisor(&self, executor: &ExecutorId, message: &ToSupervisor) {
        if let Some(outbox) = self.supervisors.get(executor) {
            outbox.push(|bytes| bytes.extend(line(message)));
        }
    }

    /// Where messages to the supervisor of an executor wait.
    fn outbox_of(&mut self, executor: &ExecutorId) -> Outbox {
        self.supervisors.entry(executor.clone()).or_default().clone()
    }

    fn fetch(&mut self, info: ExecutorInfo) {
        let executor = info.executor_id.clone().unwrap_or_default();
        let (work, inputs) = (Arc::clone(&self.work), self.inputs.clone());
        self.background(async move {
            let dir = work.executor(&executor);
            let outcome = fill(&work, &dir, &info).await;
            if outcome.is_err() {
                // Nothing was started there, so nothing of it is worth keeping.
                let _ = fs::remove_dir_all(dir.sandbox());
            }
            let fetched = Event::Fetched { executor, outcome };
            let _ = inputs.send(Input::Core(fetched)).await;
        });
    }

    fn start(&mut self, framework: &FrameworkInfo, info: &ExecutorInfo, deadline: Option<Mono>) {
        let executor = info.executor_id.clone().unwrap_or_default();
        let dir = self.work.executor(&executor);
        let outbox = self.outbox_of(&executor);
        let inputs = self.inputs.clone();
        match self.host.plan(framework, info, &dir, deadline) {
            Ok(spec) => {
                let muster = self.host.muster.clone();
                let start = supervisors::start(muster, executor, dir, spec, outbox, inputs);
                self.background(start);
            }
            Err(error) => {
                let exit = Exit { message: error.to_string(), ..Exit::unknown(Why::Unstartable) };
                let exited = Input::Core(Event::Exited { executor, exit });
                self.background(async move { drop(inputs.send(exited).await) });
            }
        }
    }

    fn read_log(&mut self, connection: Connection, term: u64, request: ReadLog) {
        let Some((open, outbox)) = self.master.clone() else { return };
        if open != connection {
            return;
        }
        let (work, live) = (Arc::clone(&self.work), self.live.clone());
        self.background(async move {
            let data = logs::answer(&work, &live, request).await;
            say(&outbox, term, AgentBody::LogData(data));
        });
    }
}

fn say(outbox: &Outbox, term: u64, body: AgentBody) {
    let message = FromAgent { term, body: Some(body) };
    outbox.push(|bytes| recordio::encode_message(&message, bytes));
}

/// Makes the folder of an executor and puts into it what the executor needs.
async fn fill(work: &WorkDir, dir: &ExecutorDir, info: &ExecutorInfo) -> Result<(), String> {
    let executor = info.executor_id.clone().unwrap_or_default();
    let made = dir.create(clock::wall()).and_then(|()| {
        let token = new_token(&executor)?;
        work_dir::replace(&dir.token(), token.as_bytes())
    });
    made.map_err(|error| format!("cannot make the sandbox: {error}"))?;
    let fetched = fetch::fetch_all(info, &dir.sandbox(), &work.cache()).await;
    fetched.map_err(|error| error.to_string())
}

fn sweep(work: &WorkDir, live: &BTreeSet<std::path::PathBuf>) -> io::Result<()> {
    let kept_since = kept_since().as_millis();
    for dir in work.executors()? {
        // The exit file is the last thing that is written; one that never began has no such.
        let last = fs::metadata(dir.exit()).or_else(|_| fs::metadata(dir.path()))?.modified()?;
        let age = last.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let old = i64::try_from(age).is_ok_and(|at| at < kept_since);
        if old && !live.contains(dir.path()) {
            fs::remove_dir_all(dir.path())?;
        }
    }
    Ok(())
}

/// Logs what operators may want to know.
pub(crate) fn log(note: &Note) {
    match note {
        Note::LaunchDropped { task, why } => {
            tracing::warn!(task.id = %task, why, "launch dropped: nothing was started");
        }
        Note::OldTerm { term, highest } => {
            tracing::warn!(term, highest, "a master of an old term was refused");
        }
        Note::Disowned { message, left } => {
            let left: Vec<_> = left.iter().map(|id| id.value.as_str()).collect();
            let left = left.join(" ");
            tracing::warn!(
                message,
                left,
                "this agent was declared gone: all that it runs is ended"
            );
        }
        Note::MasterSilent => tracing::warn!("the master does not answer heartbeats"),
        Note::Ignored { what, id } => tracing::debug!(id, "ignored {what}"),
        Note::KillOverdue { executor, task } => {
            tracing::warn!(
                executor.id = %executor,
                task.id = %task,
                "executor did not end a killed task in time"
            );
        }
        Note::NotSubscribed { executor } => {
            tracing::warn!(executor.id = %executor, "executor did not subscribe in time");
        }
        Note::MessageTooLong { executor, bytes } => {
            tracing::warn!(executor.id = %executor, bytes, "message dropped: it is too long");
        }
        Note::ExecutorEnded { executor, how } => {
            tracing::info!(executor.id = %executor, how, "executor ended");
        }
    }
}

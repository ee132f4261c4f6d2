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
    ExecutorInfo, Form, FrameworkInfo,
    agent::{AgentBody, FromAgent, Hello, ReadLog},
    executor::{Event as ExecutorEvent, EventType},
    recordio,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::{JoinSet, spawn_blocking},
};

use crate::{
    core::{Answer, Connection, Container, Effect, Event, Origin, Request, Session},
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
    sessions: BTreeMap<Session, Stream>,
    /// Who waits for the answer to a call.
    asked: BTreeMap<Request, oneshot::Sender<Answer>>,
    requests: u64,
    supervisors: BTreeMap<Container, Outbox>,
    live: LiveTasks,
    /// When it was last told that messages of executors are dropped.
    full_at: Option<Mono>,
    /// What works in the background; it ends with the agent.
    tasks: JoinSet<()>,
}

/// The sending side of the stream of an executor.
struct Stream {
    form: Form,
    outbox: Outbox,
}

/// Streams end with the agent, so that their other sides look for the next one.
impl Drop for Shell {
    fn drop(&mut self) {
        let master = self.master.iter().map(|(_, outbox)| outbox);
        let sessions = self.sessions.values().map(|stream| &stream.outbox);
        sessions.chain(master).for_each(Outbox::close);
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
            asked: BTreeMap::new(),
            requests: 0,
            supervisors: BTreeMap::new(),
            live: LiveTasks::default(),
            full_at: None,
            tasks: JoinSet::new(),
        }
    }

    /// Keeps the sending side of what came in; gives what the core is to know, if anything.
    pub(crate) fn take_in(&mut self, input: Input) -> Option<Event> {
        let event = match input {
            Input::Challenged { connection, term, version, hello } => {
                self.greeting = Some((connection, hello));
                Event::Challenged { connection, term, version }
            }
            Input::Welcomed { connection, term, agent, outbox } => {
                self.master = Some((connection, outbox));
                Event::Welcomed { connection, term, agent }
            }
            Input::Subscribed { session, container, subscribe, outbox } => {
                self.sessions.insert(session, Stream { form: Form::Protobuf, outbox });
                Event::Subscribed { session, container, subscribe }
            }
            Input::Called { call, stream, permits, answer } => {
                drop(permits);
                self.requests += 1;
                let request = Request(self.requests);
                self.asked.insert(request, answer);
                if let Some((session, form, outbox)) = stream {
                    self.sessions.insert(session, Stream { form, outbox });
                }
                Event::Called { request, call }
            }
            Input::Core(event) => {
                match &event {
                    Event::Left { session } => drop(self.sessions.remove(session)),
                    Event::Exited { container, .. } => drop(self.supervisors.remove(container)),
                    _ => {}
                }
                event
            }
            Input::Viewed(_) => return None,
        };
        Some(event)
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
                    outbox.cut();
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
            Effect::Fetch { container, info } => self.fetch(container, *info),
            Effect::Start { container, framework, info, deadline, origin } => {
                self.start(container, &framework, &info, deadline, origin);
            }
            Effect::Attach { container } => {
                let (dir, outbox) = (self.work.executor(&container), self.outbox_of(&container));
                let inputs = self.inputs.clone();
                self.background(supervisors::follow(container, dir, None, outbox, inputs));
            }
            Effect::SetDeadline { container, at, said } => {
                let (at_ms, said_ms) = (at.as_millis(), said.as_millis());
                self.tell_supervisor(&container, &ToSupervisor::Deadline { at_ms, said_ms });
            }
            Effect::End { container, grace } => {
                let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
                self.tell_supervisor(&container, &ToSupervisor::End { grace_ms });
            }
            Effect::Answer { request, answer } => {
                if let Some(asked) = self.asked.remove(&request) {
                    // Whoever asked may have gone; what it changed is changed all the same.
                    let _ = asked.send(answer);
                }
            }
            Effect::ToExecutor { session, event } => self.tell_executor(session, &event),
            Effect::CloseSession { session } => {
                if let Some(stream) = self.sessions.remove(&session) {
                    stream.outbox.close();
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
    pub(crate) fn sweep(&self, live: BTreeSet<Container>) {
        let work = Arc::clone(&self.work);
        spawn_blocking(move || {
            let live = live.iter().map(|name| work.executor(name).path().to_owned()).collect();
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

    fn tell_executor(&self, session: Session, event: &ExecutorEvent) {
        let Some(Stream { form, outbox }) = self.sessions.get(&session) else { return };
        let encode = |bytes: &mut Vec<u8>| form.write_record(event, bytes);
        if event.r#type() == EventType::Message {
            // Nobody promises that messages arrive, so that they are not to end a slow executor.
            outbox.push_unless_full(encode);
        } else {
            outbox.push(encode);
        }
    }

    fn tell_supervisor(&self, container: &Container, message: &ToSupervisor) {
        if let Some(outbox) = self.supervisors.get(container) {
            outbox.push(|bytes| bytes.extend(line(message)));
        }
    }

    /// Where messages to the supervisor of an executor wait.
    fn outbox_of(&mut self, container: &Container) -> Outbox {
        self.supervisors.entry(container.clone()).or_default().clone()
    }

    fn fetch(&mut self, container: Container, info: ExecutorInfo) {
        let (work, inputs) = (Arc::clone(&self.work), self.inputs.clone());
        self.background(async move {
            let dir = work.executor(&container);
            let outcome = fill(&work, &container, &dir, &info).await;
            if outcome.is_err() {
                // Nothing was started there, so nothing of it is worth keeping. What stays is swept.
                let _ = spawn_blocking(move || fs::remove_dir_all(dir.sandbox())).await;
            }
            let fetched = Event::Fetched { container, outcome };
            let _ = inputs.send(Input::Core(fetched)).await;
        });
    }

    fn start(
        &mut self,
        container: Container,
        framework: &FrameworkInfo,
        info: &ExecutorInfo,
        deadline: Option<Mono>,
        origin: Origin,
    ) {
        let dir = self.work.executor(&container);
        let outbox = self.outbox_of(&container);
        let inputs = self.inputs.clone();
        match self.host.plan(framework, info, &dir, deadline, origin) {
            Ok(spec) => {
                let muster = self.host.muster.clone();
                let start = supervisors::start(muster, container, dir, spec, outbox, inputs);
                self.background(start);
            }
            Err(error) => {
                let exit = Exit { message: error.to_string(), ..Exit::unknown(Why::Unstartable) };
                let exited = Input::Core(Event::Exited { container, exit });
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
async fn fill(
    work: &WorkDir,
    container: &Container,
    dir: &ExecutorDir,
    info: &ExecutorInfo,
) -> Result<(), String> {
    let made = dir.create(clock::wall()).and_then(|()| {
        let token = new_token(container)?;
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

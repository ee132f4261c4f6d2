//! The running tasks: starts their code, passes on that it is to end, and reports both ends.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use muster_api::{
    clock,
    limits::OUTPUT_TAIL_BYTES,
    task::{TaskPayload, TaskReport, Work},
};
use muster_job::{Canceller, Context, JobError, Jobs};
use muster_proto::{CommandInfo, TaskId};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot, watch},
};

use crate::{
    command,
    core::{End, Event},
    folder::{LoggedLines, TaskFolder, first_bytes},
    group::Stop,
    script,
};

/// The tasks whose code runs.
#[derive(Debug)]
pub(crate) struct Tasks {
    sandbox: Arc<Path>,
    jobs: Arc<Jobs>,
    /// The runtime of async handlers.
    handlers: Handle,
    events: mpsc::Sender<Event>,
    running: BTreeMap<TaskId, Control>,
    /// Whether a supervisor ends what this process leaves behind.
    pub(crate) supervised: bool,
}

/// How the code of a task is made to end.
#[derive(Debug)]
enum Control {
    Handler(Canceller),
    Process(watch::Sender<Stop>),
}

impl Tasks {
    pub(crate) fn new(
        sandbox: &Path,
        jobs: Arc<Jobs>,
        handlers: Handle,
        events: mpsc::Sender<Event>,
    ) -> Self {
        Self {
            sandbox: sandbox.into(),
            jobs,
            handlers,
            events,
            running: BTreeMap::new(),
            supervised: true,
        }
    }

    /// Starts the code of a task.
    pub(crate) fn start(&mut self, task: TaskId, payload: TaskPayload) {
        let resident = payload.resident.is_some();
        let folder = TaskFolder::new(&self.sandbox, payload.context.task, resident);
        let control = match payload.work {
            Work::Simple { handler } => {
                let output = LoggedLines::new(folder.clone());
                let (context, canceller) = Context::new(payload.context, output);
                let call = HandlerCall {
                    jobs: Arc::clone(&self.jobs),
                    runtime: self.handlers.clone(),
                    name: handler,
                    context,
                    folder,
                };
                tokio::spawn(call.run(task.clone(), self.events.clone()));
                Control::Handler(canceller)
            }
            Work::Script(spec) => {
                let (sender, stop) = watch::channel(Stop::No);
                let started = self.started(&task);
                let (context, supervised) = (payload.context, self.supervised);
                let run = script::run(folder, spec, context, supervised, stop, started);
                self.report(&task, run);
                Control::Process(sender)
            }
        };
        self.running.insert(task, control);
    }

    /// Runs the command of a task.
    pub(crate) fn start_command(&mut self, task: TaskId, command: CommandInfo) {
        let (sender, stop) = watch::channel(Stop::No);
        let sandbox = Arc::clone(&self.sandbox);
        self.report(&task, command::run(sandbox, command, stop, self.started(&task)));
        self.running.insert(task, Control::Process(sender));
    }

    /// Tells, when it is waited for, that the process of a task has begun.
    fn started(&self, task: &TaskId) -> impl Future<Output = ()> + Send + 'static {
        let (task, events) = (task.clone(), self.events.clone());
        async move { tell(&events, Event::Started { task, at: clock::wall() }).await }
    }

    /// Waits for the end of a task's process and tells it.
    fn report(&self, task: &TaskId, run: impl Future<Output = End> + Send + 'static) {
        let (task, events) = (task.clone(), self.events.clone());
        tokio::spawn(async move { tell(&events, Event::Ended { task, end: run.await }).await });
    }

    /// Asks the code of a task to end.
    pub(crate) fn cancel(&self, task: &TaskId) {
        match self.running.get(task) {
            Some(Control::Handler(canceller)) => canceller.cancel(),
            Some(Control::Process(stop)) => drop(stop.send_replace(Stop::Ask)),
            None => {}
        }
    }

    /// Ends the process of a task.
    pub(crate) fn force(&self, task: &TaskId) {
        if let Some(Control::Process(stop)) = self.running.get(task) {
            stop.send_replace(Stop::Force);
        }
    }

    /// Forgets a task whose code is over.
    pub(crate) fn ended(&mut self, task: &TaskId) {
        self.running.remove(task);
    }
}

async fn tell(events: &mpsc::Sender<Event>, event: Event) {
    // Nobody listens any more when the executor is at its end.
    let _ = events.send(event).await;
}

/// One call of a handler.
struct HandlerCall {
    jobs: Arc<Jobs>,
    runtime: Handle,
    name: String,
    context: Context,
    folder: TaskFolder,
}

impl HandlerCall {
    async fn run(self, task: TaskId, events: mpsc::Sender<Event>) {
        let (sender, mut started) = oneshot::channel();
        let on_start = move || {
            // The other side waits until the handler is over, or is gone with the executor.
            let _ = sender.send(clock::wall());
        };
        let call = self.jobs.call(&self.name, self.context, &self.runtime, on_start);
        tokio::pin!(call);
        let (returned, began) = tokio::select! {
            returned = &mut call => (returned, started.try_recv().ok()),
            Ok(at) = &mut started => {
                tell(&events, Event::Started { task: task.clone(), at }).await;
                (call.await, None)
            }
        };
        if let Some(at) = began {
            tell(&events, Event::Started { task: task.clone(), at }).await;
        }
        tell(&events, Event::Ended { task, end: end(&self.folder, returned) }).await;
    }
}

fn end(folder: &TaskFolder, returned: Result<Option<String>, JobError>) -> End {
    match returned {
        Ok(result) => {
            let report = TaskReport { result, ..TaskReport::default() };
            End { success: true, message: None, report }
        }
        Err(error) => {
            let message = first_bytes(error.to_string(), OUTPUT_TAIL_BYTES);
            let report = TaskReport { output: folder.read_tail(), ..TaskReport::default() };
            End { success: false, message: Some(message), report }
        }
    }
}

//! The code of users under one executor. It outlives the executor's process, until the supervisor
//! has ended every descendant.

use std::collections::BTreeMap;

use muster_api::task::{ShardContext, TaskPayload, TaskReport, Work};
use muster_executor::core::End;
use muster_proto::{ExecutorId, TaskId};

use crate::{
    happening::Happening,
    oracles,
    stage::{Slot, Stage},
    users::{self, Fate},
};

/// How long the process of a script takes to begin, at most.
const SPAWN_MAX: u64 = 20;

/// The code of every task of one executor.
#[derive(Debug)]
pub(crate) struct UserCode {
    host: usize,
    executor: ExecutorId,
    tasks: BTreeMap<TaskId, Code>,
}

/// What runs.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly all are of the first kind")]
enum What {
    /// The code of a shard.
    Shard(TaskPayload),
    /// A command of another framework.
    Command,
}

/// The code of one task.
#[derive(Debug)]
struct Code {
    what: What,
    began: bool,
    fate: Fate,
    /// Its beginning or its end, when one is planned.
    next: Option<Slot>,
}

impl Code {
    fn is_handler(&self) -> bool {
        self.payload().is_some_and(|payload| matches!(payload.work, Work::Simple { .. }))
    }

    fn payload(&self) -> Option<&TaskPayload> {
        match &self.what {
            What::Shard(payload) => Some(payload),
            What::Command => None,
        }
    }
}

impl UserCode {
    pub(crate) fn new(host: usize, executor: ExecutorId) -> Self {
        Self { host, executor, tasks: BTreeMap::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// The process of a script is on its way.
    pub(crate) fn start(&mut self, stage: &mut Stage, task: &TaskId, payload: TaskPayload) {
        let fate = users::fate(stage, &payload);
        self.plan(stage, task, What::Shard(payload), fate);
    }

    /// The process of a command is on its way.
    pub(crate) fn start_command(&mut self, stage: &mut Stage, task: &TaskId) {
        let fate = users::fate_of_command(stage);
        self.plan(stage, task, What::Command, fate);
    }

    fn plan(&mut self, stage: &mut Stage, task: &TaskId, what: What, fate: Fate) {
        let delay = stage.between(1, SPAWN_MAX);
        let (host, executor, task) = (self.host, self.executor.clone(), task.clone());
        let begins = Happening::CodeBegins { host, executor, task: task.clone() };
        let next = Some(stage.after(delay, begins));
        self.tasks.insert(task, Code { what, began: false, fate, next });
    }

    /// The executor that was about to start it is gone.
    pub(crate) fn give_up(&mut self, task: &TaskId) {
        self.tasks.remove(task);
    }

    /// It begins to run.
    pub(crate) fn begin(&mut self, stage: &mut Stage, task: &TaskId) {
        let Some(code) = self.tasks.get_mut(task) else { return };
        let What::Shard(TaskPayload { context, .. }) = &code.what else {
            return self.begin_command(stage, task);
        };
        if stage.truth.is_forgiven_of(self.host, &self.executor, &context.task) {
            stage.log(format_args!(
                "host{}: {task} begins, for which nothing is promised",
                self.host
            ));
        } else {
            stage.judge(oracles::no_shard_runs_twice(&stage.truth, context));
            stage.judge(oracles::no_two_runs_of_a_job(&stage.truth, context));
            stage.judge(oracles::nothing_runs_after_its_end(&stage.truth, context));
            stage.judge(oracles::epochs_grow(&stage.truth, context));
            stage.truth.code_begins(self.host, &self.executor, context);
            stage.judge(oracles::no_host_is_over_promised(&stage.truth, self.host));
        }
        let (item, attempt) = (context.shard_item, context.attempt);
        stage.log(format_args!(
            "host{}: code of {task} begins: shard {item}, attempt {attempt}",
            self.host
        ));
        self.runs(stage, task);
    }

    fn begin_command(&mut self, stage: &mut Stage, task: &TaskId) {
        stage.log(format_args!("host{}: the command of {task} begins", self.host));
        let verdict = stage.truth.command_begins(self.host, &self.executor, task);
        stage.judge(verdict);
        stage.judge(oracles::no_host_is_over_promised(&stage.truth, self.host));
        self.runs(stage, task);
    }

    fn runs(&mut self, stage: &mut Stage, task: &TaskId) {
        let Some(code) = self.tasks.get_mut(task) else { return };
        code.began = true;
        let (host, executor, task) = (self.host, self.executor.clone(), task.clone());
        let ends = Happening::CodeEnds { host, executor, task };
        code.next = code.fate.after_ms().map(|delay| stage.after(delay, ends));
    }

    /// SIGTERM: most code ends soon, some does not care.
    pub(crate) fn ask_to_end(&mut self, stage: &mut Stage, task: &TaskId) {
        if stage.percent(80) {
            self.end_within(stage, task, 2_000);
        }
    }

    /// SIGKILL: it ends at once, or nearly so.
    pub(crate) fn force(&mut self, stage: &mut Stage, task: &TaskId) {
        self.end_within(stage, task, 5);
    }

    fn end_within(&mut self, stage: &mut Stage, task: &TaskId, within: u64) {
        let Some(code) = self.tasks.get_mut(task) else { return };
        if let Some(slot) = code.next.take() {
            stage.cancel(slot);
        }
        code.fate = Fate::Signalled;
        let delay = stage.between(0, within);
        let (host, executor, task) = (self.host, self.executor.clone(), task.clone());
        code.next = Some(stage.after(delay, Happening::CodeEnds { host, executor, task }));
    }

    /// It ends its executor.
    pub(crate) fn takes_along(&self, stage: &mut Stage, task: &TaskId) {
        if let Some(code) = self.tasks.get(task)
            && matches!(code.fate, Fate::TakesItsExecutorAlong { .. })
            && let Some(payload) = code.payload()
        {
            stage.truth.takes_along(payload.context.task);
        }
    }

    /// It comes to its end; gives what it comes to, if it was there.
    pub(crate) fn end(&mut self, stage: &mut Stage, task: &TaskId) -> Option<Fate> {
        let code = self.tasks.remove(task)?;
        self.is_over(stage, task, &code);
        Some(code.fate)
    }

    /// The executor's process is gone, and with it the code that ran in it.
    pub(crate) fn end_handlers(&mut self, stage: &mut Stage) {
        let (gone, left) =
            std::mem::take(&mut self.tasks).into_iter().partition(|(_, code)| code.is_handler());
        self.tasks = left;
        self.end_all(stage, gone);
    }

    /// What the code of a task was given.
    pub(crate) fn context(&self, task: &TaskId) -> Option<&ShardContext> {
        self.tasks.get(task)?.payload().map(|payload| &payload.context)
    }

    /// Whether the code is an execution of a task that stays.
    pub(crate) fn is_resident(&self, task: &TaskId) -> bool {
        let payload = self.tasks.get(task).and_then(Code::payload);
        payload.is_some_and(|payload| payload.resident.is_some())
    }

    /// Whether a task is code within the executor's process.
    pub(crate) fn is_handler(&self, task: &TaskId) -> bool {
        self.tasks.get(task).is_some_and(Code::is_handler)
    }

    /// All of it is ended.
    pub(crate) fn kill_all(&mut self, stage: &mut Stage) {
        let all = std::mem::take(&mut self.tasks);
        self.end_all(stage, all);
    }

    fn end_all(&self, stage: &mut Stage, tasks: BTreeMap<TaskId, Code>) {
        for (task, code) in tasks {
            if let Some(slot) = code.next {
                stage.cancel(slot);
            }
            self.is_over(stage, &task, &code);
        }
    }

    fn is_over(&self, stage: &mut Stage, task: &TaskId, code: &Code) {
        if code.began {
            let how = code.fate;
            stage.log(format_args!("host{}: code of {task} is over: {how:?}", self.host));
            match &code.what {
                What::Shard(payload) => stage.truth.code_ends(&payload.context),
                What::Command => stage.truth.command_ends(task),
            }
        }
    }
}

/// What an executor sees of the end of code.
pub(crate) fn seen(fate: Fate) -> End {
    let (success, exit_code) = match fate {
        Fate::EndsWell { .. } => (true, Some(0)),
        Fate::Fails { .. } => (false, Some(1)),
        Fate::NeverEnds | Fate::Signalled | Fate::TakesItsExecutorAlong { .. } => (false, None),
    };
    let message = (!success).then(|| format!("{fate:?}"));
    End { success, message, report: TaskReport { exit_code, ..TaskReport::default() } }
}

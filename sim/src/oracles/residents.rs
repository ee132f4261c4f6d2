//! Resident tasks: one to a shard, whose code is called as its schedule says.
//!
//! What is known of them is what their executors do: when each was handed over, and which instants
//! its executions stand for. Which instants there are is reckoned apart from all cores.

use muster_api::{
    RunId, TaskId, Timestamp,
    spec::MisfirePolicy,
    task::{ShardContext, TaskPayload},
};
use muster_proto::ExecutorId;

use super::{Truth, Verdict, broken, plan::Plan};

const NAME: &str = "each_instant_of_a_resident_is_settled";
/// How late an execution may begin when nothing is in its way.
const LATE: i64 = 2_500;

/// A resident task on its executor.
#[derive(Debug)]
pub(super) struct Resident {
    pub(super) task: TaskId,
    pub(super) host: usize,
    pub(super) executor: ExecutorId,
    pub(super) payload: TaskPayload,
    /// When it was handed over, by the wall clock of its host.
    since: Timestamp,
    /// It is being ended: no further execution begins.
    ending: bool,
    /// Whether its host told the time rightly and nothing was frozen since.
    undisturbed: bool,
    /// The newest execution.
    last: Option<Execution>,
    /// Executions so far.
    pub(super) executions: u64,
}

#[derive(Debug, Clone, Copy)]
struct Execution {
    planned_until: Timestamp,
    began: Timestamp,
    ended: Option<Timestamp>,
}

impl Resident {
    fn plan(&self) -> Option<Plan> {
        let resident = self.payload.resident.as_ref()?;
        Plan::of(&resident.schedule, resident.anchor)
    }

    fn offset(&self) -> i64 {
        let resident = self.payload.resident.as_ref();
        resident.map_or(0, |it| i64::try_from(it.offset.as_millis()).unwrap_or(0))
    }

    /// The last instant of which nothing is to be said any more.
    fn looked_up_to(&self) -> Timestamp {
        let since = self.since.as_millis() - self.offset() + LATE;
        self.last.map_or(Timestamp::from_millis(since), |last| last.planned_until)
    }

    /// Whether every instant from after one until before another may have been passed over: it came
    /// while an execution went on, and the policy is to skip; or nobody can tell what the host saw.
    fn may_pass_over(&self, after: Timestamp, before: Timestamp) -> Result<(), String> {
        let (Some(plan), true) = (self.plan(), self.undisturbed) else { return Ok(()) };
        let Some(resident) = &self.payload.resident else { return Ok(()) };
        let mut at = after;
        while let Some(next) = plan.after(at).filter(|next| *next < before) {
            let due = next.as_millis() + self.offset();
            let busy = self.last.is_some_and(|last| {
                last.began.as_millis() <= due + LATE
                    && last.ended.is_none_or(|ended| due <= ended.as_millis() + LATE)
            });
            if !busy || resident.misfire != MisfirePolicy::Skip {
                return Err(format!("{next} was passed over, and nothing was in its way"));
            }
            at = next;
        }
        Ok(())
    }
}

/// What a task says that begins to be resident: two of one shard are never there at once, nor one that
/// is over.
pub(crate) fn resident_begins(
    truth: &mut Truth,
    host: usize,
    executor: &ExecutorId,
    payload: &TaskPayload,
    now: Timestamp,
) -> Verdict {
    let context = &payload.context;
    let (shard, task) = ((context.run, context.shard_item), context.task);
    if truth.residents.get(&shard).is_some_and(|there| there.task == task) {
        return Ok(());
    }
    // Where nothing is promised, it does not count as there.
    if truth.is_forgiven_of(host, executor, &task) {
        return Ok(());
    }
    let there = truth.residents.get(&shard);
    if let Some(there) = there.filter(|it| !truth.is_forgiven_of(it.host, &it.executor, &it.task)) {
        let what = format!(
            "shard {} of run {} is resident as task {} on host{}, and now as task {task}",
            shard.1, shard.0, there.task, there.host
        );
        return broken("no_shard_runs_twice", what);
    }
    if truth.runs_over.contains_key(&shard.0) || truth.tasks_over.contains(&task) {
        let what = format!("task {task} is over, and becomes resident");
        return broken("nothing_runs_after_its_end", what);
    }
    let resident = Resident {
        task,
        host,
        executor: executor.clone(),
        payload: payload.clone(),
        since: now,
        ending: false,
        undisturbed: true,
        last: None,
        executions: 0,
    };
    truth.residents.insert(shard, resident);
    Ok(())
}

/// An execution of a resident task begins: of planned instants that are due, each of which no other
/// execution of the task stood for, none from before the task was there; and what lies between was
/// passed over as its policy says.
pub(crate) fn each_instant_of_a_resident_is_settled(
    truth: &mut Truth,
    context: &ShardContext,
    now: Timestamp,
) -> Verdict {
    let shard = (context.run, context.shard_item);
    let calm = truth.residents.get_mut(&shard).filter(|it| it.task == context.task);
    let Some(resident) = calm else { return Ok(()) };
    let (first, last) = (context.planned_time, context.planned_until);
    let task = context.task;
    let Some(plan) = resident.plan() else { return Ok(()) };
    let wrong = |what: String| {
        broken(NAME, format!("task {task}, execution of {first} to {last} at {now}: {what}"))
    };
    if !plan.holds(first) || !plan.holds(last) || last < first {
        return wrong("these are no planned instants".to_owned());
    }
    let before = Timestamp::from_millis(first.as_millis() - 1);
    let stands_for = plan.count(before, last);
    // Where the clock was set forward, what was then too old lies between those that it stands for.
    let counted =
        |fires| if resident.undisturbed { fires == stands_for } else { fires <= stands_for };
    if context.fires.is_some_and(|fires| !counted(fires)) {
        return wrong(format!("it says {:?}, and they are {stands_for}", context.fires));
    }
    let undisturbed = resident.undisturbed;
    let earliest = resident.last.map_or(resident.since, |last| last.planned_until);
    // A task does not stand for what was planned before it was there.
    let since = earliest.as_millis() - resident.offset();
    if undisturbed && resident.last.is_none() && first.as_millis() < since - LATE {
        return wrong(format!("the task is there since {earliest}"));
    }
    if resident.last.is_some_and(|before| first <= before.planned_until) {
        return wrong(format!("another one stood for what was planned up to {earliest}"));
    }
    if stands_for > 1
        && undisturbed
        && resident.payload.resident.as_ref().is_some_and(|r| r.misfire == MisfirePolicy::Skip)
    {
        return wrong("it stands for several, and its policy is to skip".to_owned());
    }
    if undisturbed {
        let due = last.as_millis() + resident.offset();
        let free = resident.last.and_then(|last| last.ended).map_or(due, |at| at.as_millis());
        if now.as_millis() > due.max(free) + LATE {
            return wrong("it is late, and nothing was in its way".to_owned());
        }
        if now.as_millis() < due - 1 {
            return wrong("it is early".to_owned());
        }
        if let Err(what) = resident.may_pass_over(resident.looked_up_to(), first) {
            return wrong(what);
        }
    }
    resident.last = Some(Execution { planned_until: last, began: now, ended: None });
    resident.executions += 1;
    Ok(())
}

impl Truth {
    /// An execution is over.
    pub(crate) fn execution_ends(&mut self, context: &ShardContext, now: Timestamp) {
        let shard = (context.run, context.shard_item);
        let resident = self.residents.get_mut(&shard).filter(|it| it.task == context.task);
        if let Some(last) = resident.and_then(|it| it.last.as_mut()) {
            last.ended = Some(now);
        }
    }

    /// A resident task is told to end, so that no further execution is due: each instant up to now was
    /// executed, or something was in its way.
    pub(crate) fn resident_is_ending(&mut self, task: &str, now: Timestamp) -> Verdict {
        let told = |it: &&Resident| it.task.to_string() == task;
        let there = self.residents.values().find(told);
        // What it did while nothing was promised of it was not written down.
        let forgiven = there.is_some_and(|it| self.is_forgiven_of(it.host, &it.executor, &it.task));
        let mut residents = self.residents.values_mut().filter(|_| !forgiven);
        let Some(resident) = residents.find(|it| it.task.to_string() == task) else {
            return Ok(());
        };
        let was_ending = std::mem::replace(&mut resident.ending, true);
        if was_ending || resident.last.is_some_and(|last| last.ended.is_none()) {
            return Ok(());
        }
        let until = Timestamp::from_millis(now.as_millis() - resident.offset() - LATE);
        let missed = resident.may_pass_over(resident.looked_up_to(), until);
        missed.or_else(|what| broken(NAME, format!("task {task}, which ends at {now}: {what}")))
    }

    /// The resident tasks of an executor are about to end with it: some code there does not.
    pub(crate) fn residents_are_ending(&mut self, host: usize, executor: &ExecutorId) {
        for it in self.residents.values_mut() {
            it.ending |= it.host == host && it.executor == *executor;
        }
    }

    /// A resident task is over, as its executor says.
    pub(crate) fn resident_ends(&mut self, task: &str) {
        self.residents.retain(|_, it| it.task.to_string() != task);
    }

    /// An executor is gone, and all that was resident there.
    pub(crate) fn residents_vanish(&mut self, host: usize, executor: &ExecutorId) {
        self.residents.retain(|_, it| it.host != host || it.executor != *executor);
    }

    /// The clock of a host is set, or something on it is stopped: nobody can tell any more what its
    /// executors saw of time.
    pub(crate) fn disturb(&mut self, host: usize) {
        for resident in self.residents.values_mut().filter(|it| it.host == host) {
            resident.undisturbed = false;
        }
    }

    /// Shards that run, for whoever wants one of them to end.
    pub(crate) fn live_shards(&self) -> Vec<(RunId, u32)> {
        self.running.keys().chain(self.residents.keys()).copied().collect()
    }
}

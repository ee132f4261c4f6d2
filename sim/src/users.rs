//! Users: the documents that they store, the runs that they trigger and cancel, and what their
//! code does.

use std::collections::{BTreeMap, VecDeque};

use muster_api::{
    JobName, RunId,
    spec::{AppSpec, JobSpec, Spec},
    task::TaskPayload,
    views::TriggerRequest,
};
use muster_engine::event::{Accepted, Command, CommandReply, Expect, Rejected, RequestId};
use serde_json::{Value, json};

use crate::{
    oracles::Violation,
    scheduler_node::SchedulerNode,
    stage::{Happening, Stage},
};

/// How long a user waits for an answer before asking again.
const PATIENCE: u64 = 3_000;

/// What becomes of the code of one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It succeeds.
    EndsWell {
        /// After so many milliseconds.
        after: u64,
    },
    /// It fails.
    Fails {
        /// After so many milliseconds.
        after: u64,
    },
    /// It ends its executor's process, and does not survive that for long.
    TakesItsExecutorAlong {
        /// After so many milliseconds.
        after: u64,
    },
    /// It must be made to end.
    NeverEnds,
    /// It was made to end.
    Signalled,
}

impl Fate {
    /// How long it runs by itself; nothing when it has to be ended.
    pub(crate) fn after_ms(self) -> Option<u64> {
        match self {
            Self::EndsWell { after }
            | Self::Fails { after }
            | Self::TakesItsExecutorAlong { after } => Some(after),
            Self::NeverEnds | Self::Signalled => None,
        }
    }
}

/// Draws what becomes of the code of a task.
pub(crate) fn fate(stage: &mut Stage, payload: &TaskPayload) -> Fate {
    // The longest outlive the leases of hosts that are cut off. In the calm there are none of
    // these: a queue of such runs would take longer than everything may take to come to rest.
    let longest = if stage.calm { 87 } else { 99 };
    let after = match stage.between(0, longest) {
        0..60 => stage.between(1, 800),
        60..88 => stage.between(800, 10_000),
        88..96 => stage.between(10_000, 60_000),
        _ => stage.between(60_000, 300_000),
    };
    match stage.between(0, 99) {
        0..8 => Fate::Fails { after },
        8..11 => Fate::TakesItsExecutorAlong { after },
        11..14 if !payload.timeout.is_zero() => Fate::NeverEnds,
        _ => Fate::EndsWell { after },
    }
}

/// Something that users want.
#[derive(Debug, Clone)]
enum Wish {
    StoreApp,
    StoreJob { job: usize, scheduled: bool },
    Trigger { job: usize, key: u64 },
    Cancel { run: RunId },
}

/// All users.
#[derive(Debug)]
pub(crate) struct Users {
    app: AppSpec,
    jobs: Vec<JobSpec>,
    /// What must be stored before anything can be triggered, in order.
    documents: VecDeque<Wish>,
    asked: BTreeMap<RequestId, Wish>,
    requests: u64,
    keys: u64,
    /// Keys of triggers that were accepted, and the run that each became.
    accepted: BTreeMap<u64, RunId>,
}

impl Users {
    /// Draws the documents of a world with so many hosts.
    pub(crate) fn new(stage: &mut Stage, hosts: u64) -> Self {
        let app = app(stage);
        let count = usize::try_from(stage.between(1, 3)).unwrap_or(1);
        let jobs: Vec<JobSpec> = (0..count).map(|index| job(stage, index, hosts)).collect();
        for job in &jobs {
            stage.truth.job(&job.name, &job.resources);
        }
        let store = |job| Wish::StoreJob { job, scheduled: true };
        let documents = std::iter::once(Wish::StoreApp).chain((0..count).map(store)).collect();
        Self {
            app,
            jobs,
            documents,
            asked: BTreeMap::new(),
            requests: 0,
            keys: 0,
            accepted: BTreeMap::new(),
        }
    }

    /// Users do the next thing, and plan when to do another one.
    pub(crate) fn act(&mut self, stage: &mut Stage, scheduler: &mut SchedulerNode, calm_at: u64) {
        if let Some(document) = self.documents.front().cloned() {
            return self.ask(stage, scheduler, document);
        }
        let runs: Vec<RunId> = self.accepted.values().copied().collect();
        let job = usize::try_from(stage.between(0, self.jobs.len() as u64 - 1)).unwrap_or(0);
        let cancelled = if stage.percent(15) { stage.one_of(&runs) } else { None };
        let wish = if let Some(run) = cancelled {
            Wish::Cancel { run }
        } else if stage.percent(5) {
            Wish::StoreJob { job, scheduled: true }
        } else {
            self.keys += 1;
            Wish::Trigger { job, key: self.keys }
        };
        self.ask(stage, scheduler, wish);
        let delay = stage.between(200, 20_000);
        if stage.time() + delay < calm_at {
            stage.after(delay, Happening::UsersAct);
        }
    }

    /// From now on nothing is planned: schedules are taken out of the jobs.
    pub(crate) fn calm_down(&mut self, stage: &mut Stage, scheduler: &mut SchedulerNode) {
        // Nobody asks again for a schedule, or it would be stored after all.
        self.asked.retain(|_, wish| !matches!(wish, Wish::StoreJob { .. }));
        for job in 0..self.jobs.len() {
            self.ask(stage, scheduler, Wish::StoreJob { job, scheduled: false });
        }
    }

    /// Whether every wish was answered.
    pub(crate) fn are_content(&self) -> bool {
        self.asked.is_empty() && self.documents.is_empty()
    }

    /// How many triggers were accepted, by what their users were told.
    pub(crate) fn triggers_accepted(&self) -> usize {
        self.accepted.len()
    }

    fn ask(&mut self, stage: &mut Stage, scheduler: &mut SchedulerNode, wish: Wish) {
        self.requests += 1;
        let request = RequestId(self.requests);
        stage.log(format_args!("a user asks {}: {wish:?}", request.0));
        // Where nobody listens, the wait for the answer is as good as a refusal.
        scheduler.ask(stage, request, self.command(&wish));
        self.asked.insert(request, wish);
        stage.after(PATIENCE, Happening::UserAsksAgain { request });
    }

    /// Asks again for what was not answered in time.
    pub(crate) fn ask_again(
        &mut self,
        stage: &mut Stage,
        scheduler: &mut SchedulerNode,
        request: RequestId,
    ) {
        if let Some(wish) = self.asked.remove(&request) {
            self.ask(stage, scheduler, wish);
        }
    }

    fn command(&self, wish: &Wish) -> Command {
        match wish {
            Wish::StoreApp => Command::PutApp { spec: self.app.clone(), expect: Expect::Anything },
            Wish::StoreJob { job, scheduled } => {
                let mut spec = self.jobs[*job].clone();
                if *scheduled {
                    // Each such document is another one, and so another version.
                    spec.parameter = format!("version {}", self.requests);
                } else {
                    spec.schedule = None;
                }
                Command::PutJob { spec, expect: Expect::Anything }
            }
            Wish::Trigger { job, key } => Command::Trigger {
                job: self.jobs[*job].name.clone(),
                request: TriggerRequest::default(),
                idempotency_key: Some(key.to_string()),
            },
            Wish::Cancel { run } => Command::Cancel { run: *run },
        }
    }

    /// A user reads an answer. One that comes after the user has asked again counts as unread.
    pub(crate) fn hear(&mut self, stage: &mut Stage, request: RequestId, reply: CommandReply) {
        let Some(wish) = self.asked.remove(&request) else { return };
        match (&wish, reply) {
            (Wish::Trigger { key, .. }, Ok(Accepted::Run(run))) => {
                stage.log(format_args!("trigger {key} is accepted as run {}", run.id));
                self.accepted.insert(*key, run.id);
                stage.truth.accepted(run.id);
            }
            (Wish::Trigger { .. }, Err(Rejected::TooManyWaiting { .. })) => {}
            (Wish::Cancel { .. }, Err(Rejected::NotFound { .. })) => {}
            (_, Ok(_)) => {}
            (_, Err(rejected)) => stage.judge(Err(Violation {
                oracle: "valid_wishes_are_granted",
                what: format!("{wish:?} is answered: {rejected}"),
            })),
        }
        if matches!(wish, Wish::StoreApp | Wish::StoreJob { scheduled: true, .. })
            && self.documents.pop_front().is_some()
        {
            stage.after(10, Happening::UsersAct);
        }
    }
}

fn app(stage: &mut Stage) -> AppSpec {
    let lease = match stage.between(0, 9) {
        0 => "off".to_owned(),
        1..5 => "15s".to_owned(),
        _ => format!("{}s", stage.between(15, 60)),
    };
    let document = json!({
        "kind": "app", "name": "app", "resources": {"cpus": 0.25, "mem": 64},
        "lease": lease, "idle_timeout": format!("{}s", stage.between(5, 60)),
    });
    match parse(document) {
        Spec::App(app) => app,
        Spec::Job(_) => unreachable!("the document says that it is an app"),
    }
}

/// A job that fits into an empty world, however it is to be launched: each host holds an executor
/// and three tasks.
fn job(stage: &mut Stage, index: usize, hosts: u64) -> JobSpec {
    let all_at_once = stage.percent(25);
    let shards = stage.between(1, if all_at_once { hosts * 2 } else { 8 });
    let name: JobName = format!("job{index}").parse().expect("this is a valid name");
    let mut document = json!({
        "kind": "job", "name": name, "app": "app", "type": "script",
        "script": {"command": "work"},
        "sharding": {"count": shards},
        "resources": {"cpus": 0.25, "mem": 32},
        "launch": if all_at_once { "all_at_once" } else { "as_fits" },
        "failover": {"enabled": stage.percent(85), "max_attempts": stage.between(0, 3)},
        "retry": {"max_attempts": stage.between(0, 2), "backoff": "500ms..4s"},
        "kill_grace": "2s",
        "spread": if stage.percent(30) { "host" } else { "none" },
    });
    if stage.percent(60) {
        document["timeout"] = Value::from(format!("{}s", stage.between(2, 40)));
    }
    if stage.percent(60) {
        document["schedule"] = json!({"every": format!("{}s", stage.between(5, 60))});
    }
    match parse(document) {
        Spec::Job(job) => job,
        Spec::App(_) => unreachable!("the document says that it is a job"),
    }
}

fn parse(document: Value) -> Spec {
    Spec::parse(document).expect("the documents of the world are valid").spec
}

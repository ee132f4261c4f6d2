//! What users want.

use muster_api::{
    AgentId, AppName, JobName, RunId, Span,
    spec::{AppSpec, JobSpec},
    views::{RerunRequest, TriggerRequest},
};
use muster_engine::{
    event::{Command, Event, Expect, RequestId},
    records,
};

use super::{Users, documents};
use crate::{happening::Happening, stage::Stage};

/// Something that a user wants.
#[derive(Debug, Clone)]
pub(super) enum Wish {
    StoreApp(Box<AppSpec>),
    StoreJob(Box<JobSpec>),
    DisableApp {
        app: AppName,
        disabled: bool,
        kill: bool,
    },
    DisableJob {
        job: JobName,
        disabled: bool,
        kill: bool,
    },
    DeleteApp {
        app: AppName,
    },
    DeleteJob {
        job: JobName,
    },
    Trigger {
        job: JobName,
        key: u64,
        items: Option<Vec<u32>>,
        /// Deletions before it was first asked for; nothing while one may have been under way.
        after_deletions: Option<u64>,
    },
    Cancel {
        run: RunId,
    },
    Rerun {
        run: RunId,
        key: u64,
        request: RerunRequest,
    },
    /// An agent that is silent never comes back, an operator believes.
    Gone {
        agent: AgentId,
    },
    /// A host is to give up its work.
    Drain {
        agent: AgentId,
        deadline: Option<Span>,
    },
    /// A host may be used again.
    Activate {
        agent: AgentId,
    },
    /// The task of one shard is to end.
    Kill {
        run: RunId,
        item: u32,
    },
    Reconcile,
}

impl Wish {
    /// What reaches the scheduler.
    pub(super) fn arrives(&self, request: RequestId) -> Happening {
        if let Self::Rerun { run, key, request: rerun } = self.clone() {
            return Happening::RerunArrives { request, run, rerun, key: key.to_string() };
        }
        let command = self.command();
        Happening::RequestArrives { event: Event::Command { request, command } }
    }

    /// The change that it is.
    fn command(&self) -> Command {
        let expect = Expect::Anything;
        match self.clone() {
            Self::StoreApp(spec) => Command::PutApp { spec: *spec, expect },
            Self::StoreJob(spec) => Command::PutJob { spec: *spec, expect },
            Self::DisableApp { app: name, disabled, kill } => {
                Command::SetAppDisabled { name, disabled, kill }
            }
            Self::DisableJob { job: name, disabled, kill } => {
                Command::SetJobDisabled { name, disabled, kill }
            }
            Self::DeleteApp { app: name } => Command::DeleteApp { name, expect },
            Self::DeleteJob { job: name } => Command::DeleteJob { name, expect },
            Self::Trigger { job, key, items, .. } => Command::Trigger {
                job,
                // The parameter tells of which trigger a run came.
                request: TriggerRequest { parameter: Some(key.to_string()), items },
                idempotency_key: Some(key.to_string()),
            },
            Self::Cancel { run } => Command::Cancel { run },
            Self::Gone { agent } => Command::MarkAgentGone { agent },
            Self::Drain { agent, deadline } => Command::DrainAgent { agent, deadline },
            Self::Activate { agent } => Command::ActivateAgent { agent },
            Self::Kill { run, item } => Command::KillTask { run, item },
            Self::Reconcile => Command::Reconcile,
            Self::Rerun { .. } => unreachable!("it is read together with the former run"),
        }
    }

    /// Whether documents are deleted by it.
    pub(super) fn deletes(&self) -> bool {
        matches!(self, Self::DeleteApp { .. } | Self::DeleteJob { .. })
    }

    /// How the keys of the documents begin that it deletes: with an app go all of its jobs.
    pub(super) fn key_prefix(&self) -> Vec<u8> {
        match self {
            Self::DeleteJob { job } => records::job_key(job),
            _ => Vec::new(),
        }
    }

    /// Whether both store the same document, in this form or another.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::StoreApp(one), Self::StoreApp(other)) => one.name == other.name,
            (Self::StoreJob(one), Self::StoreJob(other)) => one.name == other.name,
            _ => false,
        }
    }
}

impl Users {
    /// What somebody wants next.
    pub(super) fn wish(&mut self, stage: &mut Stage) -> Wish {
        let at = usize::try_from(stage.between(0, self.jobs.len() as u64 - 1)).unwrap_or(0);
        let (app, job) = (self.app.name.clone(), self.jobs[at].name.clone());
        let (disabled, kill) = (stage.percent(50), stage.percent(40));
        match stage.between(0, 99) {
            0..8 => self.cancel(stage),
            8..12 if self.rerunning => self.rerun(stage),
            60..62 if self.rerunning => Wish::Reconcile,
            62..68 if self.rerunning => self.rerun(stage),
            12..22 => {
                documents::change_job(stage, &mut self.jobs[at], self.requests);
                Wish::StoreJob(Box::new(self.jobs[at].clone()))
            }
            22..25 => {
                documents::change_app(stage, &mut self.app, self.requests);
                Wish::StoreApp(Box::new(self.app.clone()))
            }
            25..31 if self.disabling => Wish::DisableJob { job, disabled, kill },
            31..34 if self.disabling => Wish::DisableApp { app, disabled, kill },
            34..36 if self.deleting => Wish::DeleteJob { job },
            36..37 if self.deleting => Wish::DeleteApp { app },
            // What was deleted or disabled comes back.
            37..43 if self.deleting => Wish::StoreApp(Box::new(self.app.clone())),
            43..50 if self.deleting => Wish::StoreJob(Box::new(self.jobs[at].clone())),
            50..55 if self.disabling => Wish::DisableJob { job, disabled: false, kill: false },
            55..60 if self.disabling => Wish::DisableApp { app, disabled: false, kill: false },
            70..86 if self.killing => self.kill(stage),
            _ => self.trigger(stage, at),
        }
    }

    /// Somebody wants one task to end that runs now.
    fn kill(&mut self, stage: &mut Stage) -> Wish {
        match stage.one_of(&stage.truth.live_shards()) {
            Some((run, item)) => Wish::Kill { run, item },
            None => self.trigger(stage, 0),
        }
    }

    fn trigger(&mut self, stage: &mut Stage, at: usize) -> Wish {
        self.keys += 1;
        let last = self.jobs[at].sharding.count - 1;
        let items = stage.percent(15).then(|| {
            let item = u32::try_from(stage.between(0, u64::from(last))).unwrap_or(0);
            vec![item]
        });
        let after_deletions = self.after_deletions(stage);
        Wish::Trigger { job: self.jobs[at].name.clone(), key: self.keys, items, after_deletions }
    }

    /// Somebody wants a run once more, over or not.
    fn rerun(&mut self, stage: &mut Stage) -> Wish {
        let runs: Vec<RunId> =
            self.accepted.values().chain(self.reruns.values()).copied().collect();
        let runs: Vec<RunId> = runs.into_iter().chain(stage.truth.past_runs()).collect();
        let Some(run) = stage.one_of(&runs) else { return self.trigger(stage, 0) };
        self.keys += 1;
        let failed = stage.percent(40);
        let items = (!failed && stage.percent(30)).then(|| vec![0]);
        Wish::Rerun { run, key: self.keys, request: RerunRequest { items, failed } }
    }

    fn cancel(&mut self, stage: &mut Stage) -> Wish {
        let runs = self.accepted.values().chain(self.reruns.values());
        let runs: Vec<RunId> = runs.copied().collect();
        match stage.one_of(&runs) {
            Some(run) => Wish::Cancel { run },
            None => self.trigger(stage, 0),
        }
    }
}

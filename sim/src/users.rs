//! Users: the apps and jobs that they store, change and delete, the runs that they trigger and
//! cancel, and what they are told.

mod answers;
mod documents;
mod fate;
mod wish;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use muster_api::{
    AgentId, RunId, Span,
    spec::{AppSpec, JobSpec},
    views::{AgentState, AgentView},
};
use muster_engine::{
    event::{CommandReply, Event, RequestId},
    query::Query,
};

use self::wish::Wish;
pub(crate) use self::{
    documents::HANDLER,
    fate::{Fate, fate, fate_of_command},
};
use crate::{happening::Happening, setting::Setting, stage::Stage};

/// How long a user waits for an answer before asking again.
const PATIENCE: u64 = 3_000;
/// How long a request is under way at most when it is delayed. After that all have arrived.
pub(crate) const DELAY_MAX: u64 = 30_000;

/// What happens to the next request on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It does not arrive.
    Lost,
    /// It arrives late.
    Delayed,
    /// It arrives twice.
    Repeated,
    /// Its answer does not arrive.
    AnswerLost,
}

/// All users.
#[derive(Debug)]
pub(crate) struct Users {
    app: AppSpec,
    jobs: Vec<JobSpec>,
    /// What must be stored before anything else is wanted, in order.
    first: VecDeque<Wish>,
    asked: BTreeMap<RequestId, Asked>,
    requests: u64,
    keys: u64,
    /// Keys of reruns that were accepted, and the run that each became.
    reruns: BTreeMap<u64, RunId>,
    /// Keys of reruns that were refused at last, when an earlier request may have been served.
    doubtful: BTreeSet<u64>,
    /// Whether these users want runs once more, and operators look after hosts.
    rerunning: bool,
    operating: bool,
    /// Keys of triggers that were accepted, and the run that each became.
    accepted: BTreeMap<u64, RunId>,
    /// Keys of triggers of which nobody can say what they became: they were refused at last, when
    /// an earlier request may have been served, or the job was deleted, and its keys with it.
    denied: BTreeSet<u64>,
    /// Whether these users disable, and whether they delete.
    disabling: bool,
    deleting: bool,
    /// Requests so far that delete something.
    deletions: u64,
    /// The last deletion may still be under way until then.
    deleting_until: u64,
    /// What happens to the next request.
    pub(crate) trouble: Option<Trouble>,
    /// They have taken their schedules back.
    calmed: bool,
    /// They have disabled their daemon jobs for good.
    retired: bool,
    /// Whether operators drain hosts, and whether they end single tasks.
    draining: bool,
    killing: bool,
}

/// A request without an answer.
#[derive(Debug)]
struct Asked {
    wish: Wish,
    /// Deletions before it; nothing while one may still have been under way.
    after_deletions: Option<u64>,
    answer_is_lost: bool,
}

impl Users {
    /// Draws the documents of a world.
    pub(crate) fn new(stage: &mut Stage, setting: &Setting) -> Self {
        let app = documents::app(stage, setting);
        let count = usize::try_from(stage.between(1, 4)).unwrap_or(1);
        let jobs: Vec<JobSpec> =
            (0..count).map(|index| documents::job(stage, &app, index, setting)).collect();
        for job in &jobs {
            stage.truth.job(&job.name, &job.resources);
        }
        let stored = jobs.iter().map(|job| Wish::StoreJob(Box::new(job.clone())));
        let first = std::iter::once(Wish::StoreApp(Box::new(app.clone()))).chain(stored).collect();
        Self {
            app,
            jobs,
            first,
            asked: BTreeMap::new(),
            requests: 0,
            keys: 0,
            reruns: BTreeMap::new(),
            doubtful: BTreeSet::new(),
            rerunning: stage.percent(60),
            operating: stage.percent(40) && setting.foreign.is_none(),
            accepted: BTreeMap::new(),
            denied: BTreeSet::new(),
            disabling: stage.percent(60),
            deleting: stage.percent(40),
            deletions: 0,
            deleting_until: 0,
            trouble: None,
            calmed: false,
            retired: false,
            draining: setting.draining,
            killing: setting.killing,
        }
    }

    /// Users do the next thing, and plan when to do another one.
    pub(crate) fn act(&mut self, stage: &mut Stage, calm_at: u64) {
        if stage.calm {
            return;
        }
        if let Some(wish) = self.first.front().cloned() {
            return self.ask(stage, wish);
        }
        let wish = self.wish(stage);
        self.ask(stage, wish);
        if stage.percent(15) {
            self.look(stage, Query::Queue { skip: 0, limit: muster_api::limits::LIVE_ROWS });
        }
        if (self.operating || self.draining) && stage.percent(30) {
            self.look(stage, Query::Agents);
        }
        let delay = stage.between(200, 20_000);
        if stage.time() + delay < calm_at {
            stage.after(delay, Happening::UsersAct);
        }
    }

    /// From now on nobody asks for a schedule or drains a host, not even again.
    pub(crate) fn want_no_more(&mut self) {
        self.trouble = None;
        self.first.clear();
        let stays = |wish: &Wish| !matches!(wish, Wish::StoreJob(_) | Wish::Drain { .. });
        self.asked.retain(|_, asked| stays(&asked.wish));
    }

    /// All that was sent before has arrived: schedules are taken out of the jobs, and all hosts may
    /// be used. Daemon jobs have a last change, or none, and go on.
    pub(crate) fn calm_down(&mut self, stage: &mut Stage) {
        self.calmed = true;
        for agent in stage.truth.drained() {
            self.ask(stage, Wish::Activate { agent });
        }
        if stage.percent(50) {
            let app = self.app.name.clone();
            self.ask(stage, Wish::DisableApp { app, disabled: false, kill: false });
        }
        for mut job in self.jobs.clone() {
            if !job.is_daemon() {
                job.schedule = None;
            } else if stage.percent(50) {
                let job = job.name.clone();
                self.ask(stage, Wish::DisableJob { job, disabled: false, kill: false });
            } else if stage.percent(50) {
                documents::change_job(stage, &mut job, self.requests);
            }
            self.ask(stage, Wish::StoreJob(Box::new(job)));
        }
    }

    /// Daemon jobs were seen to be as they should: they are disabled, so that everything can end.
    pub(crate) fn retire_daemons(&mut self, stage: &mut Stage) {
        self.retired = true;
        let daemons = self.jobs.iter().filter(|job| job.is_daemon());
        for job in daemons.map(|job| job.name.clone()).collect::<Vec<_>>() {
            self.ask(stage, Wish::DisableJob { job, disabled: true, kill: false });
        }
    }

    /// Whether daemon jobs were disabled for good, if there are any.
    pub(crate) fn have_retired_daemons(&self) -> bool {
        self.retired
    }

    /// Whether every wish was answered.
    pub(crate) fn are_content(&self) -> bool {
        self.calmed && self.asked.is_empty() && self.first.is_empty()
    }

    /// What became of triggers, by what their users were told.
    pub(crate) fn triggers(&self) -> (&BTreeMap<u64, RunId>, &BTreeSet<u64>) {
        (&self.accepted, &self.denied)
    }

    /// What became of reruns, by what their users were told; and how many nobody knows of.
    pub(crate) fn reruns(&self) -> (&BTreeMap<u64, RunId>, usize) {
        (&self.reruns, self.doubtful.len())
    }

    /// An operator sees which hosts are silent, and may give one up.
    pub(crate) fn see(&mut self, stage: &mut Stage, agents: &[AgentView]) {
        if stage.calm {
            return;
        }
        if self.draining && stage.percent(40) {
            self.drain_or_activate(stage, agents);
        }
        let silent = agents.iter().filter(|agent| agent.state == AgentState::Unreachable);
        let silent: Vec<AgentId> = silent.map(|agent| agent.id.clone()).collect();
        if !self.operating || !stage.percent(60) {
            return;
        }
        if let Some(agent) = stage.one_of(&silent) {
            self.ask(stage, Wish::Gone { agent });
        }
    }

    /// Some host is to give up its work, or may be used again.
    fn drain_or_activate(&mut self, stage: &mut Stage, agents: &[AgentView]) {
        let agents = agents.iter().filter(|agent| agent.state != AgentState::Gone);
        let agents: Vec<(AgentId, bool)> =
            agents.map(|agent| (agent.id.clone(), agent.drain.is_some())).collect();
        let Some((agent, drains)) = stage.one_of(&agents) else { return };
        let deadline = match stage.between(0, 3) {
            0 => None,
            1 => Some(Span::ZERO),
            _ => Some(Span::from_secs(stage.between(1, 120))),
        };
        let wish = if drains && stage.percent(70) {
            Wish::Activate { agent }
        } else {
            Wish::Drain { agent, deadline }
        };
        self.ask(stage, wish);
    }

    /// Somebody looks at something.
    fn look(&mut self, stage: &mut Stage, query: Query) {
        self.requests += 1;
        let event = Event::Query { request: RequestId(self.requests), query };
        let delay = stage.between(0, 50);
        stage.after(delay, Happening::RequestArrives { event });
    }

    fn ask(&mut self, stage: &mut Stage, wish: Wish) {
        self.requests += 1;
        let request = RequestId(self.requests);
        let trouble = self.trouble.take();
        stage.log(format_args!("a user asks {}: {wish:?}", request.0));
        if wish.deletes() {
            self.deletions += 1;
            self.deleting_until = stage.time() + DELAY_MAX;
            stage.truth.unpromised(&wish.key_prefix());
        }
        let after_deletions = self.after_deletions(stage);
        let delay = match trouble {
            Some(Trouble::Delayed) => stage.between(1_000, DELAY_MAX),
            _ => stage.between(0, 50),
        };
        if trouble == Some(Trouble::Repeated) {
            let again = stage.between(0, 2_000);
            stage.after(again, wish.arrives(request));
        }
        if trouble != Some(Trouble::Lost) {
            stage.after(delay, wish.arrives(request));
        }
        let asked =
            Asked { wish, after_deletions, answer_is_lost: trouble == Some(Trouble::AnswerLost) };
        self.asked.insert(request, asked);
        stage.after(PATIENCE, Happening::UserAsksAgain { request });
    }

    /// How many deletions there were, if all of them have arrived.
    fn after_deletions(&self, stage: &Stage) -> Option<u64> {
        (stage.time() > self.deleting_until).then_some(self.deletions)
    }

    /// Asks again for what was not answered in time.
    pub(crate) fn ask_again(&mut self, stage: &mut Stage, request: RequestId) {
        if let Some(asked) = self.asked.remove(&request) {
            self.ask(stage, asked.wish);
        }
    }

    /// A user reads an answer. One that comes after the user has asked again counts as unread.
    pub(crate) fn hear(&mut self, stage: &mut Stage, request: RequestId, reply: CommandReply) {
        if self.asked.get(&request).is_none_or(|asked| asked.answer_is_lost) {
            return;
        }
        let Some(asked) = self.asked.remove(&request) else { return };
        let verdict = self.believe(stage, &asked, reply);
        stage.judge(verdict);
        if self.first.front().is_some_and(|first| first.is_like(&asked.wish)) {
            self.first.pop_front();
            stage.after(10, Happening::UsersAct);
        }
    }
}

//! What an agent brings when it registers takes the place of what was known to live on it.

use std::collections::BTreeMap;

use muster_api::{AgentId, Now};
use muster_proto::{FrameworkId, FrameworkInfo};

use super::{
    event::{Connection, Step},
    framework::{Framework, Standing},
    here::Here,
    info::known_roles,
    master::Master,
    removal::patience,
    silence::Found,
    wire,
};

impl Master {
    /// Makes the frameworks known that an agent has executors or tasks of: after a loss of the
    /// store a framework comes back with the id that it had.
    pub(super) fn adopt(
        &mut self,
        now: Now,
        mut infos: BTreeMap<FrameworkId, FrameworkInfo>,
        here: &BTreeMap<FrameworkId, Here>,
    ) {
        for id in
            here.keys().filter(|id| !self.frameworks.contains_key(id)).cloned().collect::<Vec<_>>()
        {
            let info = infos.remove(&id);
            let hearsay = info.is_none();
            let info = info.unwrap_or_default();
            let roles = known_roles(&info);
            let unknown = Standing::Away { since: None, until: now.mono };
            let mut framework = Framework { hearsay, ..Framework::new(&id, info, roles, unknown) };
            let until = patience(&framework, None, now);
            framework.standing = Standing::Away { since: None, until };
            self.failovers.insert((until, id.clone()));
            self.frameworks.insert(id, framework);
        }
    }

    /// Replaces what lives on an agent by what it brought. The rest is over, which frameworks over
    /// HTTP are told; what had counted as lost is found.
    pub(super) fn rebuild(
        &mut self,
        now: Now,
        id: &AgentId,
        mut here: BTreeMap<FrameworkId, Here>,
        step: &mut Step,
    ) -> Found {
        let (mut lost, mut found) = (self.lost.take(id), Found::new());
        let agent = self.agents.get_mut(id).expect("the agent was admitted");
        let mut before = agent.clear_here(&mut self.books);
        let mut over = BTreeMap::new();
        for (framework, here) in &before {
            let index = &mut self.frameworks.get_mut(framework).expect("it has tasks here").tasks;
            here.tasks.keys().for_each(|task| {
                index.remove(task);
            });
        }
        for (framework_id, here) in &mut here {
            let mut old = before.remove(framework_id).unwrap_or_default();
            let framework = self.frameworks.get_mut(framework_id).expect("it was adopted");
            for (task_id, task) in &mut here.tasks {
                if let Some(before) = old.tasks.remove(task_id) {
                    task.go_on_from(before);
                } else if let Some(before) =
                    lost.get_mut(framework_id).and_then(|lost| lost.remove(task_id))
                {
                    task.go_on_from(before);
                    found.entry(framework_id.clone()).or_default().insert(task_id.clone());
                }
                // The newest word on where a task is counts.
                if let Some(other) = framework.tasks.insert(task_id.clone(), id.clone()) {
                    let other_agent = self.agents.get_mut(&other).expect("indexed agents exist");
                    other_agent.remove_task(&mut self.books, framework_id, task_id);
                    self.changed.insert(other);
                }
            }
            over.insert(framework_id.clone(), old);
        }
        let agent = self.agents.get_mut(id).expect("the agent was admitted");
        agent.fill_here(&mut self.books, here);
        over.extend(before);
        self.tell_over(now, id, over, step);
        found
    }

    /// Sends again the kills that wait, and ends the executors of removed frameworks.
    pub(super) fn resend_ends(&self, id: &AgentId, on: Connection, step: &mut Step) {
        for (framework_id, here) in &self.agents[id].here {
            if self.frameworks[framework_id].is_removed() {
                for body in here.ends(framework_id) {
                    step.tell_agent(on, body);
                }
            }
            for (task_id, task) in &here.tasks {
                if let Some(kill) = task.kill.filter(|_| !task.state.is_terminal()) {
                    step.tell_agent(on, wire::kill(framework_id, task_id, kill.policy));
                }
            }
        }
    }
}

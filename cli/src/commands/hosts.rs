//! `muster agents` and `queue`.

use muster_api::{
    limits,
    views::{AgentView, QueueView},
};
use serde_json::json;

use super::{Session, rows, why};
use crate::{
    client::Call,
    screen::{Rows, word},
};

/// Lists the executor hosts.
pub(super) async fn agents(session: &Session) -> anyhow::Result<()> {
    let page = session.client.list(Call::get("/v1/agents"), 10 * limits::PAGE_ROWS).await?;
    session.screen.answer(&json!(page), || {
        let agents: Vec<AgentView> = rows(&page.items)?;
        Ok::<_, serde_json::Error>(render_agents(&agents))
    })
}

fn render_agents(agents: &[AgentView]) -> String {
    let mut table =
        Rows::new(["AGENT", "HOST", "STATE", "TASKS", "EXECUTORS", "IN USE", "ATTRIBUTES"]);
    for agent in agents {
        let amounts = agent
            .resources
            .iter()
            .map(|(name, all)| format!("{name} {}/{all}", agent.used.get(name)));
        let attributes = agent.attributes.iter().map(|(name, value)| format!("{name}:{value}"));
        table.add([
            agent.id.to_string(),
            agent.hostname.clone(),
            word(agent.state),
            agent.tasks.to_string(),
            agent.executors.to_string(),
            amounts.collect::<Vec<_>>().join(", "),
            attributes.collect::<Vec<_>>().join(";"),
        ]);
    }
    table.render("no agents; start one with `muster agent --master HOST:5050`")
}

/// Shows which runs wait, in the order in which they are served.
pub(super) async fn queue(session: &Session) -> anyhow::Result<()> {
    let page = session.client.list(Call::get("/v1/queue"), limits::LIVE_ROWS).await?;
    session.screen.answer(&json!(page), || {
        let waiting: Vec<QueueView> = rows(&page.items)?;
        Ok::<_, serde_json::Error>(render_queue(&waiting))
    })
}

fn render_queue(waiting: &[QueueView]) -> String {
    let mut table = Rows::new(["RUN", "JOB", "PRIORITY", "PLANNED", "PENDING", "WHY IT WAITS"]);
    for run in waiting {
        table.add([
            run.run.to_string(),
            run.job.to_string(),
            run.priority.to_string(),
            run.planned_at.to_string(),
            run.pending.to_string(),
            why::describe(run),
        ]);
    }
    table.render("nothing waits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_show_what_is_in_use() {
        let agent = json!({"id": "agent-1", "hostname": "h", "state": "active",
            "resources": {"cpus": 4, "mem": 4096}, "used": {"cpus": 0.5},
            "attributes": {"rack": "r1"}, "tasks": 2, "executors": 1});
        assert_eq!(
            render_agents(&rows(&[agent]).unwrap()),
            "AGENT    HOST  STATE   TASKS  EXECUTORS  IN USE                  ATTRIBUTES\n\
             agent-1  h     active  2      1          cpus 0.5/4, mem 0/4096  rack:r1"
        );
    }

    #[test]
    fn what_waits_says_why() {
        let run = json!({"run": "019a0000-0000-7000-8000-000000000000", "job": "j", "app": "a",
            "priority": 50, "planned_at": "2026-01-31T02:00:00Z", "pending": 3,
            "reason": "no_agents", "detail": "no hosts at all"});
        let text = render_queue(&rows(&[run]).unwrap());
        assert!(text.ends_with("j    50        2026-01-31T02:00:00Z  3        no hosts at all"));
        assert_eq!(render_queue(&[]), "nothing waits");
    }
}

//! `muster agents` and `queue`.

use muster_api::{
    Span, limits,
    views::{AgentState, AgentView, DrainView, OfferView, QueueView},
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
    let mut table = Rows::new([
        "AGENT",
        "HOST",
        "STATE",
        "DRAIN",
        "SILENT FOR",
        "TASKS",
        "EXECUTORS",
        "IN USE",
        "ATTRIBUTES",
    ]);
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
            drain(agent),
            agent.silent_for.map(seconds).unwrap_or_default(),
            agent.tasks.to_string(),
            agent.executors.to_string(),
            amounts.collect::<Vec<_>>().join(", "),
            attributes.collect::<Vec<_>>().join(";"),
        ]);
    }
    table.render("no agents; start one with `muster agent --master HOST:5050`")
}

/// When what is left on a host is moved, or since when it was to be empty if it is.
fn drain(agent: &AgentView) -> String {
    match (agent.drain, agent.state) {
        (None, _) => String::new(),
        (Some(drain), AgentState::Drained) => format!("since {}", drain.since),
        (Some(DrainView { deadline: Some(at), .. }), _) => format!("until {at}"),
        (Some(DrainView { deadline: None, .. }), _) => "no deadline".to_owned(),
    }
}

/// A span in whole seconds.
fn seconds(span: Span) -> String {
    Span::from_secs(span.duration().as_secs()).to_string()
}

/// Shows which runs wait, in the order in which they are served.
pub(super) async fn queue(session: &Session) -> anyhow::Result<()> {
    let page = session.client.list(Call::get("/v1/queue"), limits::LIVE_ROWS).await?;
    session.screen.answer(&json!(page), || {
        let waiting: Vec<QueueView> = rows(&page.items)?;
        Ok::<_, serde_json::Error>(render_queue(&waiting))
    })?;
    session.screen.cut(&page, "the others come after them")?;
    Ok(())
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

/// Shows what is offered, to whom and since when.
pub(super) async fn offers(session: &Session) -> anyhow::Result<()> {
    let page = session.client.list(Call::get("/v1/offers"), limits::LIVE_ROWS).await?;
    session.screen.answer(&json!(page), || {
        let offers: Vec<OfferView> = rows(&page.items)?;
        Ok::<_, serde_json::Error>(render_offers(&offers))
    })?;
    session.screen.cut(&page, "`muster agents` shows what is free of each host")?;
    Ok(())
}

fn render_offers(offers: &[OfferView]) -> String {
    let mut table = Rows::new(["OFFER", "AGENT", "HOST", "RESOURCES", "HELD BY", "SINCE", "FOR"]);
    for offer in offers {
        table.add([
            offer.id.to_string(),
            offer.agent.to_string(),
            offer.hostname.clone(),
            offer.resources.to_string(),
            offer.framework_name.clone(),
            offer.since.to_string(),
            offer.held_for.to_string(),
        ]);
    }
    table.render("nothing is offered")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_show_what_is_in_use() {
        let agent = json!({"id": "agent-1", "hostname": "h", "state": "active",
            "resources": {"cpus": 4, "mem": 4096}, "used": {"cpus": 0.5},
            "attributes": {"rack": "r1"}, "tasks": 2, "executors": 1});
        let lost = json!({"id": "agent-2", "hostname": "l", "state": "unreachable",
            "resources": {"cpus": 1}, "used": {}, "attributes": {}, "tasks": 0, "executors": 0,
            "silent_since": "2026-01-31T02:00:00Z", "silent_for": "1m35s250ms",
            "drain": {"since": "2026-01-31T02:00:00Z"}});
        let drained = json!({"id": "agent-3", "hostname": "d", "state": "draining",
            "resources": {"cpus": 1}, "used": {}, "attributes": {}, "tasks": 1, "executors": 1,
            "drain": {"since": "2026-01-31T02:00:00Z", "deadline": "2026-01-31T02:10:00Z"}});
        let mut empty = drained.clone();
        (empty["id"], empty["state"]) = (json!("agent-4"), json!("drained"));
        let text = render_agents(&rows(&[agent, lost, drained, empty]).unwrap());
        let lines: Vec<_> = text.lines().map(str::trim_end).collect();
        assert_eq!(
            lines,
            [
                "AGENT    HOST  STATE        DRAIN                       SILENT FOR  TASKS  \
                 EXECUTORS  IN USE                  ATTRIBUTES",
                "agent-1  h     active                                               2      \
                 1          cpus 0.5/4, mem 0/4096  rack:r1",
                "agent-2  l     unreachable  no deadline                 1m35s       0      \
                 0          cpus 0/1",
                "agent-3  d     draining     until 2026-01-31T02:10:00Z              1      \
                 1          cpus 0/1",
                "agent-4  d     drained      since 2026-01-31T02:00:00Z              1      \
                 1          cpus 0/1",
            ]
        );
    }

    #[test]
    fn offers_show_who_holds_them() {
        let offer = json!({"id": "7-O1", "agent": "agent-1", "hostname": "h",
            "resources": {"cpus": 1}, "framework": "f-1", "framework_name": "muster",
            "since": "2026-01-31T02:00:00Z", "held_for": "2s"});
        assert_eq!(
            render_offers(&rows(&[offer]).unwrap()),
            "OFFER  AGENT    HOST  RESOURCES  HELD BY  SINCE                 FOR\n\
             7-O1   agent-1  h     cpus:1     muster   2026-01-31T02:00:00Z  2s"
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

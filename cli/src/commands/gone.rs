//! `muster agents gone` and `muster reconcile`: what operators say and ask about hosts.

use anyhow::bail;
use muster_api::{
    limits,
    views::{AgentState, AgentView, ReconcilingView},
};

use super::{Session, rows};
use crate::client::Call;

/// Says that a host will never come back.
pub(super) async fn gone(session: &Session, host: &str) -> anyhow::Result<()> {
    let page = session.client.list(Call::get("/v1/agents"), 10 * limits::PAGE_ROWS).await?;
    let agents: Vec<AgentView> = rows(&page.items)?;
    let agent = find(&agents, host)?;
    let answer = session.client.send(Call::post(format!("/v1/agents/{}/gone", agent.id))).await?;
    session.screen.answer(&answer.body, || {
        let agent: AgentView = answer.read()?;
        let at = agent.gone_at.map(|at| format!(" since {at}")).unwrap_or_default();
        Ok::<_, anyhow::Error>(format!("agent {} on {} is gone{at}", agent.id, agent.hostname))
    })
}

/// The agent that somebody means by its id, or by a host name that no other one has. One that is
/// gone has its name no more where another one has it.
pub(super) fn find<'a>(agents: &'a [AgentView], host: &str) -> anyhow::Result<&'a AgentView> {
    if let Some(agent) = agents.iter().find(|agent| agent.id.as_str() == host) {
        return Ok(agent);
    }
    let (gone, there): (Vec<_>, Vec<_>) = agents
        .iter()
        .filter(|agent| agent.hostname == host)
        .partition(|agent| agent.state == AgentState::Gone);
    match (&there[..], &gone[..]) {
        ([agent], _) | ([], [agent]) => Ok(agent),
        ([], []) => bail!("there is no agent `{host}`; `muster agents` lists them"),
        ([], several) | (several, _) => {
            let ids: Vec<_> = several.iter().map(|agent| agent.id.to_string()).collect();
            bail!("{} agents have the host name `{host}`; say which: {}", ids.len(), ids.join(", "))
        }
    }
}

/// Has the master asked for the truth about every task.
pub(super) async fn reconcile(session: &Session) -> anyhow::Result<()> {
    let answer = session.client.send(Call::post("/v1/reconcile")).await?;
    session.screen.answer(&answer.body, || {
        let ReconcilingView { tasks } = answer.read()?;
        Ok::<_, anyhow::Error>(format!("the master is asked about {tasks} task(s)"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn agent(id: &str, host: &str, state: &str) -> AgentView {
        let agent = json!({"id": id, "hostname": host, "state": state, "resources": {},
            "used": {}, "attributes": {}, "tasks": 0, "executors": 0});
        serde_json::from_value(agent).unwrap()
    }

    #[test]
    fn a_host_is_named_by_id_or_by_a_name_that_is_its_own() {
        let agents = [
            agent("id-1", "a", "unreachable"),
            agent("id-2", "b", "gone"),
            agent("id-3", "b", "active"),
            agent("id-4", "c", "gone"),
            agent("id-7", "d", "gone"),
            agent("id-8", "d", "gone"),
            agent("id-5", "twins", "active"),
            agent("id-6", "twins", "unreachable"),
            agent("a", "other", "active"),
        ];
        let found = |host| find(&agents, host).map(|agent| agent.id.as_str());
        assert_eq!(found("id-2").unwrap(), "id-2");
        assert_eq!(found("b").unwrap(), "id-3", "the other one is gone");
        assert_eq!(found("c").unwrap(), "id-4", "to say it twice is no mistake");
        assert_eq!(found("a").unwrap(), "a", "an id goes before a name");
        let error = found("twins").unwrap_err().to_string();
        assert_eq!(error, "2 agents have the host name `twins`; say which: id-5, id-6");
        let error = found("d").unwrap_err().to_string();
        assert_eq!(error, "2 agents have the host name `d`; say which: id-7, id-8");
        let error = found("nobody").unwrap_err().to_string();
        assert_eq!(error, "there is no agent `nobody`; `muster agents` lists them");
    }
}

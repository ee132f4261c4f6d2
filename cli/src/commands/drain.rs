//! `muster agents drain` and `activate`.

use std::{collections::BTreeSet, time::Duration};

use anyhow::bail;
use muster_api::{
    Span, limits,
    views::{AgentState, AgentView, DrainRequest, LeftView},
};
use serde_json::json;

use super::{
    Session, gone, rows,
    wait::{Patience, send_patiently},
};
use crate::client::{Answer, Call};

/// How often a host is looked at until it is empty.
const LOOK: Duration = Duration::from_millis(500);

/// Has a host give up its work, and waits until it has if that is wished.
pub(super) async fn drain(
    session: &Session,
    host: &str,
    deadline: Option<Span>,
    wait: bool,
) -> anyhow::Result<()> {
    let agent = find(session, host).await?;
    let call = Call::post(format!("/v1/agents/{}/drain", agent.id));
    // Said twice it is the same, so it may be sent again when no answer came.
    let answer = send_patiently(session, call.body(json!(DrainRequest { deadline }))).await?;
    let answer = if wait { until_drained(session, answer).await? } else { answer };
    session.screen.answer(&answer.body, || Ok::<_, anyhow::Error>(in_words(&answer.read()?)))
}

/// Lets a host take tasks again.
pub(super) async fn activate(session: &Session, host: &str) -> anyhow::Result<()> {
    let agent = find(session, host).await?;
    let call = Call::post(format!("/v1/agents/{}/activate", agent.id));
    let answer = send_patiently(session, call).await?;
    session.screen.answer(&answer.body, || Ok::<_, anyhow::Error>(in_words(&answer.read()?)))
}

async fn find(session: &Session, host: &str) -> anyhow::Result<AgentView> {
    let page = session.client.list(Call::get("/v1/agents"), 10 * limits::PAGE_ROWS).await?;
    let agents: Vec<AgentView> = rows(&page.items)?;
    gone::find(&agents, host).cloned()
}

/// Waits until nothing runs on a host; says what is left there, and then what of that has changed.
async fn until_drained(session: &Session, first: Answer) -> anyhow::Result<Answer> {
    let id = first.read::<AgentView>()?.id;
    let (mut answer, mut said) = (first, BTreeSet::new());
    let mut patience = Patience::new(session.screen);
    loop {
        let agent: AgentView = answer.read()?;
        match agent.state {
            AgentState::Drained => return Ok(answer),
            AgentState::Gone => bail!("{} was declared gone while it was drained", agent.hostname),
            _ if agent.drain.is_none() => {
                bail!("{} was activated while it was waited for", agent.hostname)
            }
            AgentState::Active
            | AgentState::Draining
            | AgentState::Foreign
            | AgentState::Unreachable => {}
        }
        for line in news(&mut said, &in_words(&agent)) {
            session.screen.note(line)?;
        }
        tokio::time::sleep(LOOK).await;
        answer = loop {
            match session.client.send(Call::get(format!("/v1/agents/{id}"))).await {
                Ok(answer) => break answer,
                Err(error) => patience.after(error).await?,
            }
        };
        patience = Patience::new(session.screen);
    }
}

/// The lines of a text that are not among those that were said the last time.
fn news(said: &mut BTreeSet<String>, text: &str) -> Vec<String> {
    let before = std::mem::replace(said, text.lines().map(str::to_owned).collect());
    text.lines().filter(|line| !before.contains(*line)).map(str::to_owned).collect()
}

/// How a host stands, and what is left there if it is drained.
fn in_words(agent: &AgentView) -> String {
    let (host, id) = (&agent.hostname, &agent.id);
    let Some(drain) = agent.drain else {
        return match agent.state {
            AgentState::Unreachable => {
                format!("agent {id} on {host} takes tasks once it is heard again")
            }
            _ => format!("agent {id} on {host} takes tasks"),
        };
    };
    if agent.state == AgentState::Drained {
        return format!("agent {id} on {host} is drained: nothing runs there");
    }
    let until = match drain.deadline {
        Some(at) => format!("what is left at {at} is moved"),
        None => "what runs there goes on until it ends".to_owned(),
    };
    let (tasks, executors) = (agent.tasks, agent.executors);
    let silent = match agent.state {
        AgentState::Unreachable => "; it is not heard at present",
        _ => "",
    };
    let mut text = format!(
        "agent {id} on {host} is being drained: {tasks} task(s) in {executors} executor(s); \
         {until}{silent}"
    );
    for LeftView { run, job, items, detail, .. } in &agent.left {
        text.push_str(&format!("\n  {job} (run {run}), shards {items}: {detail}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn agent(state: &str, more: &Value) -> AgentView {
        let mut agent = json!({"id": "id-1", "hostname": "h", "state": state, "resources": {},
            "used": {}, "attributes": {}, "tasks": 2, "executors": 1});
        agent.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(agent).unwrap()
    }

    #[test]
    fn who_waits_hears_only_what_has_changed() {
        let mut said = BTreeSet::new();
        assert_eq!(
            news(&mut said, "h: 3 tasks\n  j 0..1\n  k 0"),
            ["h: 3 tasks", "  j 0..1", "  k 0"]
        );
        assert!(news(&mut said, "h: 3 tasks\n  j 0..1\n  k 0").is_empty());
        assert_eq!(news(&mut said, "h: 2 tasks\n  j 1\n  k 0"), ["h: 2 tasks", "  j 1"]);
        assert_eq!(news(&mut said, "h: 3 tasks\n  j 1\n  k 0"), ["h: 3 tasks"]);
    }

    #[test]
    fn a_drain_says_what_is_left_and_what_becomes_of_it() {
        let left = json!([{"run": "019a0000-0000-7000-8000-000000000000", "job": "j", "tasks": 2,
            "items": "0..1", "detail": "goes on until it ends: the drain has no deadline"}]);
        let since = "2026-01-31T02:00:00Z";
        let draining = agent("draining", &json!({"drain": {"since": since}, "left": left}));
        assert_eq!(
            in_words(&draining),
            "agent id-1 on h is being drained: 2 task(s) in 1 executor(s); what runs there goes on \
             until it ends\n  j (run 019a0000-0000-7000-8000-000000000000), shards 0..1: goes on \
             until it ends: the drain has no deadline"
        );
        let deadline = json!({"drain": {"since": since, "deadline": "2026-01-31T02:10:00Z"}});
        assert_eq!(
            in_words(&agent("unreachable", &deadline)),
            "agent id-1 on h is being drained: 2 task(s) in 1 executor(s); what is left at \
             2026-01-31T02:10:00Z is moved; it is not heard at present"
        );
        assert_eq!(
            in_words(&agent("drained", &deadline)),
            "agent id-1 on h is drained: nothing runs there"
        );
        assert_eq!(in_words(&agent("active", &json!({}))), "agent id-1 on h takes tasks");
        assert_eq!(
            in_words(&agent("unreachable", &json!({}))),
            "agent id-1 on h takes tasks once it is heard again"
        );
    }
}

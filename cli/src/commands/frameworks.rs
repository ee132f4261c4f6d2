//! `muster frameworks` and `roles`: who shares the hosts, and by what measure.

use muster_api::{
    Amount, limits,
    views::{FrameworkView, RoleView, WeightRequest},
};
use serde_json::json;

use super::{Session, rows};
use crate::{
    args::{FrameworksOrder, RolesOrder},
    client::Call,
    screen::{Rows, or_dash, word},
};

/// All that there is, within reason.
const ALL: usize = 10 * limits::PAGE_ROWS;

/// Lists the frameworks, or does what is said of one.
pub(super) async fn frameworks(
    session: &Session,
    order: Option<FrameworksOrder>,
) -> anyhow::Result<()> {
    match order {
        None => list(session).await,
        Some(FrameworksOrder::Remove { framework }) => remove(session, &framework).await,
    }
}

async fn list(session: &Session) -> anyhow::Result<()> {
    let page = session.client.list(Call::get("/v1/frameworks"), ALL).await?;
    session.screen.answer(&json!(page), || {
        let frameworks: Vec<FrameworkView> = rows(&page.items)?;
        Ok::<_, serde_json::Error>(render_frameworks(&frameworks))
    })
}

fn render_frameworks(frameworks: &[FrameworkView]) -> String {
    let mut table = Rows::new([
        "FRAMEWORK",
        "NAME",
        "STATE",
        "SINCE",
        "PRINCIPAL",
        "ROLES",
        "TASKS",
        "EXECUTORS",
        "IN USE",
        "OFFERED",
    ]);
    for framework in frameworks {
        table.add([
            framework.id.clone(),
            if framework.embedded { "(this scheduler)".to_owned() } else { framework.name.clone() },
            state(framework),
            or_dash(framework.since),
            or_dash(framework.principal.as_ref()),
            roles_of(framework),
            framework.tasks.to_string(),
            framework.executors.to_string(),
            framework.used.to_string(),
            framework.offered.to_string(),
        ]);
    }
    table.render("no frameworks")
}

/// Where it stands, and how long it has to come back if it is away.
fn state(framework: &FrameworkView) -> String {
    match framework.removed_in {
        Some(left) => format!("{}, {left} left", word(framework.state)),
        None => word(framework.state),
    }
}

/// Its roles; in brackets those that want no offers for now.
fn roles_of(framework: &FrameworkView) -> String {
    let mark = |role: &String| {
        if framework.suppressed.contains(role) { format!("({role})") } else { role.clone() }
    };
    framework.roles.iter().map(mark).collect::<Vec<_>>().join(", ")
}

async fn remove(session: &Session, framework: &str) -> anyhow::Result<()> {
    session.client.send(Call::delete("/v1/frameworks").part(framework)).await?;
    session.screen.say(format!("framework {framework} is removed, and what it runs is ended"))?;
    Ok(())
}

/// Lists the roles, or says what one is worth.
pub(super) async fn roles(session: &Session, order: Option<RolesOrder>) -> anyhow::Result<()> {
    match order {
        None => list_roles(session).await,
        Some(RolesOrder::Set { role, weight }) => set_weight(session, &role, weight).await,
    }
}

async fn list_roles(session: &Session) -> anyhow::Result<()> {
    let page = session.client.list(Call::get("/v1/roles"), ALL).await?;
    session.screen.answer(&json!(page), || {
        let roles: Vec<RoleView> = rows(&page.items)?;
        Ok::<_, serde_json::Error>(render_roles(&roles))
    })
}

fn render_roles(roles: &[RoleView]) -> String {
    let mut table = Rows::new(["ROLE", "WEIGHT", "SHARE", "FRAMEWORKS", "IN USE", "OFFERED"]);
    for role in roles {
        table.add([
            role.role.clone(),
            Amount::from_thousandths(role.weight_thousandths.into()).to_string(),
            format!("{}.{} %", role.share_thousandths / 10, role.share_thousandths % 10),
            role.frameworks.len().to_string(),
            role.used.to_string(),
            role.offered.to_string(),
        ]);
    }
    table.render("no roles")
}

async fn set_weight(session: &Session, role: &str, weight: Amount) -> anyhow::Result<()> {
    let call = Call::put("/v1/roles", json!(WeightRequest { weight })).part(role);
    let answer = session.client.send(call).await?;
    session.screen.answer(&answer.body, || {
        let RoleView { role, weight_thousandths, .. } = answer.read()?;
        let weight = Amount::from_thousandths(weight_thousandths.into());
        Ok::<_, anyhow::Error>(format!("role {role} is worth {weight} now"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_who_holds_what_and_who_is_away() {
        let framework = json!({
            "id": "7-0001", "name": "spark", "user": "u", "state": "away", "embedded": false,
            "principal": "fw", "roles": ["a", "b"], "suppressed": ["b"], "capabilities": [],
            "checkpoint": true, "failover_timeout": "1h", "removed_in": "59m", "tasks": 3,
            "executors": 2, "offers": 0, "used": {"cpus": 2, "mem": 64}, "offered": {},
        });
        let text = render_frameworks(&[serde_json::from_value(framework).unwrap()]);
        for word in ["7-0001", "spark", "away, 59m left", "fw", "a, (b)", "cpus:2"] {
            assert!(text.contains(word), "`{word}` is not in\n{text}");
        }
        let role = json!({
            "role": "a", "weight_thousandths": 2500, "share_thousandths": 333,
            "used": {"cpus": 2, "mem": 64}, "offered": {}, "frameworks": ["7-0001"],
        });
        let text = render_roles(&[serde_json::from_value(role).unwrap()]);
        for word in ["2.5", "33.3 %", "cpus:2"] {
            assert!(text.contains(word), "`{word}` is not in\n{text}");
        }
    }
}

//! Agents come, beat, fall silent, and go.

use std::mem;

use muster_api::{AgentId, Now, Resources, limits};
use muster_proto::agent::{
    AgentBody, HeartbeatAnswer, Hello, MasterBody, Refused, Unsupported, Welcome,
};

use super::{
    agent::{Agent, Link, Up},
    event::{AgentNews, Connection, Effect, Step},
    framework::Framework,
    hello::Arrival,
    master::Master,
    note::Note,
    record, wire,
};

impl Master {
    /// An agent registers. A connection that it had before is closed: what is unread of it is void.
    pub(super) fn hello(&mut self, now: Now, on: Connection, hello: Hello, step: &mut Step) {
        let hostname = hello.info.as_ref().map(|info| info.hostname.clone()).unwrap_or_default();
        let arrival = match Arrival::try_from(hello) {
            Ok(arrival) => arrival,
            Err(error) => {
                let (reason, retry) = (error.to_string(), error.may_pass());
                let refused = Refused { message: reason.clone(), retry, ..Refused::default() };
                step.tell_agent(on, MasterBody::Refused(refused));
                step.effects.push(Effect::Close { connection: on });
                step.notes.push(Note::AgentRefused { hostname, reason });
                return;
            }
        };
        let id = arrival.id.clone().unwrap_or_else(|| self.mint_agent_id(now));
        if self.refuse_gone(on, &id, &hostname, step) {
            return;
        }
        if self.is_overtaken(&id, &arrival) {
            let reason = "a hello that it said later was here before".to_owned();
            step.effects.push(Effect::Close { connection: on });
            step.notes.push(Note::AgentRefused { hostname, reason });
            return;
        }
        if let Some(before) = self.unlink(&id, step).filter(|before| *before != on) {
            step.effects.push(Effect::Close { connection: before });
        }
        self.admit(now, &id, &arrival, step);
        if arrival.had_hostname {
            step.ignore_report(&id, "its attribute `hostname`, which is always the host's name");
        }
        self.adopt(now, arrival.frameworks, &arrival.here);
        let found = self.rebuild(now, &id, arrival.here, step);
        self.link(now, &id, on);
        let agent_id = Some(wire::agent_id_out(&id));
        step.tell_agent(on, MasterBody::Welcome(Welcome { agent_id, proof: Vec::new() }));
        self.tell_found(now, &id, &found, step);
        self.resend_ends(&id, on, step);
        self.evict_when_over(now, &id, step);
        if self.embedded_is_subscribed() {
            self.tell_registered(&id, step);
            self.tell_drain(&id, step);
        }
    }

    /// Whether an agent has registered by a hello that it said later: this one was on its way for
    /// long, and does not know of what was launched since.
    fn is_overtaken(&self, id: &AgentId, arrival: &Arrival) -> bool {
        let newest = self.agents.get(id).filter(|a| a.facts.boot_id == arrival.facts.boot_id);
        newest.is_some_and(|agent| arrival.said_at.is_some() && arrival.said_at < agent.greeted)
    }

    fn mint_agent_id(&mut self, now: Now) -> AgentId {
        let id = self.agent_ids.uuid(now.wall).to_string();
        id.parse().expect("a UUID is a valid id")
    }

    /// Makes the agent known with what it says of itself now, and stores what changed.
    fn admit(&mut self, now: Now, id: &AgentId, arrival: &Arrival, step: &mut Step) {
        let facts = arrival.facts.clone();
        let known = self.agents.contains_key(id);
        let agent =
            self.agents.entry(id.clone()).or_insert_with(|| Agent::away(facts.clone(), now.mono));
        if known && !agent.came {
            self.missing -= 1;
        }
        agent.greeted = arrival.said_at;
        agent.speaks = arrival.speaks;
        agent.url.clone_from(&arrival.url);
        let rebooted = agent.facts.boot_id != facts.boot_id;
        agent.rebooted |= rebooted;
        let is_another = agent.facts.attributes != facts.attributes;
        let counted = if agent.came { agent.facts.resources.clone() } else { Resources::none() };
        self.books.resize(&counted, &facts.resources);
        if !known || agent.facts != facts {
            step.writes.push(record::put_agent(id, &facts, agent.drain.as_ref()));
        }
        let hostname = facts.hostname.clone();
        step.notes.push(Note::AgentRegistered { agent: id.clone(), hostname, rebooted });
        // What is known to live there is replaced by `rebuild`, which follows.
        agent.facts = facts;
        agent.came = true;
        if is_another {
            self.clear_filters_on(id);
        }
    }

    /// A registered agent says something.
    pub(super) fn hear(
        &mut self,
        now: Now,
        connection: Connection,
        body: AgentBody,
        step: &mut Step,
    ) {
        // What still comes from a connection that was closed is void.
        let Some(agent) = self.connections.get(&connection).cloned() else { return };
        match body {
            AgentBody::Heartbeat(heartbeat) => self.heartbeat(now, &agent, heartbeat.number, step),
            AgentBody::Status(status) => self.status(&agent, connection, status, step),
            AgentBody::ExecutorExited(exited) => self.executor_exited(&agent, exited, step),
            AgentBody::ExecutorMessage(message) => {
                self.executor_message(&agent, connection, message, step);
            }
            AgentBody::Hello(_) | AgentBody::LogData(_) => {
                step.tell_agent(connection, MasterBody::Unsupported(Unsupported {}));
                step.ignore_report(&agent, "a message of this kind has no place here");
            }
            AgentBody::Unsupported(_) => {
                step.ignore_report(&agent, "it does not know a kind of message that was sent");
            }
        }
    }

    /// Answers a heartbeat at once: the answer extends leases.
    fn heartbeat(&mut self, now: Now, id: &AgentId, number: u64, step: &mut Step) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        let Link::Up(up) = &mut agent.link else { return };
        let was_silent = up.watch.is_none();
        if was_silent && now.mono.since(agent.heard) >= limits::fenced_after(limits::LEASE_MIN) {
            return self.ask_anew(id, step);
        }
        agent.heard = now.mono;
        let newest = up.answered.map_or(number, |before| before.max(number));
        let is_first = up.answered.replace(newest).is_none();
        up.launched_bytes = 0;
        if let Some(before) = up.watch.replace(now.mono + limits::SILENT_AFTER) {
            self.watches.remove(&(before, id.clone()));
        }
        self.watches.insert((now.mono + limits::SILENT_AFTER, id.clone()));
        step.tell_agent(up.connection, MasterBody::HeartbeatAnswer(HeartbeatAnswer { number }));
        if was_silent {
            step.notes.push(Note::AgentHeard { agent: id.clone() });
            if self.embedded_is_subscribed() {
                step.news(AgentNews::Heard { agent: id.clone() });
            }
        }
        if is_first || was_silent {
            self.changed.insert(id.clone());
        }
        if was_silent {
            self.watch_for_loss(id);
        }
    }

    /// What lives on an agent may count as dead by now, so it has to say what does: its connection
    /// is closed, and the next one begins with a hello.
    fn ask_anew(&mut self, id: &AgentId, step: &mut Step) {
        if let Some(connection) = self.unlink(id, step) {
            step.effects.push(Effect::Close { connection });
        }
        step.notes.push(Note::AgentStale { agent: id.clone() });
    }

    /// A connection has ended.
    pub(super) fn disconnected(&mut self, now: Now, connection: Connection, step: &mut Step) {
        let Some(id) = self.connections.get(&connection).cloned() else { return };
        let was_silent = self.agents[&id].is_silent();
        self.unlink(&id, step);
        self.drop_passing(now, &id, step);
        if !was_silent {
            self.note_silence(&id, step);
        }
    }

    /// No heartbeat has come for too long on a connection that is not known to be broken.
    pub(super) fn fall_silent(&mut self, id: &AgentId, step: &mut Step) {
        self.rescind_on(id, step);
        if let Some(Agent { link: Link::Up(up), .. }) = self.agents.get_mut(id) {
            up.watch = None;
            self.watch_for_loss(id);
            self.note_silence(id, step);
        }
    }

    fn note_silence(&self, id: &AgentId, step: &mut Step) {
        step.notes.push(Note::AgentSilent { agent: id.clone() });
        if self.embedded_is_subscribed() {
            self.tell_silent(id, step);
        }
    }

    fn link(&mut self, now: Now, id: &AgentId, connection: Connection) {
        let watch = now.mono + limits::SILENT_AFTER;
        let agent = self.agents.get_mut(id).expect("the agent was admitted");
        let up = Up { connection, answered: None, watch: Some(watch), launched_bytes: 0 };
        agent.link = Link::Up(up);
        self.watches.insert((watch, id.clone()));
        self.connections.insert(connection, id.clone());
        self.watch_for_loss(id);
    }

    /// Forgets an agent's connection and rescinds its offers.
    pub(super) fn unlink(&mut self, id: &AgentId, step: &mut Step) -> Option<Connection> {
        self.rescind_on(id, step);
        let agent = self.agents.get_mut(id)?;
        let Link::Up(up) = mem::replace(&mut agent.link, Link::Away) else { return None };
        self.connections.remove(&up.connection);
        if let Some(watch) = up.watch {
            self.watches.remove(&(watch, id.clone()));
        }
        self.watch_for_loss(id);
        Some(up.connection)
    }

    pub(super) fn embedded_is_subscribed(&self) -> bool {
        let embedded = self.embedded.as_ref().and_then(|id| self.frameworks.get(id));
        embedded.is_some_and(Framework::is_subscribed)
    }

    /// Tells the embedded scheduler where every agent stands.
    pub(super) fn tell_all(&mut self, step: &mut Step) {
        for id in self.agents.keys().cloned().collect::<Vec<_>>() {
            if self.agents[&id].came {
                self.tell_registered(&id, step);
            }
            if self.agents[&id].is_silent() {
                self.tell_silent(&id, step);
            }
            self.tell_drain(&id, step);
        }
    }

    fn tell_registered(&mut self, id: &AgentId, step: &mut Step) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        let here = self.embedded.as_ref().and_then(|embedded| agent.here.get(embedded));
        let tasks = here.map(|here| here.tasks.keys().map(|id| id.value.clone()).collect());
        let executors = here.map(|here| here.executors.keys().map(|id| id.value.clone()).collect());
        step.news(AgentNews::Registered {
            agent: id.clone(),
            hostname: agent.facts.hostname.clone(),
            attributes: agent.facts.attributes.clone(),
            resources: agent.facts.resources.clone(),
            rebooted: mem::take(&mut agent.rebooted),
            tasks: tasks.unwrap_or_default(),
            executors: executors.unwrap_or_default(),
        });
    }

    fn tell_silent(&self, id: &AgentId, step: &mut Step) {
        if let Some(agent) = self.agents.get(id) {
            step.news(AgentNews::Silent { agent: id.clone(), since: agent.heard });
        }
    }
}

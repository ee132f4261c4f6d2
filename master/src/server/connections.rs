//! The connections that are open, for whoever has something to send.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use muster_api::AgentId;
use muster_proto::agent::{FromMaster, LogData, MasterBody};
use tokio::sync::oneshot;

use super::outbox::Outbox;
use crate::core::Connection;

/// The open connections of all agents. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Connections {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    peers: BTreeMap<Connection, Peer>,
    /// The connection on which each agent was welcomed last.
    agents: BTreeMap<AgentId, Connection>,
    connections_made: u64,
    requests_made: u64,
}

/// An open connection.
#[derive(Debug)]
struct Peer {
    term: u64,
    outbox: Arc<Outbox>,
    /// The master's proof, for the welcome.
    proof: Vec<u8>,
    agent: Option<AgentId>,
    /// Who waits for which log.
    waiting: BTreeMap<u64, oneshot::Sender<LogData>>,
}

/// An entry of an open connection; dropping it takes the connection out.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) connection: Connection,
    connections: Connections,
}

/// A request on its way; dropping it forgets the request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) number: u64,
    pub(super) connection: Connection,
    pub(super) answer: oneshot::Receiver<LogData>,
    connections: Connections,
}

impl Connections {
    /// No connections yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends a message to an agent. The term is added, and the master's proof where it belongs.
    /// On a connection that has ended it goes nowhere; the core has heard of that, or soon will.
    pub fn send(&self, connection: Connection, body: MasterBody) {
        let mut inner = self.inner();
        let Some(peer) = inner.peers.get_mut(&connection) else { return };
        let body = match body {
            MasterBody::Welcome(mut welcome) => {
                welcome.proof.clone_from(&peer.proof);
                let id = welcome.agent_id.as_ref().and_then(|id| id.value.parse().ok());
                peer.agent.clone_from(&id);
                MasterBody::Welcome(welcome)
            }
            MasterBody::Refused(mut refused) if refused.gone => {
                refused.proof.clone_from(&peer.proof);
                MasterBody::Refused(refused)
            }
            other => other,
        };
        let welcomed = matches!(body, MasterBody::Welcome(_)).then(|| peer.agent.clone()).flatten();
        peer.outbox.push(&FromMaster { term: peer.term, body: Some(body) });
        if let Some(agent) = welcomed {
            inner.agents.insert(agent, connection);
        }
    }

    /// Ends a connection, after what was sent on it before.
    pub fn close(&self, connection: Connection) {
        if let Some(peer) = self.inner().peers.get(&connection) {
            peer.outbox.end();
        }
    }

    pub(super) fn open(&self, term: u64, proof: Vec<u8>) -> (Entry, Arc<Outbox>) {
        let mut inner = self.inner();
        inner.connections_made += 1;
        let connection = Connection(inner.connections_made);
        let outbox = Arc::new(Outbox::default());
        let peer = Peer {
            term,
            outbox: Arc::clone(&outbox),
            proof,
            agent: None,
            waiting: BTreeMap::new(),
        };
        inner.peers.insert(connection, peer);
        (Entry { connection, connections: self.clone() }, outbox)
    }

    /// Makes a request of an agent; `None` when it is not connected.
    pub(super) fn request(&self, agent: &AgentId) -> Option<Request> {
        let mut inner = self.inner();
        let connection = *inner.agents.get(agent)?;
        inner.requests_made += 1;
        let number = inner.requests_made;
        let (sender, answer) = oneshot::channel();
        inner.peers.get_mut(&connection)?.waiting.insert(number, sender);
        Some(Request { number, connection, answer, connections: self.clone() })
    }

    /// Hands a log to who waits for it; nobody may, any more.
    pub(super) fn complete(&self, connection: Connection, data: LogData) {
        let mut inner = self.inner();
        let peer = inner.peers.get_mut(&connection);
        if let Some(waiting) = peer.and_then(|peer| peer.waiting.remove(&data.request)) {
            // Whoever asked may have gone meanwhile.
            drop(waiting.send(data));
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut inner = self.connections.inner();
        let peer = inner.peers.remove(&self.connection);
        if let Some(agent) = peer.and_then(|peer| peer.agent)
            && inner.agents.get(&agent) == Some(&self.connection)
        {
            inner.agents.remove(&agent);
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let mut inner = self.connections.inner();
        if let Some(peer) = inner.peers.get_mut(&self.connection) {
            peer.waiting.remove(&self.number);
        }
    }
}

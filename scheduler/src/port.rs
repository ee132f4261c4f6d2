//! The master's port, and the ways between it and the driver.

use std::{future::Future, sync::Arc};

use muster_master::{
    core::Event,
    server::{Connections, Credentials, Events, ServerConfig, Streams, serve},
};
use muster_turn::{Effect, Turn};
use tokio::{
    net::TcpListener,
    sync::mpsc,
    task::{JoinHandle, spawn},
};

use crate::{cluster::AskedDriver, handle::DriverHandle, secrets::Token, server::Config};

/// Events of agents that wait for the driver; when they are this many, reading from agents stops.
const AGENT_EVENTS: usize = 4096;
/// Calls of frameworks that wait for the driver; further ones wait on their connections.
const FRAMEWORK_EVENTS: usize = 256;

/// The shell's end of the ways.
pub(crate) struct Port {
    events: Events,
    connections: Connections,
    streams: Streams,
    credentials: Credentials,
}

/// The driver's end of them.
pub(crate) struct Inland {
    pub(crate) agents: mpsc::Receiver<Event>,
    pub(crate) frameworks: mpsc::Receiver<Event>,
    pub(crate) connections: Connections,
    pub(crate) streams: Streams,
    pub(crate) credentials: Credentials,
}

impl Port {
    /// Both ends. Who frameworks can prove to be is in the first turn: its commit changes nothing
    /// about that, and nobody is to be told to wait for it.
    pub(crate) fn new(first: &Turn) -> (Self, Inland) {
        let (agent_events, agents) = mpsc::channel(AGENT_EVENTS);
        let (framework_events, frameworks) = mpsc::channel(FRAMEWORK_EVENTS);
        let (connections, streams) = (Connections::new(), Streams::new());
        let credentials = Credentials::new();
        for effect in &first.effects {
            if let Effect::Credentials(principals) = effect {
                credentials.set(principals.clone());
            }
        }
        let port = Self {
            events: Events { agents: agent_events, frameworks: framework_events },
            connections: connections.clone(),
            streams: streams.clone(),
            credentials: credentials.clone(),
        };
        (port, Inland { agents, frameworks, connections, streams, credentials })
    }

    /// Serves agents and frameworks; nobody where the master is another one and does not listen here.
    pub(crate) fn serve(
        self,
        listener: Option<TcpListener>,
        config: &Config,
        join_token: &Token,
        term: u64,
        driver: DriverHandle,
        until: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        let Self { events, connections, streams, credentials } = self;
        let config = ServerConfig {
            join_token: join_token.as_str().to_owned(),
            term,
            anonymous_frameworks: config.anonymous_frameworks,
            credentials,
            cluster: Arc::new(AskedDriver(driver)),
        };
        spawn(async move {
            if let Some(listener) = listener {
                serve(listener, config, events, connections, streams, until).await;
            }
        })
    }
}

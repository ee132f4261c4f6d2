//! A wire between agent and master that can be held, and broken. It needs no rights at all.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, tcp},
    runtime::Runtime,
    sync::watch,
};

/// What a wire does with what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// It delivers.
    Flows,
    /// It delivers nothing either way, and nobody is told. What was sent arrives when it flows
    /// again: late, on connections that both sides may have given up.
    Holds,
    /// It holds what the agent says.
    HoldsAgent,
    /// It holds what the master says.
    HoldsMaster,
    /// Every connection is reset, and each new one too.
    Resets,
    /// It delivers something else than what was sent.
    Garbles,
}

/// The wire of one agent.
#[derive(Debug)]
pub(crate) struct Relay {
    address: SocketAddr,
    wire: watch::Sender<Wire>,
    /// Declared last: what it runs ends with it.
    _runtime: Runtime,
}

impl Relay {
    /// A wire to `master` that flows.
    pub(crate) fn new(master: &str) -> Self {
        let (master, (wire, state)) = (master.to_owned(), watch::channel(Wire::Flows));
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            while let Ok((agent, _)) = listener.accept().await {
                tokio::spawn(join(agent, master.clone(), state.clone()));
            }
        });
        Self { address, wire, _runtime: runtime }
    }

    /// Where the agent is to dial.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what it does.
    pub(crate) fn set(&self, wire: Wire) {
        self.wire.send_replace(wire);
    }
}

/// Joins one connection to another one until both have ended, or the wire resets.
async fn join(mut agent: TcpStream, master: String, state: watch::Receiver<Wire>) {
    let mut state_now = state.clone();
    let held = |wire: &Wire| matches!(wire, Wire::Holds | Wire::HoldsAgent | Wire::HoldsMaster);
    let wire = state_now.wait_for(|wire| !held(wire)).await.map(|wire| *wire);
    if !matches!(wire, Ok(Wire::Flows | Wire::Garbles)) {
        let _ = agent.set_zero_linger();
        return;
    }
    let Ok(mut master) = TcpStream::connect(master).await else { return };
    let (_, _) = (agent.set_nodelay(true), master.set_nodelay(true));
    let is_reset = {
        let (from_agent, to_agent) = agent.split();
        let (from_master, to_master) = master.split();
        let up = carry(from_agent, to_master, state.clone(), Wire::HoldsAgent);
        let down = carry(from_master, to_agent, state, Wire::HoldsMaster);
        tokio::select! {
            _ = async { tokio::join!(up, down) } => false,
            () = becomes(&mut state_now, Wire::Resets) => true,
        }
    };
    if is_reset {
        // Without lingering a socket ends with a reset.
        let (_, _) = (agent.set_zero_linger(), master.set_zero_linger());
    }
}

async fn becomes(state: &mut watch::Receiver<Wire>, wire: Wire) {
    // The other side of the watch ends with the runtime that this runs on.
    let _ = state.wait_for(|now| *now == wire).await;
}

/// Carries bytes one way while the wire neither holds all, nor what goes this way.
async fn carry(
    mut from: tcp::ReadHalf<'_>,
    mut to: tcp::WriteHalf<'_>,
    mut state: watch::Receiver<Wire>,
    held: Wire,
) -> std::io::Result<()> {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut bytes).await?;
        let wire = state.wait_for(|wire| *wire != Wire::Holds && *wire != held).await;
        let wire = wire.map(|wire| *wire);
        if wire.is_err() || length == 0 {
            return to.shutdown().await;
        }
        if matches!(wire, Ok(Wire::Garbles)) {
            bytes[..length].fill(b'?');
        }
        to.write_all(&bytes[..length]).await?;
    }
}

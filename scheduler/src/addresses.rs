//! Where a scheduler listens.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use tokio::net::TcpListener;

use crate::{ready::Ready, server::Config};

/// Nothing listens beyond loopback without TLS unless that is asked for.
pub(crate) fn check(config: &Config) -> anyhow::Result<()> {
    let master = config.mesos.is_none().then_some(("--master-listen", config.master_listen));
    for (what, address) in [("--http", config.http)].into_iter().chain(master) {
        if !address.ip().is_loopback() && !config.plaintext {
            bail!(
                "{what} {address} is reachable from other machines, and there is no TLS yet: \
                 use an address of 127.0.0.1, or say --plaintext if the network is yours alone"
            );
        }
    }
    if config.anonymous_frameworks && !config.master_listen.ip().is_loopback() {
        bail!(
            "--anonymous-frameworks lets everybody who reaches {} launch what they like: use an \
             address of 127.0.0.1 with it, or make credentials with `muster credentials create`",
            config.master_listen
        );
    }
    Ok(())
}

/// Binds the addresses, and what is to be said of them. Nobody needs that of the master where it is
/// another one.
pub(crate) async fn listen(
    config: &Config,
) -> anyhow::Result<(TcpListener, Option<TcpListener>, Ready)> {
    let http = bind(config.http, "REST").await?;
    let master = match config.mesos {
        None => Some(bind(config.master_listen, "the master").await?),
        Some(_) => None,
    };
    let address = master.as_ref().map(TcpListener::local_addr).transpose()?;
    let ready = Ready { pid: std::process::id(), http: http.local_addr()?, master: address };
    Ok((http, master, ready))
}

async fn bind(address: SocketAddr, what: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address} for {what}: is another scheduler running there?")
    })
}

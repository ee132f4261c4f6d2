//! Connecting to a master, and what every request to it begins with.

use std::io;

use hyper::header::HeaderValue;
use muster_api::limits;
use muster_proto::json::base64;
use muster_session::link::MasterAddress;
use tokio::{net::TcpStream, time::timeout};

use super::config::Credential;

/// Where schedulers speak to a master.
pub(super) const PATH: &str = "/api/v1/scheduler";
/// How messages are written.
pub(super) const PROTOBUF: &str = "application/x-protobuf";
/// Who sends this.
pub(super) const AGENT: &str = concat!("muster/", env!("CARGO_PKG_VERSION"));
/// The header that names a stream.
pub(super) const STREAM_ID: &str = "mesos-stream-id";

/// Connects to a master.
pub(super) async fn dial(master: &MasterAddress) -> io::Result<TcpStream> {
    let connect = TcpStream::connect((master.host(), master.port()));
    let stream = timeout(limits::MESOS_ANSWER, connect).await.map_err(|_| {
        let most = limits::MESOS_ANSWER.as_secs();
        io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {most} s"))
    })??;
    // Calls are small and wanted now.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The value of `Authorization` for a credential.
pub(super) fn authorization(credential: &Credential) -> HeaderValue {
    let both = format!("{}:{}", credential.principal, credential.secret);
    let mut text = b"Basic ".to_vec();
    base64::encode(both.as_bytes(), &mut text);
    let mut value = HeaderValue::from_bytes(&text).expect("base64 is ASCII");
    value.set_sensitive(true);
    value
}

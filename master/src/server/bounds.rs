//! What peers may take of the master's port.

use std::time::Duration;

use muster_api::limits;

/// How much, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// How long a new connection may take to send a whole request, and then an agent to prove
    /// itself.
    pub handshake: Duration,
    /// How many connections may be at either of these at one time, and how many send the body of a
    /// call.
    pub unproved: usize,
    /// How long a connection may be idle between two requests, or take for the next.
    pub idle: Duration,
    /// How many connections may be at that at one time.
    pub idle_connections: usize,
    /// How long the body of a call may take to come, for those who have said who they are.
    pub body: Duration,
    /// Streams of frameworks at one time.
    pub streams: usize,
    /// Bytes that may wait on one stream.
    pub backlog: usize,
    /// How long what waits on a stream may wait without any of it being taken.
    pub stall: Duration,
    /// Time between two heartbeats on a stream.
    pub heartbeat: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            handshake: limits::HANDSHAKE,
            unproved: limits::UNPROVED_CONNECTIONS,
            idle: limits::CALLS_IDLE,
            idle_connections: limits::CALLS_IDLE_CONNECTIONS,
            body: limits::CALL_BODY,
            streams: limits::FRAMEWORK_STREAMS,
            backlog: limits::STREAM_BYTES,
            stall: limits::STREAM_STALL,
            heartbeat: limits::FRAMEWORK_HEARTBEAT,
        }
    }
}

//! Checks of tasks. They are known here so that tasks that want them can be refused, not misread.

use prost::Message;

use super::{CommandInfo, IpProtocol};

enumerations! {
    /// Ways to check a task. A health check and a general check know the same ones.
    pub enum CheckType {
        /// Not set.
        Unknown = 0 "UNKNOWN",
        /// Run a command.
        Command = 1 "COMMAND",
        /// Make an HTTP request.
        Http = 2 "HTTP",
        /// Open a connection.
        Tcp = 3 "TCP",
    }
}

messages! {
    /// A check whose failure ends the task.
    #[derive(Clone, PartialEq, Message)]
    pub struct HealthCheck {
        /// Seconds from the start of the task to the first check.
        optional double delay_seconds = 2 [default 15.0],
        /// Seconds from the end of a check to the next.
        optional double interval_seconds = 3 [default 10.0],
        /// Seconds that a check may take.
        optional double timeout_seconds = 4 [default 20.0],
        /// How many failures in a row end the task.
        optional uint32 consecutive_failures = 5 [default 3],
        /// Seconds from the launch during which failures do not count.
        optional double grace_period_seconds = 6 [default 10.0],
        /// Which way.
        optional enum<CheckType> r#type = 8,
        /// The command.
        optional message<CommandInfo> command = 7,
        /// The HTTP request.
        optional message<HttpHealthCheck> http = 1,
        /// The connection.
        optional message<TcpHealthCheck> tcp = 9,
    }

    /// A health check by HTTP.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct HttpHealthCheck {
        /// Over which version of the Internet protocol.
        optional enum<IpProtocol> protocol = 5 [default "IPv4"],
        /// `http` or `https`.
        optional string scheme = 3,
        /// To which port of the task's host.
        required uint32 port = 1,
        /// The path.
        optional string path = 2,
        /// The answers that count as healthy.
        repeated uint32 statuses = 4,
    }

    /// A health check by a connection.
    #[derive(Clone, Copy, PartialEq, Eq, Message)]
    pub struct TcpHealthCheck {
        /// Over which version of the Internet protocol.
        optional enum<IpProtocol> protocol = 2 [default "IPv4"],
        /// To which port of the task's host.
        required uint32 port = 1,
    }

    /// A check whose result is only reported.
    #[derive(Clone, PartialEq, Message)]
    pub struct CheckInfo {
        /// Which way.
        optional enum<CheckType> r#type = 1,
        /// The command.
        optional message<CommandCheck> command = 2,
        /// The HTTP request.
        optional message<HttpCheck> http = 3,
        /// The connection.
        optional message<TcpCheck> tcp = 7,
        /// Seconds from the start of the task to the first check.
        optional double delay_seconds = 4 [default 15.0],
        /// Seconds from the end of a check to the next.
        optional double interval_seconds = 5 [default 10.0],
        /// Seconds that a check may take; 0: any time.
        optional double timeout_seconds = 6 [default 20.0],
    }

    /// A check by a command.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct CommandCheck {
        /// The command.
        required message<CommandInfo> command = 1,
    }

    /// A check by HTTP.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct HttpCheck {
        /// To which port of the task's host.
        required uint32 port = 1,
        /// The path.
        optional string path = 2,
    }

    /// A check by a connection.
    #[derive(Clone, Copy, PartialEq, Eq, Message)]
    pub struct TcpCheck {
        /// To which port of the task's host.
        required uint32 port = 1,
    }

    /// The result of a check. The part of its type is set; it is empty when there is no result.
    #[derive(Clone, Copy, PartialEq, Eq, Message)]
    pub struct CheckStatusInfo {
        /// Which way it was checked.
        optional enum<CheckType> r#type = 1,
        /// Of a command.
        optional message<CommandCheckStatus> command = 2,
        /// Of an HTTP request.
        optional message<HttpCheckStatus> http = 3,
        /// Of a connection.
        optional message<TcpCheckStatus> tcp = 4,
    }

    /// The result of a command.
    #[derive(Clone, Copy, PartialEq, Eq, Message)]
    pub struct CommandCheckStatus {
        /// What it exited with.
        optional int32 exit_code = 1,
    }

    /// The result of an HTTP request.
    #[derive(Clone, Copy, PartialEq, Eq, Message)]
    pub struct HttpCheckStatus {
        /// The status of the answer.
        optional uint32 status_code = 1,
    }

    /// The result of a connection.
    #[derive(Clone, Copy, PartialEq, Eq, Message)]
    pub struct TcpCheckStatus {
        /// Whether it came about.
        optional bool succeeded = 1,
    }
}

//! What frameworks over HTTP, and their executors, may ask of a master and of agents.

use std::time::Duration;

/// Bytes of one call of a framework, or of one of its executors. Thousands of tasks of an ACCEPT
/// fit.
pub const CALL_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of a call that is read at any time.
pub const CALL_SMALL_BYTES: usize = 64 * 1024;
/// Calls of over [`CALL_SMALL_BYTES`] that are read at one time.
pub const CALLS_LARGE: usize = 4;
/// Calls that are whole and not answered at one time; a further one is told to try again.
pub const CALLS_WHOLE: usize = 1_024;
/// Bytes of the calls that are under way at one time; further ones wait. The messages made of them
/// take up to 200 times as much where somebody means harm, else about as much.
pub const CALLS_BYTES: u32 = 8 * 1024 * 1024;
/// Calls of one subscription, of one principal without, and of all others that are under way at one
/// time; further ones wait.
pub const CALLS_PER_CALLER: usize = 16;
/// Calls of one of these that are under way or wait; a further one is told to try again, so that
/// those of others find room.
pub const CALLS_WAITING_PER_CALLER: usize = 256;
/// Frameworks that are subscribed over HTTP at one time.
pub const FRAMEWORK_STREAMS: usize = 1_000;
/// Bytes that may wait on the stream of one framework, or of one of its executors; one that reads
/// slower is cut off. Offers of 10,000 hosts fit.
pub const STREAM_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of statuses that a framework is told again at once when it subscribes: in JSON they take up
/// to four times as much, and still leave room in [`STREAM_BYTES`].
pub const STATUSES_AT_ONCE_BYTES: usize = 2 * 1024 * 1024;
/// How long what waits on a stream may wait without any of it being taken. Short of the 75 s after
/// which frameworks themselves give up.
pub const STREAM_STALL: Duration = Duration::from_secs(60);
/// Time between two heartbeats on the stream of a framework. As in Mesos.
pub const FRAMEWORK_HEARTBEAT: Duration = Duration::from_secs(15);
/// Principals that may call as frameworks.
pub const CREDENTIALS: usize = 1_000;
/// Frameworks that a master knows beside those removed; more are not let in.
pub const FRAMEWORKS: usize = 1_000;
/// Removed frameworks that a master remembers, so that they cannot come back. As in Mesos.
pub const FRAMEWORKS_REMOVED: usize = 50;
/// How long a framework has to come back after a start of the master, whatever it said: without a
/// master it could not come, and clients of Mesos notice that within 75 s and dial every 15 s.
pub const FRAMEWORK_RETURN: Duration = Duration::from_secs(90);
/// Bytes of what a framework says of itself. It is stored, and goes with each launch.
pub const FRAMEWORK_INFO_BYTES: usize = 64 * 1024;
/// Roles of one framework. Whoever gets the next offer is looked for among all roles of all of them.
pub const FRAMEWORK_ROLES: usize = 100;
/// Roles with a weight of their own.
pub const WEIGHTS: usize = 1_000;
/// The largest weight of a role, in thousandths.
pub const WEIGHT_MAX: u32 = 1_000_000;
/// What is worth an offer to a framework that calls over HTTP and does not say, in thousandths: one
/// of these. As in Mesos.
pub const OFFER_LEAST: [(&str, u64); 2] = [("cpus", 10), ("mem", 32_000)];
/// Amounts in the offer filters of one framework. Each is looked at for each agent that has something
/// free.
pub const OFFER_QUANTITIES: usize = 100;
/// Constraints of the offers of one framework. Each is tried for each agent that has something free, and
/// takes up to [`PATTERN_MEMORY`] of memory.
///
/// [`PATTERN_MEMORY`]: super::PATTERN_MEMORY
pub const OFFER_CONSTRAINTS: usize = 100;
/// Bytes of all regular expressions among them: to make one ready may take milliseconds.
pub const OFFER_PATTERNS_BYTES: usize = 4_000;
/// How long a framework may keep an offer that it does nothing with, unless it is said otherwise.
/// Mesos has no such time unless it is told one, and frameworks that hoard starve all others.
pub const OFFER_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// How long a framework does not want declined resources when it does not say. The Mesos default.
pub const REFUSE_DEFAULT: Duration = Duration::from_secs(5);
/// The longest that it may say. The Mesos bound.
pub const REFUSE_MAX: Duration = Duration::from_secs(365 * 24 * 3600);
/// The shortest time for which a framework that calls over HTTP is not offered again what it gave
/// back, whatever it says. The allocation interval of Mesos: who always gives back at once would
/// otherwise be offered the same as fast as the wire goes.
pub const ALLOCATION_INTERVAL: Duration = Duration::from_secs(1);
/// Pairs of a role and an agent of which a framework keeps offers away that it gave back; with more it
/// counts as having asked for offers again. Five roles on each of 10,000 hosts.
pub const FILTERS: usize = 50_000;
/// Amounts that were given back of one agent in one role, and are kept away; then the first of them is
/// forgotten.
pub const FILTERS_PER_AGENT: usize = 8;
/// Tasks and operations of one ACCEPT. Frameworks launch some hundreds at a time.
pub const ACCEPT_TASKS: usize = 10_000;
/// Tasks of one framework that are not acknowledged to the end; further ones are refused. Each takes
/// about a kilobyte of its master, and another one of its agent.
pub const FRAMEWORK_TASKS: usize = 100_000;
/// Executors on one agent, and tasks that are not acknowledged to the end, beyond which frameworks over
/// HTTP launch none: a hello of all of them must fit into a record ([`RECORD_BYTES`]).
///
/// [`RECORD_BYTES`]: super::RECORD_BYTES
pub const AGENT_TASKS: usize = 10_000;
/// Bytes of the words about a task that is not launched, and of what a note quotes; what is longer is
/// cut. So the answers to [`ACCEPT_TASKS`] fit into [`STREAM_BYTES`].
pub const REFUSAL_BYTES: usize = 700;
/// Notes about one call that name what was refused; the others are counted.
pub const NOTES_OF_A_CALL: usize = 20;
/// Resources that a task or an executor names. Agents have a handful.
pub const TASK_RESOURCES: usize = 100;
/// Bytes of the description of an executor, which each of its tasks repeats.
pub const EXECUTOR_INFO_BYTES: usize = 256 * 1024;
/// Bytes that frameworks over HTTP launch on one agent from one of its heartbeats to the next; further
/// tasks are dropped. They must not fill what may wait for it ([`AGENT_QUEUE_BYTES`]), and the largest
/// task of a call fits in any case.
///
/// [`AGENT_QUEUE_BYTES`]: super::AGENT_QUEUE_BYTES
pub const AGENT_LAUNCH_BYTES: usize = 16 * 1024 * 1024;
/// Tasks, and offers, that `/state` of the master's port tells at most; it is written down whole.
pub const STATE_ROWS: usize = 10_000;

//! Every bound of Muster, with its reason. What happens when one is reached is said where it is
//! used, and in `docs/limits.md`.

use std::time::Duration;

use crate::Span;

mod frameworks;

pub use frameworks::*;

/// Bytes of an app's or job's name. Long enough for a path-like name, short enough for a key.
pub const NAME_BYTES: usize = 128;
/// Bytes of an id that somebody else chose. The bound of Mesos.
pub const OPAQUE_ID_BYTES: usize = 255;
/// The largest amount of one resource. A thousand times it still fits into 64 bits, with room
/// for a million such hosts.
pub const AMOUNT_MAX: u64 = 1_000_000_000;

/// Bytes of one document sent to the REST API.
pub const DOCUMENT_BYTES: usize = 256 * 1024;
/// Bytes of what one task is sent.
pub const TASK_PAYLOAD_BYTES: usize = 64 * 1024;
/// Bytes of a shard's result that are kept.
pub const RESULT_BYTES: usize = 4_000;
/// Bytes of the last output of a failed task that are kept with its run.
pub const OUTPUT_TAIL_BYTES: usize = 4_000;
/// Bytes of a record on the streams between master, agent and executor. A hello of 10,000 tasks
/// with payloads must fit.
pub const RECORD_BYTES: usize = 64 * 1024 * 1024;
/// Bytes of a task's output in one answer.
pub const LOG_CHUNK_BYTES: u32 = 256 * 1024;

/// Shards of one run.
pub const SHARDS_MAX: u32 = 10_000;
/// Shards of one run that starts all at once: they are placed in one step and one commit.
pub const SHARDS_ALL_AT_ONCE_MAX: u32 = 500;
/// Constraints of a job: each is looked at for every host once.
pub const CONSTRAINTS_MAX: usize = 32;
/// Values that one of them names.
pub const CONSTRAINT_VALUES_MAX: usize = 1_000;
/// Bytes of a value of an attribute in a constraint. Those of hosts are no longer in practice.
pub const ATTRIBUTE_BYTES: usize = 1_024;
/// Bytes of a regular expression, which somebody has to read.
pub const PATTERN_BYTES: usize = 1_000;
/// Bytes that a regular expression may take in memory: short ones can mean large machines.
pub const PATTERN_MEMORY: usize = 64 * 1024;
/// Triggered runs that may wait for one job; more are refused with 429.
pub const WAITING_TRIGGERS_PER_JOB: usize = 100;
/// Bytes of a cron expression: every second, minute, hour, day, month and year written out.
pub const CRON_BYTES: usize = 1_200;
/// The longest jitter of a job that fires once. Others have the distance of their fires.
pub const JITTER_MAX: Duration = Duration::from_secs(24 * 3600);
/// Planned instants of one job that one step looks at; what is older becomes one range.
pub const INSTANTS_PER_STEP: usize = 1_000;
/// Runs that one step tries to place; those that are left are the matter of the next one.
pub const CLASSES_PER_ROUND: usize = 1_000;
/// Offers of one agent that the engine holds; more are given back to become one, for each task
/// that ends frees a small offer of its own.
pub const OFFERS_PER_AGENT: usize = 8;
/// Tasks that one step launches, so that its commit stays within [`COMMIT_RECORDS`].
pub const LAUNCHES_PER_STEP: usize = 400;
/// Bytes that describe those tasks, about: what is launched on one host is one call, which has to stay
/// within [`MESOS_CALL_BYTES`] however it is written.
pub const LAUNCH_BYTES_PER_STEP: usize = 2 * 1024 * 1024;
/// Shards listed inside a run.
pub const SHARDS_IN_RUN: usize = 1_000;
/// Rows of one answer about live state.
pub const LIVE_ROWS: usize = 500;
/// Groups of shards in one explanation; beyond it people see no pattern any more.
pub const EXPLAINED_GROUPS: usize = 50;
/// Shards in one state of which an explanation reads from the store why they ended; that many reads
/// take milliseconds, and the rest is counted.
pub const EXPLAINED_REASONS: usize = 1_000;
/// Runs of a job that one explanation looks at, of those that are not over.
pub const EXPLAINED_RUNS: usize = 5;
/// Rows of one page of any list.
pub const PAGE_ROWS: usize = 1_000;
/// Rows of a page when the caller does not say.
pub const PAGE_ROWS_DEFAULT: usize = 100;
/// Versions of a job or app that are kept beside those in use.
pub const VERSIONS_KEPT: u64 = 20;

/// Records of one commit. A commit is one batch of the store; larger ones stall readers.
pub const COMMIT_RECORDS: usize = 1_000;
/// Bytes of one commit.
pub const COMMIT_BYTES: usize = 1024 * 1024;
/// Bytes of one stored value; a longer record is stored in parts, for sled leaks disk otherwise.
pub const STORED_VALUE_BYTES: usize = 4_000;

/// Between two heartbeats of an agent.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long the master waits for a heartbeat before it calls the agent silent.
pub const SILENT_AFTER: Duration = Duration::from_secs(12);
/// How long an agent is silent before frameworks over HTTP are told that its tasks are lost. As in
/// Mesos: five pings, each after 15 s.
pub const AGENT_UNREACHABLE_AFTER: Duration = Duration::from_secs(75);
/// The same for agents that have not come since the master started. As in Mesos.
pub const AGENT_RETURN: Duration = Duration::from_secs(10 * 60);
/// How many of these may be of one principal, so that none takes the places of all.
pub const FRAMEWORKS_PER_PRINCIPAL: usize = 100;
/// Agents declared gone that a master remembers, the newest. One that comes back after it was
/// forgotten is a stranger: what it brings is ended all the same, for nobody knows it.
pub const AGENTS_GONE: usize = 1_000;
/// Between two rounds of questions to the master about every task. As Mesos advises.
pub const RECONCILE_EVERY: Duration = Duration::from_secs(15 * 60);
/// Tasks that one step asks about, or names: 100,000 take [`RECONCILE_PAUSE`] two hundred times.
pub const RECONCILE_TASKS: usize = 500;
/// Tasks and operations that a framework has asked about and was not told of yet; beyond them it is
/// told nothing, which in Mesos means: ask again. As many as fit into one call with ids of usual length.
pub const RECONCILE_WAITING: usize = 50_000;
/// Bytes of a status that a master keeps to tell it again when its framework is back; a larger one comes
/// again from its agent, a little later. Usual ones take some hundred.
pub const STATUS_KEPT_BYTES: usize = 4 * 1024;
/// Bytes of a container status that a master keeps for as long as the task lives, to tell it when it is
/// asked about the task. It names a container, a process and an address.
pub const CONTAINER_STATUS_KEPT_BYTES: usize = 512;
/// Between two such steps, so that others have their turn.
pub const RECONCILE_PAUSE: Duration = Duration::from_millis(100);
/// How long a question waits for its answer before it is asked again: from this, doubling ...
pub const RECONCILE_AGAIN_FIRST: Duration = Duration::from_secs(5);
/// ... to this.
pub const RECONCILE_AGAIN_MAX: Duration = Duration::from_secs(5 * 60);
/// Connections to the master's port that have not sent a whole request yet, and again those whose
/// agents have not proved themselves. When there is one more the oldest of them is closed.
pub const UNPROVED_CONNECTIONS: usize = 1_024;
/// Connections to the master's port that are between two requests; when there is one more the
/// oldest of them is closed.
pub const CALLS_IDLE_CONNECTIONS: usize = 1_024;
/// How long a connection to the master's port may be between two requests, or take for the next.
pub const CALLS_IDLE: Duration = Duration::from_secs(5 * 60);
/// How many of these may be of one principal, or of all without one, so that nobody who sends slowly
/// holds all places.
pub const CALLS_LARGE_PER_CALLER: usize = 1;
/// How long the body of a call may take to come: the largest, at 140 kB/s.
pub const CALL_BODY: Duration = Duration::from_secs(30);
/// Bytes that may wait to be sent to one agent; one that reads slower is disconnected. A step of
/// the largest launches, all to one agent, must fit.
pub const AGENT_QUEUE_BYTES: usize = RECORD_BYTES;
/// Hellos of over [`HELLO_SMALL_BYTES`] that are read at one time, from peers not proved yet.
pub const HELLOS_LARGE: usize = 4;
/// Bytes of a hello that is read at any time.
pub const HELLO_SMALL_BYTES: usize = 256 * 1024;
/// How long an agent has to answer a request for a log, beside what it may wait for more output.
pub const READ_LOG: Duration = Duration::from_secs(5);
/// How long a new connection may take to prove itself.
pub const HANDSHAKE: Duration = Duration::from_secs(10);
/// The shortest lease of an app's executors.
pub const LEASE_MIN: Duration = Duration::from_secs(15);
/// The longest.
pub const LEASE_MAX: Duration = Duration::from_secs(24 * 3600);
/// From the end of a lease to SIGKILL; part of the time after which tasks are fenced.
pub const LEASE_KILL: Duration = Duration::from_secs(5);
/// The least addition for clocks that run at different speeds.
pub const LEASE_SLACK_MIN: Duration = Duration::from_secs(5);
/// How long an executor may take from its start to its subscription.
pub const EXECUTOR_REGISTRATION: Duration = Duration::from_secs(60);
/// How long an executor may take to come back to a restarted agent.
pub const EXECUTOR_REREGISTRATION: Duration = Duration::from_secs(15);
/// How long an executor of a framework of Mesos may take to subscribe again after its agent was
/// restarted. As in Mesos, which tells it so in its environment.
pub const FOREIGN_REREGISTRATION: Duration = Duration::from_secs(2);
/// How long it may be without a stream while its agent is there: as long as the environment of
/// Mesos tells it to try.
pub const FOREIGN_RECOVERY: Duration = Duration::from_secs(15 * 60);
/// Between two heartbeats on the stream of such an executor. As in Mesos.
pub const FOREIGN_HEARTBEAT: Duration = Duration::from_secs(30 * 60);
/// Connections to an agent at one time: more than a host can hold executors. When there is one more,
/// the one is closed of which something has been due for longest.
pub const EXECUTOR_CONNECTIONS: usize = 4_096;
/// Statuses of one task of a framework of Mesos that wait in its agent for their acknowledgement. Few
/// executors report more than once a second, and few frameworks are away for longer.
pub const STATUSES_WAITING: usize = 1_000;
/// Bytes of such statuses of all tasks of one framework on one host.
pub const STATUSES_WAITING_BYTES: usize = 16 * 1024 * 1024;
/// Tasks that nobody has launched on a host, and of which executors report all the same. They are
/// passed on, as Mesos does; code of users may make up any number.
pub const STRAY_TASKS: usize = 1_000;
/// From resuming a restored store to its first launch: executors that it does not know are told to
/// end at once, and have [`EXECUTOR_SHUTDOWN_GRACE`] for it.
pub const RESUME_SETTLE: Duration = Duration::from_secs(10);
/// From telling an executor to shut down to killing it.
pub const EXECUTOR_SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
/// How long a task may be launching before it is killed and started again elsewhere.
pub const LAUNCHING_MAX: Duration = Duration::from_secs(5 * 60);
/// What the scheduler adds to a task's time-out and kill grace before it kills by itself.
pub const TIMEOUT_SLACK: Duration = Duration::from_secs(10);
/// Between two kills of a task that has not ended: from this, doubling ...
pub const KILL_REPEAT_FIRST: Duration = Duration::from_secs(1);
/// ... to this.
pub const KILL_REPEAT_MAX: Duration = Duration::from_secs(30);
/// From the end of a killed task's grace to the agent's ending its executor, which does not do so
/// itself. One that works takes 30 s where it cannot end a handler; this one is frozen, or broken.
pub const KILL_OVERDUE: Duration = Duration::from_secs(45);
/// How long the other tasks of an executor may go on in which one does not end: long enough for
/// most work that is under way, and short enough for those who wait for the one.
pub const STUCK_GRACE: Duration = Duration::from_secs(30);
/// From the end of a killed task's grace to the engine's launching nothing more beside it: its
/// executor says so itself within this, unless it is frozen.
pub const KILL_LATE: Duration = Duration::from_secs(10);
/// Tasks that are over and live, and are killed again and again. More are killed once each time
/// that they are heard of.
pub const ZOMBIES: usize = 10_000;
/// Starts of a shard that never happened, in a row, before it backs off.
pub const NEVER_STARTED_FREE: u32 = 10;
/// How far back a planned instant may lie to be run after a downtime, when the job does not say.
pub const MISFIRE_GRACE_DEFAULT: Span = Span::from_secs(7 * 24 * 3600);
/// The least of it: a scheduler that is busy may be late by less.
pub const MISFIRE_GRACE_MIN: Span = Span::from_secs(1);
/// The most: a year, and a day for yearly jobs.
pub const MISFIRE_GRACE_MAX: Span = Span::from_secs(366 * 24 * 3600);
/// Scheduled runs of a job that wait under `replay`, when the job does not say.
pub const MISFIRE_CAP_DEFAULT: u32 = 100;
/// The most of them: a change of the schedule settles all in one step, and each is a record.
pub const MISFIRE_CAP_MAX: u32 = 1_000;
/// Runs that wait, of all jobs. At it triggers are refused with 503 and no schedule fires, so that
/// memory is bounded and no fire is dropped; a waiting run takes about a kilobyte.
pub const WAITING_RUNS: usize = 1_000_000;
/// Jobs whose newest range of the fire ledger may grow; where there are more, a range is begun anew.
/// Each takes about a hundred bytes.
pub const GROWING_RANGES: usize = 100_000;
/// What a wall clock may go beside the clock that nobody sets, between two looks at both: more is a
/// clock that was set, and is told. Time servers correct less than this without a jump.
pub const CLOCK_JUMP: Duration = Duration::from_secs(5);
/// How long runs that come later may overtake one that has no room before it may hold hosts.
pub const OVERTAKEN_MAX: Duration = Duration::from_secs(60);
/// Between two looks at who is overtaken: each looks at all hosts.
pub const OVERTAKEN_LOOK: Duration = Duration::from_secs(1);
/// How long a run may hold hosts for itself. After that nobody does for as long.
pub const HOLD_MAX: Duration = Duration::from_secs(5 * 60);
/// Hosts that a run holds, unless it starts all at once and needs more: one is enough for a start,
/// and several make it likely that one of them has room soon.
pub const HOLD_HOSTS: usize = 16;
/// Runs that are looked at, in order, for one that may hold hosts.
pub const HOLD_CANDIDATES: usize = 16;
/// How long the answer to an `Idempotency-Key` is kept.
pub const IDEMPOTENCY_KEPT: Duration = Duration::from_secs(24 * 3600);
/// The longest `?wait=` of a request.
pub const WAIT_MAX: Duration = Duration::from_secs(60);

/// Backups that are made at one time; each of them keeps what is committed meanwhile.
pub const BACKUPS: usize = 2;
/// Bytes of commits that wait for the reader of a backup; a slower one gets none, for commits do
/// not wait.
pub const BACKUP_BACKLOG_BYTES: usize = 64 * 1024 * 1024;
/// Bytes of a page of a backup, about: commits wait for as long as it takes to read one.
pub const BACKUP_PAGE_BYTES: usize = 512 * 1024;
/// Bytes of one part of a backup; more is no backup of ours.
pub const BACKUP_FRAME_BYTES: usize = 64 * 1024 * 1024;
/// Records of one commit of a restore. Nobody else waits for it, and larger ones are faster.
pub const RESTORE_COMMIT_RECORDS: usize = 5_000;
/// Bytes of one commit of a restore.
pub const RESTORE_COMMIT_BYTES: usize = 4 * 1024 * 1024;

/// Connections to the REST API at one time; further ones wait to be accepted.
pub const HTTP_CONNECTIONS: usize = 1_024;
/// How long a client may take to send the head of a request, and again its body.
pub const HTTP_READ: Duration = Duration::from_secs(30);
/// How long a client that takes nothing of an answer is waited for: so long at least
/// [`HTTP_STALL_BYTES`] of what could be sent to it must have been. Whoever keeps a backup may pause
/// that long, and systems tell of what they took in steps of some hundred kilobytes.
pub const HTTP_STALL: Duration = Duration::from_secs(5 * 60);
/// See [`HTTP_STALL`].
pub const HTTP_STALL_BYTES: usize = 64 * 1024;
/// Bytes of an answer that the system takes beyond those that are on their way, so that what it
/// takes follows what the client takes. It is the less often asked to take more, the more this is.
pub const HTTP_UNSENT_BYTES: u32 = 128 * 1024;
/// How long requests that go on may take to end when the scheduler stops.
pub const HTTP_STOP: Duration = Duration::from_secs(3);
/// Requests that may wait for the driver; further ones are answered 503.
pub const DRIVER_REQUESTS: usize = 1_024;
/// How long the driver may take to answer before it counts as stuck.
pub const DRIVER_ANSWER: Duration = Duration::from_secs(5);
/// How long after its end a run is kept when nobody says otherwise: two ends of a month.
pub const HISTORY_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Past runs of all jobs that are kept: with a task each about two gigabytes on the disk.
pub const HISTORY_RUNS: u64 = 1_000_000;
/// Past runs of one job that are kept, so that a job that fires each second leaves room for others.
pub const HISTORY_RUNS_PER_JOB: u64 = 10_000;
/// Between two passes over history that find what is beyond its limits.
pub const RETENTION_EVERY: Duration = Duration::from_secs(10 * 60);
/// The least rest of such a pass after each thing that it does.
pub const RETENTION_REST: Duration = Duration::from_millis(10);
/// Records of history that one commit forgets, so that it has room for what else is decided.
pub const FORGET_KEYS: usize = COMMIT_RECORDS / 2;
/// Events that are kept: some 400 MB, and as many as a million small runs make.
pub const HISTORY_EVENTS: u64 = 10_000_000;
/// Bytes of the message of an event; the first of them are kept, as of the output of a task.
pub const EVENT_MESSAGE_BYTES: usize = 4_000;
/// Events in one record of the log; a commit with more has several.
pub const RECORD_EVENTS: usize = 1_000;
/// Bytes after which a record of the log is followed by another one, so that whoever reads many at a
/// time knows how much memory that takes.
pub const RECORD_EVENT_BYTES: usize = 64 * 1024;
/// How much later than an event its record may be for `from` and `to` to go by when it happened. What
/// is told later, as by a host that was cut off, counts as if it had happened so long before that.
pub const EVENT_LATE: Duration = Duration::from_secs(3600);
/// Records of the log that one request looks through; what is behind them is on the next page.
pub const EVENT_RECORDS_PER_PAGE: usize = 2_000;
/// Bytes of records of the log that one request looks through.
pub const EVENT_BYTES_PER_PAGE: usize = 8 * 1024 * 1024;
/// Records of the log that are looked through for when the code of one task began to run; all that of one
/// page of shards is bounded as a page of events is.
pub const EVENT_RECORDS_OF_A_START: usize = 500;
/// Records of the log that a stream of events reads at a time.
pub const EVENT_STREAM_RECORDS: usize = 64;
/// Bytes of events after which a stream reads no further record before it has sent them: a record may
/// say once what a thousand of its events have in common.
pub const EVENT_STREAM_BYTES: usize = 1024 * 1024;
/// Streams of events at one time; each reads from the store after each commit, and further ones are
/// answered 503.
pub const EVENT_STREAMS: usize = 64;
/// The least time between two reads of a stream of events, so that many of them leave the store to
/// others.
pub const EVENT_STREAM_PAUSE: Duration = Duration::from_millis(20);
/// After so long without an event a stream says that it is there.
pub const EVENT_KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a stream waits for a reader that takes nothing, before it breaks off.
pub const EVENT_STALL: Duration = Duration::from_secs(60);
/// Bytes of an `Idempotency-Key`.
pub const IDEMPOTENCY_KEY_BYTES: usize = 255;
/// How long an agent may wait for more output before it answers a request that follows a task.
pub const LOG_WAIT: Duration = Duration::from_secs(5);

/// Executions of resident tasks that wait in an executor to be reported; then the oldest are dropped
/// and counted.
pub const EXECUTIONS_WAITING: usize = 1_000;
/// Executions in one message of an executor, so that what they lead to fits into a commit.
pub const EXECUTIONS_PER_MESSAGE: usize = 100;
/// Bytes of text after which such a message is full, for texts may be long: a batch of failures must
/// fit into a commit too.
pub const EXECUTIONS_TEXT_PER_MESSAGE: usize = 64 * 1024;
/// Bytes of one message of an executor. Ours are full at [`EXECUTIONS_TEXT_PER_MESSAGE`]; one of nearly
/// [`RECORD_BYTES`] would be too long a record with what an agent adds, and end its connection.
pub const EXECUTOR_MESSAGE_BYTES: usize = 1024 * 1024;
/// Bytes that may wait in an agent to be written to the master when it takes a further message of an
/// executor, so that heartbeats, on which leases hang, never wait behind many of them.
pub const MESSAGES_BEHIND_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of each of the output files of a resident task after which the next execution begins a new
/// one. The one before it is kept beside it.
pub const OUTPUT_ROTATED_BYTES: u64 = 8 * 1024 * 1024;
/// The most that `event_sampling` leaves out: more than a job that fires each second fires in a day.
pub const EVENT_SAMPLING_MAX: u32 = 100_000;
/// A resident task that ran for so long was well: the next back-off is the first again.
pub const DAEMON_STEADY: Duration = Duration::from_secs(10 * 60);
/// Past tasks of one shard of a daemon job that are kept while its run goes on, the newest: it may go
/// on for years, and a task that fails at once is replaced every minute.
pub const PAST_RESIDENTS: usize = 5;
/// Shards of a daemon job that are ended at one time because it has fewer now: each is a record of the
/// same commit.
pub const SURPLUS_AT_A_TIME: usize = 100;
/// Daemon jobs that one step looks at for a task to be replaced, so that a change of an app with many
/// leaves room for others.
pub const ROLLS_PER_STEP: usize = 20;
/// How often a host that is drained is looked at for resident tasks that can be moved by now.
pub const DRAIN_LOOK: Duration = Duration::from_secs(1);
/// Tasks of drained hosts that one step moves, so that its commit stays bounded.
pub const DRAIN_MOVES_PER_STEP: usize = 100;
/// How long the next tasks to be moved wait after those, so that other commits get between.
pub const DRAIN_PAUSE: Duration = Duration::from_millis(20);
/// Groups of tasks in what is said to be left on a drained host.
pub const DRAIN_LEFT_ROWS: usize = 100;
/// How long an offer is held that nothing that waits can use, where other frameworks want the same
/// hosts: long enough that what comes together goes back together, and short beside
/// [`OFFER_REFUSED`], for while it is held it counts as a share.
pub const OFFER_USELESS_MAX: Duration = Duration::from_millis(250);
/// How long an offer is held there that a run could use which starts all at once, until there is
/// enough for the rest of it; and any offer where nothing waits.
pub const OFFER_UNUSED_MAX: Duration = Duration::from_secs(5);
/// How long what was given back stays away, so that others have a turn.
pub const OFFER_REFUSED: Duration = Duration::from_secs(5);
/// The longest that the tasks of a host that is drained may be given to end by themselves.
pub const DRAIN_DEADLINE_MAX: Span = Span::from_secs(7 * 24 * 3600);
/// How late a run may start and be on time, when the job does not say.
pub const NOTICE_LATE_AFTER_DEFAULT: Span = Span::from_secs(60);
/// The least of it: a scheduler that is busy may be late by less.
pub const NOTICE_LATE_AFTER_MIN: Span = Span::from_secs(1);
/// The most of it: what is later is as good as missed.
pub const NOTICE_LATE_AFTER_MAX: Span = Span::from_secs(366 * 24 * 3600);
/// Bytes of the URI of a webhook.
pub const WEBHOOK_BYTES: usize = 2_000;
/// Notices that wait to be delivered, each of about a kilobyte; beyond it the oldest of the webhook
/// for which the most wait is given up.
pub const NOTICES_WAITING: usize = 10_000;
/// Notices that are being sent at one time, to one webhook each.
pub const NOTICES_IN_FLIGHT: usize = 16;
/// How long a webhook may take, from connecting to its answer.
pub const NOTICE_POST: Duration = Duration::from_secs(10);
/// How long one address of a webhook may take to be connected to, so that three of them fit into
/// [`NOTICE_POST`].
pub const NOTICE_CONNECT: Duration = Duration::from_secs(3);
/// Bytes of an answer of a webhook that are read, of which only its status counts.
pub const NOTICE_ANSWER_BYTES: usize = 64 * 1024;
/// Between two tries at a webhook that did not take a notice: from this, doubling ...
pub const NOTICE_RETRY_FIRST: Duration = Duration::from_secs(1);
/// ... to this.
pub const NOTICE_RETRY_MAX: Duration = Duration::from_secs(10 * 60);
/// Answers that refuse a notice, after which those behind it go first: it may be one that its
/// receiver never takes. A try without an answer says nothing of the notice.
pub const NOTICE_TRIES_IN_TURN: u32 = 5;
/// After this a notice that was not taken is given up: a weekend, and the day after it.
pub const NOTICE_AGE: Duration = Duration::from_secs(3 * 24 * 3600);
/// From telling that instants of a job were passed over to telling it of more of them for the same
/// cause, all in one: a job that fires each second may pass over each.
pub const NOTICE_QUIET: Duration = Duration::from_secs(3600);
/// Bytes of the reason in a notice.
pub const NOTICE_REASON_BYTES: usize = 1_000;
/// How long nothing is heard of a host until it counts as lost to those who are told: a restart of
/// its agent, or of its network, is shorter.
pub const HOST_LOST_AFTER: Duration = Duration::from_secs(60);

/// How long a master that is not in this process may take to answer a call, and to begin a stream.
pub const MESOS_ANSWER: Duration = Duration::from_secs(10);
/// How much longer a call may take while such a master answers others.
pub const MESOS_ANSWER_QUEUED: Duration = Duration::from_secs(60);
/// Between two heartbeats of such a master, if it does not say. As in Mesos.
pub const MESOS_HEARTBEAT: Duration = Duration::from_secs(15);
/// The longest that it may say: it is missed after several of them.
pub const MESOS_HEARTBEAT_MAX: Duration = Duration::from_secs(10 * 60);
/// Heartbeats in a row that do not come until the subscription counts as broken. As Mesos advises.
pub const MESOS_HEARTBEATS_MISSED: u32 = 5;
/// Between two tries to subscribe: from this, doubling ...
pub const MESOS_RETRY_FIRST: Duration = Duration::from_millis(250);
/// ... to this, as Mesos has it.
pub const MESOS_RETRY_MAX: Duration = Duration::from_secs(15);
/// How often in a row one master may send us to another at once; while a leader is elected they may
/// send us in a circle.
pub const MESOS_REDIRECTS: u32 = 5;
/// How long after a try that was given up unanswered our place may be taken by that very try, so that
/// it is no other scheduler that has done it.
pub const MESOS_DOUBT: Duration = Duration::from_secs(60);
/// Calls that such a master has not answered; with more it is left, for it is stuck.
pub const MESOS_CALLS_WAITING: usize = 20_000;
/// Bytes of an answer of such a master that are read, unless it is a stream.
pub const MESOS_ANSWER_BYTES: usize = 64 * 1024;
/// Agents of such a master that fetch our program, or wait for their turn, at one time; a further one
/// is answered 503. Half of all connections are left for people.
pub const PROGRAM_FETCHES: usize = HTTP_CONNECTIONS / 2;
/// Those of them that are sent it at one time: each takes a part or two of it in memory.
pub const PROGRAM_READERS: usize = 64;
/// How long one waits for its turn, and is answered 503 then: less than the minute without a byte
/// after which the fetcher of Mesos gives up.
pub const PROGRAM_TURN: Duration = Duration::from_secs(50);
/// How long one may take to read it, so that slow readers do not hold all places for ever.
pub const PROGRAM_FETCH: Duration = Duration::from_secs(5 * 60);
/// How long a task of such a master's counts as perhaps alive of which nobody can say whether it lives,
/// unless `--unreachable-wait` says otherwise: most agents that are cut off are back by then.
pub const UNREACHABLE_WAIT: Span = Span::from_secs(5 * 60);
/// The least that it may say: executors that are told to end have [`EXECUTOR_SHUTDOWN_GRACE`] and may
/// be slow.
pub const UNREACHABLE_WAIT_MIN: Span = Span::from_secs(30);
/// The most.
pub const UNREACHABLE_WAIT_MAX: Span = Span::from_secs(7 * 24 * 3600);
/// How long a subscription with such a master lasts that counts as a good one: after a shorter one the
/// next try waits for longer, for a master that takes everybody and keeps nobody must not be dialled
/// without rest.
pub const MESOS_LASTING: Duration = Duration::from_secs(30);
/// Bytes of one call to such a master, as protobuf: three quarters of what our own one takes, and of
/// Mesos no less is known. What does not fit is launched by the next one.
pub const MESOS_CALL_BYTES: usize = CALL_BYTES / 4 * 3;
/// Bytes of calls that such a master has not answered; with more it is left, for it is stuck.
pub const MESOS_CALLS_BYTES: usize = 64 * 1024 * 1024;
/// Between two looks at hosts of such a master that may be no more, for nobody says so: one that has no
/// task and no executor and was in no offer from one look to the next is forgotten. A day in which
/// nothing waits, and so nothing is offered, costs nothing that lives.
pub const HOST_FORGOTTEN: Duration = Duration::from_secs(24 * 3600);
/// How long such a master is not told that nothing waits any more, after it was told that something
/// does: where something starts every few seconds each start would be two calls.
pub const SUPPRESS_AFTER: Duration = Duration::from_secs(10);

/// When the master may call tasks of a silent agent dead: their lease, the time to kill them, and
/// an allowance for clocks of different speed (SEMANTICS 5).
pub fn fenced_after(lease: Duration) -> Duration {
    lease + LEASE_KILL + LEASE_SLACK_MIN.max(lease / 10)
}

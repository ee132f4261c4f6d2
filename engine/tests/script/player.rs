//! Plays a script.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use muster_api::{
    ExecutorId, Mono, Now, Span, TaskId,
    events::EventSource,
    explain::{PlacedShards, RunExplanation},
    spec::{AppSpec, JobSpec},
    step::{Records, Write},
    task::{TaskPayload, TaskReport},
    views::ShardState,
};
use muster_engine::{
    Engine, EngineConfig, ForeignMaster,
    effect::{Effect, Step},
    event::{
        Accepted, AgentRegistered, Command, CommandReply, Event, Expect, Offer, RequestId, Signal,
        TaskUpdate,
    },
    query::{Answer, Query},
    records,
};
use serde_json::{Map, Value, json};

use super::{names::Names, notices, told};

struct Player {
    engine: Engine,
    now: Now,
    stored: Records,
    names: Names,
    offers: u32,
    seed: u64,
    config: EngineConfig,
    /// Whether what is told to those who ask later is shown, and nothing else.
    traced: bool,
}

const CONFIG: EngineConfig =
    EngineConfig::new(|id, app| format!("{id} of {}", app.name).into_bytes());

/// The script with what the engine does now below each event, and what is stored after it.
pub(crate) fn play(text: &str) -> (String, Records) {
    let now =
        Now { wall: "2026-01-01T00:00:00Z".parse().unwrap(), mono: Mono::from_millis(1_000_000) };
    let (engine, first) = Engine::restore(CONFIG, 1, &Records::new(), now).unwrap();
    let (names, stored) = (Names::default(), Records::new());
    let (offers, seed, config, traced) = (0, 1, CONFIG, false);
    let mut player = Player { engine, now, stored, names, offers, seed, config, traced };
    player.show(first);
    let mut out = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        writeln!(out, "{line}").unwrap();
        if let Some(event) = line.strip_prefix("> ") {
            while lines.peek().is_some_and(|next| next.starts_with("  ")) {
                lines.next();
            }
            out.push_str(&player.play_line(event));
        }
    }
    (out, player.stored)
}

impl Player {
    fn play_line(&mut self, line: &str) -> String {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let event = match word {
            "wait" => {
                let span: Span = rest.parse().unwrap();
                return self.wait(span.duration());
            }
            "restart" => return self.restart(rest),
            "trace" => {
                self.traced = true;
                return String::new();
            }
            "restored" => {
                // As whoever restores a backup does, after which it takes a while to start.
                let Write::Put { key, value } = records::held_write(self.now.wall) else {
                    panic!("the mark is put");
                };
                self.stored.insert(key, value);
                return self.restart(rest);
            }
            "installation" => {
                // Flags are of a start, so there is one.
                self.config.installation = notices::installation(rest);
                return self.restart("");
            }
            "foreign" => return self.move_to_another_master(rest),
            "notice" => notices::tried(&self.names, rest),
            "notices" => query(Query::Notices { skip: 0, limit: 100 }),
            "resume" => command(Command::Resume { replay: rest == "replay" }),
            "held" => query(Query::Held),
            "stray" => self.stray(rest),
            "app" | "job" => put(word, rest),
            "trigger" => trigger(rest),
            "rerun" => self.rerun(rest),
            "clock" => {
                // Somebody sets the wall clock; no time passes.
                let (forward, span) = (rest.starts_with('+'), &rest[1..]);
                let span = span.parse::<Span>().unwrap().duration();
                let wall = self.now.wall;
                self.now.wall = if forward { wall + span } else { wall.before(span) };
                Event::Tick
            }
            "cancel" => command(Command::Cancel { run: self.names.id(rest) }),
            "kill" => {
                let (run, item) = rest.split_once(' ').unwrap();
                let (run, item) = (self.names.id(run), item.parse().unwrap());
                command(Command::KillTask { run, item })
            }
            "delete" => delete(rest),
            "disable" | "enable" => switch(word == "disable", rest),
            "offer" => self.offer(rest),
            "task" => self.task(rest),
            "reconcile" => command(Command::Reconcile),
            "run" => query(Query::Run { run: self.names.id(rest) }),
            "shards" => query(Query::Shards {
                run: self.names.id(rest),
                state: None,
                after: None,
                limit: 100,
            }),
            "queue" => query(Query::Queue { skip: 0, limit: 100 }),
            "explain" => query(Query::Explain { run: self.names.id(rest) }),
            "explain-job" => query(Query::ExplainJob { job: rest.parse().unwrap() }),
            "max-tasks" => {
                self.engine.limit_tasks(rest.parse().ok());
                Event::Tick
            }
            other => self.of_hosts(other, rest),
        };
        self.step(event)
    }

    /// A restart, from which on the hosts are those of a master elsewhere.
    fn move_to_another_master(&mut self, wait: &str) -> String {
        self.config.foreign = Some(ForeignMaster {
            unreachable_wait: wait.parse::<Span>().unwrap().duration(),
            program: "http://here/muster".to_owned(),
            describe_executor: |id, app, uri| {
                format!("{id} of {} from {uri}", app.name).into_bytes()
            },
        });
        let restarted = self.restart("");
        restarted + &self.step(Event::Shared(true))
    }

    /// The events of hosts and of the master.
    fn of_hosts(&mut self, word: &str, rest: &str) -> Event {
        match word {
            "exited" => Event::ExecutorExited(self.names.id(rest)),
            "registered" => self.registered(rest),
            "silent" => Event::AgentSilent { agent: rest.parse().unwrap(), since: self.now.mono },
            "heard" => Event::AgentHeard(rest.parse().unwrap()),
            "lost" => Event::AgentLost(rest.parse().unwrap()),
            "disowned" => Event::Disowned,
            "gone" => Event::AgentGone(rest.parse().unwrap()),
            "draining" => self.draining(rest),
            "activated" => Event::AgentActivated(rest.parse().unwrap()),
            "left" => query(Query::LeftOn { agent: rest.parse().unwrap() }),
            "shared" => Event::Shared(true),
            "alone" => Event::Shared(false),
            "subscribed" => Event::Subscribed,
            "unsubscribed" => Event::Unsubscribed,
            other => panic!("no event is called {other}"),
        }
    }

    fn step(&mut self, event: Event) -> String {
        let step = self.engine.step(self.now, event);
        self.engine.check();
        self.show(step)
    }

    /// Lets time pass, with a tick whenever the engine asked for one.
    fn wait(&mut self, span: Duration) -> String {
        let until = Now { wall: self.now.wall + span, mono: self.now.mono + span };
        let mut out = String::new();
        loop {
            let wakeup = self.engine.next_wakeup();
            let wall = wakeup.wall.map(|at| at.since(self.now.wall));
            let mono = wakeup.mono.map(|at| at.since(self.now.mono));
            let Some(next) = [wall, mono].into_iter().flatten().min() else { break };
            if self.now.wall + next > until.wall {
                break;
            }
            self.now = Now { wall: self.now.wall + next, mono: self.now.mono + next };
            let shown = self.step(Event::Tick);
            if !shown.is_empty() {
                writeln!(out, "  at {}", self.now.wall).unwrap();
                out.push_str(&shown);
            }
        }
        self.now = until;
        out
    }

    /// Starts again from what was stored, perhaps after some time.
    fn restart(&mut self, rest: &str) -> String {
        if !rest.is_empty() {
            let span: Span = rest.parse().unwrap();
            self.now.wall = self.now.wall + span.duration();
            self.now.mono = self.now.mono + span.duration();
        }
        self.seed += 1;
        let (engine, step) =
            Engine::restore(self.config.clone(), self.seed, &self.stored, self.now).unwrap();
        self.engine = engine;
        self.engine.check();
        self.show(step)
    }

    /// `rerun RUN {json}`, with `key=K` before the JSON: a rerun of a run that is stored as over.
    fn rerun(&self, rest: &str) -> Event {
        let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let id = self.names.id(name);
        let stored = records::PAST_STATES.iter();
        let mut stored = stored.filter_map(|s| self.stored.get(&records::past_run_key((*s, id))));
        let stored = stored.next().unwrap_or_else(|| panic!("{name} is not over"));
        let (request, idempotency_key) = request_and_key(rest);
        let former = Box::new(records::decode(stored).unwrap());
        command(Command::Rerun { former, request, idempotency_key })
    }

    fn offer(&mut self, rest: &str) -> Event {
        let mut words = rest.split(' ');
        let (agent, resources) = (words.next().unwrap(), words.next().unwrap());
        self.offers += 1;
        let (attributes, executors): (Vec<_>, Vec<_>) = words.partition(|word| word.contains('='));
        Event::Offers(vec![Offer {
            id: format!("offer{}", self.offers).parse().unwrap(),
            agent: agent.parse().unwrap(),
            hostname: format!("host-of-{agent}"),
            attributes: attributes.into_iter().map(attribute).collect(),
            resources: resources.parse().unwrap(),
            executors: executors.into_iter().map(|executor| self.executor(executor)).collect(),
        }])
    }

    /// An executor by its name; one of which nobody here knows is called `stranger`.
    fn executor(&self, name: &str) -> ExecutorId {
        match name {
            "stranger" => ExecutorId::from_uuid(uuid_of(98)),
            executor => self.names.id(executor),
        }
    }

    /// `task TASK SIGNAL [AGENT [WORDS]]`: what is said of a task, by whom, and in which words. With
    /// `begun-` before the signal it is said that its code began, and with `asked-` it is the answer
    /// to a question, which knows no times.
    fn task(&self, rest: &str) -> Event {
        let mut words = rest.splitn(4, ' ');
        let (name, word) = (words.next().unwrap(), words.next().unwrap());
        let (begun, asked) = (word.strip_prefix("begun-"), word.strip_prefix("asked-"));
        let signal = begun.or(asked).unwrap_or(word);
        let started_at = begun.map(|_| self.now.wall);
        Event::Task(TaskUpdate {
            task: self.names.id(name),
            agent: words.next().map(|agent| agent.parse().unwrap()),
            signal: signal_of(signal),
            source: EventSource::Executor,
            at: Some(self.now.wall),
            message: words.next().unwrap_or_default().to_owned(),
            report: TaskReport { started_at, ..TaskReport::default() },
            uuid: asked.is_none().then_some([7; 16]),
        })
    }

    /// A status of a task that the engine does not know.
    fn stray(&self, rest: &str) -> Event {
        let (signal, agent) = rest.split_once(' ').unwrap();
        Event::Task(TaskUpdate {
            task: TaskId::from_uuid(uuid_of(99)),
            agent: Some(agent.parse().unwrap()),
            signal: signal_of(signal),
            source: Default::default(),
            at: None,
            message: String::new(),
            report: TaskReport::default(),
            uuid: None,
        })
    }

    /// `draining AGENT [DEADLINE]`: from now, or not at all.
    fn draining(&self, rest: &str) -> Event {
        let (agent, deadline) = rest.split_once(' ').unwrap_or((rest, ""));
        let deadline = deadline.parse::<Span>().ok().map(|span| self.now.mono + span.duration());
        Event::AgentDraining { agent: agent.parse().unwrap(), deadline }
    }

    fn registered(&self, rest: &str) -> Event {
        let mut words = rest.split(' ');
        let agent = words.next().unwrap();
        let (mut tasks, mut executors, mut rebooted) = (Vec::new(), Vec::new(), false);
        let (mut attributes, mut resources) =
            (BTreeMap::new(), "cpus:64;mem:65536".parse().unwrap());
        for word in words {
            match word {
                total if total.starts_with("cpus:") => resources = total.parse().unwrap(),
                word if word.contains('=') => attributes.extend([attribute(word)]),
                "rebooted" => rebooted = true,
                task if task.starts_with("task") => tasks.push(self.names.id(task)),
                executor => executors.push(self.executor(executor)),
            }
        }
        Event::AgentRegistered(AgentRegistered {
            agent: agent.parse().unwrap(),
            hostname: format!("host-of-{agent}"),
            attributes,
            resources,
            rebooted,
            tasks,
            executors,
        })
    }

    fn show(&mut self, step: Step) -> String {
        let mut out = String::new();
        for effect in step.effects {
            let line = self.effect(effect);
            writeln!(out, "  {line}").unwrap();
        }
        for event in &step.trace {
            if let Some(line) = notices::event(&self.names, event) {
                writeln!(out, "  {line}").unwrap();
            }
        }
        for write in step.writes {
            let line = self.write(&write);
            writeln!(out, "  {line}").unwrap();
            match write {
                Write::Put { key, value } => self.stored.insert(key, value),
                Write::Delete { key } => self.stored.remove(&key),
            };
        }
        if self.traced {
            let lines = step.trace.iter().map(|event| told::line(&self.names, event));
            return lines.map(|line| format!("  {line}\n")).collect();
        }
        out
    }

    fn effect(&mut self, effect: Effect) -> String {
        match effect {
            Effect::Reply { reply, .. } => self.reply(reply),
            Effect::Answer { answer, .. } => self.answer(answer),
            Effect::Launch(batch) => {
                let tasks: Vec<String> = batch
                    .tasks
                    .iter()
                    .map(|task| {
                        let executor = self.names.of("exec", task.executor);
                        let expected = if task.executor_is_new { "new" } else { "alive" };
                        let payload = TaskPayload::decode(&task.payload).unwrap();
                        let resident = if payload.resident.is_some() { " resident" } else { "" };
                        let id = self.names.of("task", task.task);
                        format!("{id}={}{resident} in {expected} {executor}", task.name)
                    })
                    .collect();
                let offers: Vec<_> = batch.offers.iter().map(ToString::to_string).collect();
                format!("LAUNCH on {} by {}: {}", batch.agent, offers.join("+"), tasks.join(", "))
            }
            Effect::Decline { offers, refuse } if refuse.is_zero() => {
                format!("DECLINE {} offers", offers.len())
            }
            Effect::Decline { offers, refuse } => {
                format!("DECLINE {} offers for {refuse}", offers.len())
            }
            Effect::Suppress => "SUPPRESS".to_owned(),
            Effect::Revive => "REVIVE".to_owned(),
            Effect::Kill { task, agent, grace } => {
                format!("KILL {} on {agent} within {grace}", self.names.of("task", task))
            }
            Effect::Shutdown { executor, agent } => {
                format!("SHUTDOWN {} on {agent}", self.names.of("exec", executor))
            }
            Effect::Acknowledge { task, .. } => {
                format!("ACKNOWLEDGE {}", self.names.of("task", task))
            }
            Effect::Reconcile { tasks } => {
                let tasks: Vec<_> =
                    tasks.iter().map(|(task, _)| self.names.of("task", task)).collect();
                format!("RECONCILE {}", tasks.join(" "))
            }
            Effect::RunOver(run) => format!("OVER {}", self.names.of("run", run)),
            Effect::Deliver(notice) => notices::deliver(&mut self.names, &notice),
        }
    }

    fn reply(&mut self, reply: CommandReply) -> String {
        match reply {
            Ok(Accepted::App(view, change)) => format!("REPLY {change:?} version {}", view.version),
            Ok(Accepted::Job(view, change)) => format!("REPLY {change:?} version {}", view.version),
            Ok(Accepted::Deleted { .. }) => "REPLY deleted".to_owned(),
            Ok(Accepted::Resumed) => "REPLY resumed".to_owned(),
            Ok(Accepted::Reconciling { tasks }) => format!("REPLY asking about {tasks} task(s)"),
            Ok(Accepted::Agent(view)) => format!("REPLY {} is {:?}", view.id, view.state),
            // The engine has no frameworks to speak of.
            Ok(
                Accepted::Role(..)
                | Accepted::Credential(..)
                | Accepted::Revoked
                | Accepted::Removed,
            ) => panic!("the engine does not answer that"),
            Ok(Accepted::Run(run)) => {
                format!("REPLY {} is {:?}", self.names.of("run", run.id), run.state)
            }
            Err(rejected) => {
                let text = self.names.shorten(&rejected.to_string());
                format!("REPLY refused: {text}")
            }
        }
    }

    fn answer(&mut self, answer: Answer) -> String {
        match answer {
            Answer::Run(None) | Answer::Shards(None) => "ANSWER it is over".to_owned(),
            Answer::Run(Some(run)) => {
                let counts = serde_json::to_value(run.counts).unwrap();
                let counts: Map<String, Value> =
                    counts.as_object().unwrap().clone().into_iter().filter(|c| c.1 != 0).collect();
                format!("ANSWER {:?} {}", run.state, Value::Object(counts))
            }
            Answer::Shards(Some(shards)) => {
                let rows = shards.iter().map(|shard| {
                    let reason = shard.reason.as_deref().unwrap_or("-");
                    let (item, state, attempt) = (shard.item, shard.state, shard.attempt);
                    let unknown = shard.started_at.is_none() && state == ShardState::Running;
                    let since = if unknown { ", nobody knows since when" } else { "" };
                    format!("{item} {state:?}{since} attempt {attempt} ({reason})")
                });
                format!("ANSWER {}", rows.collect::<Vec<_>>().join("; "))
            }
            Answer::Queue(rows) => {
                let rows: Vec<_> = rows
                    .iter()
                    .map(|row| {
                        let run = self.names.of("run", row.run);
                        let detail = self.names.shorten(&row.detail);
                        format!("{run} {}x {:?}: {detail}", row.pending, row.reason)
                    })
                    .collect();
                format!("ANSWER [{}]", rows.join("; "))
            }
            Answer::LeftOn(left) if left.is_empty() => "ANSWER nothing is left".to_owned(),
            Answer::LeftOn(left) => {
                let rows = left.iter().map(|row| {
                    let run = self.names.of("run", row.run);
                    format!("\n    {} ({run}) {}: {}", row.job, row.items, row.detail)
                });
                format!("ANSWER left:{}", rows.collect::<String>())
            }
            Answer::Explain(None) => "ANSWER it is over".to_owned(),
            Answer::Explain(Some(run)) => {
                let mut out = format!("ANSWER {}", self.explanation(&run.explanation));
                for (state, items) in run.over.values().flatten() {
                    write!(out, "\n    {state:?} {:?}", items.ranges()).unwrap();
                }
                out
            }
            Answer::ExplainJob(None) => "ANSWER there is none".to_owned(),
            Answer::ExplainJob(Some(job)) => {
                let job = job.explanation;
                let runs: Vec<_> = job.runs.iter().map(|run| self.explanation(run)).collect();
                format!("ANSWER {} [{}] and {}", job.detail, runs.join("]["), job.more_runs)
            }
            Answer::Notices(views) => notices::waiting(&mut self.names, &views),
            Answer::Held(held) => match held {
                Some(held) => format!("ANSWER held since {}", held.since),
                None => "ANSWER not held".to_owned(),
            },
            other => panic!("scripts do not ask for {other:?}"),
        }
    }

    fn explanation(&mut self, run: &RunExplanation) -> String {
        let mut out = format!("{} is {:?}", self.names.of("run", run.run), run.state);
        for deadline in &run.deadlines {
            write!(out, "\n    {deadline}").unwrap();
        }
        for group in &run.waiting {
            let words = format!("{}; unblock: {}", group.detail, group.unblock.join(" | "));
            let words = self.names.shorten(&words);
            write!(out, "\n    waits {:?} ({}): {words}", group.reason, group.items).unwrap();
        }
        for group in &run.placed {
            let PlacedShards { items, state, agent, because, ending, drained, silent, .. } = group;
            write!(out, "\n    {state:?} on {agent} ({items}): {because}").unwrap();
            for more in [ending, drained, silent].into_iter().flatten() {
                write!(out, "\n      {more}").unwrap();
            }
        }
        out
    }

    /// A write, with ids shortened and times left out: what changed, not when.
    fn write(&mut self, write: &Write) -> String {
        let key = String::from_utf8_lossy(write.key()).into_owned();
        let key = self.short_key(&key);
        match write {
            Write::Delete { .. } => format!("del {key}"),
            Write::Put { value, .. } if value.is_empty() => format!("put {key}"),
            Write::Put { value, .. } => {
                let value: Value = serde_json::from_slice(&value[1..]).unwrap();
                let shown = [
                    "state",
                    "shards",
                    "reason",
                    "settled",
                    "next",
                    "tries",
                    "outcome",
                    "first",
                    "last",
                    "planned_at",
                    "planned_until",
                    "fires",
                    "merged_into",
                    "attempt",
                    "rerun_of",
                    "stopped_for",
                    "webhook",
                    "failing",
                    "passed",
                ];
                let mut fields = Map::new();
                for (name, field) in value.as_object().into_iter().flatten() {
                    let empty = field.is_null() || *field == json!({}) || *field == json!(0);
                    let of_task = key.starts_with("t/") && name == "version";
                    if (of_task || shown.contains(&name.as_str())) && !empty {
                        fields.insert(name.clone(), without_times(field.clone()));
                    }
                }
                let text = self.names.shorten(&Value::Object(fields).to_string());
                format!("put {key} {text}")
            }
        }
    }

    /// A key with its ids shortened, and the rest of long numbers left out.
    fn short_key(&mut self, key: &str) -> String {
        let mut kinds = match key.split('/').next().unwrap() {
            "a" | "j" | "m" => vec![],
            "v" => vec!["app"],
            "w" | "c" | "i" => vec!["job"],
            "r" => vec!["run"],
            "t" => vec!["task"],
            "e" => vec!["exec"],
            "n" => vec!["notice"],
            "q" => vec!["job"],
            _ => match &key[..4] {
                "h/r/" | "h/t/" => vec!["run"],
                "h/j/" => vec!["job", "run"],
                _ => vec!["job"],
            },
        }
        .into_iter();
        let parts: Vec<String> = key
            .split('/')
            .map(|part| {
                let is_id = part.len() == 36 && part.matches('-').count() == 4;
                match (is_id, part.parse::<u64>()) {
                    (true, _) => self.names.of(kinds.next().unwrap(), part),
                    (false, Ok(number)) if number > 1_000_000 => "#".to_owned(),
                    (false, Ok(number)) => number.to_string(),
                    (false, Err(_)) => part.to_owned(),
                }
            })
            .collect();
        parts.join("/")
    }
}

fn signal_of(word: &str) -> Signal {
    let signals = BTreeMap::from([
        ("starting", Signal::Starting),
        ("running", Signal::Running),
        ("killing", Signal::Killing),
        ("finished", Signal::Finished),
        ("code-failed", Signal::CodeFailed),
        ("timed-out", Signal::TimedOut),
        ("cannot-start", Signal::CannotStart),
        ("no-container", Signal::NoContainer),
        ("killed", Signal::Killed),
        ("never-started", Signal::NeverStarted),
        ("died", Signal::Died),
        ("died-with-executor", Signal::DiedWithExecutor),
        ("neighbour", Signal::Neighbour),
        ("fenced", Signal::Fenced),
        ("stuck", Signal::Stuck { timed_out: false }),
        ("stuck-timed-out", Signal::Stuck { timed_out: true }),
        ("perhaps-alive", Signal::PerhapsAlive),
        ("unreachable", Signal::Unreachable),
        ("invalid", Signal::Invalid),
    ]);
    signals[word]
}

/// `rack=r1`, as a word behind an offer.
fn attribute(word: &str) -> (String, String) {
    let (name, value) = word.split_once('=').unwrap();
    (name.to_owned(), value.to_owned())
}

/// What is left out of records: when they were written.
fn without_times(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            fields.remove("written_at");
            fields.retain(|_, field| !field.is_null() && *field != json!(0));
            for field in fields.values_mut() {
                *field = without_times(field.take());
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = without_times(item.take());
            }
        }
        _ => {}
    }
    value
}

/// An id that no engine makes.
fn uuid_of(number: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(number)
}

fn command(command: Command) -> Event {
    Event::Command { request: RequestId(0), command }
}

fn query(query: Query) -> Event {
    Event::Query { request: RequestId(0), query }
}

/// `app NAME {json}` or `job NAME APP {json}`: what is left out has plain values.
fn put(kind: &str, rest: &str) -> Event {
    let (names, fields) = rest
        .split_once('{')
        .map_or((rest, "{}".to_owned()), |(names, fields)| (names, format!("{{{fields}")));
    let mut names = names.split_whitespace();
    let mut document = json!({"name": names.next().unwrap(), "resources": {"cpus": 1, "mem": 32}});
    if kind == "job" {
        document["app"] = json!(names.next().unwrap());
        document["type"] = json!("script");
        document["script"] = json!({"command": "true"});
        document["sharding"] = json!({"count": 1});
    }
    let fields: Map<String, Value> = serde_json::from_str(&fields).unwrap();
    document.as_object_mut().unwrap().extend(fields);
    let expect = Expect::Anything;
    command(if kind == "app" {
        Command::PutApp { spec: AppSpec::parse(document).unwrap().spec, expect }
    } else {
        Command::PutJob { spec: JobSpec::parse(document).unwrap().spec, expect }
    })
}

/// `trigger JOB {json}`, with `key=K` before the JSON for an idempotency key.
fn trigger(rest: &str) -> Event {
    let (job, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let (request, idempotency_key) = request_and_key(rest);
    command(Command::Trigger { job: job.parse().unwrap(), request, idempotency_key })
}

/// What is asked for, and the idempotency key before it if there is one.
fn request_and_key<T: Default + serde::de::DeserializeOwned>(rest: &str) -> (T, Option<String>) {
    let (mut request, mut key) = (T::default(), None);
    for word in rest.split(' ').filter(|word| !word.is_empty()) {
        match word.strip_prefix("key=") {
            Some(word) => key = Some(word.to_owned()),
            None => request = serde_json::from_str(word).unwrap(),
        }
    }
    (request, key)
}

fn delete(rest: &str) -> Event {
    let (kind, name) = rest.split_once(' ').unwrap();
    let expect = Expect::Anything;
    command(match kind {
        "app" => Command::DeleteApp { name: name.parse().unwrap(), expect },
        _ => Command::DeleteJob { name: name.parse().unwrap(), expect },
    })
}

/// `disable job NAME`, perhaps with `kill` behind.
fn switch(disabled: bool, rest: &str) -> Event {
    let words: Vec<&str> = rest.split(' ').collect();
    let kill = words.get(2) == Some(&"kill");
    command(match words[0] {
        "app" => Command::SetAppDisabled { name: words[1].parse().unwrap(), disabled, kill },
        _ => Command::SetJobDisabled { name: words[1].parse().unwrap(), disabled, kill },
    })
}

//! A life: years in which jobs fire, tasks run, users change their minds, and the scheduler is
//! killed and comes back.

use std::{collections::VecDeque, fmt, time::Duration};

use jiff::{
    civil::{Date, Time},
    tz::TimeZone,
};
use muster_api::{IdStream, Mono, Now, Timestamp};
use muster_engine::event::{Accepted, Change, Command, CommandReply, Expect};
use muster_master::core::{Connection, Event as MasterEvent};
use muster_turn::{Core, Effect, Event};

use super::{
    host::Host,
    jobs::{self, Habit, Job, Stint},
    ledger::{self, Tally},
    scheduler::{Came, Scheduler},
};

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Between two signs of life of the host, at least.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Things that may happen at one moment. More is a world that does not come to rest.
const AT_ONCE_MAX: u32 = 10_000;

/// Which life.
#[derive(Debug, Clone, Copy)]
pub struct Life {
    /// The day that it begins with.
    pub from: Date,
    /// The day that it ends before.
    pub until: Date,
    /// What decides everything that is left to chance.
    pub seed: u64,
}

/// What happened in a life.
#[derive(Debug, Clone, Default)]
pub struct YearsOutcome {
    /// What its ledger holds.
    pub tally: Tally,
    /// How often the scheduler started.
    pub starts: u64,
    /// Events that it took in.
    pub turns: u64,
    /// Tasks that ran to their end.
    pub tasks: u64,
    /// Changes of jobs.
    pub changes: u64,
    /// Days in which the scheduler was down, all together.
    pub days_down: u64,
    /// What was written: two lives of one seed have the same.
    pub digest: u64,
    /// What is wrong, if anything is.
    pub violation: Option<String>,
}

impl fmt::Display for YearsOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { planned, runs, coalesced, skipped, dropped } = self.tally;
        writeln!(
            f,
            "{planned} planned instants: {runs} runs, {coalesced} coalesced, {skipped} skipped, \
             {dropped} dropped; {} tasks ran, {} changes",
            self.tasks, self.changes
        )?;
        writeln!(
            f,
            "{} starts of the scheduler, {} turns, {} days down; digest {:016x}",
            self.starts, self.turns, self.days_down, self.digest
        )
    }
}

/// Lives a life, and judges it.
pub fn live(life: Life) -> YearsOutcome {
    let mut world = World::new(life);
    let violation = world.live().err();
    let (tally, violation) = match violation {
        Some(violation) => (Tally::default(), Some(violation)),
        None => match ledger::check(&world.scheduler, &world.jobs, world.now) {
            Ok(tally) => (tally, None),
            Err(violation) => (Tally::default(), Some(violation)),
        },
    };
    YearsOutcome {
        tally,
        starts: world.scheduler.starts,
        turns: world.scheduler.turns,
        tasks: world.host.ran,
        changes: world.changes,
        days_down: world.down / DAY,
        digest: world.scheduler.digest,
        violation,
    }
}

struct World {
    now: Timestamp,
    end: Timestamp,
    chance: IdStream,
    scheduler: Scheduler,
    starts_at: Option<Timestamp>,
    killed_at: Timestamp,
    host: Host,
    connections: u64,
    is_connected: bool,
    spoke_at: Timestamp,
    jobs: Vec<Job>,
    /// What users do next: when, with which job.
    wishes: VecDeque<(Timestamp, usize)>,
    changes: u64,
    down: u64,
}

impl World {
    fn new(life: Life) -> Self {
        let midnight = |day: Date| {
            let at = TimeZone::UTC.to_timestamp(day.to_datetime(Time::midnight()));
            let at = at.expect("the years of a life are within range");
            Timestamp::from_millis(at.as_millisecond())
        };
        let (now, end) = (midnight(life.from), midnight(life.until));
        let jobs = jobs::all();
        Self {
            now,
            end,
            chance: IdStream::new(life.seed, 0x7965_6172),
            scheduler: Scheduler::default(),
            starts_at: Some(now),
            killed_at: now,
            host: Host::default(),
            connections: 0,
            is_connected: false,
            spoke_at: now,
            // All of them are made in the first moments.
            wishes: (0..jobs.len()).map(|job| (now, job)).collect(),
            jobs,
            changes: 0,
            down: 0,
        }
    }

    fn live(&mut self) -> Result<(), String> {
        let mut at_once = 0;
        // A scheduler that is down comes back by the end, so that everything is settled then.
        while let Some(at) = self.next().filter(|at| *at <= self.end) {
            at_once = if at <= self.now { at_once + 1 } else { 0 };
            if at_once > AT_ONCE_MAX {
                let wakeup = self.scheduler.core().map(Core::next_wakeup);
                return Err(format!(
                    "it does not come to rest at {}: the next wakeup is {wakeup:?}, and that the \
                     host has something to say is {}",
                    self.now,
                    self.host.wants_to_speak(),
                ));
            }
            self.now = self.now.max(at);
            self.act()?;
        }
        self.now = self.end;
        Ok(())
    }

    /// Both clocks; that of waits began with this life.
    fn clocks(&self) -> Now {
        let mono = u64::try_from(self.now.as_millis()).expect("it is after 1970");
        Now { wall: self.now, mono: Mono::from_millis(mono) }
    }

    /// When something happens next.
    fn next(&self) -> Option<Timestamp> {
        let Some(core) = self.scheduler.core() else { return self.starts_at };
        let wakeup = core.next_wakeup();
        let mono = wakeup.mono.map(|at| {
            Timestamp::from_millis(i64::try_from(at.as_millis()).expect("it is a time of a life"))
        });
        let says = self.host.wants_to_speak() || !self.is_connected;
        let says = says.then_some(self.now);
        let wish = self.wishes.front().map(|(at, _)| *at);
        [wakeup.wall, mono, self.host.next_end(), wish, says].into_iter().flatten().min()
    }

    /// Does what is due now.
    fn act(&mut self) -> Result<(), String> {
        self.host.run(self.now, &mut self.chance);
        if self.scheduler.core().is_none() {
            return self.start();
        }
        if !self.is_connected {
            self.dial();
            return Ok(());
        }
        // A host without work is silent for days: a sign of life for each 5 s of years is too many.
        let wakeup = self.scheduler.core().and_then(|core| core.next_wakeup().wall);
        let is_needed = wakeup.is_some_and(|at| at <= self.now);
        let is_old = self.now.since(self.spoke_at) >= HEARTBEAT;
        if self.host.wants_to_speak() || (is_needed && is_old) {
            self.speak();
        }
        if let Some((_, job)) = self.wishes.front().copied().filter(|(at, _)| *at <= self.now) {
            self.wish(job)?;
        }
        self.tell(Event::Tick);
        Ok(())
    }

    fn start(&mut self) -> Result<(), String> {
        self.down += u64::try_from(self.now.since(self.killed_at).as_millis()).unwrap_or(0);
        let came = self.scheduler.start(self.clocks(), &mut self.chance);
        let came = came.map_err(|error| format!("it does not start again: {error}"))?;
        self.came(came);
        self.dial();
        Ok(())
    }

    /// The host connects, says what lives on it, and gives its first sign of life.
    fn dial(&mut self) {
        self.connections += 1;
        self.is_connected = true;
        let (connection, hello) = (Connection(self.connections), self.host.hello());
        self.tell(Event::Master(MasterEvent::Hello { connection, hello }));
        self.speak();
    }

    fn speak(&mut self) {
        self.spoke_at = self.now;
        for body in self.host.speak() {
            let connection = Connection(self.connections);
            self.tell(Event::Master(MasterEvent::FromAgent { connection, body }));
        }
    }

    fn tell(&mut self, event: Event) {
        let came = self.scheduler.turn(self.clocks(), event, &mut self.chance);
        self.came(came);
    }

    /// What leaves reaches the host at once. A process that was killed comes back some time.
    fn came(&mut self, came: Came) -> Option<CommandReply> {
        let effects = match came {
            Came::Of(effects) => effects,
            Came::Killed(reply) => {
                if self.scheduler.core().is_none() && self.starts_at.is_none_or(|at| at <= self.now)
                {
                    self.killed_at = self.now;
                    let away = self.away();
                    self.starts_at = Some((self.now + away).min(self.end.max(self.now)));
                }
                return reply;
            }
        };
        let mut reply = None;
        for effect in effects {
            match effect {
                Effect::ToAgent { connection, body } if connection.0 == self.connections => {
                    self.host.hear(self.now, body, &mut self.chance, jobs::length);
                }
                // A host that was silent for so long has to begin with a hello.
                Effect::CloseAgent(connection) if connection.0 == self.connections => {
                    self.is_connected = false;
                }
                Effect::Reply { reply: said, .. } => reply = Some(said),
                _ => {}
            }
        }
        reply
    }

    /// How long the scheduler stays away: mostly it is started again at once.
    fn away(&mut self) -> Duration {
        let longest = match self.chance.bits() % 100 {
            0..60 => 5 * SECOND,
            60..90 => 3 * HOUR,
            90..99 => 3 * DAY,
            _ => 12 * DAY,
        };
        Duration::from_millis(self.chance.bits() % longest)
    }

    /// Users do what they do with a job: they make it, change it, enable or disable it. Until that
    /// is stored they try again.
    fn wish(&mut self, job: usize) -> Result<(), String> {
        if self.jobs[job].uid.is_none() {
            let spec = jobs::app();
            let command = Command::PutApp { spec, expect: Expect::Anything };
            let came = self.scheduler.ask(self.clocks(), command, &mut self.chance);
            self.came(came);
        }
        let stored = self.jobs[job].stints.last();
        let (is_on, schedule) = stored.map_or((false, 0), |s| (s.until.is_none(), s.schedule));
        let (schedule, disabled) = match self.jobs[job].habit {
            Habit::Steady => (0, false),
            Habit::InWindows => (0, is_on),
            Habit::Changed if stored.is_none() => (0, false),
            Habit::Changed => ((schedule + 1) % self.jobs[job].schedules.len(), false),
        };
        let spec = self.jobs[job].document(schedule, disabled);
        let command = Command::PutJob { spec, expect: Expect::Anything };
        let came = self.scheduler.ask(self.clocks(), command, &mut self.chance);
        match self.came(came) {
            None => Ok(()),
            Some(Ok(Accepted::Job(_, Change::Unchanged))) => {
                Err(format!("{} was changed unheard", self.jobs[job].name))
            }
            Some(Ok(_)) => {
                self.granted(job, schedule, disabled);
                Ok(())
            }
            // The app was not stored either.
            Some(Err(_)) if self.scheduler.core().is_none() => Ok(()),
            Some(Err(refused)) => Err(format!("{}: {refused}", self.jobs[job].name)),
        }
    }

    /// A change is stored since now, whether or not its user heard of it.
    fn granted(&mut self, at: usize, schedule: usize, disabled: bool) {
        self.changes += 1;
        self.wishes.pop_front();
        let name = self.jobs[at].name.clone();
        let key = format!("{}{name}", muster_engine::records::JOBS);
        let stored = self.scheduler.rows::<muster_engine::records::JobRecord>(&key);
        let uid = stored.values().find(|job| job.spec.name.as_str() == name).map(|job| job.uid);
        let job = &mut self.jobs[at];
        job.uid = uid;
        if let Some(last) = job.stints.last_mut().filter(|stint| stint.until.is_none()) {
            last.until = Some(self.now);
        }
        if !disabled {
            job.stints.push(Stint { schedule, after: self.now, until: None });
        }
        let again = match job.habit {
            Habit::Steady => return,
            // For some minutes, and then after some weeks.
            Habit::InWindows if !disabled => MINUTE + self.chance.bits() % (10 * MINUTE),
            Habit::InWindows => self.chance.bits() % (60 * DAY),
            Habit::Changed => self.chance.bits() % (40 * DAY),
        };
        let wish = (self.now + Duration::from_millis(again), at);
        let place = self.wishes.partition_point(|other| *other <= wish);
        self.wishes.insert(place, wish);
    }
}

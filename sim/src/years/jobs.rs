//! The jobs of a life, each as a document and as a plan that says the same.

use std::time::Duration;

use jiff::civil::Time;
use muster_api::{
    IdStream, JobUid, Span, Timestamp,
    schedule::jitter_offset,
    spec::{AppSpec, Gap, JobSpec, Misfire, MisfirePolicy, Overlap},
};
use serde_json::{Value, json};

use super::calendar::{Days, Plan};

/// A job, and what it should have done so far.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) name: String,
    /// The schedules, with their misfire rules, that it has in turn.
    pub(super) schedules: Vec<Scheduled>,
    /// Which of them is stored, and since when they were.
    pub(super) stints: Vec<Stint>,
    /// How it comes and goes.
    pub(super) habit: Habit,
    pub(super) uid: Option<JobUid>,
}

/// A schedule as a user writes it, and as the calendar knows it.
#[derive(Debug, Clone)]
pub(super) struct Scheduled {
    pub(super) document: Value,
    pub(super) plan: Plan,
    pub(super) jitter: Span,
    pub(super) misfire: Misfire,
}

/// A time in which one schedule was stored, and the job enabled.
#[derive(Debug)]
pub(super) struct Stint {
    pub(super) schedule: usize,
    pub(super) after: Timestamp,
    pub(super) until: Option<Timestamp>,
}

/// What users do with a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Habit {
    /// They leave it alone.
    Steady,
    /// They enable it for some minutes, now and then.
    InWindows,
    /// They change its schedule or its misfire rule now and then.
    Changed,
}

impl Job {
    fn steady(name: &str, document: Value, plan: Plan) -> Self {
        let jitter = document.get("jitter").and_then(Value::as_str).map(str::parse);
        let jitter = jitter.transpose().expect("it is written well").unwrap_or(Span::ZERO);
        let schedules = vec![Scheduled { document, plan, jitter, misfire: Misfire::default() }];
        Self { name: name.into(), schedules, stints: Vec::new(), habit: Habit::Steady, uid: None }
    }

    /// The document with one of its schedules.
    pub(super) fn document(&self, schedule: usize, disabled: bool) -> JobSpec {
        let document = json!({
            "name": self.name, "app": "life", "type": "script", "script": {"command": ":"},
            "sharding": {"count": 1}, "resources": {"cpus": 0.1, "mem": 1},
            "schedule": self.schedules[schedule].document, "disabled": disabled,
            "misfire": self.schedules[schedule].misfire,
        });
        JobSpec::parse(document).expect("the jobs of a life are good").spec
    }

    /// The same with another misfire rule.
    fn with(mut self, policy: MisfirePolicy, cap: u32, grace: Span) -> Self {
        for schedule in &mut self.schedules {
            schedule.misfire = Misfire { policy, cap, grace };
        }
        self
    }

    /// How long after an instant of a schedule it fires.
    pub(super) fn offset(&self, schedule: usize) -> Duration {
        let uid = self.uid.expect("it is known when the job is stored");
        jitter_offset(self.schedules[schedule].jitter, uid).duration()
    }
}

/// The app of all jobs. Its lease is off: the host need not speak while nothing happens.
pub(super) fn app() -> AppSpec {
    let resources = json!({"cpus": 0.1, "mem": 1});
    let document = json!({"name": "life", "resources": resources, "lease": "off"});
    AppSpec::parse(document).expect("the app of a life is good").spec
}

/// Every kind of schedule that is worth years.
pub(super) fn all() -> Vec<Job> {
    let berlin = "Europe/Berlin";
    let mut jobs = Vec::new();
    for (gap, gap_name) in [(Gap::RunAfter, "run_after"), (Gap::Skip, "skip")] {
        for (overlap, overlap_name) in
            [(Overlap::First, "first"), (Overlap::Second, "second"), (Overlap::Both, "both")]
        {
            let at = Time::constant(2, 30, 0, 0);
            let plan = Plan::Daily { zone: berlin, at, on: Days::All, gap, overlap };
            let document = json!({
                "cron": "0 30 2 * * ?", "time_zone": berlin, "gap": gap_name,
                "overlap": overlap_name,
            });
            jobs.push(Job::steady(&format!("night-{gap_name}-{overlap_name}"), document, plan));
        }
    }
    let daily = |zone, (hour, minute), on| Plan::Daily {
        zone,
        at: Time::constant(hour, minute, 0, 0),
        on,
        gap: Gap::RunAfter,
        overlap: Overlap::First,
    };
    let new_york = "America/New_York";
    jobs.push(Job::steady(
        "first-monday",
        json!({"cron": "0 0 12 ? * MON#1", "time_zone": new_york}),
        daily(new_york, (12, 0), Days::FirstMondays),
    ));
    jobs.push(Job::steady(
        "spread",
        json!({"cron": "0 15 6 * * ?", "jitter": "3h"}),
        daily("UTC", (6, 15), Days::All),
    ));
    jobs.push(Job::steady(
        "crontab",
        json!({"cron": "crontab 5 4 1,15 * 3", "time_zone": berlin}),
        daily(berlin, (4, 5), Days::FirstFifteenthOrWednesday),
    ));
    let lord_howe = "Australia/Lord_Howe";
    jobs.push(Job::steady(
        "hourly",
        json!({"cron": "0 0 * * * ?", "time_zone": lord_howe}),
        Plan::FullHours { zone: lord_howe },
    ));
    jobs.extend(often());
    jobs.push(changed(new_york, daily(new_york, (1, 30), Days::All)));
    jobs
}

/// Jobs that fire so often that their runs are in each other's way, under each misfire policy.
fn often() -> Vec<Job> {
    let (day, week) = (Span::from_secs(24 * 3_600), Span::from_secs(7 * 24 * 3_600));
    let windows = |name: &str| Job { habit: Habit::InWindows, ..every(name, "10s", 10_000) };
    let mut by_turns = every("by-turns", "20m", 20 * 60_000);
    by_turns.habit = Habit::Changed;
    let rule = |policy, cap, grace| {
        let misfire = Misfire { policy, cap, grace };
        Scheduled { misfire, ..by_turns.schedules[0].clone() }
    };
    let schedules = vec![
        rule(MisfirePolicy::Replay, 30, week),
        rule(MisfirePolicy::Coalesce, 100, day),
        rule(MisfirePolicy::Replay, 3, day),
        rule(MisfirePolicy::Skip, 100, week),
    ];
    vec![
        windows("often"),
        windows("often-skip").with(MisfirePolicy::Skip, 100, week),
        windows("often-replay").with(MisfirePolicy::Replay, 5, week),
        every("hourly-skip", "1h", 3_600_000).with(MisfirePolicy::Skip, 100, day),
        every("hourly-replay", "1h", 3_600_000).with(MisfirePolicy::Replay, 4, day),
        Job { schedules, ..by_turns },
    ]
}

fn every(name: &str, text: &str, millis: i64) -> Job {
    let document = json!({"every": text, "from": "1970-01-01T00:00:00Z"});
    Job::steady(name, document, Plan::Every { millis })
}

/// A job that alternates between a period and a local time.
fn changed(zone: &str, plan: Plan) -> Job {
    let mut job = every("changed", "7h", 7 * 3_600_000);
    job.habit = Habit::Changed;
    let document = json!({"cron": "0 30 1 * * ?", "time_zone": zone, "jitter": "1h"});
    let (jitter, misfire) = (Span::from_secs(3_600), Misfire::default());
    job.schedules.push(Scheduled { document, plan, jitter, misfire });
    job
}

/// How long a task takes, in milliseconds: mostly next to nothing, seldom longer than its period.
pub(super) fn length(chance: &mut IdStream) -> u64 {
    const SECOND: u64 = 1_000;
    const MINUTE: u64 = 60 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    let longest = match chance.bits() % 100 {
        0..50 => return 0,
        50..80 => 5 * SECOND,
        80..95 => 20 * MINUTE,
        95..99 => 8 * HOUR,
        _ => 40 * HOUR,
    };
    chance.bits() % longest
}

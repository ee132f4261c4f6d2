//! Reading a job as a user sends it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Backoff, Failover, Gap, InvalidDocument, JobSpec, JobType, Launch, Misfire, MisfirePolicy,
    Overlap, Parsed, Retry, ScheduleSpec, ScriptSpec, Sharding,
    document::read_document,
    read_execution::{check_daemon, read_execution, read_notify},
    read_placement::{read_constraints, read_spread},
    reader::{Fields, show},
    values::{
        filled_text, flag, item_entry, item_texts, one_of, parsed, process_text, span, text,
        text_entry, whole,
    },
};
use crate::{Amount, Resources, Span, limits, schedule::Schedule};

impl JobSpec {
    /// Reads the document of a job; the error names every fault in it.
    ///
    /// What depends on the job's app is checked by [`JobSpec::check_app`].
    pub fn parse(document: Value) -> Result<Parsed<Self>, InvalidDocument> {
        read_document("job", document, read_job)
    }
}

fn read_job(fields: &mut Fields<'_>) -> Option<JobSpec> {
    let name = fields.required("name", parsed);
    let app = fields.required("app", parsed);
    let types = [("simple", JobType::Simple), ("script", JobType::Script)];
    let job_type = fields.required("type", one_of(&types));
    let handler = read_handler(fields, job_type);
    let script = read_script(fields, job_type);
    let execution = read_execution(fields);
    let schedule = fields.optional_nested("schedule", read_schedule);
    let sharding = fields.nested("sharding", read_sharding);
    let parameter = fields.or("parameter", String::new(), process_text);
    let resources = match fields.has("resources") {
        true => fields.resources(),
        false => fields.or("resources", default_resources(), |_| Ok(Resources::none())),
    };
    let launches = [("as_fits", Launch::AsFits), ("all_at_once", Launch::AllAtOnce)];
    let launch = fields.or("launch", Launch::default(), one_of(&launches));
    check_all_at_once(fields, launch, sharding.as_ref());
    let misfire = fields.optional_nested("misfire", read_misfire);
    let start_within = fields.or("start_within", Span::ZERO, span);
    let failover = fields.optional_nested("failover", read_failover);
    let retry = fields.optional_nested("retry", read_retry);
    let timeout = fields.or("timeout", Span::ZERO, span);
    let run_timeout = fields.or("run_timeout", Span::ZERO, span);
    let kill_grace = fields.or("kill_grace", Span::from_secs(5), span);
    let constraints = read_constraints(fields);
    let spread = read_spread(fields);
    let priority = fields.or("priority", 50, whole(0..=100));
    let notify = fields.optional_nested("notify", read_notify);
    let props = fields.entries("props", text_entry);
    let labels = fields.entries("labels", text_entry);
    let description = fields.or("description", String::new(), text);
    let disabled = fields.optional("disabled", flag);
    let spec = JobSpec {
        name: name?,
        app: app?,
        job_type: job_type?,
        handler: handler?,
        script: script?,
        execution: execution?,
        schedule: schedule?,
        sharding: sharding?,
        parameter: parameter?,
        resources: resources?,
        launch: launch?,
        misfire: misfire?.unwrap_or_default(),
        start_within: start_within?,
        failover: failover?.unwrap_or_default(),
        retry: retry?.unwrap_or_default(),
        timeout: timeout?,
        run_timeout: run_timeout?,
        kill_grace: kill_grace?,
        constraints: constraints?,
        spread: spread?,
        priority: priority?,
        notify: notify?.unwrap_or_default(),
        props: props?,
        labels: labels?,
        description: description?,
        disabled: disabled?,
    };
    check_daemon(fields, &spec);
    if let Some(fault) = spec.check_payload() {
        fields.fault(&fault.field, fault.message);
    }
    Some(spec)
}

fn default_resources() -> Resources {
    let mut all = Resources::none();
    all.set("cpus", Amount::from_thousandths(500));
    all.set("mem", Amount::from_thousandths(64_000));
    all
}

fn read_handler(fields: &mut Fields<'_>, job_type: Option<JobType>) -> Option<Option<String>> {
    if job_type == Some(JobType::Script) && fields.has("handler") {
        fields.take("handler");
        fields.fault("handler", "only jobs of type `simple` have a handler".to_owned());
        return None;
    }
    fields.optional("handler", filled_text)
}

fn read_script(fields: &mut Fields<'_>, job_type: Option<JobType>) -> Option<Option<ScriptSpec>> {
    match job_type {
        Some(JobType::Script) => fields.nested("script", read_script_fields).map(Some),
        Some(JobType::Simple) if fields.has("script") => {
            fields.take("script");
            fields.fault("script", "only jobs of type `script` have a script".to_owned());
            None
        }
        _ => fields.optional_nested("script", read_script_fields),
    }
}

fn read_script_fields(fields: &mut Fields<'_>) -> Option<ScriptSpec> {
    let given = ["command", "interpreter", "inline"].map(|name| fields.has(name));
    let command = fields.optional("command", filled_text);
    let interpreter = fields.optional("interpreter", filled_text);
    let inline = fields.optional("inline", filled_text);
    let append_context = fields.or("append_context", false, flag);
    if !matches!(given, [true, false, false] | [false, true, true]) {
        let message = "a script has either `command`, or `interpreter` and `inline`";
        fields.fault("", message.to_owned());
    }
    Some(ScriptSpec {
        command: command?,
        interpreter: interpreter?,
        inline: inline?,
        append_context: append_context?,
    })
}

fn read_schedule(fields: &mut Fields<'_>) -> Option<ScheduleSpec> {
    let gaps = [("run_after", Gap::RunAfter), ("skip", Gap::Skip)];
    let overlaps =
        [("first", Overlap::First), ("second", Overlap::Second), ("both", Overlap::Both)];
    let cron = fields.optional("cron", text);
    let time_zone = fields.optional("time_zone", text);
    let gap = fields.optional("gap", one_of(&gaps));
    let overlap = fields.optional("overlap", one_of(&overlaps));
    let every = fields.optional("every", span);
    let from = fields.optional("from", parsed);
    let at = fields.optional("at", parsed);
    let jitter = fields.or("jitter", Span::ZERO, span);
    let spec = ScheduleSpec {
        cron: cron?.map(Into::into),
        time_zone: time_zone?.map(Into::into),
        gap: gap?,
        overlap: overlap?,
        every: every?,
        from: from?,
        at: at?,
        jitter: jitter?,
    };
    for fault in Schedule::check(&spec) {
        fields.fault(fault.field(), fault.to_string());
    }
    Some(spec)
}

fn read_sharding(fields: &mut Fields<'_>) -> Option<Sharding> {
    let count = fields.required("count", whole(1..=limits::SHARDS_MAX));
    let parameters = read_parameters(fields);
    let (count, parameters) = (count?, parameters?);
    let beyond: Vec<_> = parameters.keys().filter(|item| **item >= count).collect();
    for item in &beyond {
        let message = format!("there is no shard {item} of {count}; the last is {}", count - 1);
        fields.fault(&format!("parameters.{item}"), message);
    }
    beyond.is_empty().then_some(Sharding { count, parameters })
}

fn read_parameters(fields: &mut Fields<'_>) -> Option<BTreeMap<u32, String>> {
    match fields.text_of("parameters") {
        Some(_) => fields
            .optional("parameters", |value| item_texts(&text(value)?))
            .map(Option::unwrap_or_default),
        None => fields.entries("parameters", item_entry),
    }
}

/// A run that starts all at once has fewer shards: they are placed in one step and one commit.
fn check_all_at_once(fields: &mut Fields<'_>, launch: Option<Launch>, sharding: Option<&Sharding>) {
    let count = sharding.map_or(0, |sharding| sharding.count);
    if launch == Some(Launch::AllAtOnce) && count > limits::SHARDS_ALL_AT_ONCE_MAX {
        let most = limits::SHARDS_ALL_AT_ONCE_MAX;
        let message = format!("`{count}` is too many for `all_at_once`; it starts at most {most}");
        fields.fault("sharding.count", message);
    }
}

fn read_misfire(fields: &mut Fields<'_>) -> Option<Misfire> {
    let policies = [
        ("skip", MisfirePolicy::Skip),
        ("coalesce", MisfirePolicy::Coalesce),
        ("replay", MisfirePolicy::Replay),
    ];
    let absent = Misfire::default();
    let policy = fields.or("policy", absent.policy, one_of(&policies));
    let cap = fields.or("cap", absent.cap, whole(1..=limits::MISFIRE_CAP_MAX));
    let grace = fields.or("grace", absent.grace, grace);
    Some(Misfire { policy: policy?, cap: cap?, grace: grace? })
}

fn grace(value: &Value) -> Result<Span, String> {
    let grace: Span = span(value)?;
    let bounds = limits::MISFIRE_GRACE_MIN..=limits::MISFIRE_GRACE_MAX;
    if bounds.contains(&grace) {
        return Ok(grace);
    }
    Err(format!("`{grace}` is not from {} to {}", bounds.start(), bounds.end()))
}

fn read_failover(fields: &mut Fields<'_>) -> Option<Failover> {
    let absent = Failover::default();
    let enabled = fields.or("enabled", absent.enabled, flag);
    let max_attempts = fields.or("max_attempts", absent.max_attempts, whole(0..=u32::MAX));
    let backoff = fields.or("backoff", absent.backoff, backoff);
    Some(Failover { enabled: enabled?, max_attempts: max_attempts?, backoff: backoff? })
}

fn read_retry(fields: &mut Fields<'_>) -> Option<Retry> {
    let max_attempts = fields.or("max_attempts", 0, whole(0..=u32::MAX));
    let backoff = fields.or("backoff", Backoff::default(), backoff);
    Some(Retry { max_attempts: max_attempts?, backoff: backoff? })
}

fn backoff(value: &Value) -> Result<Backoff, String> {
    value.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| {
        format!(
            "{} is no back-off; write the first wait and the longest, as in 1s..1m",
            show(value)
        )
    })
}

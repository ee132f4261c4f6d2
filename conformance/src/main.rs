//! The command `muster-conformance`.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context as _;
use clap::Parser as _;
use muster_conformance::{
    arguments::{Arguments, Cases, Command, Output, Replay},
    cases,
    context::{Suite, agent_id, fresh_ids},
    remote::{self, Remotes},
    replay::{Accepted, Difference, Player, Recording, Setting},
    report::{self, Sum},
    runner::{self, Choice},
    target::{Credentials, Target, address},
};

/// Exit codes: 0 all is as with Mesos, 1 something is not, 2 it could not be found out.
const CANNOT: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done =
        runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(start(arguments)));
    done.unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "muster-conformance: {error:#}");
        ExitCode::from(CANNOT)
    })
}

async fn start(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match (arguments.command, arguments.cases) {
        (Some(Command::Executor { address, key }), _) => remote::play(&address, &key).await,
        (Some(Command::List), _) => list(),
        (Some(Command::Replay(arguments)), _) => replay(arguments).await,
        (None, Some(arguments)) => run(arguments).await,
        (None, None) => anyhow::bail!("give --master URL"),
    }
}

fn list() -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    for case in cases::all() {
        writeln!(out, "{}", case.name)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn run(arguments: Cases) -> anyhow::Result<ExitCode> {
    let credentials = match (arguments.principal, arguments.secret_file) {
        (Some(principal), Some(file)) => {
            let secret = std::fs::read_to_string(&file);
            let secret = secret.with_context(|| format!("cannot read {}", file.display()))?;
            Some(Credentials { principal, secret: secret.trim_end().to_owned() })
        }
        _ => None,
    };
    let target = Target {
        master: address(&arguments.master)?,
        agent: arguments.agent.as_deref().map(address).transpose()?,
        credentials,
        program: std::env::current_exe()?,
    };
    let encoding = arguments.encoding.map(|spoken| spoken.encoding());
    let choice = Choice { only: arguments.only, encoding };
    let rows = runner::run(&suite(target).await?, &cases::all(), &choice).await;
    let mut out = io::stdout().lock();
    match arguments.output {
        Output::Table => report::table(&rows, &mut out)?,
        Output::Json => report::document(&rows, &mut out)?,
    }
    let code = if Sum::of(&rows).is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    Ok(code)
}

async fn replay(arguments: Replay) -> anyhow::Result<ExitCode> {
    let mut secrets = BTreeMap::new();
    for given in &arguments.secrets {
        let (principal, file) = given.split_once('=').context("give --secret PRINCIPAL=FILE")?;
        let secret =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
        secrets.insert(principal.to_owned(), secret.trim_end().to_owned());
    }
    let mut accepted = match &arguments.accepted {
        Some(file) => Accepted::read(file)?,
        None => Accepted::default(),
    };
    let setting = Setting {
        target: Target {
            master: address(&arguments.master)?,
            agent: Some(address(&arguments.agent)?),
            credentials: None,
            program: std::env::current_exe()?,
        },
        remotes: Remotes::listen().await.context("cannot listen on the loopback interface")?,
        secrets,
        agent_hook: arguments.agent_hook,
    };
    let mut out = io::stdout().lock();
    let mut unaccepted = Vec::new();
    let mut played = Vec::new();
    for file in recordings(&arguments.recordings)? {
        let recording = Recording::read(&file)?;
        let differences = Player::new(&setting, &recording, &accepted).play().await;
        let (known, new): (Vec<_>, Vec<_>) =
            differences.into_iter().partition(|difference| accepted.accepts(difference));
        let (name, lines) = (&recording.name, recording.count());
        let (known, others) = (known.len(), new.len());
        writeln!(out, "{name}: {lines} lines, {known} accepted differences, {others} others")?;
        unaccepted.extend(new);
        played.push(recording.name);
    }
    writeln!(out, "\nAccepted:")?;
    accepted.told().iter().try_for_each(|entry| writeln!(out, "  {entry}"))?;
    // What is wrong comes last, so that it is seen however much of the output is kept.
    let unused = accepted.unused(&played);
    for entry in &unused {
        writeln!(out, "\nACCEPTED, BUT NOT MET: {entry}")?;
    }
    for Difference { scenario, place, what } in &unaccepted {
        writeln!(out, "\nDIFFERS {scenario}, {place}: {what}")?;
    }
    writeln!(out, "\n{} differences", unaccepted.len())?;
    let is_good = unaccepted.is_empty() && unused.is_empty();
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The files that are meant, those of a folder in the order of their names.
fn recordings(given: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in given {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries =
            std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut inside: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        inside.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
        inside.sort();
        files.append(&mut inside);
    }
    anyhow::ensure!(!files.is_empty(), "there are no recordings in what was given");
    Ok(files)
}

async fn suite(target: Target) -> anyhow::Result<Arc<Suite>> {
    let agent_id = match &target.agent {
        Some(agent) => agent_id(agent).await,
        None => None,
    };
    let remotes = Remotes::listen().await.context("cannot listen on the loopback interface")?;
    Ok(Arc::new(Suite::new(target, remotes, agent_id, fresh_ids())))
}

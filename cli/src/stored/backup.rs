//! `muster backup`.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, IsTerminal as _, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use muster_scheduler::backup::{InvalidBackup, Item, Parser, Trailer};

use crate::{
    client::{Address, Call, Client, Pointer},
    client_flags::ClientFlags,
    screen::Screen,
};

/// What stands for standard output.
const STDOUT: &str = "-";
/// What the name of a file ends with until it is whole.
const UNFINISHED: &str = ".part";

/// From where, and where to.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// File to write, or `-` for standard output; a file takes its name when it is whole
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// The scheduler to call [default: that of `muster dev`, else http://127.0.0.1:8899]
    #[arg(long, value_name = "URL")]
    server: Option<Address>,
    /// File with the token to show it
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Copies all that a scheduler has stored, and checks that all of it came.
pub(super) fn backup(args: &BackupArgs, flags: ClientFlags) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut sink = Sink::open(&args.output)?;
    let copied = runtime.block_on(copy(args, flags, &mut sink));
    match copied {
        Ok(trailer) => {
            sink.finish()?;
            Screen::default().note(summary(&trailer, &args.output))?;
            Ok(())
        }
        Err(error) => {
            sink.discard();
            Err(error)
        }
    }
}

async fn copy(args: &BackupArgs, flags: ClientFlags, sink: &mut Sink) -> anyhow::Result<Trailer> {
    let pointer = Pointer::path().and_then(|path| Pointer::read(&path));
    let server = args.server.clone().or(flags.server);
    let token_file = args.token_file.clone().or(flags.token_file);
    let (address, token_file) = Pointer::resolve(pointer, server, token_file);
    let client = Client::new(address, token_file.as_deref())?;
    let mut answer = client.stream(Call::get("/v1/backup")).await?;
    let mut check = Check::default();
    let progress = progress();
    while let Some(bytes) = answer.next().await? {
        // What the scheduler says about its end goes before what the connection says.
        check.take(&bytes)?;
        sink.write(&bytes)?;
        progress.inc(bytes.len() as u64);
    }
    progress.finish_and_clear();
    check.finish()
}

/// How much has come, for a person who looks on.
fn progress() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {bytes} in {elapsed}, {bytes_per_sec}");
    ProgressBar::new_spinner().with_style(style.expect("the template is right"))
}

fn summary(trailer: &Trailer, to: &Path) -> String {
    let to = if to.as_os_str() == STDOUT { "standard output".into() } else { to.to_string_lossy() };
    let (writes, bytes) = (HumanCount(trailer.writes), HumanBytes(trailer.bytes));
    let commit = trailer.last.map_or_else(String::new, |last| {
        format!(", as of commit {} of term {}", last.sequence, last.term)
    });
    format!("wrote {writes} records ({bytes}){commit} to {to}")
}

/// Checks a backup as it comes.
#[derive(Default)]
struct Check {
    parser: Parser,
    end: Option<Trailer>,
}

impl Check {
    fn take(&mut self, bytes: &[u8]) -> Result<(), InvalidBackup> {
        self.parser.push(bytes);
        while let Some(item) = self.parser.next()? {
            if let Item::End(trailer) = item {
                self.end = Some(trailer);
            }
        }
        Ok(())
    }

    fn finish(self) -> anyhow::Result<Trailer> {
        self.parser.finish().context("the backup is not whole")?;
        Ok(self.end.expect("a backup is whole only with its end"))
    }
}

/// Where a backup goes.
enum Sink {
    Stdout,
    /// A file beside the one that it will be.
    File {
        file: File,
        unfinished: PathBuf,
        path: PathBuf,
    },
}

impl Sink {
    fn open(path: &Path) -> anyhow::Result<Self> {
        if path.as_os_str() == STDOUT {
            let terminal = io::stdout().is_terminal();
            anyhow::ensure!(
                !terminal,
                "a backup is no text for a terminal; name a file, or a pipe"
            );
            return Ok(Self::Stdout);
        }
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(UNFINISHED);
        let unfinished = PathBuf::from(unfinished);
        let mut options = OpenOptions::new();
        // It holds all that users have stored, so it is for its owner only.
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished);
        let file = file.with_context(|| format!("cannot write `{}`", unfinished.display()))?;
        Ok(Self::File { file, unfinished, path: path.to_owned() })
    }

    fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        match self {
            Self::Stdout => Ok(io::stdout().lock().write_all(bytes)?),
            Self::File { file, unfinished, .. } => {
                let written = file.write_all(bytes);
                written.with_context(|| format!("cannot write `{}`", unfinished.display()))
            }
        }
    }

    /// Keeps what was written.
    fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Stdout => Ok(io::stdout().lock().flush()?),
            Self::File { file, unfinished, path } => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                let keep = || {
                    file.sync_all()?;
                    fs::rename(&unfinished, &path)?;
                    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
                };
                keep().with_context(|| format!("cannot keep `{}`", path.display()))
            }
        }
    }

    /// Removes what was written.
    fn discard(self) {
        if let Self::File { unfinished, .. } = self {
            // What went wrong before is what the user is told.
            let _ = fs::remove_file(unfinished);
        }
    }
}

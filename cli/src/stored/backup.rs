//! `muster backup`.

use std::{
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use muster_scheduler::backup::{InvalidBackup, Item, Parser, Trailer};

use super::sink::{STDOUT, Sink};
use crate::{
    client::{Address, Call, Client, Pointer},
    client_flags::ClientFlags,
    screen::Screen,
};

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
    let trailer = runtime.block_on(copy(args, flags, &mut sink))?;
    sink.finish()?;
    Screen::default().note(summary(&trailer, &args.output))?;
    Ok(())
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

//! `muster logs`.

use std::io::{self, Write};

use muster_api::{RunId, views::RunView};

use super::{Session, follow};
use crate::{
    args::{LogsArgs, Stream},
    client::{Call, ClientError},
};

/// A line longer than this is shown in pieces.
const LINE_BYTES: usize = 64 * 1024;

/// Shows what tasks have written, and what they write if that is wished.
pub(super) async fn logs(session: &Session, args: &LogsArgs) -> anyhow::Result<()> {
    let both = [Stream::Stdout, Stream::Stderr];
    let streams = args.stream.as_ref().map_or(&both[..], std::slice::from_ref);
    if args.follow {
        follow::follow(session, args.run, args.item, streams).await?;
        return Ok(());
    }
    if let Some(item) = args.item {
        for stream in streams {
            show(session, args, item, Lines::new(*stream, None)).await?;
        }
        return Ok(());
    }
    for item in started_items(session, args.run).await? {
        for stream in streams {
            match show(session, args, item, Lines::new(*stream, Some(item))).await {
                Err(error) if is_not_found(&error) => {}
                shown => shown?,
            }
        }
    }
    Ok(())
}

/// The output of a shard's newest task.
pub(super) fn call(run: RunId, item: u32, stream: Stream) -> Call {
    Call::get(format!("/v1/runs/{run}/shards/{item}/logs")).query("stream", stream.name())
}

async fn show(
    session: &Session,
    args: &LogsArgs,
    item: u32,
    mut lines: Lines,
) -> anyhow::Result<()> {
    let call = call(args.run, item, lines.stream).query_if("attempt", args.attempt);
    let mut output = session.client.stream(call).await?;
    while let Some(bytes) = output.next().await? {
        lines.write(&bytes)?;
    }
    Ok(lines.end()?)
}

fn is_not_found(error: &anyhow::Error) -> bool {
    error.downcast_ref::<ClientError>().is_some_and(ClientError::is_not_found)
}

/// The shards of which a task was launched.
async fn started_items(session: &Session, run: RunId) -> anyhow::Result<Vec<u32>> {
    let answer = session.client.send(Call::get(format!("/v1/runs/{run}"))).await?;
    let shards = answer.read::<RunView>()?.shards.unwrap_or_default();
    let started = shards.into_iter().filter(|shard| shard.attempt > 0);
    Ok(started.map(|shard| shard.item).collect())
}

/// Shows bytes as they come; with a shard in front, line by line, so that the lines of several
/// shards do not mix.
pub(super) struct Lines {
    stream: Stream,
    prefix: Option<String>,
    unfinished: Vec<u8>,
}

impl Lines {
    /// Shows a stream on the stream of the same name.
    pub(super) fn new(stream: Stream, item: Option<u32>) -> Self {
        let prefix = item.map(|item| format!("[{item}] "));
        Self { stream, prefix, unfinished: Vec::new() }
    }

    /// Shows bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.stream {
            Stream::Stdout => self.write_to(&mut io::stdout().lock(), bytes),
            Stream::Stderr => self.write_to(&mut io::stderr().lock(), bytes),
        }
    }

    /// Shows what is left of the last line.
    pub(super) fn end(&mut self) -> io::Result<()> {
        if self.unfinished.is_empty() { Ok(()) } else { self.write(b"\n") }
    }

    fn write_to(&mut self, out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
        let Some(prefix) = &self.prefix else {
            out.write_all(bytes)?;
            return out.flush();
        };
        self.unfinished.extend_from_slice(bytes);
        let mut rest = &self.unfinished[..];
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end + 1);
            out.write_all(prefix.as_bytes())?;
            out.write_all(line)?;
            rest = after;
        }
        if rest.len() > LINE_BYTES {
            out.write_all(prefix.as_bytes())?;
            out.write_all(rest)?;
            out.write_all(b"\n")?;
            rest = &[];
        }
        self.unfinished = rest.to_vec();
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(item: Option<u32>, parts: &[&str]) -> String {
        let mut lines = Lines::new(Stream::Stdout, item);
        let mut out = Vec::new();
        for part in parts {
            lines.write_to(&mut out, part.as_bytes()).unwrap();
        }
        if !lines.unfinished.is_empty() {
            lines.write_to(&mut out, b"\n").unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_are_kept_whole() {
        assert_eq!(shown(Some(7), &["a", "b\nc", "\nd"]), "[7] ab\n[7] c\n[7] d\n");
        assert_eq!(shown(Some(7), &["a\n\n"]), "[7] a\n[7] \n");
        assert_eq!(shown(None, &["a", "b\nc"]), "ab\nc");
        let long = "x".repeat(LINE_BYTES + 1);
        assert_eq!(shown(Some(0), &[&long, "y"]), format!("[0] {long}\n[0] y\n"));
    }
}

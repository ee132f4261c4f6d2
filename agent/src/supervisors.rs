//! The agent's side of its supervisors: started, found again, listened to.

use std::{
    fs::{self, File},
    io,
    os::fd::AsRawFd,
    path::Path,
    process::Stdio,
    time::Duration,
};

use muster_process::end_marked;
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::UnixStream,
    process::{Child, Command},
    sync::mpsc,
    task::spawn_blocking,
    time::{sleep, timeout},
};

use crate::{
    core::{Container, Event},
    outbox::Outbox,
    run::Input,
    supervise::{Exit, FromSupervisor, SOCKET_FILE, Spec, ToSupervisor, Why, line},
    work_dir::{self, ExecutorDir},
};

/// Between two looks at a supervisor that does not answer.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long a supervisor may take from its start to its first word, before it is given up.
const START_MAX: Duration = Duration::from_secs(10);
/// What ending all executors of a folder may take beyond their grace.
const END_ALL_MAX: Duration = Duration::from_secs(30);

/// Starts a supervisor and follows it to its end.
pub(crate) async fn start(
    muster: std::path::PathBuf,
    container: Container,
    dir: ExecutorDir,
    spec: Spec,
    outbox: Outbox,
    inputs: mpsc::Sender<Input>,
) {
    let started = write_spec(&dir, &spec).and_then(|()| spawn(&muster, &dir));
    match started {
        Ok(child) => follow(container, dir, Some(child), outbox, inputs).await,
        Err(error) => {
            let message = format!("cannot start its supervisor: {error}");
            let exit = Exit { message, ..Exit::unknown(Why::Unstartable) };
            let _ = inputs.send(Input::Core(Event::Exited { container, exit })).await;
        }
    }
}

/// Follows a supervisor to its end, and says when it answers and how its executor ended.
pub(crate) async fn follow(
    container: Container,
    dir: ExecutorDir,
    mut child: Option<Child>,
    outbox: Outbox,
    inputs: mpsc::Sender<Input>,
) {
    let exit = loop {
        let stream = match reach(&dir, child.as_mut()).await {
            Ok(Reached::Gone(exit)) => break exit,
            Ok(Reached::Answers(stream)) => stream,
            Err(error) => {
                // Without proof that nothing lives, nothing may be said. It is tried again.
                let why = error.to_string();
                tracing::error!(container = %container, why, "cannot look after an executor");
                sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        let listening = async {
            while let Ok(Some(line)) = lines.next_line().await {
                match serde_json::from_str(&line) {
                    Ok(FromSupervisor::Running { pid }) => {
                        let started = Event::Started { container: container.clone(), pid };
                        let _ = inputs.send(Input::Core(started)).await;
                    }
                    Ok(FromSupervisor::Exited(exit)) => return Some(exit),
                    Err(_) => return None,
                }
            }
            None
        };
        tokio::pin!(listening);
        let exit = tokio::select! {
            exit = &mut listening => exit,
            _ = outbox.write_to(&mut writer) => listening.await,
        };
        if let Some(exit) = exit {
            break exit;
        }
    };
    // Nothing of it lives, so its output is complete. That it cannot be read is no obstacle.
    let output = spawn_blocking(move || dir.last_output()).await.ok().flatten();
    let exit = Exit { output, ..exit };
    let _ = inputs.send(Input::Core(Event::Exited { container, exit })).await;
    if let Some(mut child) = child {
        // It has said its last word, and ends once that is on disk too. No zombie is to stay.
        let _ = child.wait().await;
    }
}

enum Reached {
    Answers(UnixStream),
    Gone(Exit),
}

/// Waits until a supervisor answers, or it is certain that none lives and nothing of its executor.
async fn reach(dir: &ExecutorDir, mut child: Option<&mut Child>) -> io::Result<Reached> {
    let mut waited = Duration::ZERO;
    loop {
        if let Ok(stream) = connect(dir.path()).await {
            return Ok(Reached::Answers(stream));
        }
        // One that was just started may not have its lock yet.
        let starting = match &mut child {
            Some(started) if waited < START_MAX => started.try_wait()?.is_none(),
            Some(started) => {
                started.kill().await?;
                child = None;
                false
            }
            None => false,
        };
        if !starting {
            let dir = dir.clone();
            let settled =
                spawn_blocking(move || settle(&dir)).await.map_err(io::Error::other)??;
            if let Some(exit) = settled {
                return Ok(Reached::Gone(exit));
            }
        }
        sleep(LOOK_EVERY).await;
        waited += LOOK_EVERY;
    }
}

/// Connects to the socket in a folder. The path of a socket has at most 107 bytes, so it is named
/// through an open handle of its folder.
async fn connect(dir: &Path) -> io::Result<UnixStream> {
    let folder = File::open(dir)?;
    let path = format!("/proc/self/fd/{}/{SOCKET_FILE}", folder.as_raw_fd());
    UnixStream::connect(path).await
}

/// Settles how an executor ended whose supervisor is gone; `None` while the supervisor lives.
///
/// The supervisor's lock is held meanwhile, and the exit file is written under it. So one that was
/// started but has not begun finds the exit file and starts nothing.
fn settle(dir: &ExecutorDir) -> io::Result<Option<Exit>> {
    fs::create_dir_all(dir.path())?;
    let lock = File::options().create(true).append(true).open(dir.lock())?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK | Errno::INTR) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    if let Ok(bytes) = fs::read(dir.exit()) {
        let unreadable = |_| Exit::unknown(Why::Lost);
        return Ok(Some(serde_json::from_slice(&bytes).unwrap_or_else(unreadable)));
    }
    let exit = if fs::exists(dir.spec())? {
        end_leftovers(&dir.sandbox())?;
        Exit::unknown(Why::Lost)
    } else {
        Exit::unknown(Why::NeverStarted)
    };
    work_dir::replace(&dir.exit(), &line(&exit))?;
    Ok(Some(exit))
}

/// Kills all processes that were started under the executor of this sandbox, and whatever they
/// started, until none is left: its supervisor can no longer do so. They are known by the
/// variable `MESOS_SANDBOX` in their environment, which names one executor of one agent.
fn end_leftovers(sandbox: &Path) -> io::Result<()> {
    end_marked(&[b"MESOS_SANDBOX=", sandbox.as_os_str().as_encoded_bytes()].concat())
}

fn write_spec(dir: &ExecutorDir, spec: &Spec) -> io::Result<()> {
    work_dir::replace(&dir.spec(), &serde_json::to_vec(spec)?)
}

/// Starts `muster supervise` so that it outlives the agent.
fn spawn(muster: &Path, dir: &ExecutorDir) -> io::Result<Child> {
    let log = File::options().create(true).append(true).open(dir.path().join("supervisor.log"))?;
    Command::new(muster)
        .arg("supervise")
        .arg("--dir")
        .arg(dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        // It makes a session of its own; until then a ^C for the agent must not reach it.
        .process_group(0)
        .spawn()
}

/// Ends every executor that lives under a work folder, whether or not an agent does.
pub async fn end_all(work_dir: &Path) -> anyhow::Result<()> {
    let work_dir = fs::canonicalize(work_dir)?;
    let ends = work_dir::list_executors(&work_dir)?.into_iter().map(|dir| async move {
        let ended = timeout(END_ALL_MAX, end(&dir)).await;
        ended.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, format!("{dir:?} lives on")))?
    });
    let ends: Vec<_> = ends.map(tokio::spawn).collect();
    for end in ends {
        end.await??;
    }
    Ok(())
}

/// Ends one executor; returns when nothing of it is left.
async fn end(dir: &ExecutorDir) -> io::Result<()> {
    loop {
        let Reached::Answers(stream) = reach(dir, None).await? else { return Ok(()) };
        let (reader, mut writer) = stream.into_split();
        let outbox = Outbox::default();
        outbox.push(|bytes| bytes.extend(line(&ToSupervisor::End { grace_ms: 1000 })));
        outbox.close();
        outbox.write_to(&mut writer).await?;
        let mut lines = BufReader::new(reader).lines();
        // It ends the stream when the executor is gone. On a full disk it goes on itself.
        while let Ok(Some(line)) = lines.next_line().await {
            if let Ok(FromSupervisor::Exited(_)) = serde_json::from_str(&line) {
                return Ok(());
            }
        }
    }
}

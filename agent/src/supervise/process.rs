//! The process around a supervisor's core: its lock, its socket, its child.

use std::{
    fs::{self, File},
    io::{self, Read, Write as _},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::Path,
    process::ExitCode,
    time::Duration,
};

use muster_api::{Mono, clock};
use muster_process::end_descendants;
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{FlockOperation, flock},
    io::Errno,
    process::{
        Pid, PidfdFlags, Signal, WaitOptions, getpid, kill_process_group, pidfd_open,
        set_child_subreaper, setsid, wait,
    },
    time::Timespec,
};

use super::{
    Effect, Event, Exit, FromSupervisor, Orders, Spec, Supervisor, Why, protocol::line, spawn,
};

/// What the supervisor is to do.
pub(crate) const SPEC_FILE: &str = "spec";
/// Held for as long as the supervisor lives.
pub(crate) const LOCK_FILE: &str = "supervisor.lock";
/// Where agents talk to it.
pub(crate) const SOCKET_FILE: &str = "supervisor.sock";
/// How its executor ended; written when nothing of it is left.
pub(crate) const EXIT_FILE: &str = "exit";
/// The folder that the executor runs in.
const SANDBOX: &str = "sandbox";

/// The longest wait between two looks at the clock. `poll` does not count the time that the host
/// sleeps, and `CLOCK_BOOTTIME` does: after a sleep a deadline is missed by no more than this.
/// Orphans that ended by themselves are reaped as often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Agents that may be connected at one time: one, and its predecessor that is about to end.
const CONNECTIONS_MAX: usize = 8;
/// Bytes that one read takes at most.
const READ_BYTES: usize = 4096;

/// Supervises the executor of one folder, from its start until nothing of it is left. This is the
/// whole life of the process `muster supervise --dir DIR`.
pub fn main(executor_dir: &Path) -> ExitCode {
    match supervise(executor_dir) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error is a file in the executor's folder; if that is full, nothing helps.
            let _ = writeln!(io::stderr(), "the supervisor failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn supervise(dir: &Path) -> io::Result<()> {
    // From here on paths are relative, so that the socket's is short whatever the work folder.
    std::env::set_current_dir(dir)?;
    // It fails only where this process leads a session already, and that is as good.
    let _ = setsid();
    set_child_subreaper(Some(getpid()))?;
    let lock = File::options().create(true).append(true).open(LOCK_FILE)?;
    flock(&lock, FlockOperation::LockExclusive)?;
    // An agent that has given up this start has written the exit file under the lock.
    if fs::exists(EXIT_FILE)? {
        return Ok(());
    }
    let spec: Spec = serde_json::from_slice(&fs::read(SPEC_FILE)?)?;
    let _ = fs::remove_file(SOCKET_FILE);
    let listener = UnixListener::bind(SOCKET_FILE)?;
    listener.set_nonblocking(true)?;
    let deadline = spec.deadline_ms.map(Mono::from_millis);
    if deadline.is_some_and(|deadline| deadline <= clock::mono()) {
        return leave_exit(&Exit::unknown(Why::NeverStarted), &listener);
    }
    let sandbox = fs::canonicalize(SANDBOX)?;
    let child = match spawn::executor(&spec, &sandbox) {
        Ok(child) => child,
        Err(error) => {
            let message = error.to_string();
            return leave_exit(&Exit { message, ..Exit::unknown(Why::Unstartable) }, &listener);
        }
    };
    let pid = Pid::from_child(&child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    let core = Supervisor::new(deadline);
    Process { core, pid, pidfd, listener, connections: Vec::new() }.run()
}

/// Writes the exit file in one piece. Its being there is the proof that nothing is left.
fn write_exit(exit: &Exit) -> io::Result<()> {
    fs::write("exit.new", line(exit))?;
    fs::rename("exit.new", EXIT_FILE)
}

/// Writes the exit file. While the disk is full the exit is kept here, for nobody else knows it,
/// and agents are told when they ask.
fn leave_exit(exit: &Exit, listener: &UnixListener) -> io::Result<()> {
    loop {
        match write_exit(exit) {
            Err(error) if is_for_lack_of_room(&error) => {}
            written => return written,
        }
        let mut fds = [PollFd::new(listener, PollFlags::IN)];
        match poll(&mut fds, Some(&timespec(LOOK_EVERY))) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(&line(&FromSupervisor::Exited(exit.clone())));
        }
    }
}

fn is_for_lack_of_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn timespec(span: Duration) -> Timespec {
    Timespec { tv_sec: span.as_secs().cast_signed(), tv_nsec: i64::from(span.subsec_nanos()) }
}

/// A supervisor with a live executor.
struct Process {
    core: Supervisor,
    pid: Pid,
    /// Readable once the executor's process has ended.
    pidfd: OwnedFd,
    listener: UnixListener,
    connections: Vec<Connection>,
}

struct Connection {
    stream: UnixStream,
    orders: Orders,
}

impl Process {
    fn run(mut self) -> io::Result<()> {
        while !self.core.is_over() {
            self.wait()?;
            self.accept();
            self.hear()?;
            self.reap()?;
            self.step(&Event::Tick)?;
        }
        Ok(())
    }

    /// Waits until something may have happened.
    fn wait(&self) -> io::Result<()> {
        let until = self.core.next_wakeup().map(|at| at.since(clock::mono()));
        let timeout = until.map_or(LOOK_EVERY, |until| until.min(LOOK_EVERY));
        let mut fds = vec![
            PollFd::from_borrowed_fd(self.pidfd.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.listener.as_fd(), PollFlags::IN),
        ];
        let streams = self.connections.iter().map(|connection| connection.stream.as_fd());
        fds.extend(streams.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        match poll(&mut fds, Some(&timespec(timeout))) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes new connections, and greets them. One that cannot be taken can be dialled again.
    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            if self.connections.len() == CONNECTIONS_MAX {
                self.connections.remove(0);
            }
            let pid = self.pid.as_raw_nonzero().get().cast_unsigned();
            let mut connection = Connection { stream, orders: Orders::default() };
            if connection.stream.set_nonblocking(true).is_ok() {
                connection.tell(&FromSupervisor::Running { pid });
                self.connections.push(connection);
            }
        }
    }

    /// Handles what agents say.
    fn hear(&mut self) -> io::Result<()> {
        let mut events = Vec::new();
        self.connections.retain_mut(|connection| connection.read(&mut events));
        for event in events {
            self.step(&event)?;
        }
        Ok(())
    }

    /// Reaps the executor and orphans that have ended.
    fn reap(&mut self) -> io::Result<()> {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.pid => {
                    return self.step(&Event::Ended { status: status.as_raw() });
                }
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) | Err(Errno::CHILD) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn step(&mut self, event: &Event) -> io::Result<()> {
        let mut effect = self.core.step(clock::mono(), event);
        while let Some(todo) = effect.take() {
            effect = self.carry_out(todo)?;
        }
        Ok(())
    }

    /// Does what the core decided; gives what the core decided about the outcome.
    fn carry_out(&mut self, effect: Effect) -> io::Result<Option<Effect>> {
        match effect {
            Effect::Terminate => {
                // The group may be gone already; its end is about to be noticed.
                let _ = kill_process_group(self.pid, Signal::TERM);
                Ok(None)
            }
            Effect::KillAll => {
                let mut status = None;
                end_descendants(|pid, raw| {
                    if pid == self.pid {
                        status = Some(raw);
                    }
                })?;
                if let Some(status) = status {
                    self.core.step(clock::mono(), &Event::Ended { status });
                }
                Ok(self.core.step(clock::mono(), &Event::AllGone))
            }
            Effect::Report(exit) => {
                let written = write_exit(&exit);
                for connection in &mut self.connections {
                    connection.tell(&FromSupervisor::Exited(exit.clone()));
                }
                match written {
                    Err(error) if is_for_lack_of_room(&error) => {
                        leave_exit(&exit, &self.listener)?;
                    }
                    written => written?,
                }
                Ok(None)
            }
        }
    }
}

impl Connection {
    /// Says something. An agent that does not listen finds the exit file later.
    fn tell(&mut self, message: &FromSupervisor) {
        let _ = self.stream.write_all(&line(message));
    }

    /// Takes all orders that have come; says whether the connection is still of use.
    fn read(&mut self, events: &mut Vec<Event>) -> bool {
        let mut bytes = [0; READ_BYTES];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => break false,
                Ok(length) if self.orders.feed(&bytes[..length], events).is_err() => break false,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break error.kind() == io::ErrorKind::WouldBlock,
            }
        }
    }
}

//! The processes of one script, and how they are ended.

use std::{
    io,
    os::fd::OwnedFd,
    process::{Child, ExitStatus},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use muster_api::TaskId;
use muster_process::{Process, end_marked, group_lives, marked_live, signal_marked};
use rustix::process::{
    Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, test_kill_process_group,
};
use tokio::{
    io::unix::AsyncFd,
    sync::watch,
    task::{JoinError, spawn_blocking},
    time::sleep,
};

/// How far the end of a process is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Not at all.
    No,
    /// It is asked to end.
    Ask,
    /// It is ended.
    Force,
}

/// Between two looks at what is left of a process group, at first ...
const LOOK_FIRST: Duration = Duration::from_millis(2);
/// ... and at last.
const LOOK_LAST: Duration = Duration::from_millis(100);

/// What all processes of a script have in their environment, wherever they went, unless they took it
/// out themselves.
#[derive(Debug, Clone)]
pub(crate) struct Mark(Arc<[u8]>);

impl Mark {
    /// The variable that it is.
    pub(crate) const VARIABLE: &str = "MUSTER_TASK";

    /// That of a task.
    pub(crate) fn of(task: TaskId) -> Self {
        Self(format!("{}={task}", Self::VARIABLE).into_bytes().into())
    }
}

/// The process group of a script. Its leader is not reaped before the group is killed, so that
/// its id cannot have become that of somebody else.
#[derive(Debug)]
pub(crate) struct Group {
    leader: Child,
    id: Pid,
    ended: AsyncFd<OwnedFd>,
    reaped: bool,
    /// By which those are known that have left the group, where nobody else ends them.
    mark: Option<Mark>,
    /// Whether it was told that its processes cannot be looked for.
    told: AtomicBool,
}

impl Group {
    /// The group of a process that has just begun to lead one.
    pub(crate) fn watch(mut leader: Child, mark: Option<Mark>) -> io::Result<Self> {
        let id = Pid::from_child(&leader);
        let watched =
            pidfd_open(id, PidfdFlags::NONBLOCK).map_err(io::Error::from).and_then(register);
        match watched {
            Ok(ended) => {
                let told = AtomicBool::new(false);
                Ok(Self { leader, id, ended, reaped: false, mark, told })
            }
            Err(error) => {
                // The group is not known to be gone when this fails, but then it never existed.
                let _ = kill_process_group(id, Signal::KILL);
                let _ = leader.wait();
                Err(error)
            }
        }
    }

    /// Waits for the leader, passing on what is wanted meanwhile; then ends what it left behind.
    pub(crate) async fn run_to_end(
        mut self,
        stop: &mut watch::Receiver<Stop>,
    ) -> io::Result<ExitStatus> {
        if self.leader_ends(stop).await? == Stop::Ask {
            self.others_end(stop).await;
        }
        self.signal(Signal::KILL);
        let status = self.leader.wait()?;
        self.reaped = true;
        self.is_gone().await;
        self.end_elsewhere().await;
        Ok(status)
    }

    /// Ends what has left the group. Without proof that nothing of it lives nothing may be said, and it
    /// is tried again.
    async fn end_elsewhere(&mut self) {
        while let Some(Mark(variable)) = self.mark.clone() {
            match spawn_blocking(move || end_marked(&variable)).await {
                Ok(Ok(())) => self.mark = None,
                Ok(Err(error)) => {
                    self.cannot_see(&error);
                    sleep(LOOK_LAST).await;
                }
                // The executor shuts down, and then this is dropped.
                Err(_) => return,
            }
        }
    }

    /// Gives how far the group was made to end before its leader did.
    async fn leader_ends(&self, stop: &mut watch::Receiver<Stop>) -> io::Result<Stop> {
        let mut wanted = Stop::No;
        loop {
            wanted = tokio::select! {
                ended = self.ended.readable() => return ended.map(|_| wanted),
                wanted = next(stop) => wanted,
            };
            match wanted {
                Stop::No => {}
                Stop::Ask => self.ask().await,
                Stop::Force => self.signal(Signal::KILL),
            }
        }
    }

    /// Asks all processes of the script to end, each of them once.
    async fn ask(&self) {
        self.signal(Signal::TERM);
        if let Some(Mark(variable)) = self.mark.clone() {
            let group = self.id.as_raw_nonzero().get();
            let elsewhere = move |process: &Process| process.group != group;
            // Who is not asked is ended at the end of the grace.
            let _ = spawn_blocking(move || signal_marked(Signal::TERM, &variable, elsewhere)).await;
        }
    }

    /// Gives the others of the group their grace too: a shell ends at once when asked, and what
    /// it runs may need its time.
    async fn others_end(&self, stop: &mut watch::Receiver<Stop>) {
        let mut pause = LOOK_FIRST;
        while self.lives().await || self.lives_elsewhere().await {
            tokio::select! {
                () = sleep(pause) => pause = (pause * 2).min(LOOK_LAST),
                wanted = next(stop) => if wanted == Stop::Force { return },
            }
        }
    }

    /// Waits until no process of the killed group is left. One that hangs in the kernel is still
    /// running, and must not be reported as over.
    async fn is_gone(&self) {
        let mut pause = LOOK_FIRST;
        while test_kill_process_group(self.id).is_ok() && self.lives().await {
            sleep(pause).await;
            pause = (pause * 2).min(LOOK_LAST);
        }
    }

    /// Whether a process of the group runs. One that is dead and not yet reaped does not.
    async fn lives(&self) -> bool {
        let group = self.id.as_raw_nonzero().get();
        self.counts_as_live(spawn_blocking(move || group_lives(group)).await)
    }

    /// Whether a process runs that has left the group.
    async fn lives_elsewhere(&self) -> bool {
        let Some(Mark(variable)) = self.mark.clone() else { return false };
        self.counts_as_live(spawn_blocking(move || marked_live(&variable)).await)
    }

    /// Whether it is to be waited for something of which this was found out: also when nothing was.
    fn counts_as_live(&self, found: Result<io::Result<bool>, JoinError>) -> bool {
        match found {
            Ok(Ok(lives)) => lives,
            Ok(Err(error)) => {
                self.cannot_see(&error);
                true
            }
            // Nobody looks any more when the executor shuts down; then it is not waited for.
            Err(_) => false,
        }
    }

    /// Says once for each script that its processes cannot be looked for.
    fn cannot_see(&self, error: &io::Error) {
        if !self.told.swap(true, Ordering::Relaxed) {
            let group = self.id.as_raw_nonzero().get();
            tracing::warn!(group, %error, "cannot look for the processes of a script");
        }
    }

    fn signal(&self, signal: Signal) {
        // It fails when the whole group has ended, and then nothing is to be done.
        let _ = kill_process_group(self.id, signal);
    }
}

impl Drop for Group {
    /// An executor that ends leaves no script behind.
    fn drop(&mut self) {
        if !self.reaped {
            self.signal(Signal::KILL);
        }
        if let Some(Mark(variable)) = &self.mark {
            // There is nobody left to tell.
            let _ = end_marked(variable);
        }
    }
}

#[allow(deprecated, reason = "an `OwnedFd` is all that the unsafe constructor asks the caller for")]
fn register(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(fd)
}

/// What is wanted next.
pub(crate) async fn next(stop: &mut watch::Receiver<Stop>) -> Stop {
    match stop.changed().await {
        Ok(()) => *stop.borrow_and_update(),
        // Nobody is left who could want anything.
        Err(_) => std::future::pending().await,
    }
}

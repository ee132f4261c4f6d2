//! Commits that were acknowledged survive a power cut, and no commit is torn.
//!
//! A store lies on an ext4 of its own, in a file. In mid-write the file system is shut down without
//! a flush of its journal, so that everything that was not made durable is lost; then it is mounted
//! again. What a disk keeps in a cache of its own is not lost in this way, so reality is harsher.
//! A sync that goes on at that moment may be answered well though its journal is gone (seen with
//! Linux 6.18), which no power cut can do: so what counts was acknowledged before the cut began.
//!
//! This needs root and loop devices; where they are not to be had the test says so and passes.
//! `MUSTER_POWER_CUTS=50` makes as many cuts on each kind of store.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by a panic, and says why"
)]

#[path = "shared/commits.rs"]
mod commits;

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Lines},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use commits::{FOLDER, KIND, Model, acknowledgement, all, commit_for_ever};
use muster_api::clock;
use muster_scheduler::store::{DiskStore, State, StoreKind};
use tempfile::TempDir;

/// Cuts on each kind of store when nobody says otherwise.
const CUTS: u64 = 5;
/// Bytes of the file system. Its file is sparse.
const DISK_BYTES: u64 = 256 * 1024 * 1024;
/// Nothing that is waited for takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Every so many cuts a new disk is taken, and the power is cut while a store is made on it.
const EARLY_EVERY: u64 = 5;

/// The process whose power is cut.
#[test]
fn committer() {
    commit_for_ever();
}

#[test]
fn acknowledged_commits_survive_power_cuts_on_sled() {
    acknowledged_commits_survive_power_cuts(StoreKind::Sled);
}

#[test]
fn acknowledged_commits_survive_power_cuts_on_redb() {
    acknowledged_commits_survive_power_cuts(StoreKind::Redb);
}

fn acknowledged_commits_survive_power_cuts(kind: StoreKind) {
    let cuts = std::env::var("MUSTER_POWER_CUTS").map_or(CUTS, |cuts| cuts.parse().unwrap());
    let (mut early, mut commits) = (0, 0);
    let mut place = None;
    for cut in 0..cuts {
        if cut % EARLY_EVERY == 0 {
            // The former one goes first: there are not many loop devices.
            drop(place.take());
            match Disk::make() {
                Ok(disk) => place = Some((disk, Model::new())),
                Err(why) => return eprintln!("no power is cut: {why}"),
            }
        }
        let (disk, model) = place.as_mut().unwrap();
        let when = When::of(cut, kind);
        early += u64::from(matches!(when, When::Exists(_)));
        let acknowledged = commit_and_cut(disk, kind, &when);
        disk.mount_again();
        let store = DiskStore::open(&disk.store(), Some(kind));
        let store = store.unwrap_or_else(|error| panic!("cut {cut} {when:?}: {error}"));
        let stored = store.last().unwrap().map_or(0, |last| last.sequence);
        assert!(stored >= acknowledged, "cut {cut}: {acknowledged} acknowledged, {stored} stored");
        assert!(all(&store) == model.after(stored), "cut {cut}: not what was committed");
        commits += acknowledged;
    }
    eprintln!(
        "{kind}: {cuts} cuts, {early} of them while a store was made; {commits} acknowledged"
    );
}

/// When the power is cut.
#[derive(Debug)]
enum When {
    /// As soon as this is there.
    Exists(PathBuf),
    /// As soon as so many commits are acknowledged.
    Acknowledged(u64),
}

impl When {
    fn of(cut: u64, kind: StoreKind) -> Self {
        if !cut.is_multiple_of(EARLY_EVERY) {
            return Self::Acknowledged(1 + cut * 7_919 % 150);
        }
        let database = Path::new(kind.name());
        match cut / EARLY_EVERY % 6 {
            0 => Self::Exists(database.join("db")),
            1 => Self::Exists("format.new".into()),
            2 => Self::Exists("format".into()),
            3 => Self::Acknowledged(1),
            4 => Self::Exists("lock".into()),
            _ => Self::Exists(database.into()),
        }
    }
}

/// Runs the committer, cuts its power, and answers the last commit acknowledged before.
fn commit_and_cut(disk: &Disk, kind: StoreKind, when: &When) -> u64 {
    let mut committer = Committer::start(&disk.store(), kind);
    let mut acknowledged = 0;
    match when {
        // The note of the format is unfinished for a moment only, which may be missed.
        When::Exists(path) => wait_until(|| {
            [path, Path::new("format")].iter().any(|path| disk.store().join(path).exists())
        }),
        When::Acknowledged(commits) => {
            for _ in 0..*commits {
                (acknowledged, _) = committer.next().expect("it commits for ever");
            }
        }
    }
    let cut = clock::mono_nanos();
    disk.cut_power();
    // What was acknowledged before counts also if nobody had read it yet.
    while let Some((number, at)) = committer.next() {
        acknowledged = if at < cut { number } else { acknowledged };
    }
    acknowledged
}

fn wait_until(holds: impl Fn() -> bool) {
    let since = clock::mono();
    while !holds() {
        assert!(clock::mono().since(since) < PATIENCE, "this never came to be");
        std::thread::yield_now();
    }
}

/// A process that commits. It ends with this value.
struct Committer {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Committer {
    fn start(folder: &Path, kind: StoreKind) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "committer", "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder)
            .env(KIND, kind.name())
            .stdout(Stdio::piped())
            // It dies of errors of its disk, and says so.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The number of the next commit and when it was acknowledged; none when it has ended.
    fn next(&mut self) -> Option<(u64, u64)> {
        let lines = self.lines.by_ref().map_while(Result::ok);
        lines.filter_map(|line| acknowledgement(&line)).next()
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file system in a file. It is unmounted with this value, whatever happens.
struct Disk {
    folder: TempDir,
}

impl Disk {
    fn make() -> Result<Self, String> {
        let disk = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(disk.mount_point()).unwrap();
        let image = File::create(disk.image()).unwrap();
        image.set_len(DISK_BYTES).unwrap();
        run("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), disk.image().as_ref()])?;
        disk.mount()?;
        Ok(disk)
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    fn mount_point(&self) -> PathBuf {
        self.folder.path().join("mounted")
    }

    fn store(&self) -> PathBuf {
        self.mount_point().join("store")
    }

    fn mount(&self) -> Result<(), String> {
        let (image, point) = (self.image(), self.mount_point());
        run("mount", &["-o".as_ref(), "loop".as_ref(), image.as_ref(), point.as_ref()])
    }

    /// All that is not durable is lost from now on, and nothing can be written any more.
    fn cut_power(&self) {
        /// `EXT4_IOC_SHUTDOWN` of the kernel's `fs/ext4/ext4.h`.
        const SHUTDOWN: rustix::ioctl::Opcode = rustix::ioctl::opcode::read::<u32>(b'X', 125);
        /// `EXT4_GOING_FLAGS_NOLOGFLUSH`: without writing the journal first.
        const NO_LOG_FLUSH: u32 = 2;
        let disk = File::open(self.mount_point()).unwrap();
        #[allow(unsafe_code, reason = "no library knows this call; it reads one number")]
        unsafe {
            let call = rustix::ioctl::Setter::<SHUTDOWN, u32>::new(NO_LOG_FLUSH);
            rustix::ioctl::ioctl(&disk, call).unwrap();
        }
    }

    /// Lets the file system recover.
    fn mount_again(&self) {
        run("umount", &[self.mount_point().as_ref()]).unwrap();
        self.mount().unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily, because after a failure something may have it open still.
        let _ = run("umount", &["-l".as_ref(), self.mount_point().as_ref()]);
    }
}

/// Runs a program; an error is what it says.
fn run(program: &str, arguments: &[&std::ffi::OsStr]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{program}: {}", said.trim())) }
}

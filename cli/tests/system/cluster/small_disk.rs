//! A small disk that can be filled up.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Mounts a disk on the folder that its input names, and takes it away when its input ends: also
/// when the test is killed. Its words say nothing of the folder, or it would count as one of the
/// processes under test.
const KEEPER: &str = r#"
read -r folder
mount -t tmpfs -o size="$1",mode=700 muster-test "$folder" && echo mounted
read -r _
umount --lazy "$folder"
"#;

/// A file system in memory, mounted on a folder.
#[derive(Debug)]
pub(crate) struct SmallDisk {
    folder: PathBuf,
    keeper: Child,
}

impl SmallDisk {
    /// Mounts a disk of `size` (as in `8m`) on a folder; `None` where that cannot be done, having
    /// said why.
    pub(crate) fn mount(folder: &Path, size: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root can mount a small disk");
            return None;
        }
        fs::create_dir_all(folder).unwrap();
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "small-disk", size])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = keeper.stdin.as_mut().expect("it is piped");
        writeln!(stdin, "{}", folder.display()).unwrap();
        let mut said = String::new();
        let stdout = keeper.stdout.take().expect("it is piped");
        let disk = Self { folder: folder.to_owned(), keeper };
        BufReader::new(stdout).read_line(&mut said).unwrap();
        if said != "mounted\n" {
            eprintln!("skipped: nothing can be mounted here, root or not");
            return None;
        }
        Some(disk)
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }

    /// Leaves no room for one byte more.
    pub(crate) fn fill(&self) {
        let mut file = File::options().create(true).append(true).open(self.filler()).unwrap();
        for size in [64 * 1024, 1] {
            let block = vec![0x5a; size];
            let full = loop {
                if let Err(error) = file.write_all(&block) {
                    break error;
                }
            };
            assert_eq!(full.kind(), ErrorKind::StorageFull, "{full}");
        }
    }

    /// Makes room again.
    pub(crate) fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

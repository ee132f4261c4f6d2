//! Both versions of the job against git, wc and sha256sum.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use muster_examples::digest::{Shard, Totals, list};
use tempfile::TempDir;

fn sh(folder: &Path, line: &str) -> String {
    let output = Command::new("sh")
        .args(["-ec", line])
        .current_dir(folder)
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A folder with files of all kinds.
fn files() -> TempDir {
    let root = TempDir::new().unwrap();
    for n in 0..40 {
        let folder = root.path().join(format!("d{}", n % 7));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("f {n}.txt")), "line\n".repeat(n)).unwrap();
    }
    fs::write(root.path().join("empty"), "").unwrap();
    fs::write(root.path().join("no-line-end"), "text").unwrap();
    fs::write(root.path().join("bytes"), [0, 255, b'\n', 128]).unwrap();
    fs::write(root.path().join("größe.txt"), "ä\n").unwrap();
    symlink("d3/f 10.txt", root.path().join("link")).unwrap();
    symlink("nowhere", root.path().join("broken")).unwrap();
    symlink("d3", root.path().join("folder-link")).unwrap();
    root
}

/// The same as a work tree, with a file that git does not track and one that is deleted.
fn work_tree() -> TempDir {
    let root = files();
    sh(root.path(), "git init -q && git add . && rm d1/'f 1.txt' && echo x >untracked");
    root
}

/// What the tools say: totals, and the sorted lines of the tables.
fn by_tools(root: &Path, names: &str) -> (String, Vec<String>) {
    let table = sh(
        root,
        &format!(
            r#"{names} | LC_ALL=C sort | while IFS= read -r f; do
                test -f "$f" || continue
                printf '%s\t%d\t%d\t%s\n' "$(sha256sum <"$f" | cut -d' ' -f1)" \
                    "$(wc -l <"$f")" "$(wc -c <"$f")" "$f"
            done"#
        ),
    );
    let mut lines: Vec<_> = table.lines().map(str::to_owned).collect();
    lines.sort();
    let sum = |field| -> u64 {
        lines.iter().map(|line| line.split('\t').nth(field).unwrap().parse::<u64>().unwrap()).sum()
    };
    (format!("files={} lines={} bytes={}", lines.len(), sum(1), sum(2)), lines)
}

fn tables(out: &Path, count: u32) -> Vec<String> {
    let table = |item| fs::read_to_string(out.join(format!("shard-{item}.tsv"))).unwrap();
    let text: String = (0..count).map(table).collect();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(fs::read_dir(out).unwrap().count(), count as usize, "nothing else is left");
    lines
}

const TRACKED: &str = "git -c core.quotePath=false ls-files";
const ALL: &str = "find . ! -type d | sed 's|^./||'";

#[test]
fn the_handler_says_what_the_tools_say() {
    for (root, names) in [(work_tree(), TRACKED), (files(), ALL)] {
        for count in [1, 3] {
            let out = TempDir::new().unwrap();
            let mut totals = Totals::default();
            for item in 0..count {
                totals += Shard { root: root.path(), item, count }
                    .digest(out.path(), "task", || false)
                    .unwrap();
            }
            let (expected, lines) = by_tools(root.path(), names);
            assert_eq!(totals.to_string(), expected);
            assert_eq!(tables(out.path(), count), lines);
        }
    }
}

#[test]
fn the_script_says_what_the_tools_say() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("file-digest/digest.sh");
    for (root, names) in [(work_tree(), TRACKED), (files(), ALL)] {
        let (count, out) = (3, TempDir::new().unwrap());
        let result = TempDir::new().unwrap().path().with_extension("result");
        let mut results = Vec::new();
        for item in 0..count {
            let status = Command::new(&script)
                .args([root.path(), out.path()])
                .env("MUSTER_SHARD_ITEM", item.to_string())
                .env("MUSTER_SHARD_COUNT", count.to_string())
                .env("MUSTER_RESULT", &result)
                .status()
                .unwrap();
            assert!(status.success());
            results.push(fs::read_to_string(&result).unwrap());
        }
        fs::remove_file(&result).unwrap();
        let (expected, lines) = by_tools(root.path(), names);
        let sum = |name: &str| -> u64 {
            let value = |result: &String| {
                let field = result.split(' ').find_map(|field| field.strip_prefix(name));
                field.unwrap().parse::<u64>().unwrap()
            };
            results.iter().map(value).sum()
        };
        let (files, lines_sum, bytes) = (sum("files="), sum("lines="), sum("bytes="));
        assert_eq!(format!("files={files} lines={lines_sum} bytes={bytes}"), expected);
        assert_eq!(tables(out.path(), count), lines);
    }
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let root = TempDir::new().unwrap();
    let error = list(&root.path().join("missing")).unwrap_err();
    assert!(error.to_string().starts_with("failed to list the files of"), "{error}");
}

#[test]
fn cancelling_leaves_no_table() {
    let (root, out) = (files(), TempDir::new().unwrap());
    let shard = Shard { root: root.path(), item: 0, count: 1 };
    let error = shard.digest(out.path(), "task", || true).unwrap_err();
    assert_eq!(error.to_string(), "cancelled");
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
}

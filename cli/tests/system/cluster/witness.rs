//! What shards themselves write down about what they did: the one witness that no bug of ours
//! can mislead.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The beginning of a script that is its own witness: `note WORD` writes one line, and the first,
/// `start`, is written at once. Times are of `CLOCK_BOOTTIME`, which no restart sets back.
pub(crate) const PRELUDE: &str = r#"
note() {
    local up _
    read -r up _ </proc/uptime
    echo "$1 $MUSTER_SHARD_ITEM $MUSTER_ATTEMPT $MUSTER_EPOCH $MUSTER_TASK $up ${2:-}" \
        >>"$WITNESS/$MUSTER_JOB.$MUSTER_SHARD_ITEM"
}
note start
"#;

/// One line of a shard.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Act {
    /// `start`, `end`, or what else the script says.
    pub(crate) word: String,
    /// The shard.
    pub(crate) item: u32,
    /// The attempt.
    pub(crate) attempt: u32,
    /// The epoch.
    pub(crate) epoch: u64,
    /// The task.
    pub(crate) task: String,
    /// When, in seconds since the host booted.
    pub(crate) at: f64,
    /// What else the script says.
    pub(crate) more: String,
}

/// The folder that shards write to.
#[derive(Debug, Clone)]
pub(crate) struct Witness(PathBuf);

impl Witness {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    /// What the shards of a job did, shard by shard, each in the order of the acts.
    pub(crate) fn acts(&self, job: &str) -> Vec<Act> {
        let entries = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path());
        let prefix = format!("{job}.");
        let mut files: Vec<_> = entries
            .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(&prefix))
            .collect();
        files.sort();
        let texts = files.iter().map(|file| fs::read_to_string(file).unwrap());
        texts.flat_map(|text| text.lines().map(act).collect::<Vec<_>>()).collect()
    }

    /// How often shards of a job wrote a word.
    pub(crate) fn count(&self, job: &str, word: &str) -> usize {
        self.acts(job).iter().filter(|act| act.word == word).count()
    }

    /// Checks that each of `shards` shards of a job ran exactly once, from start to end, and that
    /// nothing of it ran beside that.
    #[track_caller]
    pub(crate) fn each_ran_once(&self, job: &str, shards: u32) {
        let acts = self.acts(job);
        for item in 0..shards {
            let own: Vec<_> = acts.iter().filter(|act| act.item == item).collect();
            let words: Vec<_> = own.iter().map(|act| act.word.as_str()).collect();
            assert_eq!(words, ["start", "end"], "shard {item} of {job}: {own:?}");
            assert_eq!(own[0].task, own[1].task, "shard {item} of {job}");
        }
        assert_eq!(acts.len(), 2 * shards as usize);
    }
}

fn act(line: &str) -> Act {
    let mut words = line.split_ascii_whitespace();
    let mut next = || words.next().unwrap_or_else(|| panic!("a whole line, not `{line}`"));
    Act {
        word: next().to_owned(),
        item: next().parse().unwrap(),
        attempt: next().parse().unwrap(),
        epoch: next().parse().unwrap(),
        task: next().to_owned(),
        at: next().parse().unwrap(),
        more: words.collect::<Vec<_>>().join(" "),
    }
}

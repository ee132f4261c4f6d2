//! What shards themselves write down about what they did: the one witness that no bug of ours
//! can mislead.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use muster_api::clock;

/// The beginning of a script that is its own witness: `note WORD` writes one line, and the first,
/// `start`, is written at once. Times are of `CLOCK_BOOTTIME`, which no restart sets back.
///
/// A line that is read while it is written, or whose writer was killed meanwhile, may be a part of
/// one. So a whole one ends with a word of its own, and each task begins a line.
pub(crate) const PRELUDE: &str = r#"
witness=$WITNESS/$MUSTER_JOB.$MUSTER_SHARD_ITEM
note() {
    local up _
    read -r up _ </proc/uptime
    echo "$1 $MUSTER_SHARD_ITEM $MUSTER_ATTEMPT $MUSTER_EPOCH $MUSTER_TASK $up ${2:-} ." \
        >>"$witness"
}
echo >>"$witness"
note start
"#;

/// What a witness may do next: hold a lock for as long as anything of it lives, for whatever it
/// starts inherits the lock, in a session of its own or not. The next attempt must find it free.
pub(crate) const LOCK: &str = r#"
exec 9>"$WITNESS/lock.$MUSTER_RUN.$MUSTER_SHARD_ITEM"
flock --nonblock 9 || note overlap
"#;

/// What a witness may do last: say that it lives, again and again, and end when it is let go
/// ([`Witness::let_go`]). To be asked to end means nothing to it.
pub(crate) const LIVES: &str = r#"
trap '' TERM
until [ -e "$WITNESS/go" ]; do
    note alive
    sleep 0.2
done
note end
"#;

/// The same without a word, and it ends when it is asked to.
pub(crate) const WAITS: &str = r#"
until [ -e "$WITNESS/go" ]; do sleep 0.2; done
note end"#;

/// The present as witnesses tell it, in seconds since the host booted.
pub(crate) fn uptime() -> f64 {
    Duration::from_millis(clock::mono().as_millis()).as_secs_f64()
}

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

/// What one task of a shard did, as far as it wrote it down.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Life {
    /// The shard.
    pub(crate) item: u32,
    /// The attempt.
    pub(crate) attempt: u32,
    /// The epoch.
    pub(crate) epoch: u64,
    /// The task.
    pub(crate) task: String,
    /// When it began, in seconds since the host booted.
    pub(crate) began: f64,
    /// When it was last heard of.
    pub(crate) last: f64,
    /// Whether it came to its end.
    pub(crate) ended: bool,
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

    /// Lets all shards come to their end that wait for it, now and later.
    pub(crate) fn let_go(&self) {
        fs::write(self.0.join("go"), "").unwrap();
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
        texts.flat_map(|text| text.lines().filter_map(act).collect::<Vec<_>>()).collect()
    }

    /// How often shards of a job wrote a word.
    pub(crate) fn count(&self, job: &str, word: &str) -> usize {
        self.acts(job).iter().filter(|act| act.word == word).count()
    }

    /// What the tasks of a job did: shard by shard, in the order in which they began.
    pub(crate) fn lives(&self, job: &str) -> Vec<Life> {
        let mut lives: Vec<Life> = Vec::new();
        for act in self.acts(job) {
            let ended = act.word == "end";
            let known = lives.iter_mut().rev().take_while(|life| life.item == act.item);
            match known.into_iter().find(|life| life.task == act.task) {
                Some(life) => {
                    assert!(!life.ended, "more after the end of a task: {act:?}");
                    (life.last, life.ended) = (act.at, ended);
                }
                None => lives.push(Life {
                    item: act.item,
                    attempt: act.attempt,
                    epoch: act.epoch,
                    task: act.task,
                    began: act.at,
                    last: act.at,
                    ended,
                }),
            }
        }
        lives
    }

    /// Checks that no shard of a job was ever run by two tasks at one time, and that each of its
    /// tasks has a higher epoch than all before it.
    #[track_caller]
    pub(crate) fn nothing_ran_twice_at_one_time(&self, job: &str) {
        let acts = self.acts(job);
        let overlaps: Vec<_> = acts.iter().filter(|act| act.word == "overlap").collect();
        assert!(overlaps.is_empty(), "{overlaps:#?}");
        for two in self.lives(job).windows(2) {
            if two[0].item == two[1].item {
                assert!(two[0].last <= two[1].began, "both at one time: {two:#?}");
                assert!(two[0].epoch < two[1].epoch, "an epoch that does not grow: {two:#?}");
            }
        }
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

/// What a line says; `None` if it is not whole.
fn act(line: &str) -> Option<Act> {
    let line = line.strip_suffix(" .")?;
    let mut words = line.split_ascii_whitespace();
    let mut next = || words.next().unwrap_or_else(|| panic!("too few words in `{line}`"));
    Some(Act {
        word: next().to_owned(),
        item: next().parse().unwrap(),
        attempt: next().parse().unwrap(),
        epoch: next().parse().unwrap(),
        task: next().to_owned(),
        at: next().parse().unwrap(),
        more: words.collect::<Vec<_>>().join(" "),
    })
}

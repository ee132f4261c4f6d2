//! To which session and process group a process belongs.

use std::{fs, io};

/// The session and the process group of this process. Each is 0 where its leader is outside of the
/// namespace of process ids that we see, as in a container: so the kernel says in `/proc`, and callers
/// of `getsid(2)` that take an id for something positive are wrong there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Membership {
    pub session: i32,
    pub group: i32,
}

impl Membership {
    pub(crate) fn ours() -> io::Result<Self> {
        let stat = fs::read_to_string("/proc/self/stat")?;
        Self::of(&stat).ok_or_else(|| io::Error::other(format!("/proc/self/stat is odd: {stat}")))
    }

    /// What a line of `/proc/PID/stat` says (proc_pid_stat(5)). The second field is a name in brackets
    /// that may itself hold brackets and spaces.
    fn of(stat: &str) -> Option<Self> {
        let (_, rest) = stat.rsplit_once(") ")?;
        let mut fields = rest.split_ascii_whitespace().skip(2).map(str::parse);
        let mut next = || fields.next()?.ok();
        Some(Self { group: next()?, session: next()? })
    }
}

#[cfg(test)]
mod tests {
    use super::Membership;

    #[test]
    fn a_name_may_hold_anything() {
        let of = Membership::of("12 (a) S 1 (b) R 7 8 9 0 -1 4194304");
        assert_eq!(of, Some(Membership { session: 9, group: 8 }));
    }

    #[test]
    fn a_leader_that_cannot_be_seen_is_0() {
        let of = Membership::of("1 (sh) S 0 0 0 0 -1 4194304");
        assert_eq!(of, Some(Membership { session: 0, group: 0 }));
    }

    #[test]
    fn the_kernel_is_understood() {
        assert_eq!(Membership::ours().ok().map(|it| it.group >= 0), Some(true));
    }
}

//! What is done to the processes of one host.

use rustix::process::Signal;

use super::{Cluster, Process};

/// A kind of process on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The agent.
    Agent,
    /// Supervisors.
    Supervisor,
    /// Executors.
    Executor,
    /// What executors have started.
    Code,
}

impl Part {
    /// All that there is on a host.
    pub(crate) const ALL: [Self; 4] = [Self::Agent, Self::Supervisor, Self::Executor, Self::Code];
}

impl Cluster {
    /// The live processes of these kinds on a host.
    pub(crate) fn parts(&self, host: &str, parts: &[Part]) -> Vec<Process> {
        let work_dir = self.work_dir(host);
        let mut all = self.processes();
        all.retain(|process| process.mentions(&work_dir));
        let supervisors: Vec<_> = all
            .iter()
            .filter(|process| process.is_supervisor())
            .map(|process| process.pid)
            .collect();
        let kind = |process: &Process| match process.words.get(1).map(String::as_str) {
            Some("agent") => Part::Agent,
            Some("supervise") => Part::Supervisor,
            _ if supervisors.contains(&process.parent) && process.is_executor() => Part::Executor,
            _ => Part::Code,
        };
        all.retain(|process| parts.contains(&kind(process)));
        all
    }

    /// Stops processes on a host, until they are told to go on.
    pub(crate) fn freeze(&self, host: &str, parts: &[Part]) {
        let all = self.parts(host, parts);
        assert!(!all.is_empty(), "nothing to freeze on {host}: {parts:?}");
        all.iter().for_each(|process| process.signal(Signal::STOP));
    }

    /// Lets all processes on a host go on.
    pub(crate) fn thaw(&self, host: &str) {
        self.parts(host, &Part::ALL).iter().for_each(|process| process.signal(Signal::CONT));
    }
}

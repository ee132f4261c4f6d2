//! What the unfinished tasks of an executor come to, now that it is gone.
//!
//! Our own framework is told in our words. All others are told in those of the Mesos agent.

use muster_api::{limits, task::LABEL_FENCED};
use muster_proto::{Labels, Reason, TaskState};

use super::{
    Config,
    executors::{Cause, Executor},
    origin::Origin,
    statuses::Verdict,
};
use crate::{
    supervise::{Exit, Why},
    wire,
};

use {Reason as R, TaskState as S};

impl Executor {
    /// What its unfinished tasks come to.
    pub(super) fn verdict(&self, config: &Config, exit: &Exit) -> Verdict {
        match self.origin {
            Origin::Ours => self.verdict_of_ours(config, exit),
            Origin::Foreign | Origin::Command => self.verdict_of_others(config, exit),
        }
    }

    fn verdict_of_ours(&self, config: &Config, exit: &Exit) -> Verdict {
        match (&self.cause, exit.why) {
            (Some(Cause::LaunchFailed(why)), _) => {
                Verdict::new(S::Failed, R::ContainerLaunchFailed, why.clone())
            }
            (Some(Cause::Lapsed), _) => {
                let words = "the lease of its executor ended before it was started";
                Verdict::new(S::Dropped, R::AgentRestarted, words)
            }
            (_, Why::NeverStarted) => {
                let words = "its executor had not been started";
                Verdict::new(S::Dropped, R::AgentRestarted, words)
            }
            (_, Why::Unstartable) => {
                Verdict::new(S::Failed, R::ContainerLaunchFailed, exit.describe())
            }
            (_, Why::Deadline) => {
                let words = "the lease of its executor has ended";
                let labels = Some(Labels::of([(LABEL_FENCED, "true")]));
                Verdict { labels, ..Verdict::new(S::Gone, R::ExecutorTerminated, words) }
            }
            (Some(Cause::NotRegistered), _) => {
                let limit = config.executor_registration.as_secs();
                let words = format!("its executor did not subscribe within {limit} s");
                Verdict::new(S::Failed, R::ExecutorRegistrationTimeout, words)
            }
            (Some(Cause::NotReregistered), _) => {
                let limit = limits::EXECUTOR_REREGISTRATION.as_secs();
                let words = format!("its executor did not subscribe again within {limit} s");
                Verdict::new(S::Gone, R::ExecutorReregistrationTimeout, words)
            }
            (Some(Cause::Unresponsive), _) => {
                let words = "its executor did not end a killed task in time, and was ended";
                Verdict::new(S::Failed, R::ExecutorTerminated, words)
            }
            (Some(Cause::Shutdown | Cause::Unused | Cause::NotRecovered), _) => {
                Verdict::new(S::Failed, R::ExecutorTerminated, "its executor was shut down")
            }
            (None, Why::Exited | Why::Ended | Why::Lost) => {
                let words = format!("its executor {}", exit.describe());
                Verdict::new(S::Failed, R::ExecutorTerminated, words)
            }
        }
    }

    fn verdict_of_others(&self, config: &Config, exit: &Exit) -> Verdict {
        match (&self.cause, exit.why) {
            (Some(Cause::LaunchFailed(why)), _) => {
                let words = format!("Failed to launch container: {why}");
                Verdict::new(S::Failed, R::ContainerLaunchFailed, words)
            }
            (_, Why::Unstartable) => {
                let words = format!("Failed to launch container: {}", exit.describe());
                Verdict::new(S::Failed, R::ContainerLaunchFailed, words)
            }
            (Some(Cause::Lapsed), _) | (_, Why::NeverStarted) => {
                let words = "Executor was not started";
                Verdict::new(S::Dropped, R::AgentRestarted, words)
            }
            (Some(Cause::NotRegistered), _) => {
                let limit = wire::mesos_duration(config.executor_registration);
                let words = format!("Executor did not register within {limit}");
                Verdict::new(S::Failed, R::ExecutorRegistrationTimeout, words)
            }
            (Some(Cause::NotReregistered), _) => {
                let words = "Executor did not reregister in time";
                Verdict::new(S::Gone, R::ExecutorReregistrationTimeout, words)
            }
            (
                Some(Cause::Unresponsive | Cause::Shutdown | Cause::Unused | Cause::NotRecovered)
                | None,
                Why::Exited | Why::Ended | Why::Lost | Why::Deadline,
            ) => Verdict::new(S::Failed, R::ExecutorTerminated, "Executor terminated"),
        }
    }
}

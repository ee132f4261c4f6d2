//! Resident tasks: they stay, and their code is called when their schedule says so.

use muster_api::{Now, Timestamp, task::TaskReport};
use muster_proto::{TaskId, TaskState};

use super::{
    Effect, End, Executor, Mode, Step,
    resident::Resident,
    task::{Cause, Phase, Signal},
};

impl Executor {
    /// When [`super::Event::Wake`] is due by the wall clock. It may be set at any time, so whoever
    /// waits looks at it now and then.
    pub fn next_instant(&self) -> Option<Timestamp> {
        let first = self.instants.first().filter(|_| self.mode == Mode::Serving);
        first.map(|(at, _)| *at)
    }

    /// A resident task is taken in: it runs from now on, whatever its schedule says.
    pub(super) fn settle_in(&mut self, now: Now, id: &TaskId, resident: Resident, step: &mut Step) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        task.started_at = Some(now.wall);
        task.resident = Some(Box::new(resident));
        self.report(now, id, TaskState::Running, None, None);
        self.follow(now, id, step);
    }

    /// Follows the schedules by which something is due.
    pub(super) fn follow_due(&mut self, now: Now, step: &mut Step) {
        // Each once: one that has more to look at than fits into a step has its turn in the next.
        let due = self.instants.iter().take_while(|(at, _)| *at <= now.wall);
        let due: Vec<_> = due.map(|(_, id)| id.clone()).collect();
        for id in due {
            self.follow(now, &id, step);
        }
    }

    /// Follows the schedule of a task up to now: lets an execution begin if one is due.
    fn follow(&mut self, now: Now, id: &TaskId, step: &mut Step) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        let Some(resident) = &mut task.resident else { return };
        if let Some(before) = resident.due_at.take() {
            self.instants.remove(&(before, id.clone()));
        }
        // In a process or a task that is at its end nothing begins any more.
        if self.mode != Mode::Serving || !task.phase.stays() {
            return;
        }
        let executing = task.phase != Phase::Idle;
        let followed = resident.timetable.follow(now.wall, executing);
        if followed.skipped > 0 || followed.uncounted {
            self.reports.leave_out(now.mono, &resident.who, |counts| {
                counts.skipped += followed.skipped;
                counts.uncounted_ranges += u64::from(followed.uncounted);
            });
        }
        resident.due_at = resident.timetable.next_due();
        if let Some(next) = resident.due_at {
            self.instants.insert((next, id.clone()));
        }
        if let Some(due) = followed.begin {
            let payload = Box::new(resident.begin(now.wall, due));
            self.signal(now, id, Signal::Begin, None, step);
            step.effects.push(Effect::Start { task: id.clone(), payload });
        }
    }

    /// An execution is over: it is told of, and what has waited for it may begin.
    pub(super) fn execution_over(
        &mut self,
        now: Now,
        id: &TaskId,
        cause: Option<Cause>,
        end: End,
        step: &mut Step,
    ) {
        let Some(resident) = self.tasks.get_mut(id).and_then(|task| task.resident.as_mut()) else {
            return;
        };
        let Some(report) = resident.over(now.wall, cause, end) else { return };
        if resident.leaves_out(&report) {
            self.reports.leave_out(now.mono, &resident.who, |counts| counts.sampled += 1);
        } else {
            self.reports.tell(now.mono, &resident.who, report);
        }
        self.follow(now, id, step);
    }

    /// A resident task is over, with the execution that went on if there was one. Nothing is carried
    /// over to the task that takes its place.
    pub(super) fn leave(&mut self, now: Now, id: &TaskId) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        let Some(resident) = &mut task.resident else { return };
        if let Some(due_at) = resident.due_at.take() {
            self.instants.remove(&(due_at, id.clone()));
        }
        if let Some(waiting) = resident.timetable.give_up() {
            self.reports.leave_out(now.mono, &resident.who, |counts| {
                counts.skipped += waiting.count;
            });
        }
        let report = Some(TaskReport { started_at: task.started_at, ..TaskReport::default() });
        self.report(now, id, TaskState::Killed, None, report);
    }
}

//! What can happen to a master that is not the scheduler's own, and on the way to it.

use super::{Fault, Faults, break_wire, doom, outage};
use crate::{
    frozen::Who,
    happening::Happening,
    master_node::MasterNode,
    network::{BOTH, Between, LaunchTrouble},
    scheduler_node::AtCommit,
    stage::Stage,
};

impl Faults {
    pub(super) fn strike_master(
        &self,
        stage: &mut Stage,
        master: &mut MasterNode,
        fault: Fault,
    ) -> bool {
        match fault {
            Fault::MasterCommitLost => doom(master.is_up(), &mut master.doomed, AtCommit::Lost),
            Fault::MasterCommitKept => doom(master.is_up(), &mut master.doomed, AtCommit::Kept),
            Fault::MasterDiskSlow => self.slow_down(stage, &mut master.disk),
            Fault::MasterFrozen => {
                let until = self.until(stage);
                master.is_up() && stage.freeze(Who::Master, until)
            }
            Fault::MasterCutOff => self.cut_off_master(stage, master),
            Fault::FrameworkRemoved => master.remove_framework(stage),
            Fault::MasterForgets => {
                let killed = kill_master(stage, master);
                if killed {
                    master.forget_frameworks(stage);
                }
                killed
            }
            _ => kill_master(stage, master),
        }
    }

    pub(super) fn strike_calls(&self, stage: &mut Stage, fault: Fault) -> bool {
        match fault {
            Fault::CallsStalled => self.stall(stage, is_call),
            Fault::LaunchLost => doom(true, &mut stage.network.launch_trouble, LaunchTrouble::Lost),
            Fault::LaunchUnanswered => {
                doom(true, &mut stage.network.launch_trouble, LaunchTrouble::Unanswered)
            }
            _ => break_wire(stage, is_call),
        }
    }

    /// What scheduler and master send each other is lost, or waits until that is over.
    fn cut_off_master(&self, stage: &mut Stage, master: &mut MasterNode) -> bool {
        let until = self.until(stage);
        master.cut_off_until = until;
        let is_lost = stage.percent(50);
        for (wire, between) in stage.network.working() {
            if !is_call(&between) {
                continue;
            }
            for side in BOTH {
                if is_lost {
                    stage.freeze_wire(wire, side);
                } else {
                    stage.stall_wire(wire, side, until);
                }
            }
        }
        true
    }
}

fn kill_master(stage: &mut Stage, master: &mut MasterNode) -> bool {
    if !master.is_up() {
        return false;
    }
    master.crash(stage);
    let delay = outage(stage);
    stage.after(delay, Happening::MasterStarts);
    true
}

fn is_call(between: &Between) -> bool {
    matches!(between, Between::FrameworkAndMaster(_))
}

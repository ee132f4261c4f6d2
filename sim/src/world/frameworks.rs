//! What happens between frameworks and their master, where that is not within one process.

use super::World;
use crate::{
    happening::Happening,
    master_node::MasterNode,
    network::{LaunchTrouble, Packet, WireId},
};

impl World {
    pub(super) fn happen_between(&mut self, happening: Happening) {
        let Self { stage, scheduler, master, .. } = self;
        match (happening, master) {
            (Happening::StreamBeats { process, stream }, Some(master)) => {
                master.beat(stage, process, stream);
            }
            (Happening::StreamBeats { process, stream }, None) => {
                scheduler.beat(stage, process, stream);
            }
            (Happening::GuestActs, _) => self.guest_acts(),
            (Happening::GuestDials { attempt }, _) => self.guest_dials(attempt),
            (other, _) => self.happen_upstream(other),
        }
    }

    /// What happens between the scheduler and a master that is not its own, and to that one.
    fn happen_upstream(&mut self, happening: Happening) {
        let Self { stage, scheduler, master: Some(master), .. } = self else { return };
        match happening {
            Happening::SchedulerDials { process, attempt, errand } => {
                let reachable = master.cut_off_until <= stage.time();
                let way = (master.listens(), reachable);
                if let Some(wire) = scheduler.dial_master(stage, (process, attempt, errand), way) {
                    master.accept_framework(wire);
                }
            }
            Happening::SchedulerHears { process, event } => {
                scheduler.link_hears(stage, process, *event);
            }
            Happening::MasterStarts => master.start(stage),
            Happening::MasterCommits { process } => master.committed(stage, process),
            Happening::MasterWakes => master.wake(stage),
            other => unreachable!("{other:?} is of no master"),
        }
    }

    fn guest_acts(&mut self) {
        let Self { stage, guest: Some(guest), .. } = self else { return };
        guest.act(stage);
        let delay = stage.between(100, 5_000);
        stage.after(delay, Happening::GuestActs);
    }

    fn guest_dials(&mut self, attempt: u64) {
        let Self { stage, scheduler, master, guest: Some(guest), .. } = self else { return };
        let listens = master.as_ref().map_or_else(|| scheduler.listens(), MasterNode::listens);
        let Some(wire) = guest.dialled(stage, attempt, listens) else { return };
        match master {
            Some(master) => master.accept_framework(wire),
            None => scheduler.accept_framework(wire),
        }
    }

    /// A packet of a framework comes out of a wire at its master. The connection may break around it.
    pub(super) fn hear_framework(&mut self, wire: WireId, packet: Packet) {
        let Self { stage, scheduler, master, .. } = self;
        let is_launch = matches!(&packet, Packet::Call { call, .. } if call.accept.is_some());
        let trouble = stage.network.launch_trouble.take_if(|_| is_launch);
        if let Some(trouble) = trouble {
            stage.log(format_args!("a connection breaks around this: {trouble:?}"));
            stage.break_wire(wire);
        }
        match (trouble, master) {
            (Some(LaunchTrouble::Lost), _) => {}
            (_, Some(master)) => master.hear_framework(stage, wire, packet),
            (_, None) => scheduler.hear_framework(stage, wire, packet),
        }
    }
}

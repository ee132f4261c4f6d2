//! When jobs fire.
//!
//! A [`Schedule`] is made of a [`ScheduleSpec`](crate::spec::ScheduleSpec) and answers which
//! instants it has. Cron goes through four layers: an expression in one of two dialects
//! (`expression`) becomes a rule about local times (`rule`), which a zone maps to instants
//! (`zoned_cron`, `zone`).

mod compiled;
mod crontab;
mod days;
mod expression;
mod fields;
mod invalid;
mod jitter;
mod quartz;
mod remark;
mod rule;
mod small_set;
mod years;
mod zone;
mod zoned_cron;

pub use compiled::{PERIOD_MIN, Schedule};
pub use expression::{Dialect, InvalidCron};
pub use invalid::InvalidSchedule;
pub use jitter::jitter_offset;
pub use remark::{MissingTimes, Remark};
pub use zone::{UnknownZone, zone_data_version};

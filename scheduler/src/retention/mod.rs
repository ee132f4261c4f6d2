//! How long history is kept: a pass now and then finds what is too old or too much, and hands its
//! keys to the driver, which forgets them in commits of their own or beside others.
//!
//! A pass keeps no state of its own and begins with what is oldest, so one that was cut short is
//! simply followed by another. What refers to something forgotten finds nothing there, which is
//! no error anywhere.

mod keeper;
mod policy;
mod sweep;

pub(crate) use keeper::Keeper;
pub use policy::HistoryLimits;

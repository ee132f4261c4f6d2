//! Scripts for the pure core: what it is told, and exactly what it does then.
#![allow(clippy::unwrap_used, reason = "this is test code")]
#![allow(unreachable_pub, reason = "each file of this test uses its part of the world")]

mod calls;
mod checkpoints;
mod commands;
mod crowded;
mod early;
mod ends;
mod gone;
mod guest;
mod hello;
mod journal;
mod kills;
mod launches;
mod leases;
mod link;
mod lives;
mod messages;
mod origins;
mod restart;
mod statuses;
mod strays;
mod undelivered;
mod words;
mod world;

//! Fires and misfires (SEMANTICS 4): an engine with one job and one host, compared after every step
//! with a model that reckons naively, instant by instant; and what is bounded.

#![allow(clippy::unwrap_used, reason = "an engine that cannot be asked is a failed test")]

mod bounds;
mod model;
mod random;
mod world;

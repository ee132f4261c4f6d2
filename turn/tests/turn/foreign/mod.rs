//! Our scheduler on a master that is not in its process: what it tells that one, when, and what it
//! makes of what comes back. The master is a script.

mod doubt;
mod hosts;
mod launches;
mod moving;
mod subscribing;
mod world;

//! The client of the REST API.

mod address;
mod call;
mod error;
mod pointer;
mod sse;
#[cfg(test)]
mod tests;

pub(crate) use address::Address;
pub(crate) use call::{Answer, Call, Client};
pub(crate) use error::ClientError;
pub(crate) use pointer::Pointer;
pub(crate) use sse::ServerEvents;

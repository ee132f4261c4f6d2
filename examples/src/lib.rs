//! The code behind the example jobs, apart from their programs so that tests can call it.

pub mod digest;

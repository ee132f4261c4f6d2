//! libFuzzer on [`muster_fuzz::agent_protocol`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| muster_fuzz::agent_protocol::check(data));

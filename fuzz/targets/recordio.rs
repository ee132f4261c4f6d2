//! libFuzzer on [`muster_fuzz::recordio`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| muster_fuzz::recordio::check(data));

//! libFuzzer on [`muster_fuzz::json`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| muster_fuzz::json::check(data));

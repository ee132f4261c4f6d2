//! libFuzzer on [`muster_fuzz::supervisor_socket`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| muster_fuzz::supervisor_socket::check(data));

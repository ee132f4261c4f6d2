//! libFuzzer on [`muster_fuzz::protobuf`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| muster_fuzz::protobuf::check(data));

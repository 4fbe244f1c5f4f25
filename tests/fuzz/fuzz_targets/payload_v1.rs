#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| waku_fuzz::payload_v1::run(data));

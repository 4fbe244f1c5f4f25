#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| waku_fuzz::letters::run(data));

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tfbert::fuzzing::sweep_json(data));

//! The target `record`; its body is `fuzz::record` in the crate that it tests.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flockwork::fuzz::record(bytes));

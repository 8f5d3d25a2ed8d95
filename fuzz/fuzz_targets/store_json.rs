//! The target `store_json`; its body is `fuzz::store_json` in the crate that it tests.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flockwork::fuzz::store_json(bytes));

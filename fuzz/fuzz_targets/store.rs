//! The target `store`; its body is `fuzz::store` in the crate that it tests.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flockwork::fuzz::store(bytes));

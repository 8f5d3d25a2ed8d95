//! The target `name`; its body is `fuzz::name` in the crate that it tests.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flockwork::fuzz::name(bytes));

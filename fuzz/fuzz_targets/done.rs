//! The target `done`; its body is `fuzz::done` in the crate that it tests.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flockwork::fuzz::done(bytes));

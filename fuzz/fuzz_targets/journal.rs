//! The target `journal`; its body is `fuzz::journal` in the crate that it tests.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flockwork::fuzz::journal(bytes));

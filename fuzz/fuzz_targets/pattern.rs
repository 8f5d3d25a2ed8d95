//! The target `pattern`; its body is `fuzz::pattern` in the crate that it tests.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flockwork_cli::fuzz::pattern(bytes));

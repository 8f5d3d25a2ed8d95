//! The target `rows`; its body is `fuzz::rows` in the crate that it tests.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flockwork_cli::fuzz::rows(bytes));

//! The target `params`; its body is `fuzz::params` in the crate that it tests.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flockwork_cli::fuzz::params(bytes));

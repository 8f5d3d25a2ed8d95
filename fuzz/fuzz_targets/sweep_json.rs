//! The target `sweep_json`; its body is `fuzz::sweep_json` in the crate that it tests.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flockwork_cli::fuzz::sweep_json(bytes));

//! The target `node_range`; its body is `fuzz::node_range` in the crate that it tests.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flockwork_cli::fuzz::node_range(bytes));

//! The command `flockwork`.

fn main() {}

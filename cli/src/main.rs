//! The command `flockwork`: sweeps of any program, and looking after stores.

mod exec;
mod sweep;
mod task;

use std::process::ExitCode;

fn main() -> ExitCode {
    flockwork::app::tools()
}

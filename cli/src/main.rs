//! The command `flockwork`: looks after stores, whatever their tasks are.

use std::process::ExitCode;

fn main() -> ExitCode {
    flockwork::app::tools()
}

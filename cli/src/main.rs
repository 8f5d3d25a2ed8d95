//! The command `flockwork`; all of it is in the library of this package.

use std::process::ExitCode;

fn main() -> ExitCode {
    flockwork_cli::main()
}

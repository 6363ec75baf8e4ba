//! `hearth`: what a person types.

use std::process::ExitCode;

fn main() -> ExitCode {
    hearth_coordinator::cli::main()
}

//! The `hearth-keeper` program: see the library of the same name.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
usage: hearth-keeper WORKER_DIR
       hearth-keeper --version

Starts the worker described by WORKER_DIR/launch, stays as its parent and writes WORKER_DIR/exit.json when it has
ended. hearth-agent starts one keeper for each worker; there is no reason to run it by hand.
";

/// Exit status for a command line that makes no sense.
const MISUSED: u8 = 64;
/// Exit status of a keeper that could not even begin (the directory is not a worker's, or was used before).
const REFUSED: u8 = 1;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [flag] if flag == "--version" || flag == "-V" => {
            say(&mut std::io::stdout(), concat!("hearth-keeper ", env!("CARGO_PKG_VERSION"), "\n"));
            ExitCode::SUCCESS
        }
        [flag] if flag == "--help" || flag == "-h" => {
            say(&mut std::io::stdout(), USAGE);
            ExitCode::SUCCESS
        }
        [flag, worker_dir] if flag == "--child" => hearth_keeper::child::run(Path::new(worker_dir)),
        [worker_dir] if !worker_dir.to_string_lossy().starts_with('-') => {
            match hearth_keeper::supervise::run(Path::new(worker_dir)) {
                Ok(()) => ExitCode::SUCCESS,
                Err(failure) => {
                    say(&mut std::io::stderr(), &format!("hearth-keeper: {failure}\n"));
                    ExitCode::from(REFUSED)
                }
            }
        }
        _ => {
            say(&mut std::io::stderr(), USAGE);
            ExitCode::from(MISUSED)
        }
    }
}

/// Writes to a standard stream; a stream nobody reads any more is no reason to fail.
fn say(stream: &mut dyn Write, text: &str) {
    let _ = stream.write_all(text.as_bytes());
}

//! Stands in for the `muster` program in this crate's tests: `supervise --dir DIR`.

use std::{path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    match arguments.as_slice() {
        [command, flag, dir]
            if command.as_os_str() == "supervise" && flag.as_os_str() == "--dir" =>
        {
            muster_agent::supervise::main(dir)
        }
        _ => ExitCode::FAILURE,
    }
}

//! Stands in for the `muster` program in this crate's tests: `supervise --dir DIR`, and
//! `command-executor`, which only says in its sandbox that it was started, and how.

use std::{
    fs,
    path::PathBuf,
    process::{self, ExitCode},
};

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    match arguments.as_slice() {
        [command, flag, dir]
            if command.as_os_str() == "supervise" && flag.as_os_str() == "--dir" =>
        {
            muster_agent::supervise::main(dir)
        }
        [command] if command.as_os_str() == "command-executor" => wait_to_be_ended(),
        _ => ExitCode::FAILURE,
    }
}

fn wait_to_be_ended() -> ExitCode {
    let lines = std::env::vars().map(|(name, value)| format!("{name}={value}\n"));
    let written = fs::write("pid", format!("{}\n", process::id()))
        .and_then(|()| fs::write("env.new", lines.collect::<String>()))
        .and_then(|()| fs::rename("env.new", "env"));
    if written.is_err() {
        return ExitCode::FAILURE;
    }
    loop {
        std::thread::park();
    }
}

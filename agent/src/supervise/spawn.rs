//! Starts the process of an executor.
#![allow(
    unsafe_code,
    reason = "a session of its own and a parent-death signal can only be had between fork and \
              exec, and the standard library calls that unsafe"
)]

use std::{
    fs::File,
    io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
};

use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal, setsid};

use super::{Program, Spec};

/// Starts what `spec` says in `sandbox`, as the leader of a session of its own, its output going
/// to files there. It is killed when the calling thread ends, so that must be the main thread.
pub(super) fn executor(spec: &Spec, sandbox: &Path) -> io::Result<Child> {
    let mut command = match &spec.program {
        Program::Shell(line) => {
            let mut command = Command::new("/bin/sh");
            command.arg("-c").arg(line);
            command
        }
        Program::Exec { path, arguments } => {
            let mut command = Command::new(path);
            if let Some((name, rest)) = arguments.split_first() {
                command.arg0(name).args(rest);
            }
            command
        }
    };
    let output = |name| File::options().create(true).append(true).open(sandbox.join(name));
    command
        .env_clear()
        .envs(&spec.env)
        .current_dir(sandbox)
        .stdin(Stdio::null())
        .stdout(output("stdout")?)
        .stderr(output("stderr")?);
    let supervisor = getpid();
    let before_exec = move || {
        setsid()?;
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // The supervisor may have died before the signal was asked for.
        if getppid() != Some(supervisor) {
            return Err(io::Error::other("the supervisor has died"));
        }
        Ok(())
    };
    // SAFETY: the closure makes three system calls and allocates nothing on its way to success,
    // so it is sound in the child of a fork.
    unsafe { command.pre_exec(before_exec) };
    command.spawn()
}

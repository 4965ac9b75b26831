//! How every program of the runtime is run: as its account, with a clean environment, never outliving us.

use std::{
    ffi::OsStr,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
};

pub(crate) use rustix::process::Signal;

use crate::account::Account;

/// Lines of a program's output that an error quotes: the complaint and its hint.
const QUOTED_LINES: usize = 6;

/// A command for `program` that works in `dir` as `account`.
///
/// The environment is empty but for a home and a plain locale, because `PG*` and `LC_*` variables change what
/// PostgreSQL does. It gets a process group of its own: Ctrl-C in the terminal must not stop the server before we
/// have drained. When we die, even by SIGKILL, it gets `at_our_death`.
pub(crate) fn command(program: impl AsRef<OsStr>, account: &Account, dir: &Path, at_our_death: Signal) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("HOME", dir).env("LC_ALL", "C").current_dir(dir).stdin(Stdio::null()).process_group(0);
    account.apply(&mut command);
    die_with_us(&mut command, at_our_death);
    command
}

/// Linux sends the signal when the *thread* that spawned the child ends (prctl(2), `PR_SET_PDEATHSIG`), so whoever
/// spawns must wait on that same thread. Changing the user id clears it, so it is set last, after `Account::apply`.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "`pre_exec` has no safe form")]
fn die_with_us(command: &mut Command, signal: Signal) {
    let we = rustix::process::getpid();
    let set = move || {
        rustix::process::set_parent_process_death_signal(Some(signal))?;
        // We may have died between fork and here; then nobody would send the signal.
        if rustix::process::getppid() != Some(we) {
            return Err(rustix::io::Errno::SRCH.into());
        }
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe functions may run; these are two bare system calls,
    // without allocation or locks.
    unsafe { command.pre_exec(set) };
}

/// Elsewhere an orphan lives until the next start stops it or PostgreSQL refuses to share its directory.
#[cfg(not(target_os = "linux"))]
fn die_with_us(_: &mut Command, _: Signal) {}

/// The end of `output` as one line for an error message.
pub(crate) fn last_lines(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut last: Vec<&str> = lines.rev().take(QUOTED_LINES).collect();
    last.reverse();
    if last.is_empty() {
        return "(nothing)".to_owned();
    }
    last.join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_quotes_the_last_lines_of_the_output_in_order() {
        for (output, expected) in [
            ("", "(nothing)"),
            (" \n\n", "(nothing)"),
            ("one\n\n  two\n", "one | two"),
            ("1\n2\n3\n4\n5\n6\n7\n", "2 | 3 | 4 | 5 | 6 | 7"),
        ] {
            assert_eq!(last_lines(output.as_bytes()), expected);
        }
    }
}

//! Output of the commands: what is not written is not passed over.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::fstat;
use rustix::io::{Errno, fcntl_getfd};

/// What was to be printed did not come through.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: {0}")]
pub struct Lost(#[from] io::Error);

impl Lost {
    /// How a command ends that lost its output: as one that SIGPIPE ended where the reader has gone (`| head`), which
    /// is no fault and not told; otherwise as one that failed.
    pub fn exit(&self) -> ExitCode {
        const SIGPIPE_ENDED: u8 = 128 + 13;
        if self.0.kind() == io::ErrorKind::BrokenPipe {
            return SIGPIPE_ENDED.into();
        }
        complain(&format_args!("error: {self}"));
        ExitCode::FAILURE
    }
}

/// Writes to standard output.
///
/// # Errors
/// [`Lost`] where not all of it could be written.
pub fn print(what: &impl fmt::Display) -> Result<(), Lost> {
    check_open()?;
    let mut out = io::stdout().lock();
    write!(out, "{what}").and_then(|()| out.flush()).map_err(Lost)
}

/// Whether standard output was there when the process began (`>&-` closes it).
///
/// # Errors
/// [`Lost`] where it was not.
pub fn check_open() -> Result<(), Lost> {
    if WAS_CLOSED.load(Ordering::Relaxed) { Err(Lost(Errno::BADF.into())) } else { Ok(()) }
}

static WAS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Looked at before `main`: there, the language's runtime has already put `/dev/null` in the place of what is closed, and
/// all that is written would be lost unnoticed.
#[cfg(any(target_os = "linux", target_os = "macos"))]
#[expect(
    unsafe_code,
    reason = "what runs before `main` is named by its section; the descriptor is borrowed for one call"
)]
mod before_main {
    use super::*;

    #[used]
    #[cfg_attr(target_os = "linux", unsafe(link_section = ".init_array"))]
    #[cfg_attr(target_os = "macos", unsafe(link_section = "__DATA,__mod_init_func"))]
    static LOOK: extern "C" fn() = look;

    extern "C" fn look() {
        // SAFETY: the descriptor is asked for its flags alone, and whether it is open is the question.
        let out = unsafe { rustix::fd::BorrowedFd::borrow_raw(1) };
        WAS_CLOSED.store(fcntl_getfd(out).is_err(), Ordering::Relaxed);
    }
}

/// Whether standard output and standard error are one stream, as on a terminal: who reads it has read what was said on
/// the other.
pub fn goes_where_errors_go() -> bool {
    let both = (fstat(io::stdout()), fstat(io::stderr()));
    matches!(both, (Ok(out), Ok(err)) if (out.st_dev, out.st_ino, out.st_rdev) == (err.st_dev, err.st_ino, err.st_rdev))
}

/// Writes a line to standard error. Where that fails, there is nowhere left to say so.
pub fn complain(line: &impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

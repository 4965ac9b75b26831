//! Output of the commands: what is not written is not passed over.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

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
    let mut out = io::stdout().lock();
    write!(out, "{what}").and_then(|()| out.flush()).map_err(Lost)
}

/// Writes a line to standard error. Where that fails, there is nowhere left to say so.
pub fn complain(line: &impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

//! A place that lines are written to, and what was lost on the way.

use std::io::{self, Write};

use metrics::counter;

/// Standard error or a file.
pub(super) struct Sink {
    name: &'static str,
    to: Box<dyn Write + Send>,
    /// Lines that could not be written since the last one that could.
    lost: u64,
}

/// A change that the other sinks report.
pub(super) enum SinkChange {
    /// From here on its lines are lost.
    Broken(&'static str, io::Error),
    /// It takes lines again, after so many lost ones.
    Mended(&'static str, u64),
}

impl Sink {
    /// Nothing was lost yet.
    pub fn new(name: &'static str, to: impl Write + Send + 'static) -> Self {
        Self { name, to: Box::new(to), lost: 0 }
    }

    /// Writes a whole line, or loses it: a full disk must not stop the service.
    pub fn write(&mut self, line: &str) -> Option<SinkChange> {
        match self.to.write_all(line.as_bytes()) {
            Ok(()) if self.lost == 0 => None,
            Ok(()) => Some(SinkChange::Mended(self.name, std::mem::take(&mut self.lost))),
            Err(cause) => {
                self.lost += 1;
                counter!("vectorforge_log_lines_lost_total", "place" => self.name).increment(1);
                (self.lost == 1).then_some(SinkChange::Broken(self.name, cause))
            }
        }
    }
}

impl SinkChange {
    /// Logs it; the place that it is about loses this line too, and says nothing of that.
    pub fn log(&self) {
        match self {
            Self::Broken(place, cause) => {
                tracing::error!(place, %cause, "a log cannot be written: its lines are lost until it can");
            }
            Self::Mended(place, lost) => tracing::warn!(place, lost, "a log can be written again"),
        }
    }
}

//! Logs: one line per event to standard error and, if wanted, to a rotating file.
//!
//! Lines are written where they are logged, without a queue: whatever ends the process, no line is lost. A line that cannot
//! be written is dropped, because a full disk must not stop the service; the other place, and a metric, tell.

mod fields;
mod layer;
mod line;
mod rotate;
mod sink;

use std::io::{self, Write};
use std::path::PathBuf;

use chrono::Utc;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_log::{AsLog, LogTracer};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;

use layer::LineLayer;
use rotate::RotatingFile;
use settings::{LogLevel, LogSettings};
use sink::Sink;

/// Libraries that tell their inner life at info and debug. A name covers all that begin with it, such as `tower_http`.
const NOISY: [&str; 5] = ["sqlx", "hyper", "h2", "tower", "sea_orm"];

/// Where sqlx logs statements. Whether it does is `database.statement_log`; that choice must not be muted here.
const STATEMENTS: &str = "sqlx::query";

/// Why logging could not begin.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The log file or its directory cannot be made or written.
    #[error("cannot open the log file {path}, as log.file has it", path = path.display())]
    File {
        /// As `log.file` gives it.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// `log.filter` is no filter; settings that were loaded are checked for this.
    #[error("cannot understand the filter of log.filter")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Something in this process logs already.
    #[error("logging was begun twice")]
    Begun,
}

/// Begins logging for the whole process, also for libraries that use the `log` crate.
///
/// # Errors
/// Where the log file cannot be opened, or logging was begun before.
pub fn init(settings: &LogSettings) -> Result<(), LogError> {
    let subscriber = subscriber(settings, io::stderr())?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::Begun)?;
    // Records that the filter drops anyway are stopped before they are made.
    let max_level = LevelFilter::current().as_log();
    LogTracer::builder().with_max_level(max_level).init().map_err(|_| LogError::Begun)
}

fn subscriber<W: Write + Send + 'static>(
    settings: &LogSettings,
    console: W,
) -> Result<impl Subscriber + Send + Sync + use<W>, LogError> {
    let mut sinks = vec![Sink::new("standard error", console)];
    if let Some(path) = &settings.file {
        let file = RotatingFile::open(path, settings.file_max_bytes, settings.file_backups)
            .map_err(|source| LogError::File { path: path.clone(), source })?;
        sinks.push(Sink::new("log.file", file));
    }
    #[expect(clippy::disallowed_methods, reason = "the log begins before there is an application")]
    let lines = LineLayer::new(settings.format, sinks, Utc::now);
    Ok(tracing_subscriber::registry().with(filter(settings)?).with(lines))
}

fn filter(settings: &LogSettings) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    let directives = match &settings.filter {
        Some(filter) => filter.clone(),
        None => directives(settings.level),
    };
    EnvFilter::builder().parse(directives)
}

/// The level for us, and warnings only from noisy libraries.
fn directives(level: LogLevel) -> String {
    if level == LogLevel::Error {
        return level.to_string();
    }
    let muted: String = NOISY.map(|name| format!(",{name}=warn")).concat();
    format!("{level}{muted},{STATEMENTS}={level}")
}

#[cfg(test)]
mod tests;

//! Progress for who watches: a bar on a terminal, else plain lines for a log.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::summary::Summary;
use crate::output::complain;

/// Least time between two plain lines: a log of an hour stays readable.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How often the bar's clock moves on while nothing happens.
const TICK: Duration = Duration::from_millis(200);

const TEMPLATE: &str = "{elapsed:>4} [{bar:20}] {pos}/{len} documents, {msg}";

/// Where progress goes; standard error, so that standard output holds the summary alone.
pub(super) enum Progress {
    /// A line that is drawn over.
    Bar(ProgressBar),
    /// Lines, the last one written at this time of the ingest.
    Lines(Duration),
}

impl Progress {
    /// As standard error asks for.
    pub fn on_stderr() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines(Duration::ZERO);
        }
        let style = ProgressStyle::with_template(TEMPLATE).expect("the template is a constant that parses");
        Self::Bar(ProgressBar::new(0).with_style(style.progress_chars("=> ")))
    }

    /// Shows how much there is to do.
    pub fn begin(&mut self, summary: &Summary) {
        if let Self::Bar(bar) = self {
            bar.set_length(summary.found as u64);
            bar.set_message(chunks(summary));
            bar.enable_steady_tick(TICK);
        }
    }

    /// Shows how far it is. Plain lines come at milestones, and between them when it is time.
    pub fn show(&mut self, summary: &Summary, is_milestone: bool) {
        match self {
            Self::Bar(bar) => {
                bar.set_position(done(summary) as u64);
                bar.set_message(chunks(summary));
            }
            Self::Lines(last) if is_milestone || summary.elapsed >= *last + LINE_EVERY => {
                *last = summary.elapsed;
                complain(&format_args!("{}/{} documents, {}", done(summary), summary.found, chunks(summary)));
            }
            Self::Lines(_) => {}
        }
    }

    /// Writes a line that stays.
    pub fn say(&self, line: &str) {
        match self {
            Self::Bar(bar) => bar.suspend(|| complain(&line)),
            Self::Lines(_) => complain(&line),
        }
    }

    /// Takes the bar away: the summary follows.
    pub fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn done(summary: &Summary) -> usize {
    summary.indexed() + summary.failed()
}

fn chunks(summary: &Summary) -> String {
    let (embedded, total) = (summary.chunks_embedded(), summary.chunks_total());
    format!("{embedded}/{total} chunks embedded, {:.0}/s", summary.rate())
}

//! Adding up what the other parts tell, and showing it.

use std::time::Instant;

use tokio::sync::mpsc;

use super::event::{IngestEvent, RunEvent, is_end};
use super::progress::Progress;
use super::summary::Summary;
use crate::terminal::plain;

/// Counts and shows events until all who send any have ended.
pub(super) async fn report(
    mut events: mpsc::Receiver<IngestEvent>,
    summary: &mut Summary,
    mut progress: Progress,
    started: Instant,
) {
    progress.begin(summary);
    summary.failures.iter().for_each(|failure| progress.say(&format!("failed: {failure}")));
    while let Some(event) = events.recv().await {
        summary.elapsed = started.elapsed();
        let is_milestone = matches!(&event, IngestEvent::Event { event, .. } if is_end(&event.run.state));
        if let Some(line) = count(event, summary) {
            progress.say(&line);
        }
        progress.show(summary, is_milestone);
    }
    summary.elapsed = started.elapsed();
    progress.end();
}

/// Counts one event; gives the line it is worth.
fn count(event: IngestEvent, summary: &mut Summary) -> Option<String> {
    match event {
        IngestEvent::Note(line) => Some(line),
        IngestEvent::Failed(failure) => {
            let line = format!("failed: {failure}");
            summary.add_failure(failure);
            Some(line)
        }
        IngestEvent::Pruned => {
            summary.pruned += 1;
            None
        }
        IngestEvent::PruningEnded => {
            summary.is_pruned = Some(true);
            None
        }
        IngestEvent::Submitted(batch) => {
            summary.add_batch(batch);
            None
        }
        IngestEvent::Event { run, event } => {
            let retry = retry_line(&event);
            let failed = summary.add_event(run, event).map(|failure| format!("failed: {failure}"));
            failed.or(retry)
        }
    }
}

fn retry_line(event: &RunEvent) -> Option<String> {
    let document = event.document.as_ref().filter(|_| event.kind == "DOCUMENT_RETRYING")?;
    let what = document.source_uri.as_ref().unwrap_or(&document.id);
    let why = document.error.as_ref().map(|error| format!(": {}", plain(&error.message))).unwrap_or_default();
    Some(format!("will be tried again: {}{why}", plain(what)))
}

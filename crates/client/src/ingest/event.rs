//! What the parts of an ingest send each other: events of the runs, in the server's words.

use serde::Deserialize;

use super::summary::FailedDocument;

/// Something to count or to show.
#[derive(Debug)]
pub(super) enum IngestEvent {
    /// A document that will not be indexed, known before any run.
    Failed(FailedDocument),
    /// A batch was taken in.
    Submitted(Submitted),
    /// Something happened in a run.
    Event {
        /// Id of the run.
        run: String,
        /// What.
        event: RunEvent,
    },
    /// A document was deleted, because its file has gone.
    Pruned,
    /// All that have gone are deleted.
    PruningEnded,
    /// A line for who watches.
    Note(String),
}

/// Answer to `ingestDocuments`.
#[derive(Debug, Deserialize)]
pub(super) struct Submitted {
    pub run: Run,
    pub documents: Vec<Outcome>,
}

impl Submitted {
    /// Whether everything was there already: then the run ends as it begins.
    pub fn brings_nothing_new(&self) -> bool {
        self.documents.iter().all(|document| document.outcome == "UNCHANGED")
    }
}

/// The run a batch started.
#[derive(Debug, Deserialize)]
pub(super) struct Run {
    pub id: String,
    pub state: String,
}

/// What became of one document of a batch.
#[derive(Debug, Deserialize)]
pub(super) struct Outcome {
    pub outcome: String,
}

/// One event of `ingestProgress`.
#[derive(Debug, Deserialize)]
pub(super) struct RunEvent {
    pub cursor: String,
    pub kind: String,
    pub document: Option<EventDocument>,
    pub run: RunCounts,
}

/// The document an event is about.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventDocument {
    pub id: String,
    pub source_uri: Option<String>,
    pub error: Option<DocumentError>,
}

/// Why a document failed, or failed this time.
#[derive(Debug, Deserialize)]
pub(super) struct DocumentError {
    pub code: String,
    pub message: String,
}

/// State and counts of a run.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunCounts {
    pub state: String,
    pub documents_total: usize,
    pub documents_done: usize,
    pub documents_failed: usize,
    pub chunks_total: usize,
    pub chunks_embedded: usize,
}

/// Whether a run in this state will change no more. Asked by what goes on, so that a way to end that this client has
/// not heard of is an end too.
pub(super) fn is_end(state: &str) -> bool {
    !matches!(state, "PENDING" | "RUNNING")
}

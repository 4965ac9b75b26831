//! What a search gives: hits, and the truth about how they were found.

use std::time::Duration;

use metrics::histogram;

use crate::store::entity::embedding_space::Metric;
use crate::store::entity::{chunk, document};

/// The answer.
#[derive(Debug, Clone)]
pub struct SearchAnswer {
    /// Nearest first.
    pub hits: Vec<Hit>,
    /// How they were found.
    pub info: Info,
}

/// One chunk that was found.
#[derive(Debug, Clone)]
pub struct Hit {
    /// Place among the hits, from 1.
    pub rank: u32,
    /// Higher is nearer; see [`score`].
    pub score: f64,
    /// The chunk.
    pub chunk: chunk::Model,
    /// Its document, where that was asked for and is still there.
    pub document: Option<document::Model>,
}

/// How hits were found.
#[derive(Debug, Clone)]
pub struct Info {
    /// Which index ran.
    pub index: IndexUsed,
    /// Hits asked for.
    pub requested: u32,
    /// Why fewer came.
    pub shortfall: Option<Shortfall>,
    /// Tokens after which the model stopped reading the query; `None` where it read it whole.
    pub query_cut_at: Option<u32>,
    /// The whole search.
    pub took: Duration,
    /// Its parts in order.
    pub stages: Vec<Stage>,
}

impl Info {
    /// Whether every candidate was compared: no nearer chunk exists.
    pub fn is_exact(&self) -> bool {
        self.index == IndexUsed::Exact
    }
}

/// What produced the hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexUsed {
    /// A scan over all candidates.
    Exact,
    /// The HNSW index.
    Hnsw,
}

/// Why fewer hits came than were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortfall {
    /// No more chunks match.
    NoMoreMatches,
    /// Some were deleted or replaced between being found and being read.
    ChangedMeanwhile,
}

impl Shortfall {
    /// Of a search that found and then read so many chunks.
    pub(super) fn of(requested: u32, found: usize, read: usize) -> Option<Self> {
        let requested = requested as usize;
        let why = if found < requested { Self::NoMoreMatches } else { Self::ChangedMeanwhile };
        (read < requested).then_some(why)
    }
}

/// One part of a search.
#[derive(Debug, Clone, Copy)]
pub struct Stage {
    /// `embed`, `dense` or `fetch`.
    pub name: &'static str,
    /// How long it took.
    pub took: Duration,
}

/// The parts so far.
#[derive(Default)]
pub(super) struct Stages(pub Vec<Stage>);

impl Stages {
    pub(super) fn note(&mut self, name: &'static str, took: Duration) {
        histogram!("vectorforge_search_stage_duration_seconds", "stage" => name).record(took.as_secs_f64());
        self.0.push(Stage { name, took });
    }
}

/// The score of a distance: cosine similarity (-1 to 1), the inner product, or for `L2` `1 / (1 + distance)` (0 to 1).
pub fn score(metric: Metric, distance: f64) -> f64 {
    match metric {
        Metric::Cosine => 1.0 - distance,
        Metric::InnerProduct => -distance,
        Metric::L2 => 1.0 / (1.0 + distance),
    }
}

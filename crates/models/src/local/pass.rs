//! Texts of several calls that are computed together, and the answers to each.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use tokio::sync::mpsc::UnboundedSender;

use super::encode::{Embedding, Encode};
use super::error::{EmbedError, panic_message};
use super::meter::Meter;

/// A part of a call's texts, embedded.
pub(super) struct Answer {
    /// Where in the call the part begins.
    pub place: usize,
    /// One embedding per text of the part, in order.
    pub outcome: Result<Vec<Embedding>, EmbedError>,
}

/// What goes through the encoder at once.
#[derive(Default)]
pub(super) struct Pass {
    texts: Vec<String>,
    parts: Vec<Part>,
}

/// One call's share of a pass.
struct Part {
    texts: Range<usize>,
    place: usize,
    reply: UnboundedSender<Answer>,
}

impl Pass {
    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Adds texts of a call, which begin at that place of it.
    pub(super) fn add(&mut self, texts: impl Iterator<Item = String>, place: usize, reply: UnboundedSender<Answer>) {
        let begin = self.texts.len();
        self.texts.extend(texts);
        self.parts.push(Part { texts: begin..self.texts.len(), place, reply });
    }

    /// Computes it and answers every call. After a panic nobody knows whose text it was: then each call's part is computed
    /// alone, so that only those at fault get the error.
    pub(super) fn run(self, encoder: &dyn Encode, meter: &Meter) {
        let began = Instant::now();
        let outcomes = match attempt(encoder, &self.texts) {
            Ok(embeddings) => {
                let mut rest = embeddings.into_iter();
                self.parts.iter().map(|part| Ok(rest.by_ref().take(part.texts.len()).collect())).collect()
            }
            Err(error) if self.parts.len() == 1 => vec![Err(error)],
            Err(_) => self.parts.iter().map(|part| attempt(encoder, &self.texts[part.texts.clone()])).collect(),
        };
        meter.pass(began, outcomes.iter().flatten().flatten().map(|embedding| embedding.tokens).sum());
        for (part, outcome) in self.parts.into_iter().zip(outcomes) {
            // The caller may have left meanwhile.
            let _ = part.reply.send(Answer { place: part.place, outcome });
        }
    }
}

fn attempt(encoder: &dyn Encode, texts: &[String]) -> Result<Vec<Embedding>, EmbedError> {
    // An encoder never changes: nothing half-done can be seen after a panic in it.
    let outcome = catch_unwind(AssertUnwindSafe(|| encoder.encode(texts)));
    outcome.map_err(|panic| EmbedError::Panicked(panic_message(panic.as_ref())))
}

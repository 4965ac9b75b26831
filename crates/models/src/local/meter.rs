//! What a lane tells Prometheus about itself.

use std::time::{Duration, Instant};

use metrics::{Gauge, Histogram, gauge, histogram};

/// The figures of one lane.
pub(super) struct Meter {
    waiting: Gauge,
    wait: Histogram,
    pass_duration: Histogram,
    pass_tokens: Histogram,
}

impl Meter {
    /// For the lane of that name of a model; nothing waits in it yet.
    pub(super) fn new(model: &str, lane: &'static str) -> Self {
        let labels = [("model", model.to_owned()), ("lane", lane.to_owned())];
        let waiting = gauge!("vectorforge_embedding_waiting_texts", &labels);
        waiting.set(0.0);
        Self {
            waiting,
            wait: histogram!("vectorforge_embedding_wait_seconds", &labels),
            pass_duration: histogram!("vectorforge_embedding_pass_duration_seconds", &labels),
            pass_tokens: histogram!("vectorforge_embedding_pass_tokens", &labels),
        }
    }

    /// So many texts wait now.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub(super) fn waiting(&self, texts: usize) {
        self.waiting.set(texts as f64);
    }

    /// A call has waited so long for its first pass.
    pub(super) fn waited(&self, time: Duration) {
        self.wait.record(time);
    }

    /// A pass of so many tokens was computed.
    pub(super) fn pass(&self, began: Instant, tokens: u32) {
        self.pass_duration.record(began.elapsed());
        self.pass_tokens.record(f64::from(tokens));
    }
}

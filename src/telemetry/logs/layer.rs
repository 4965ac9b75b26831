//! Turns events into lines and hands each whole line to every sink.

use std::sync::Mutex;

use chrono::{DateTime, Utc};
use settings::LogFormat;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_log::NormalizeEvent;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::{LookupSpan, Scope};

use super::fields::Fields;
use super::line::Line;
use super::sink::{Sink, SinkChange};
use crate::lock::lock;

/// A `tracing` layer that writes one line per event, with the fields of the spans that it happened in.
pub(super) struct LineLayer {
    format: LogFormat,
    sinks: Mutex<Vec<Sink>>,
    now: fn() -> DateTime<Utc>,
}

impl LineLayer {
    /// Writes to each of `sinks`, with the time that `now` tells.
    pub fn new(format: LogFormat, sinks: Vec<Sink>, now: fn() -> DateTime<Utc>) -> Self {
        Self { format, sinks: Mutex::new(sinks), now }
    }

    fn write(&self, line: &str) {
        // A sink that panicked once is still there for the next line.
        let mut sinks = lock(&self.sinks);
        let changes: Vec<SinkChange> = sinks.iter_mut().filter_map(|sink| sink.write(line)).collect();
        // Changes are logged as lines themselves.
        drop(sinks);
        changes.iter().for_each(SinkChange::log);
    }
}

impl<S> Layer<S> for LineLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().replace(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        // Collected before the span is locked: a value's `Debug` may itself log.
        let mut recorded = Fields::default();
        values.record(&mut recorded);
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            fields.extend(&recorded);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut own = Fields::default();
        event.record(&mut own);
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(Scope::from_root) {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.extend(outer);
            }
        }
        fields.extend(&own);
        fields.message = own.message;

        // Events that came through the `log` crate carry their real place in fields.
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
        let function = context.event_span(event).map(|span| span.name());
        let line = Line { timestamp: (self.now)(), metadata, function, fields: &fields };
        self.write(&line.render(self.format));
    }
}

//! The fields of events and spans, as they are collected from `tracing`.

use std::error::Error;
use std::fmt;

use serde_json::Value;
use tracing::field::{Field, Visit};

use crate::causes::chain;

/// The field in which `tracing` carries the sentence of an event.
const MESSAGE: &str = "message";

/// Fields of the `log` crate's bridge that repeat the event's place.
const BRIDGE_PREFIX: &str = "log.";

/// Names and values in the order in which they came; a name that comes again takes the new value.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    /// The sentence of an event; empty for a span.
    pub message: String,
    /// Everything else.
    pub named: Vec<(&'static str, Value)>,
}

impl Fields {
    /// Sets one field.
    pub fn set(&mut self, name: &'static str, value: Value) {
        match self.named.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.named.push((name, value)),
        }
    }

    /// Takes over the fields of a span or event further in, which win.
    pub fn extend(&mut self, inner: &Self) {
        for (name, value) in &inner.named {
            self.set(name, value.clone());
        }
    }

    fn record(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            (MESSAGE, Value::String(message)) => self.message = message,
            (MESSAGE, value) => self.message = value.to_string(),
            (name, _) if name.starts_with(BRIDGE_PREFIX) => {}
            // `r#type = …` is how Rust has to write a field named `type`.
            (name, value) => self.set(name.trim_start_matches("r#"), value),
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.record(field, Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.record(field, Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.record(field, Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.record(field, Value::from(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record(field, Value::from(value));
    }

    /// With its causes, as the type's own text names only the outermost.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.record(field, Value::from(chain(value)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record(field, Value::from(format!("{value:?}")));
    }
}

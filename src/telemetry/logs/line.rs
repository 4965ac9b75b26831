//! One event as one line.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;
use settings::LogFormat;
use tracing::Metadata;

use super::fields::Fields;

/// Keys that every JSON line has. A field of such a name is written with `field.` before it.
const FIXED_KEYS: [&str; 7] = ["timestamp", "level", "logger", "message", "module", "function", "line"];

/// What a line is made of.
pub(super) struct Line<'a> {
    pub timestamp: DateTime<Utc>,
    pub metadata: &'a Metadata<'a>,
    /// Name of the innermost span: with `#[instrument]` that is the function.
    pub function: Option<&'static str>,
    pub fields: &'a Fields,
}

impl Line<'_> {
    /// The line with its line feed, and no other line break in it.
    pub fn render(&self, format: LogFormat) -> String {
        let mut line = match format {
            LogFormat::Text => self.text(),
            LogFormat::Json => self.json().unwrap_or_else(|_| self.text()),
        };
        line.push('\n');
        line
    }

    fn time(&self) -> String {
        self.timestamp.to_rfc3339_opts(SecondsFormat::Micros, true)
    }

    fn text(&self) -> String {
        let Self { metadata, fields, .. } = self;
        let mut line = format!("{} {:>5} {}: ", self.time(), metadata.level(), metadata.target());
        push_escaped(&mut line, &fields.message);
        for (name, value) in &fields.named {
            line.push(' ');
            push_escaped(&mut line, name);
            line.push('=');
            push_value(&mut line, value);
        }
        line
    }

    /// The fixed keys first, in a constant order, then the fields as they came.
    fn json(&self) -> serde_json::Result<String> {
        let Self { metadata, fields, .. } = self;
        let mut bytes = Vec::with_capacity(256);
        let mut serializer = serde_json::Serializer::new(&mut bytes);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("timestamp", &self.time())?;
        map.serialize_entry("level", metadata.level().as_str())?;
        map.serialize_entry("logger", metadata.target())?;
        map.serialize_entry("message", &fields.message)?;
        map.serialize_entry("module", &metadata.module_path())?;
        map.serialize_entry("function", &self.function)?;
        map.serialize_entry("line", &metadata.line())?;
        for (name, value) in &fields.named {
            if FIXED_KEYS.contains(name) {
                map.serialize_entry(&format!("field.{name}"), value)?;
            } else {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Bare where it is one plain word, otherwise in quotes, so that no value can pass for a further field.
fn push_value(line: &mut String, value: &Value) {
    let Value::String(text) = value else {
        return push_escaped(line, &value.to_string());
    };
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '"' | '=' | '\\');
    if !text.is_empty() && text.chars().all(is_plain) {
        return line.push_str(text);
    }
    line.push('"');
    push_escaped(line, &text.replace('\\', "\\\\").replace('"', "\\\""));
    line.push('"');
}

/// Text without line breaks and terminal commands: what a client sends must not forge a line or move a cursor.
fn push_escaped(line: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\u{2028}' | '\u{2029}' => line.extend(c.escape_default()),
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
}

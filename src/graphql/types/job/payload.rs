//! `JobPayload`

use async_graphql::SimpleObject;
use serde_json::{Value as Json, json};

use crate::store::entity::job::Model;

/// What a job was enqueued with.
#[derive(SimpleObject)]
pub struct JobPayload {
    /// Version of its shape.
    version: i32,
    /// Size of the whole as JSON.
    size_bytes: usize,
    /// Whether the summary leaves something out.
    is_shortened: bool,
    /// The payload as JSON. One over 4 KiB (a setting) is shortened: texts to 100 characters and `…`, lists to 10
    /// items, and where that does not do, an object to the names of its fields, up to 50.
    summary: Json,
}

/// Longest text in a shortened payload, in characters.
const TEXT_LIMIT: usize = 100;
/// Longest list in a shortened payload.
const LIST_LIMIT: usize = 10;
/// Most names of fields.
const NAMES_LIMIT: usize = 50;

impl JobPayload {
    /// The payload of a job, as JSON of about `limit` bytes.
    pub fn of(job: &Model, limit: usize) -> Self {
        let size_bytes = job.payload.to_string().len();
        let is_shortened = size_bytes > limit;
        let summary = if is_shortened { summary(&job.payload, limit) } else { job.payload.clone() };
        Self { version: job.payload_version, size_bytes, is_shortened, summary }
    }
}

fn summary(payload: &Json, limit: usize) -> Json {
    let short = shortened(payload);
    if short.to_string().len() <= limit {
        return short;
    }
    match payload {
        Json::Object(fields) => {
            json!({ "fields": fields.keys().take(NAMES_LIMIT).map(|name| text(name)).collect::<Vec<_>>() })
        }
        _ => Json::Null,
    }
}

fn shortened(value: &Json) -> Json {
    match value {
        Json::String(long) => text(long).into(),
        Json::Array(items) => items.iter().take(LIST_LIMIT).map(shortened).collect(),
        Json::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), shortened(value))).collect(),
        other => other.clone(),
    }
}

fn text(long: &str) -> String {
    match long.char_indices().nth(TEXT_LIMIT) {
        Some((end, _)) => format!("{}…", &long[..end]),
        None => long.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_payload_is_shortened_and_one_that_stays_long_is_told_by_its_fields() {
        let long = json!({ "urls": (0..30).collect::<Vec<_>>(), "text": "é".repeat(300), "deep": { "a": "b" } });
        let expected = json!({ "urls": (0..10).collect::<Vec<_>>(), "text": format!("{}…", "é".repeat(100)), "deep": { "a": "b" } });
        assert_eq!(summary(&long, 1_000), expected);
        assert_eq!(summary(&long, 100), json!({ "fields": ["deep", "text", "urls"] }));
        assert_eq!(summary(&json!(["x".repeat(500)]), 50), Json::Null);
    }
}

//! A GraphQL answer, the same over HTTP and WebSocket: data or errors.

use std::fmt;

use serde::Deserialize;
use serde_json::Value as Json;

use super::terminal::plain;

/// What the server answers to an operation.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    data: Json,
    #[serde(default)]
    errors: Vec<ApiError>,
}

impl Answer {
    /// The data, or the refusal where there is any error.
    pub fn into_data(self) -> Result<Json, ApiErrors> {
        if self.errors.is_empty() { Ok(self.data) } else { Err(ApiErrors { errors: self.errors }) }
    }
}

/// One error of an answer; its texts are safe to print.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "RawError")]
pub struct ApiError {
    /// One sentence.
    pub message: String,
    /// Stable code, as `BAD_USER_INPUT`.
    pub code: Option<String>,
    /// The input field it is about, as `input.documents.3.title`.
    pub field: Option<String>,
}

#[derive(Deserialize)]
struct RawError {
    message: String,
    #[serde(default)]
    extensions: Option<Extensions>,
}

#[derive(Default, Deserialize)]
struct Extensions {
    code: Option<String>,
    field: Option<String>,
}

impl From<RawError> for ApiError {
    fn from(raw: RawError) -> Self {
        let Extensions { code, field } = raw.extensions.unwrap_or_default();
        let plain_text = |text: String| plain(&text);
        Self { message: plain(&raw.message), code: code.map(plain_text), field: field.map(plain_text) }
    }
}

impl ApiError {
    /// Which document of `ingestDocuments` it is about, from 0.
    pub(super) fn document(&self) -> Option<usize> {
        self.field.as_deref()?.strip_prefix("input.documents.")?.split('.').next()?.parse().ok()
    }

    /// The message without the field it begins with: the place in a batch means nothing to who named files.
    pub(super) fn message_without_field(&self) -> &str {
        let prefix = self.field.as_deref().and_then(|field| self.message.strip_prefix(field));
        prefix.and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&self.message)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{} ({code})", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// All errors of a refused operation; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiErrors {
    /// In the server's order.
    pub errors: Vec<ApiError>,
}

impl ApiErrors {
    /// Whether the server can do nothing now, and certainly changed nothing: it may be able to in a moment, or when
    /// somebody has made room on its disk.
    pub(super) fn is_passing(&self) -> bool {
        self.has_code("UNAVAILABLE") || self.has_code("STORAGE_FULL")
    }

    /// Whether one of the errors has this code.
    pub(super) fn has_code(&self, code: &str) -> bool {
        self.errors.iter().any(|error| error.code.as_deref() == Some(code))
    }
}

impl From<ApiError> for ApiErrors {
    fn from(error: ApiError) -> Self {
        Self { errors: vec![error] }
    }
}

impl fmt::Display for ApiErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn error(field: &str) -> ApiError {
        ApiError { message: format!("{field}: got none"), code: None, field: Some(field.to_owned()) }
    }

    #[test]
    fn the_document_an_error_is_about_is_read_from_its_field() {
        for (field, expected) in [
            ("input.documents.3.source.text", Some(3)),
            ("input.documents.12", Some(12)),
            ("input.documents", None),
            ("input.documents.-1.title", None),
            ("input.collectionId", None),
        ] {
            assert_eq!(error(field).document(), expected, "{field}");
        }
    }

    #[test]
    fn a_message_is_told_without_the_field_it_begins_with() {
        assert_eq!(error("input.documents.3.title").message_without_field(), "got none");
    }

    #[test]
    fn an_error_without_extensions_is_an_error_too() {
        let answer: Answer =
            serde_json::from_value(json!({ "data": null, "errors": [{ "message": "no\u{1b}[2J" }] })).unwrap();
        assert_eq!(answer.into_data().unwrap_err().to_string(), "no[2J");
    }
}

//! How texts become tokens, by `sentence_bert_config.json` and `tokenizer_config.json`.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::SPECIAL_TOKENS;
use super::files::{Mismatch, mismatch_in, read_optional_json};
use crate::error::LoadError;

/// What `sentence_bert_config.json` and `tokenizer_config.json` say about texts, whatever the shape of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// Longest text in tokens, special tokens and prompt included.
    pub max_tokens: usize,
    /// Whether capitals become small letters, whatever the tokenizer does.
    pub lower_case: bool,
    /// Whether the tokenizer makes them small letters, where that is said outside of its own file.
    pub tokenizer_lower_case: Option<bool>,
}

#[derive(Deserialize, Default)]
struct SentenceFile {
    max_seq_length: Option<usize>,
    do_lower_case: Option<bool>,
    #[serde(flatten)]
    rest: Value,
}

#[derive(Deserialize, Default)]
struct TokenizerConfigFile {
    /// Where a model sets no limit, a number of thirty digits stands here.
    model_max_length: Option<f64>,
    do_lower_case: Option<bool>,
}

impl Sentence {
    /// Reads both files, each of which may be missing. No text gets longer than the model has `positions`, which is also
    /// the longest where no file says.
    ///
    /// # Errors
    /// When a file is malformed, or asks for tokens or vectors that nobody here makes.
    pub fn read(dir: &Path, positions: usize) -> Result<Self, LoadError> {
        let file = dir.join("sentence_bert_config.json");
        let sentence: SentenceFile = read_optional_json(&file)?.unwrap_or_default();
        let of_model = sentence.check(positions).map_err(mismatch_in(&file))?;
        let file = dir.join("tokenizer_config.json");
        let tokenizer: TokenizerConfigFile = read_optional_json(&file)?.unwrap_or_default();
        let of_tokenizer = tokenizer.check(positions).map_err(mismatch_in(&file))?;
        Ok(Self {
            max_tokens: of_model.or(of_tokenizer).unwrap_or(positions),
            lower_case: sentence.do_lower_case.unwrap_or(false),
            tokenizer_lower_case: tokenizer.do_lower_case,
        })
    }
}

/// A length within the positions.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between two whole numbers of that type")]
fn shorter(name: &str, length: f64, positions: usize) -> Result<usize, Mismatch> {
    if length <= SPECIAL_TOKENS as f64 {
        return Err((format!("{name} {length}"), format!("more than {SPECIAL_TOKENS}")));
    }
    Ok(if length < positions as f64 { length as usize } else { positions })
}

impl TokenizerConfigFile {
    /// The longest text, where the file says one.
    fn check(&self, positions: usize) -> Result<Option<usize>, Mismatch> {
        self.model_max_length.map(|length| shorter("model_max_length", length, positions)).transpose()
    }
}

impl SentenceFile {
    /// The longest text, where the file says one. Refuses what newer versions of the library can be told to do for other
    /// tokens or other vectors.
    fn check(&self, positions: usize) -> Result<Option<usize>, Mismatch> {
        for (place, understood) in [
            ("/transformer_task", Value::from("feature-extraction")),
            ("/module_output_name", Value::from("token_embeddings")),
            ("/modality_config/text/method", Value::from("forward")),
            ("/modality_config/text/method_output_name", Value::from("last_hidden_state")),
            ("/query_length", Value::Null),
            ("/document_length", Value::Null),
            ("/query_expansion", Value::Null),
            ("/processing_kwargs", Value::Null),
        ] {
            let found = self.rest.pointer(place).filter(|found| !found.is_null() && **found != understood);
            if let Some(found) = found {
                let name = place.trim_start_matches('/').replace('/', ".");
                return Err((format!("{name} {found}"), understood.to_string()));
            }
        }
        self.max_seq_length.map(|length| shorter("max_seq_length", length as f64, positions)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TinyModel;

    fn read(sentence: Option<&str>, tokenizer: Option<&str>) -> Result<Sentence, LoadError> {
        let model = TinyModel::new();
        for (file, json) in [("sentence_bert_config.json", sentence), ("tokenizer_config.json", tokenizer)] {
            if let Some(json) = json {
                model.write(file, json);
            }
        }
        Sentence::read(model.dir(), 16)
    }

    #[test]
    fn the_longest_text_comes_from_the_model_else_from_its_tokenizer_and_fits_the_positions() {
        for (sentence, tokenizer, expected) in [
            (None, None, 16),
            (Some("{}"), None, 16),
            (Some(r#"{"max_seq_length":12}"#), Some(r#"{"model_max_length":9}"#), 12),
            (Some(r#"{"max_seq_length":512}"#), None, 16),
            (Some(r#"{"max_seq_length":null}"#), Some(r#"{"model_max_length":9}"#), 9),
            (None, Some(r#"{"model_max_length":9}"#), 9),
            (None, Some(r#"{"model_max_length":512}"#), 16),
            (None, Some(r#"{"model_max_length":1000000000000000019884624838656}"#), 16),
            (None, Some(r#"{"model_max_length":1e30}"#), 16),
            (None, Some(r#"{"model_max_length":null}"#), 16),
        ] {
            let found = read(sentence, tokenizer).expect("the files are understood");
            assert_eq!(found.max_tokens, expected, "{sentence:?} {tokenizer:?}");
        }
    }

    #[test]
    fn what_newer_versions_of_the_library_write_is_understood() {
        let json = r#"{"transformer_task":"feature-extraction","module_output_name":"token_embeddings",
            "modality_config":{"text":{"method":"forward","method_output_name":"last_hidden_state"}},
            "query_length":null,"do_lower_case":true}"#;
        let found = read(Some(json), None).expect("the file is understood");
        assert_eq!(found, Sentence { max_tokens: 16, lower_case: true, tokenizer_lower_case: None });
        let found = read(None, Some(r#"{"do_lower_case":true}"#)).expect("the file is understood");
        assert_eq!(found, Sentence { max_tokens: 16, lower_case: false, tokenizer_lower_case: Some(true) });
    }

    #[test]
    fn what_would_make_other_vectors_is_refused_by_its_name() {
        for (sentence, tokenizer, told) in [
            (
                r#"{"max_seq_length":2}"#,
                "{}",
                "sentence_bert_config.json: found max_seq_length 2, expected more than 2",
            ),
            (r#"{"max_seq_length":-1}"#, "{}", "sentence_bert_config.json: found JSON that does not fit"),
            (
                "{}",
                r#"{"model_max_length":-1}"#,
                "tokenizer_config.json: found model_max_length -1, expected more than 2",
            ),
            ("{}", "[", "tokenizer_config.json: found JSON that does not fit"),
            (
                r#"{"transformer_task":"fill-mask"}"#,
                "{}",
                r#"found transformer_task "fill-mask", expected "feature-extraction""#,
            ),
            (r#"{"module_output_name":"sentence_embedding"}"#, "{}", "found module_output_name"),
            (
                r#"{"modality_config":{"text":{"method_output_name":"pooler_output"}}}"#,
                "{}",
                r#"found modality_config.text.method_output_name "pooler_output", expected "last_hidden_state""#,
            ),
            (r#"{"modality_config":{"text":{"method":"get_text"}}}"#, "{}", "found modality_config.text.method "),
            (r#"{"query_length":32}"#, "{}", "found query_length 32, expected null"),
            (r#"{"document_length":32}"#, "{}", "found document_length 32, expected null"),
            (r#"{"query_expansion":{"length":32}}"#, "{}", r#"found query_expansion {"length":32}, expected null"#),
            (r#"{"processing_kwargs":{"text":{"max_length":8}}}"#, "{}", "found processing_kwargs {"),
        ] {
            let sentence = read(Some(sentence), Some(tokenizer)).expect_err("it is not understood").to_string();
            assert!(sentence.contains(told), "{sentence}");
        }
    }
}

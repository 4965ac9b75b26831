//! Text to token ids, and token positions for whoever cuts texts.

use std::fs;
use std::path::Path;

use tokenizers::Tokenizer as WordPiece;

use super::config::{ModelConfig, SPECIAL_TOKENS};
use super::error::LoadError;

/// The ids of one text as the model takes them: special tokens included, never more than the model's `max_tokens`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    ids: Vec<u32>,
    truncated: bool,
}

impl Tokens {
    /// Token ids, the special tokens at both ends included.
    #[must_use]
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Whether the text was longer than the model sees, so that its end was left out.
    #[must_use]
    pub fn truncated(&self) -> bool {
        self.truncated
    }
}

/// The model's tokenizer. Share it by reference: a clone copies the whole vocabulary.
#[derive(Debug)]
pub struct Tokenizer {
    inner: WordPiece,
    max_tokens: usize,
}

impl Tokenizer {
    /// Reads `tokenizer.json` of a model directory, about half a megabyte, without touching the weights.
    ///
    /// # Errors
    /// When a file is missing or malformed, or the tokenizer is not of the model that `config.json` describes.
    pub fn load(dir: &Path) -> Result<Self, LoadError> {
        Self::for_model(dir, &ModelConfig::read(dir)?)
    }

    pub(super) fn for_model(dir: &Path, config: &ModelConfig) -> Result<Self, LoadError> {
        let file = dir.join("tokenizer.json");
        let text = fs::read(&file).map_err(LoadError::unreadable(&file))?;
        let mut inner = WordPiece::from_bytes(text).map_err(|cause| {
            LoadError::unexpected(
                &file,
                format!("a malformed tokenizer ({cause})"),
                "a tokenizer of the tokenizers library",
            )
        })?;
        // The file asks for every text to be cut and padded to 128 tokens. We never pad, and cut where the model does.
        inner.with_padding(None);
        inner
            .with_truncation(None)
            .map_err(|cause| LoadError::unexpected(&file, cause.to_string(), "no truncation"))?;

        let tokenizer = Self { inner, max_tokens: config.max_tokens };
        tokenizer.check(config).map_err(|(found, expected)| LoadError::unexpected(&file, found, expected))?;
        Ok(tokenizer)
    }

    /// Number of tokens of a text, however long, without the special tokens.
    #[must_use]
    pub fn count(&self, text: &str) -> usize {
        self.ids(text, false).len()
    }

    /// Byte range of every token of a text, however long, without the special tokens. Ranges lie on character
    /// boundaries and come in the order of the text; several tokens of one character share its range.
    #[must_use]
    pub fn offsets(&self, text: &str) -> Vec<(usize, usize)> {
        self.inner.encode(text, false).map(|encoding| encoding.get_offsets().to_vec()).unwrap_or_default()
    }

    /// The ids of a text for the model, cut to its longest text.
    #[must_use]
    pub fn encode(&self, text: &str) -> Tokens {
        let mut ids = self.ids(text, true);
        let truncated = ids.len() > self.max_tokens;
        if truncated {
            let end = ids.pop();
            ids.truncate(self.max_tokens - 1);
            ids.extend(end);
        }
        Tokens { ids, truncated }
    }

    fn ids(&self, text: &str, with_special_tokens: bool) -> Vec<u32> {
        let encoding = self.inner.encode_fast(text, with_special_tokens);
        encoding.map(|encoding| encoding.get_ids().to_vec()).unwrap_or_default()
    }

    fn check(&self, config: &ModelConfig) -> Result<(), (String, String)> {
        let largest_id = self.inner.get_vocab(true).into_values().max().unwrap_or(0);
        if largest_id as usize >= config.vocab_size {
            return Err((
                format!("token id {largest_id}"),
                format!("ids below the model's vocab_size {}", config.vocab_size),
            ));
        }
        let around = self.ids("", true).len();
        if around != SPECIAL_TOKENS {
            return Err((format!("{around} special tokens around a text"), format!("{SPECIAL_TOKENS}")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::embed::local::testing::{MODEL, TinyModel};

    #[test]
    fn the_file_s_own_padding_and_truncation_are_not_applied() {
        let model = TinyModel::new();
        let tokenizer = Tokenizer::load(model.dir()).expect("the tiny tokenizer is whole");
        assert_eq!(tokenizer.encode("a"), Tokens { ids: vec![2, 4, 3], truncated: false });
        assert_eq!(tokenizer.encode("a b c a b").ids(), [2, 4, 5, 6, 4, 5, 3]);
        assert_eq!(tokenizer.count(&"words ".repeat(1000)), 2000);
    }

    #[test]
    fn a_text_too_long_is_cut_before_its_closing_token() {
        let model = TinyModel::new();
        let tokenizer = Tokenizer::load(model.dir()).expect("the tiny tokenizer is whole");
        let longest = tokenizer.encode(&"a ".repeat(14));
        let longer = tokenizer.encode(&"a ".repeat(15));
        assert!(!longest.truncated() && longer.truncated());
        assert_eq!(longest.ids(), longer.ids());
        assert_eq!(longer.ids().last(), Some(&3));
    }

    #[test]
    fn offsets_are_byte_ranges_of_the_tokens_in_the_text() {
        let text = "Café 東京, naïve";
        let parts: Vec<&str> =
            MODEL.tokenizer().offsets(text).into_iter().map(|(start, end)| &text[start..end]).collect();
        assert_eq!(parts, ["Café", "東", "京", ",", "naïve"]);
    }

    #[test]
    fn a_tokenizer_that_does_not_fit_the_model_is_told() {
        for (from, to, told) in [
            (
                "\"word\":7",
                "\"word\":11",
                "tokenizer.json: found token id 11, expected ids below the model's vocab_size 11",
            ),
            (
                r#"{"Sequence":{"id":"A","type_id":0}},{"SpecialToken""#,
                r#"{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"[SEP]","type_id":0}},{"SpecialToken""#,
                "found 3 special tokens around a text, expected 2",
            ),
            ("WordPiece", "WordPieces", "tokenizer.json: found a malformed tokenizer ("),
            ("{", "", "tokenizer.json: found a malformed tokenizer ("),
        ] {
            let model = TinyModel::new();
            model.edit("tokenizer.json", |text| text.replacen(from, to, 1));
            let sentence = Tokenizer::load(model.dir()).expect_err("the tokenizer is wrong").to_string();
            assert!(sentence.contains(told), "{from}: {sentence}");
        }
    }

    proptest! {
        #[test]
        fn offsets_of_any_text_lie_on_character_boundaries_in_order(text in "\\PC{0,60}|[가-힣 ]{0,20}|[\\x00-\\u{ff}]{0,40}") {
            let offsets = MODEL.tokenizer().offsets(&text);
            prop_assert_eq!(offsets.len(), MODEL.tokenizer().count(&text));
            for &(start, end) in &offsets {
                prop_assert!(text.get(start..end).is_some(), "{}..{} of {:?}", start, end, text);
            }
            prop_assert!(offsets.is_sorted_by_key(|(start, _)| *start), "{:?} of {:?}", offsets, text);
        }
    }
}

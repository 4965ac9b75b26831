//! Text to token ids, and token positions for whoever cuts texts: WordPiece, as BERT models use it.
//!
//! A text goes through three steps: every character is normalized, the normalized text falls into words, and each word
//! is put together from the pieces of the vocabulary. Ids and positions are those of the `tokenizers` library, the
//! models' own, but for these differences (`reference.rs` compares the two):
//!
//! - The name of a special token in a text, such as `[SEP]`, is text. The library takes it for the token itself, so
//!   that whoever writes a document could close it in the middle.
//! - 21 precomposed characters that are younger than Unicode 9 are decomposed as all others are; the library leaves
//!   them whole. They belong to scripts that our models have no pieces for: the word is unknown either way.
//! - Marks keep their order in the text; the library sorts them first. It can be seen only where a mark that does not
//!   go with the accents, such as the tone marks of old Korean, stands next to another one. Such a mark makes a word
//!   unknown, and all that changes is which of the two marks the unknown word is said to end at.

mod characters;
mod file;
mod normalize;
#[cfg(test)]
mod reference;
mod vocabulary;
mod words;

use std::ops::ControlFlow;
use std::path::Path;

use self::file::TokenizerFile;
use self::normalize::Normalizer;
use self::vocabulary::Vocabulary;
use self::words::WordSplitter;
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

/// The model's tokenizer. Share it by reference: it holds the whole vocabulary.
#[derive(Debug)]
pub struct Tokenizer {
    splitter: WordSplitter,
    vocabulary: Vocabulary,
    opening: u32,
    closing: u32,
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

    pub(crate) fn for_model(dir: &Path, config: &ModelConfig) -> Result<Self, LoadError> {
        let file = dir.join("tokenizer.json");
        let TokenizerFile { normalizer, lowercase_first, vocabulary, opening, closing, largest_id } =
            TokenizerFile::read(&file)?;
        if largest_id as usize >= config.vocab_size {
            let expected = format!("ids below the model's vocab_size {}", config.vocab_size);
            return Err(LoadError::unexpected(&file, format!("token id {largest_id}"), expected));
        }
        // The transformers library would take the other file's word for it, or not, depending on its version.
        if let Some(expected) = config.tokenizer_lower_case.filter(|expected| *expected != normalizer.lowercase) {
            let expected = format!("{expected}, as do_lower_case of tokenizer_config.json");
            return Err(LoadError::unexpected(&file, format!("lowercase {}", normalizer.lowercase), expected));
        }
        // Small letters of small letters are the same, so it does not matter who asks for them, nor how often.
        let lowercase = normalizer.lowercase || lowercase_first || config.lower_case;
        let normalizer = Normalizer { lowercase, ..normalizer };
        let splitter = WordSplitter::new(normalizer, vocabulary.max_word_chars());
        Ok(Self { splitter, vocabulary, opening, closing, max_tokens: config.max_tokens })
    }

    /// Number of tokens of a text, however long, without the special tokens.
    #[must_use]
    pub fn count(&self, text: &str) -> usize {
        let mut count = 0;
        self.tokenize(text, |_, _| {
            count += 1;
            ControlFlow::Continue(())
        });
        count
    }

    /// Byte range of every token of a text, however long, without the special tokens. Ranges lie on character
    /// boundaries and come in the order of the text; several tokens of one character share its range.
    #[must_use]
    pub fn offsets(&self, text: &str) -> Vec<(usize, usize)> {
        let mut offsets = Vec::new();
        self.tokenize(text, |_, range| {
            offsets.push(range);
            ControlFlow::Continue(())
        });
        offsets
    }

    /// The ids of a text for the model, cut to its longest text. What comes after that is not even read.
    #[must_use]
    pub fn encode(&self, text: &str) -> Tokens {
        let mut ids = vec![self.opening];
        let mut truncated = false;
        self.tokenize(text, |id, _| {
            truncated = ids.len() + SPECIAL_TOKENS > self.max_tokens;
            if truncated {
                return ControlFlow::Break(());
            }
            ids.push(id);
            ControlFlow::Continue(())
        });
        ids.push(self.closing);
        Tokens { ids, truncated }
    }

    /// Shows the id and the byte range of every token in turn, until told to stop.
    fn tokenize(&self, text: &str, mut visit: impl FnMut(u32, (usize, usize)) -> ControlFlow<()>) {
        let mut pieces = Vec::new();
        // Whether someone stopped it is known to who did.
        let _ = self.splitter.split(text, |word| {
            self.vocabulary.split(word.text(), &mut pieces);
            pieces.drain(..).try_for_each(|piece| visit(piece.id, word.source(piece.range)))
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::testing::{TinyModel, model_dir};

    /// The tokenizer of the real model, without its weights.
    static REAL: LazyLock<Tokenizer> =
        LazyLock::new(|| Tokenizer::load(&model_dir()).expect("the tokenizer installed by make is whole"));

    #[test]
    fn the_file_s_own_padding_and_truncation_are_not_applied() {
        let model = TinyModel::new();
        let tokenizer = Tokenizer::load(model.dir()).expect("the tiny tokenizer is whole");
        assert_eq!(tokenizer.encode("a"), Tokens { ids: vec![2, 4, 3], truncated: false });
        assert_eq!(tokenizer.encode("a b c a b").ids(), [2, 4, 5, 6, 4, 5, 3]);
        assert_eq!(tokenizer.count(&"words ".repeat(1000)), 2000);
    }

    #[test]
    fn a_model_can_want_small_letters_from_a_tokenizer_that_keeps_capitals() {
        let model = TinyModel::new();
        let ids =
            |text: &str| Tokenizer::load(model.dir()).expect("the tokenizer is whole").encode(text).ids().to_vec();
        model.edit("tokenizer.json", |text| text.replace(r#""lowercase":true"#, r#""lowercase":false"#));
        assert_eq!(ids("A á"), [2, 1, 1, 3]);
        model.write("sentence_bert_config.json", r#"{"do_lower_case":true}"#);
        assert_eq!(ids("A á"), [2, 4, 1, 3]);

        model.remove("sentence_bert_config.json");
        model.edit("tokenizer.json", |text| {
            let opened = r#""normalizer":{"type":"Sequence","normalizers":[{"type":"Lowercase"},{"#;
            text.replace(r#""normalizer":{"#, opened).replace(r#""BertNormalizer"}"#, r#""BertNormalizer"}]}"#)
        });
        assert_eq!(ids("A á"), [2, 4, 1, 3]);
    }

    #[test]
    fn two_files_that_differ_about_capitals_are_refused() {
        let model = TinyModel::new();
        model.write("tokenizer_config.json", r#"{"do_lower_case":true}"#);
        Tokenizer::load(model.dir()).expect("the files agree");
        model.write("tokenizer_config.json", r#"{"do_lower_case":false}"#);
        let sentence = Tokenizer::load(model.dir()).expect_err("the files differ").to_string();
        let told = "tokenizer.json: found lowercase true, expected false, as do_lower_case of tokenizer_config.json";
        assert!(sentence.ends_with(told), "{sentence}");
    }

    #[test]
    fn a_text_too_long_is_cut_before_its_closing_token() {
        let model = TinyModel::new();
        let tokenizer = Tokenizer::load(model.dir()).expect("the tiny tokenizer is whole");
        let longest = tokenizer.encode(&"a ".repeat(14));
        let longer = tokenizer.encode(&"a ".repeat(15));
        assert!(!longest.truncated() && longer.truncated());
        assert_eq!(longest.ids(), longer.ids());
        assert_eq!((longer.ids().len(), longer.ids().last()), (16, Some(&3)));
    }

    #[test]
    fn a_text_can_be_cut_inside_a_word() {
        let model = TinyModel::new();
        let tokenizer = Tokenizer::load(model.dir()).expect("the tiny tokenizer is whole");
        let cut = tokenizer.encode(&("a ".repeat(13) + "words"));
        assert_eq!((cut.truncated(), cut.ids().ends_with(&[4, 7, 3])), (true, true));
    }

    #[test]
    fn what_gives_no_tokens_does_not_make_a_text_too_long() {
        let model = TinyModel::new();
        let tokenizer = Tokenizer::load(model.dir()).expect("the tiny tokenizer is whole");
        let padded = "a ".repeat(14) + &" \u{301}\u{ad}\t".repeat(1000);
        assert!(!tokenizer.encode(&padded).truncated() && tokenizer.encode(&(padded + ".")).truncated());
        assert_eq!(tokenizer.encode("").ids(), [2, 3]);
    }

    #[test]
    fn offsets_are_byte_ranges_of_the_tokens_in_the_text() {
        let text = "Café 東京, naïve";
        let parts: Vec<&str> = REAL.offsets(text).into_iter().map(|(start, end)| &text[start..end]).collect();
        assert_eq!(parts, ["Café", "東", "京", ",", "naïve"]);
    }

    #[test]
    fn a_tokenizer_that_does_not_fit_the_model_is_told() {
        for (from, to, largest_id) in [
            (r#""word":7"#, r#""word":11"#, 11),
            (r#""ids":[3]"#, r#""ids":[12]"#, 12),
            (r#""added_tokens":[]"#, r#""added_tokens":[{"id":13,"content":"[X]","special":true}]"#, 13),
        ] {
            let model = TinyModel::new();
            model.edit("tokenizer.json", |text| text.replacen(from, to, 1));
            let sentence = Tokenizer::load(model.dir()).expect_err("the tokenizer is too large").to_string();
            let told =
                format!("tokenizer.json: found token id {largest_id}, expected ids below the model's vocab_size 11");
            assert!(sentence.ends_with(&told), "{sentence}");
        }
    }

    /// With work that grows with the square of the text, each of these would take hours.
    #[test]
    fn a_text_without_an_end_in_sight_takes_no_more_than_its_length() {
        const LENGTH: usize = 1 << 20;
        let unknown_words = "\u{16a0}".repeat(100) + " ";
        let words_of_many_pieces = "ψ".repeat(100) + " ";
        for (text, tokens) in [
            ("a".repeat(LENGTH), 1),
            ("\u{301}".repeat(LENGTH / 2), 0),
            ("e".to_owned() + &"\u{323}\u{301}".repeat(LENGTH / 4), 1),
            (unknown_words.repeat(LENGTH / unknown_words.len()), LENGTH / unknown_words.len()),
            (words_of_many_pieces.repeat(5000), 500_000),
            ("\u{200b}".repeat(LENGTH / 3), 0),
            ("가".repeat(LENGTH / 3), 1),
            (".".repeat(LENGTH), LENGTH),
        ] {
            assert_eq!(REAL.count(&text), tokens, "{:?}...", text.chars().take(4).collect::<String>());
        }
    }

    proptest! {
        #[test]
        fn offsets_of_any_text_lie_on_character_boundaries_in_order(text in "\\PC{0,60}|[가-힣 ]{0,20}|[\\x00-\\u{ff}]{0,40}") {
            let offsets = REAL.offsets(&text);
            prop_assert_eq!(offsets.len(), REAL.count(&text));
            for &(start, end) in &offsets {
                prop_assert!(text.get(start..end).is_some(), "{}..{} of {:?}", start, end, text);
            }
            prop_assert!(offsets.is_sorted_by_key(|(start, _)| *start), "{:?} of {:?}", offsets, text);
        }

        #[test]
        fn a_text_is_cut_exactly_when_it_has_more_tokens_than_the_model_takes(text in "[a-z.,é東 ]{200,400}") {
            let tokens = REAL.encode(&text);
            let longest = REAL.max_tokens - SPECIAL_TOKENS;
            prop_assert_eq!(tokens.truncated(), REAL.count(&text) > longest);
            prop_assert_eq!(tokens.ids().len(), REAL.count(&text).min(longest) + SPECIAL_TOKENS);
        }
    }
}

//! `tokenizer.json`, the file of the `tokenizers` library, as far as BERT models use it.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::normalize::Normalizer;
use super::vocabulary::{Pieces, Vocabulary};
use crate::error::LoadError;

/// What a tokenizer is made of.
#[derive(Debug)]
pub(super) struct TokenizerFile {
    pub(super) normalizer: Normalizer,
    /// Whether capitals become small letters before the normalizer sees them.
    pub(super) lowercase_first: bool,
    pub(super) vocabulary: Vocabulary,
    /// The special token before every text, `[CLS]`.
    pub(super) opening: u32,
    /// The special token after every text, `[SEP]`.
    pub(super) closing: u32,
    /// The largest id that the file speaks of.
    pub(super) largest_id: u32,
}

/// What was found and what was expected instead.
type Mismatch = (String, String);

impl TokenizerFile {
    /// Reads and checks a file. Its padding and truncation, to 128 tokens in some models, are ignored on purpose: we
    /// never pad, and cut where the model does.
    pub(super) fn read(file: &Path) -> Result<Self, LoadError> {
        let json = fs::read(file).map_err(LoadError::unreadable(file))?;
        let malformed = |cause: serde_json::Error| {
            LoadError::unexpected(
                file,
                format!("a malformed tokenizer ({cause})"),
                "a tokenizer of the tokenizers library",
            )
        };
        let mismatch = |(found, expected)| LoadError::unexpected(file, found, expected);

        // The kinds come first: the fields of another kind would only look malformed.
        serde_json::from_slice::<Kinds>(&json).map_err(malformed)?.check().map_err(mismatch)?;
        serde_json::from_slice::<Parts>(&json).map_err(malformed)?.check().map_err(mismatch)
    }
}

/// The file at a glance.
#[derive(Deserialize)]
struct Kinds {
    model: Option<Kind>,
    normalizer: Option<Kind>,
    pre_tokenizer: Option<Kind>,
    post_processor: Option<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    r#type: Option<String>,
}

impl Kinds {
    fn check(self) -> Result<(), Mismatch> {
        for (part, kind, understood) in [
            ("model", self.model, &["WordPiece"][..]),
            ("normalizer", self.normalizer, &["BertNormalizer", "Sequence"]),
            ("pre_tokenizer", self.pre_tokenizer, &["BertPreTokenizer"]),
            ("post_processor", self.post_processor, &["TemplateProcessing", "BertProcessing"]),
        ] {
            let found = match kind {
                None => format!("no {part}"),
                // Files of the library's first years do not name their model's type.
                Some(Kind { r#type: None }) if part == "model" => continue,
                Some(Kind { r#type: None }) => format!("a {part} without a type"),
                Some(Kind { r#type: Some(name) }) if understood.contains(&name.as_str()) => continue,
                Some(Kind { r#type: Some(name) }) => format!("{part} {name:?}"),
            };
            return Err((found, format!("{part} {}", understood.join(" or "))));
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Parts {
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    normalizer: NormalizerPart,
    post_processor: PostProcessor,
    model: WordPiece,
}

#[derive(Deserialize)]
struct AddedToken {
    id: u32,
    content: String,
    special: bool,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum NormalizerPart {
    BertNormalizer(BertNormalizer),
    Lowercase,
    Sequence { normalizers: Vec<NormalizerPart> },
}

#[derive(Deserialize)]
struct BertNormalizer {
    clean_text: bool,
    handle_chinese_chars: bool,
    /// As `lowercase` where the file does not say.
    strip_accents: Option<bool>,
    lowercase: bool,
}

#[derive(Deserialize)]
struct WordPiece {
    vocab: Pieces,
    unk_token: String,
    continuing_subword_prefix: String,
    max_input_chars_per_word: usize,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum PostProcessor {
    TemplateProcessing { single: Vec<TemplatePiece>, special_tokens: HashMap<String, SpecialIds> },
    BertProcessing { cls: (String, u32), sep: (String, u32) },
}

#[derive(Deserialize)]
enum TemplatePiece {
    SpecialToken { id: String },
    Sequence {},
}

#[derive(Deserialize)]
struct SpecialIds {
    ids: Vec<u32>,
}

impl Parts {
    fn check(self) -> Result<TokenizerFile, Mismatch> {
        // One that is not special is a word to the model, and found before all others. None of our models has any.
        if let Some(AddedToken { content, .. }) = self.added_tokens.iter().find(|token| !token.special) {
            return Err((format!("the added token {content:?}"), "added tokens that are special".to_owned()));
        }
        let (normalizer, lowercase_first) = self.normalizer.check()?;
        let (opening, closing) = self.post_processor.special_ids()?;
        let added_ids = self.added_tokens.iter().map(|token| token.id);
        let ids = self.model.vocab.values().copied().chain(added_ids).chain([opening, closing]);
        let largest_id = ids.max().unwrap_or(0);
        Ok(TokenizerFile { normalizer, lowercase_first, vocabulary: self.model.check()?, opening, closing, largest_id })
    }
}

impl NormalizerPart {
    /// BERT's normalizer, and whether a sequence begins with small letters, as sentence-transformers 6 saves a model whose
    /// `do_lower_case` is true.
    fn check(self) -> Result<(Normalizer, bool), Mismatch> {
        let (options, lowercase_first) = match self {
            Self::BertNormalizer(options) => (Some(options), false),
            Self::Sequence { normalizers } => match <[Self; 2]>::try_from(normalizers) {
                Ok([Self::Lowercase, Self::BertNormalizer(options)]) => (Some(options), true),
                _ => (None, false),
            },
            Self::Lowercase => (None, false),
        };
        let Some(BertNormalizer { clean_text, handle_chinese_chars, strip_accents, lowercase }) = options else {
            let expected = "a BertNormalizer, or a Lowercase before it";
            return Err(("a sequence of other normalizers".to_owned(), expected.to_owned()));
        };
        let strip_accents = strip_accents.unwrap_or(lowercase);
        Ok((Normalizer { clean_text, handle_chinese_chars, strip_accents, lowercase }, lowercase_first))
    }
}

impl PostProcessor {
    /// The ids before and after a text, of which there must be one each.
    fn special_ids(&self) -> Result<(u32, u32), Mismatch> {
        let (single, special_tokens) = match self {
            Self::BertProcessing { cls, sep } => return Ok((cls.1, sep.1)),
            Self::TemplateProcessing { single, special_tokens } => (single, special_tokens),
        };
        use TemplatePiece::{Sequence, SpecialToken};
        let [SpecialToken { id: opening }, Sequence {}, SpecialToken { id: closing }] = &single[..] else {
            let names = single.iter().map(|piece| match piece {
                SpecialToken { id } => id,
                Sequence {} => "a text",
            });
            let found = format!("the template {}", names.collect::<Vec<_>>().join(" "));
            return Err((found, "one special token before and one after a text".to_owned()));
        };
        let only_id = |name: &String| match special_tokens.get(name).map_or(&[][..], |token| &token.ids) {
            &[id] => Ok(id),
            ids => Err((format!("special token {name} with {} ids", ids.len()), "one id".to_owned())),
        };
        Ok((only_id(opening)?, only_id(closing)?))
    }
}

impl WordPiece {
    fn check(self) -> Result<Vocabulary, Mismatch> {
        let Self { vocab, unk_token, continuing_subword_prefix, max_input_chars_per_word } = self;
        Vocabulary::new(vocab, &continuing_subword_prefix, &unk_token, max_input_chars_per_word).ok_or_else(|| {
            (format!("no token {unk_token:?} in the vocabulary"), "a token for unknown words".to_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TinyModel;

    fn read(model: &TinyModel) -> Result<TokenizerFile, LoadError> {
        TokenizerFile::read(&model.path("tokenizer.json"))
    }

    #[test]
    fn the_shapes_that_bert_models_come_in_are_understood() {
        let uncased = Normalizer { clean_text: true, handle_chinese_chars: true, strip_accents: true, lowercase: true };
        let template = r#""post_processor":{"#;
        let bert = r#""post_processor":{"type":"BertProcessing","sep":["[SEP]",8],"cls":["[CLS]",9]},"unused":{"#;
        let added = r#"[{"id":12,"content":"[MASK]","special":true,"normalized":false}]"#;
        for (from, to, normalizer, ends, largest_id) in [
            ("{", "{", uncased, (2, 3), 10),
            (
                r#""lowercase":true"#,
                r#""lowercase":false"#,
                Normalizer { lowercase: false, strip_accents: false, ..uncased },
                (2, 3),
                10,
            ),
            (
                r#""strip_accents":null"#,
                r#""strip_accents":false"#,
                Normalizer { strip_accents: false, ..uncased },
                (2, 3),
                10,
            ),
            (r#""strip_accents":null,"#, "", uncased, (2, 3), 10),
            (r#""clean_text":true"#, r#""clean_text":false"#, Normalizer { clean_text: false, ..uncased }, (2, 3), 10),
            (r#""type":"WordPiece","#, "", uncased, (2, 3), 10),
            (r#""added_tokens":[]"#, &format!(r#""added_tokens":{added}"#), uncased, (2, 3), 12),
            (template, bert, uncased, (9, 8), 10),
        ] {
            let model = TinyModel::new();
            if from != to {
                model.edit("tokenizer.json", |text| text.replacen(from, to, 1));
            }
            let file = read(&model).unwrap_or_else(|error| panic!("{to}: {error}"));
            assert_eq!(file.normalizer, normalizer, "{to}");
            assert_eq!(((file.opening, file.closing), file.largest_id), (ends, largest_id), "{to}");
        }
    }

    #[test]
    fn small_letters_can_come_before_the_normalizer() {
        let model = TinyModel::new();
        let cased = r#"{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":false}"#;
        let write = |normalizers: &[&str]| {
            let mut file: serde_json::Value =
                serde_json::from_slice(&fs::read(model.path("tokenizer.json")).expect("the file is there"))
                    .expect("the file is JSON");
            let sequence = format!(r#"{{"type":"Sequence","normalizers":[{}]}}"#, normalizers.join(","));
            file["normalizer"] = serde_json::from_str(&sequence).expect("the sequence is JSON");
            model.write("tokenizer.json", file.to_string());
        };
        let small = r#"{"type":"Lowercase"}"#;
        write(&[small, cased]);
        let file = read(&model).expect("the tokenizer is understood");
        assert!(file.lowercase_first && !file.normalizer.lowercase && !file.normalizer.strip_accents);
        for (normalizers, told) in [
            (&[cased, small][..], "found a sequence of other normalizers, expected a BertNormalizer, or a Lowercase"),
            (&[small], "found a sequence of other normalizers"),
            (&[], "found a sequence of other normalizers"),
            (&[r#"{"type":"NFC"}"#, cased], "unknown variant `NFC`"),
        ] {
            write(normalizers);
            let sentence = read(&model).expect_err("the tokenizer is not understood").to_string();
            assert!(sentence.contains("tokenizer.json: ") && sentence.contains(told), "{sentence}");
        }
    }

    #[test]
    fn what_cannot_be_run_is_refused_by_its_name() {
        for (from, to, told) in [
            (r#""WordPiece""#, r#""BPE""#, r#"tokenizer.json: found model "BPE", expected model WordPiece"#),
            ("BertNormalizer", "NFC", r#"found normalizer "NFC", expected normalizer BertNormalizer"#),
            ("BertPreTokenizer", "ByteLevel", r#"found pre_tokenizer "ByteLevel", expected pre_tokenizer Bert"#),
            (r#""pre_tokenizer":{"type":"BertPreTokenizer"}"#, r#""pre_tokenizer":null"#, "found no pre_tokenizer"),
            (
                r#""pre_tokenizer":{"type":"BertPreTokenizer"}"#,
                r#""pre_tokenizer":{}"#,
                "a pre_tokenizer without a type",
            ),
            ("TemplateProcessing", "RobertaProcessing", "expected post_processor TemplateProcessing or BertProcessing"),
            (
                r#"{"Sequence":{"id":"A","type_id":0}},{"SpecialToken""#,
                r#"{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"[SEP]","type_id":0}},{"SpecialToken""#,
                "found the template [CLS] a text [SEP] [SEP], expected one special token before and one after a text",
            ),
            (r#""ids":[3]"#, r#""ids":[3,3]"#, "found special token [SEP] with 2 ids, expected one id"),
            (
                r#""added_tokens":[]"#,
                r#""added_tokens":[{"id":11,"content":"word","special":false}]"#,
                r#"found the added token "word", expected added tokens that are special"#,
            ),
            (r#""[UNK]":1,"#, "", r#"found no token "[UNK]" in the vocabulary, expected a token for unknown words"#),
            (r#""vocab":{"#, r#""vocab":{"negative":-1,"#, "found a malformed tokenizer (invalid value"),
            (r#""lowercase":true,"#, "", "found a malformed tokenizer (missing field `lowercase`"),
            ("{", "", "tokenizer.json: found a malformed tokenizer ("),
        ] {
            let model = TinyModel::new();
            model.edit("tokenizer.json", |text| text.replacen(from, to, 1));
            let sentence = read(&model).expect_err("the tokenizer is wrong").to_string();
            assert!(sentence.contains(told), "{from}: {sentence}");
        }
    }

    #[test]
    fn a_missing_file_is_told_as_such() {
        let model = TinyModel::new();
        model.remove("tokenizer.json");
        assert!(matches!(read(&model), Err(LoadError::Unreadable { .. })));
    }
}

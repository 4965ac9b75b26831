//! Text to token ids, by any tokenizer of the `tokenizers` library.

use std::fs;
use std::path::Path;

use encoder::{LoadError, Sentence};
use serde::Deserialize;
use tokenizers::normalizers::{Lowercase, Sequence};
use tokenizers::{Encoding, NormalizerWrapper, PostProcessor, Tokenizer, TruncationDirection};

use super::graph::unexpected;

/// Private use and never assigned: no vocabulary has a token for either.
const UNKNOWN: &str = "\u{e000} \u{10ffff}";

/// The ids of one text, special tokens included.
pub(super) struct Tokens {
    pub ids: Vec<u32>,
    /// Whether the end of the text was left out.
    pub truncated: bool,
}

/// A model's tokenizer.
pub(super) struct TextTokenizer {
    tokenizer: Tokenizer,
    max_tokens: usize,
    room: usize,
}

/// The part of `config.json` that bounds a text.
#[derive(Deserialize, Default)]
struct Positions {
    max_position_embeddings: Option<usize>,
}

impl TextTokenizer {
    /// Reads `tokenizer.json`, and the files that say how long texts may be.
    pub(super) fn load(dir: &Path) -> Result<Self, LoadError> {
        let file = dir.join("tokenizer.json");
        let mut tokenizer = read(&file)?;
        let sentence = Sentence::read(dir, positions(dir)?.unwrap_or(usize::MAX))?;
        if sentence.max_tokens == usize::MAX {
            let file = dir.join("sentence_bert_config.json");
            let expected = "the longest text in tokens: here, as model_max_length of tokenizer_config.json, or as \
                            max_position_embeddings of config.json";
            return Err(unexpected(&file, "no max_seq_length", expected));
        }
        // The transformers library would take the other file's word for it, or not, depending on its version.
        if let (Some(expected), Some(NormalizerWrapper::BertNormalizer(normalizer))) =
            (sentence.tokenizer_lower_case, tokenizer.get_normalizer())
            && normalizer.lowercase != expected
        {
            let expected = format!("{expected}, as do_lower_case of tokenizer_config.json");
            return Err(unexpected(&file, format!("lowercase {}", normalizer.lowercase), &expected));
        }
        if sentence.lower_case {
            let first = [Lowercase.into()].into_iter().chain(tokenizer.get_normalizer().cloned());
            let normalizer = Sequence::new(first.collect());
            tokenizer.with_normalizer(Some(normalizer)).map_err(|cause| misfit(&file, &*cause))?;
        }
        let special = tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(false));
        let Some(room) = sentence.max_tokens.checked_sub(special).filter(|room| *room > 0) else {
            let expected = format!("fewer than the {} of the longest text", sentence.max_tokens);
            return Err(unexpected(&file, format!("{special} special tokens around a text"), &expected));
        };
        for text in ["", UNKNOWN] {
            tokenizer.encode(text, true).map_err(|cause| misfit(&file, &*cause))?;
        }
        Ok(Self { tokenizer, max_tokens: sentence.max_tokens, room })
    }

    /// The longest text in tokens.
    pub(super) fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// The longest text in tokens without the special tokens.
    pub(super) fn room(&self) -> usize {
        self.room
    }

    /// The largest id that a text can have.
    pub(super) fn largest_id(&self) -> u32 {
        self.tokenizer.get_vocab(true).into_values().max().unwrap_or_default()
    }

    /// The ids of a text for the model, cut to its longest text before the closing special tokens.
    pub(super) fn encode(&self, text: &str) -> Tokens {
        let mut encoding = whole(self.tokenizer.encode_fast(text, false));
        let truncated = encoding.len() > self.room;
        if truncated {
            encoding.truncate(self.room, 0, TruncationDirection::Right);
            // The rest is kept in parts, each of which would be closed by special tokens too.
            encoding.take_overflowing();
        }
        let encoding = whole(self.tokenizer.post_process(encoding, None, true));
        Tokens { ids: encoding.get_ids().to_vec(), truncated }
    }

    /// Byte range of every token of a text, however long, without the special tokens. A token can have the space before it
    /// in its range.
    pub(super) fn offsets(&self, text: &str) -> Vec<(usize, usize)> {
        whole(self.tokenizer.encode(text, false)).get_offsets().to_vec()
    }
}

fn whole(encoding: tokenizers::Result<Encoding>) -> Encoding {
    encoding.expect("a tokenizer that has a token for what it does not know has tokens for every text")
}

/// The tokenizer without what its file says of padding and truncation. The name of a special token in a text is text: else
/// whoever writes a document could close it in the middle.
fn read(file: &Path) -> Result<Tokenizer, LoadError> {
    let json = fs::read(file).map_err(unreadable(file))?;
    let mut tokenizer = Tokenizer::from_bytes(json).map_err(|cause| misfit(file, &*cause))?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(|cause| misfit(file, &*cause))?;
    tokenizer.set_encode_special_tokens(true);
    Ok(tokenizer)
}

/// What `config.json` says, where it is there and says it.
fn positions(dir: &Path) -> Result<Option<usize>, LoadError> {
    let file = dir.join("config.json");
    if !file.is_file() {
        return Ok(None);
    }
    let json = fs::read(&file).map_err(unreadable(&file))?;
    let config: Positions = serde_json::from_slice(&json)
        .map_err(|cause| unexpected(&file, format!("JSON that does not fit ({cause})"), "a model's configuration"))?;
    Ok(config.max_position_embeddings)
}

fn unreadable(file: &Path) -> impl FnOnce(std::io::Error) -> LoadError {
    let file = file.to_owned();
    move |cause| LoadError::Unreadable { file, cause }
}

fn misfit(file: &Path, cause: &(dyn std::error::Error + Send + Sync)) -> LoadError {
    unexpected(file, format!("a tokenizer that cannot be used ({cause})"), "one that the tokenizers library runs")
}

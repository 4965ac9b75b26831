//! The shape of the model, as its own files tell it.

use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::LoadError;

/// Longest text in tokens where the model does not say: all-MiniLM-L6-v2 was trained to use 256.
const DEFAULT_MAX_TOKENS: usize = 256;

/// `[CLS]` and `[SEP]`, which surround every text.
pub(crate) const SPECIAL_TOKENS: usize = 2;

/// Shape of a BERT encoder, read from `config.json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ModelConfig {
    /// Family of the model; only `bert` is understood.
    pub model_type: String,
    /// Activation between the two feed-forward matrices; only `gelu`, the exact one with erf, is understood.
    pub hidden_act: String,
    /// How positions are told apart; only `absolute` is understood, which is also the default.
    #[serde(default = "absolute")]
    pub position_embedding_type: String,
    /// Numbers per token between layers, and dimensions of the vectors made.
    pub hidden_size: usize,
    /// Encoder layers.
    pub num_hidden_layers: usize,
    /// Attention heads per layer; they share `hidden_size` evenly.
    pub num_attention_heads: usize,
    /// Numbers per token inside the feed-forward step.
    pub intermediate_size: usize,
    /// Ids the model has a vector for.
    pub vocab_size: usize,
    /// Positions the model has a vector for; no text can be longer.
    pub max_position_embeddings: usize,
    /// Kinds of segment; we only ever use the first.
    pub type_vocab_size: usize,
    /// Added to the variance before its root is taken.
    pub layer_norm_eps: f32,
    /// Longest text in tokens, special tokens included; the rest of a longer text is not seen. From
    /// `sentence_bert_config.json` where there is one, else 256, and never more than `max_position_embeddings`.
    #[serde(skip)]
    pub max_tokens: usize,
}

fn absolute() -> String {
    "absolute".to_owned()
}

#[derive(Deserialize)]
struct SentenceConfig {
    max_seq_length: usize,
}

#[derive(Deserialize)]
struct PoolingConfig {
    pooling_mode_mean_tokens: bool,
}

impl ModelConfig {
    /// Reads and checks the configuration files of a model directory.
    ///
    /// # Errors
    /// When a file is missing or malformed, or describes a model that this room cannot run.
    pub fn read(dir: &Path) -> Result<Self, LoadError> {
        let file = dir.join("config.json");
        let mut config: Self = read_json(&file)?;
        config.check().map_err(|(found, expected)| LoadError::unexpected(&file, found, expected))?;
        config.max_tokens = read_max_tokens(dir)?.min(config.max_position_embeddings);
        check_pooling(dir)?;
        Ok(config)
    }

    /// Numbers per token and attention head.
    #[must_use]
    pub fn head_size(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    /// The mean of the rows, of length one.
    pub(crate) fn pool(&self, rows: &[f32], width: usize) -> Vec<f32> {
        let mut mean = vec![0.0; self.hidden_size];
        for row in rows.chunks_exact(width) {
            mean.iter_mut().zip(row).for_each(|(total, value)| *total += value);
        }
        let length = mean.iter().map(|value| value * value).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
        mean.iter_mut().for_each(|value| *value /= length);
        mean
    }

    /// The first thing found that cannot be, with what was expected instead.
    fn check(&self) -> Result<(), (String, String)> {
        for (name, found, understood) in [
            ("model_type", &self.model_type, "bert"),
            ("hidden_act", &self.hidden_act, "gelu"),
            ("position_embedding_type", &self.position_embedding_type, "absolute"),
        ] {
            if found != understood {
                return Err((format!("{name} {found:?}"), format!("{understood:?}")));
            }
        }
        for (name, found, least) in [
            ("hidden_size", self.hidden_size, 1),
            ("num_hidden_layers", self.num_hidden_layers, 1),
            ("num_attention_heads", self.num_attention_heads, 1),
            ("intermediate_size", self.intermediate_size, 1),
            ("vocab_size", self.vocab_size, 1),
            ("max_position_embeddings", self.max_position_embeddings, SPECIAL_TOKENS + 1),
            ("type_vocab_size", self.type_vocab_size, 1),
        ] {
            if found < least {
                return Err((format!("{name} {found}"), format!("at least {least}")));
            }
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            let found = format!("hidden_size {} with {} heads", self.hidden_size, self.num_attention_heads);
            return Err((found, "a multiple of the number of heads".to_owned()));
        }
        if !(self.layer_norm_eps > 0.0 && self.layer_norm_eps < 1.0) {
            let found = format!("layer_norm_eps {}", self.layer_norm_eps);
            return Err((found, "a number between 0 and 1".to_owned()));
        }
        Ok(())
    }
}

fn read_max_tokens(dir: &Path) -> Result<usize, LoadError> {
    let file = dir.join("sentence_bert_config.json");
    let Some(SentenceConfig { max_seq_length }) = read_optional_json(&file)? else {
        return Ok(DEFAULT_MAX_TOKENS);
    };
    if max_seq_length <= SPECIAL_TOKENS {
        let found = format!("max_seq_length {max_seq_length}");
        return Err(LoadError::unexpected(&file, found, format!("more than {SPECIAL_TOKENS}")));
    }
    Ok(max_seq_length)
}

/// A model that was trained for another pooling would give vectors that look right and rank wrongly.
fn check_pooling(dir: &Path) -> Result<(), LoadError> {
    let file = dir.join("1_Pooling/config.json");
    match read_optional_json(&file)? {
        Some(PoolingConfig { pooling_mode_mean_tokens: false }) => Err(LoadError::unexpected(
            &file,
            "pooling_mode_mean_tokens false",
            "true: a model that averages its tokens",
        )),
        _ => Ok(()),
    }
}

fn read_json<T: DeserializeOwned>(file: &Path) -> Result<T, LoadError> {
    let text = fs::read(file).map_err(LoadError::unreadable(file))?;
    parse_json(file, &text)
}

fn read_optional_json<T: DeserializeOwned>(file: &Path) -> Result<Option<T>, LoadError> {
    match fs::read(file) {
        Ok(text) => parse_json(file, &text).map(Some),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(LoadError::unreadable(file)(cause)),
    }
}

fn parse_json<T: DeserializeOwned>(file: &Path, text: &[u8]) -> Result<T, LoadError> {
    serde_json::from_slice(text).map_err(|cause| {
        LoadError::unexpected(file, format!("JSON that does not fit ({cause})"), "a model's configuration")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TinyModel;

    fn sentence(model: &TinyModel) -> String {
        ModelConfig::read(model.dir()).expect_err("the configuration is wrong").to_string()
    }

    #[test]
    fn a_configuration_that_cannot_be_run_is_told_with_its_field() {
        for (from, to, told) in [
            (r#""bert""#, r#""t5""#, r#"config.json: found model_type "t5", expected "bert""#),
            (r#""gelu""#, r#""relu""#, r#"found hidden_act "relu", expected "gelu""#),
            (
                r#""num_attention_heads":2"#,
                r#""num_attention_heads":3"#,
                "found hidden_size 8 with 3 heads, expected a multiple",
            ),
            (
                r#""num_attention_heads":2"#,
                r#""num_attention_heads":0"#,
                "found num_attention_heads 0, expected at least 1",
            ),
            (
                r#""layer_norm_eps":1e-12"#,
                r#""layer_norm_eps":-1"#,
                "found layer_norm_eps -1, expected a number between 0 and 1",
            ),
            (r#""hidden_size":8,"#, "", "missing field `hidden_size`"),
            (r#""hidden_size":8"#, r#""hidden_size":-8"#, "JSON that does not fit (invalid value"),
        ] {
            let model = TinyModel::new();
            model.edit("config.json", |text| text.replace(from, to));
            let sentence = sentence(&model);
            assert!(sentence.contains(told), "{from} -> {to}: {sentence}");
        }
    }

    #[test]
    fn a_missing_configuration_is_told_with_its_file() {
        let model = TinyModel::new();
        model.remove("config.json");
        let sentence = sentence(&model);
        assert!(sentence.starts_with("cannot read ") && sentence.contains("config.json"), "{sentence}");
    }

    #[test]
    fn the_longest_text_comes_from_the_sentence_configuration_within_the_positions() {
        let model = TinyModel::new();
        for (sentence_config, expected) in
            [(None, 16), (Some(r#"{"max_seq_length":12}"#), 12), (Some(r#"{"max_seq_length":512}"#), 16)]
        {
            if let Some(text) = sentence_config {
                model.write("sentence_bert_config.json", text);
            }
            let config = ModelConfig::read(model.dir()).expect("the configuration is right");
            assert_eq!(config.max_tokens, expected, "{sentence_config:?}");
        }
    }

    #[test]
    fn a_model_with_another_pooling_is_refused() {
        let model = TinyModel::new();
        model.write("1_Pooling/config.json", r#"{"pooling_mode_mean_tokens":false}"#);
        assert!(sentence(&model).contains("found pooling_mode_mean_tokens false"));
    }
}

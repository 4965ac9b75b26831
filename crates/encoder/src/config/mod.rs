//! What the model is and how it wants to be used, as its own files tell it. What they ask for and we do not do is refused
//! by its name: vectors made without it would look right and rank wrongly.

mod files;
mod pipeline;
mod pooling;
mod prompts;
mod sentence;

use std::fs;
use std::path::Path;

use serde::Deserialize;

use self::files::{Mismatch, mismatch_in, parse_json};
pub use self::pooling::Pooling;
pub use self::prompts::{Prompts, Purpose};
pub use self::sentence::Sentence;
use crate::error::LoadError;

/// `[CLS]` and `[SEP]`, which surround every text.
pub(crate) const SPECIAL_TOKENS: usize = 2;

/// The part of `config.json` that models of all families have.
#[derive(Deserialize)]
struct Family {
    model_type: String,
}

/// A BERT sentence encoder: its shape, read from `config.json`, and its use, from the files of sentence-transformers.
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
    /// Whether a token sees only those before it; only `false` is understood, which is also the default.
    #[serde(default)]
    pub is_decoder: bool,
    /// Whether layers look at a second text; only `false` is understood, which is also the default.
    #[serde(default)]
    pub add_cross_attention: bool,
    /// Longest text in tokens, special tokens and prompt included; the rest of a longer text is not seen. The
    /// `max_seq_length` of `sentence_bert_config.json`, else the `model_max_length` of `tokenizer_config.json`, and never
    /// more than `max_position_embeddings`.
    #[serde(skip)]
    pub max_tokens: usize,
    /// Whether capitals become small letters even where the tokenizer would keep them, by `sentence_bert_config.json`.
    #[serde(skip)]
    pub lower_case: bool,
    /// What `tokenizer_config.json` says of the tokenizer's own capitals, if anything.
    #[serde(skip)]
    pub(crate) tokenizer_lower_case: Option<bool>,
    /// How tokens become a vector, by `modules.json` and the file of its pooling.
    #[serde(skip)]
    pub pooling: Pooling,
    /// What stands before a text, by `config_sentence_transformers.json`.
    #[serde(skip)]
    pub prompts: Prompts,
}

fn absolute() -> String {
    "absolute".to_owned()
}

impl ModelConfig {
    /// Most tokens of a document's text of which none is left out: special tokens and the prompt take room too. A prompt
    /// counts a token per byte, which no tokenizer exceeds.
    #[must_use]
    pub fn room_for_document(&self) -> usize {
        self.max_tokens.saturating_sub(SPECIAL_TOKENS + self.prompts.document.len())
    }

    /// Reads and checks the configuration files of a model directory, of which only `config.json` must be there.
    ///
    /// # Errors
    /// When a file is missing or malformed, or describes a model that this crate cannot run.
    pub fn read(dir: &Path) -> Result<Self, LoadError> {
        let file = dir.join("config.json");
        let json = fs::read(&file).map_err(LoadError::unreadable(&file))?;
        // The family comes first: another family's fields would only look missing.
        let Family { model_type } = parse_json(&file, &json)?;
        check_name("model_type", &model_type, "bert").map_err(mismatch_in(&file))?;
        let mut config: Self = parse_json(&file, &json)?;
        config.check().map_err(mismatch_in(&file))?;

        config.pooling = Pooling::of_model(dir, config.hidden_size)?;
        config.prompts = Prompts::read(dir)?;
        let sentence = Sentence::read(dir, config.max_position_embeddings)?;
        config.max_tokens = sentence.max_tokens;
        config.lower_case = sentence.lower_case;
        config.tokenizer_lower_case = sentence.tokenizer_lower_case;
        Ok(config)
    }

    /// Numbers per token and attention head.
    #[must_use]
    pub fn head_size(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    /// The first thing found that cannot be, with what was expected instead.
    fn check(&self) -> Result<(), Mismatch> {
        check_name("hidden_act", &self.hidden_act, "gelu")?;
        check_name("position_embedding_type", &self.position_embedding_type, "absolute")?;
        for (name, found) in [("is_decoder", self.is_decoder), ("add_cross_attention", self.add_cross_attention)] {
            if found {
                return Err((format!("{name} true"), "false: an encoder".to_owned()));
            }
        }
        // The most is several times what the largest BERT models have, and little enough to be multiplied with each
        // other and asked for as memory before the file of the weights is seen to be shorter.
        for (name, found, least, most) in [
            ("hidden_size", self.hidden_size, 1, 8192),
            ("num_hidden_layers", self.num_hidden_layers, 1, 256),
            ("num_attention_heads", self.num_attention_heads, 1, self.hidden_size),
            ("intermediate_size", self.intermediate_size, 1, 65_536),
            ("vocab_size", self.vocab_size, 1, 4_194_304),
            ("max_position_embeddings", self.max_position_embeddings, SPECIAL_TOKENS + 1, 65_536),
            ("type_vocab_size", self.type_vocab_size, 1, 1024),
        ] {
            if found < least || found > most {
                return Err((format!("{name} {found}"), format!("{least} to {most}")));
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

fn check_name(name: &str, found: &str, understood: &str) -> Result<(), Mismatch> {
    if found == understood { Ok(()) } else { Err((format!("{name} {found:?}"), format!("{understood:?}"))) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{CONFIG, TinyModel};

    fn sentence(model: &TinyModel) -> String {
        ModelConfig::read(model.dir()).expect_err("the configuration is wrong").to_string()
    }

    #[test]
    fn a_configuration_that_cannot_be_run_is_told_with_its_field() {
        for (from, to, told) in [
            (r#""bert""#, r#""t5""#, r#"config.json: found model_type "t5", expected "bert""#),
            // Other families have other fields.
            (CONFIG, r#"{"model_type":"distilbert","dim":8}"#, r#"found model_type "distilbert", expected "bert""#),
            (r#""gelu""#, r#""relu""#, r#"found hidden_act "relu", expected "gelu""#),
            (r#""gelu""#, r#""gelu_new""#, r#"found hidden_act "gelu_new", expected "gelu""#),
            ("{", r#"{"position_embedding_type":"alibi","#, r#"found position_embedding_type "alibi", expected "abs"#),
            ("{", r#"{"is_decoder":true,"#, "found is_decoder true, expected false"),
            ("{", r#"{"add_cross_attention":true,"#, "found add_cross_attention true, expected false"),
            (
                r#""num_attention_heads":2"#,
                r#""num_attention_heads":3"#,
                "found hidden_size 8 with 3 heads, expected a multiple",
            ),
            (
                r#""num_attention_heads":2"#,
                r#""num_attention_heads":0"#,
                "found num_attention_heads 0, expected 1 to 8",
            ),
            (r#""hidden_size":8"#, r#""hidden_size":1000000"#, "found hidden_size 1000000, expected 1 to 8192"),
            (
                r#""max_position_embeddings":16"#,
                r#""max_position_embeddings":2"#,
                "found max_position_embeddings 2, expected 3 to 65536",
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
    fn every_family_but_bert_is_refused_by_its_name() {
        for family in ["xlm-roberta", "roberta", "mpnet", "nomic_bert", "new", "modernbert", "BERT"] {
            let model = TinyModel::new();
            model.write("config.json", CONFIG.replace("bert", family));
            let told = format!("config.json: found model_type {family:?}, expected \"bert\"");
            assert!(sentence(&model).ends_with(&told), "{family}");
        }
    }

    #[test]
    fn a_model_of_nothing_but_its_shape_averages_all_tokens_without_prompts() {
        let config = ModelConfig::read(TinyModel::new().dir()).expect("the configuration is right");
        assert_eq!((config.max_tokens, config.lower_case), (16, false));
        assert_eq!((config.pooling, config.prompts), (Pooling::Mean, Prompts::default()));
    }

    #[test]
    fn every_file_has_its_say() {
        let model = TinyModel::new();
        model.write("sentence_bert_config.json", r#"{"max_seq_length":12,"do_lower_case":true}"#);
        model.write("config_sentence_transformers.json", r#"{"prompts":{"query":"q "}}"#);
        model.write("1_Pooling/config.json", r#"{"pooling_mode":"cls"}"#);
        let config = ModelConfig::read(model.dir()).expect("the configuration is right");
        assert_eq!((config.max_tokens, config.lower_case), (12, true));
        assert_eq!((config.pooling, &*config.prompts.query), (Pooling::Cls, "q "));
    }

    /// Damages of all sorts to every file that is read.
    const FILES: [(&str, &str); 6] = [
        ("config.json", CONFIG),
        (
            "modules.json",
            r#"[{"path":"","type":"sentence_transformers.models.Transformer"},{"path":"1_Pooling","type":"sentence_transformers.models.Pooling"}]"#,
        ),
        ("1_Pooling/config.json", r#"{"word_embedding_dimension":8,"pooling_mode":["mean"],"include_prompt":true}"#),
        ("sentence_bert_config.json", r#"{"max_seq_length":12,"do_lower_case":false,"query_length":null}"#),
        ("tokenizer_config.json", r#"{"model_max_length":512}"#),
        ("config_sentence_transformers.json", r#"{"prompts":{"query":"q "},"truncate_dim":null}"#),
    ];

    proptest! {
        #[test]
        fn no_damage_to_a_file_is_more_than_an_error_that_names_it(
            which in 0..FILES.len(),
            at in 0_usize..400,
            cut in 0_usize..12,
            put in prop_oneof!["[ -~]{0,3}", Just("99999999999".to_owned()), Just("null".to_owned()), Just("-1e999".to_owned())],
        ) {
            let model = TinyModel::new();
            for (file, text) in FILES {
                model.write(file, text);
            }
            let (file, text) = FILES[which];
            let begin = at % text.len();
            let end = (begin + cut).min(text.len());
            model.write(file, [&text[..begin], &put, &text[end..]].concat());
            if let Err(error) = crate::Model::load(model.dir(), crate::Precision::F32) {
                let sentence = error.to_string();
                let names_a_file = FILES.iter().any(|(file, _)| sentence.contains(file)) || sentence.contains("safetensors")
                    || sentence.contains("tokenizer.json");
                prop_assert!(names_a_file, "{}", sentence);
            }
        }
    }
}

//! How the vectors of a text's tokens become the text's.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::files::{Mismatch, mismatch_in, read_json, read_optional_json};
use super::pipeline;
use crate::error::LoadError;

/// What stands for a text among the vectors that the last layer gives its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pooling {
    /// The mean over all tokens, special tokens and prompt included.
    #[default]
    Mean,
    /// The first token's, `[CLS]`.
    Cls,
}

const FILE: &str = "config.json";

/// The file as the library's versions write it: older ones have a `pooling_mode_…` of true or false for each mode,
/// newer ones the name, or the names, of what is to be done.
#[derive(Deserialize)]
struct PoolingFile {
    word_embedding_dimension: Option<usize>,
    embedding_dimension: Option<usize>,
    include_prompt: Option<bool>,
    pooling_mode: Option<Modes>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Modes {
    One(String),
    Several(Vec<String>),
}

impl Pooling {
    /// The pooling of a model with that many numbers per token, by its `modules.json` and the file that this names. Without
    /// either it is the mean.
    ///
    /// # Errors
    /// When a file is missing or malformed, or asks for steps that are not taken here.
    pub fn of_model(dir: &Path, hidden_size: usize) -> Result<Self, LoadError> {
        pipeline::read_pooling(dir, hidden_size)
    }

    /// Reads and checks the configuration in the pooling's directory.
    pub(super) fn read(dir: &Path, hidden_size: usize) -> Result<Self, LoadError> {
        let file = dir.join(FILE);
        read_json::<PoolingFile>(&file)?.check(hidden_size).map_err(mismatch_in(&file))
    }

    /// As [`Pooling::read`], `None` where there is no such file.
    pub(super) fn read_optional(dir: &Path, hidden_size: usize) -> Result<Option<Self>, LoadError> {
        let file = dir.join(FILE);
        let pooling = read_optional_json::<PoolingFile>(&file)?.map(|pooling| pooling.check(hidden_size));
        pooling.transpose().map_err(mismatch_in(&file))
    }

    /// The vector of a text, of length one, from its tokens' rows. Each is `width` long, of which the first `dimensions`
    /// count.
    ///
    /// # Panics
    /// Without any row, or where `dimensions` are more than `width`.
    #[must_use]
    pub fn pool(self, rows: &[f32], width: usize, dimensions: usize) -> Vec<f32> {
        let mut vector = match self {
            Self::Mean => sum(rows.chunks_exact(width), dimensions),
            Self::Cls => rows[..dimensions].to_vec(),
        };
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
        vector.iter_mut().for_each(|value| *value /= length);
        vector
    }
}

/// Of length one, it is the mean.
fn sum<'a>(rows: impl Iterator<Item = &'a [f32]>, dimensions: usize) -> Vec<f32> {
    let mut sum = vec![0.0; dimensions];
    for row in rows {
        sum.iter_mut().zip(row).for_each(|(total, value)| *total += value);
    }
    sum
}

impl PoolingFile {
    fn check(self, hidden_size: usize) -> Result<Pooling, Mismatch> {
        for (name, found) in [
            ("word_embedding_dimension", self.word_embedding_dimension),
            ("embedding_dimension", self.embedding_dimension),
        ] {
            if let Some(found) = found.filter(|found| *found != hidden_size) {
                return Err((format!("{name} {found}"), format!("the model's hidden_size {hidden_size}")));
            }
        }
        if self.include_prompt == Some(false) {
            let expected = "true: a model whose prompt counts as a part of the text";
            return Err(("include_prompt false".to_owned(), expected.to_owned()));
        }
        let modes = self.modes();
        let names: Vec<&str> = modes.iter().map(|mode| mode.strip_prefix("pooling_mode_").unwrap_or(mode)).collect();
        match names[..] {
            // A root of the number of tokens instead of the number itself changes the length alone.
            ["mean" | "mean_tokens" | "mean_sqrt_len_tokens"] => Ok(Pooling::Mean),
            ["cls" | "cls_token"] => Ok(Pooling::Cls),
            [] => Err(("no pooling mode that is true".to_owned(), "one".to_owned())),
            _ => Err((format!("the pooling {}", modes.join(" with ")), "either cls or mean".to_owned())),
        }
    }

    /// The modes asked for; the library averages where it is told nothing.
    fn modes(self) -> Vec<String> {
        match self.pooling_mode {
            Some(Modes::One(mode)) => return vec![mode],
            Some(Modes::Several(modes)) => return modes,
            None => {}
        }
        let mut switches = self.rest.into_iter().filter(|(name, _)| name.starts_with("pooling_mode_")).peekable();
        if switches.peek().is_none() {
            return vec!["mean".to_owned()];
        }
        let on = switches.filter(|(_, value)| !matches!(value, Value::Bool(false) | Value::Null));
        on.map(|(name, _)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str) -> Result<Pooling, Mismatch> {
        serde_json::from_str::<PoolingFile>(json).expect("the file is well formed").check(8)
    }

    #[test]
    fn both_ways_to_name_a_pooling_are_understood() {
        for (json, expected) in [
            ("{}", Pooling::Mean),
            (r#"{"pooling_mode_mean_tokens":true}"#, Pooling::Mean),
            (r#"{"pooling_mode_mean_sqrt_len_tokens":true}"#, Pooling::Mean),
            (r#"{"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":false}"#, Pooling::Cls),
            (r#"{"pooling_mode":"mean"}"#, Pooling::Mean),
            (r#"{"pooling_mode":"mean_sqrt_len_tokens"}"#, Pooling::Mean),
            (r#"{"pooling_mode":["cls"]}"#, Pooling::Cls),
            // The newer one counts.
            (r#"{"pooling_mode":"cls","pooling_mode_mean_tokens":true}"#, Pooling::Cls),
            (r#"{"word_embedding_dimension":8,"embedding_dimension":8,"include_prompt":true}"#, Pooling::Mean),
        ] {
            assert_eq!(check(json), Ok(expected), "{json}");
        }
    }

    #[test]
    fn what_is_not_run_is_refused_by_its_name() {
        for (json, told) in [
            (r#"{"pooling_mode_max_tokens":true}"#, "the pooling pooling_mode_max_tokens"),
            (r#"{"pooling_mode_lasttoken":true}"#, "the pooling pooling_mode_lasttoken"),
            (r#"{"pooling_mode_weightedmean_tokens":true}"#, "the pooling pooling_mode_weightedmean_tokens"),
            (r#"{"pooling_mode_of_tomorrow":1}"#, "the pooling pooling_mode_of_tomorrow"),
            (
                r#"{"pooling_mode_mean_tokens":true,"pooling_mode_cls_token":true}"#,
                "the pooling pooling_mode_cls_token with pooling_mode_mean_tokens",
            ),
            (r#"{"pooling_mode":"max"}"#, "the pooling max"),
            (r#"{"pooling_mode":["mean","cls"]}"#, "the pooling mean with cls"),
            (r#"{"pooling_mode_mean_tokens":false}"#, "no pooling mode that is true"),
            (r#"{"pooling_mode":[]}"#, "no pooling mode that is true"),
            (r#"{"word_embedding_dimension":9}"#, "word_embedding_dimension 9"),
            (r#"{"embedding_dimension":9}"#, "embedding_dimension 9"),
            (r#"{"include_prompt":false}"#, "include_prompt false"),
        ] {
            let (found, _) = check(json).expect_err("the pooling is not understood");
            assert_eq!(found, told, "{json}");
        }
    }

    #[test]
    fn a_pooled_vector_has_length_one_and_the_direction_of_what_it_stands_for() {
        // Two tokens of two dimensions, padded to four.
        let rows = [3.0, 0.0, 9.0, 9.0, 0.0, 4.0, 9.0, 9.0];
        assert_eq!(Pooling::Mean.pool(&rows, 4, 2), [0.6, 0.8]);
        assert_eq!(Pooling::Cls.pool(&rows, 4, 2), [1.0, 0.0]);
        assert_eq!(Pooling::Cls.pool(&[0.0; 4], 4, 2), [0.0, 0.0]);
    }
}

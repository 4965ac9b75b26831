//! How a collection wants its documents cut.

use serde::{Deserialize, Serialize};

/// Largest chunk in tokens: the longest input of the embedding models in common use.
pub const MAX_SIZE_TOKENS: u32 = 8192;

/// Largest chunk in characters: [`MAX_SIZE_TOKENS`] at about four characters a token.
pub const MAX_SIZE_CHARACTERS: u32 = 32_768;

/// Most separators: each is one more search through text that is too long, and one more level of
/// recursion.
pub const MAX_SEPARATORS: usize = 64;

/// Longest separator, in bytes: a line of dashes, not a text.
pub const MAX_SEPARATOR_BYTES: usize = 128;

/// Where text is best cut, from coarse to fine: paragraphs, lines, sentences of several scripts,
/// clauses, words.
const DEFAULT_SEPARATORS: [&str; 14] =
    ["\n\n", "\n", ". ", "? ", "! ", "。", "！", "？", "؟ ", "۔ ", "। ", "; ", ", ", " "];

/// Chunking settings of a collection or document, stored as JSON; a field that is missing there has
/// its default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ChunkSettings {
    /// Which chunker.
    pub strategy: Strategy,
    /// Most `unit`s in a chunk. Default 240 tokens, so that a model that takes 256 has room for its
    /// special tokens and a few more. Only a single character that is more tokens than this by
    /// itself exceeds it.
    pub size: u32,
    /// Most `unit`s repeated from the end of one chunk at the start of the next, beginning where a
    /// separator ends. Default 32. More than half of `size` has the effect of half, which keeps the
    /// chunks together within a few times the text.
    pub overlap: u32,
    /// What `size` and `overlap` count. Default tokens.
    pub unit: Unit,
    /// Where to cut, from coarse to fine; `\n` also stands for `\r\n`. Text that none of them
    /// divides is cut between any two characters. Default: paragraphs, lines, sentences, clauses,
    /// words.
    pub separators: Vec<String>,
}

/// The chunkers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Strategy {
    /// Cuts at the coarsest separator that makes pieces small enough, then fills chunks with
    /// neighbouring pieces.
    Recursive,
}

/// What sizes are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Unit {
    /// Tokens of the embedding model, without special tokens.
    Tokens,
    /// Unicode scalar values.
    Characters,
}

/// One thing wrong with settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Fault {
    /// The field, as in JSON.
    pub field: &'static str,
    /// What was got and what was expected.
    pub message: String,
}

impl Default for ChunkSettings {
    fn default() -> Self {
        Self {
            strategy: Strategy::Recursive,
            size: 240,
            overlap: 32,
            unit: Unit::Tokens,
            separators: DEFAULT_SEPARATORS.map(str::to_owned).to_vec(),
        }
    }
}

impl ChunkSettings {
    /// The same, no longer than a model reads of a chunk.
    #[must_use]
    pub fn within(mut self, longest: Option<u32>) -> Self {
        if let Some(longest) = longest
            && self.unit == Unit::Tokens
            && self.size > longest
        {
            self.size = longest;
            self.overlap = self.overlap.min(longest.saturating_sub(1));
        }
        self
    }

    /// Checks every field.
    ///
    /// # Errors
    /// All faults at once, in the order of the fields.
    pub fn check(&self) -> Result<(), Vec<Fault>> {
        let faults: Vec<Fault> = [self.size_fault(), self.overlap_fault(), self.separator_count_fault()]
            .into_iter()
            .flatten()
            .chain(self.separators.iter().filter_map(|separator| separator_fault(separator)))
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    fn size_fault(&self) -> Option<Fault> {
        let (max, unit) = match self.unit {
            Unit::Tokens => (MAX_SIZE_TOKENS, "tokens"),
            Unit::Characters => (MAX_SIZE_CHARACTERS, "characters"),
        };
        let is_valid = (1..=max).contains(&self.size);
        (!is_valid).then(|| Fault { field: "size", message: format!("got {}, expected 1 to {max} {unit}", self.size) })
    }

    fn overlap_fault(&self) -> Option<Fault> {
        let is_valid = self.overlap < self.size;
        (!is_valid).then(|| Fault {
            field: "overlap",
            message: format!("got {}, expected less than the size, {}", self.overlap, self.size),
        })
    }

    fn separator_count_fault(&self) -> Option<Fault> {
        let count = self.separators.len();
        (count > MAX_SEPARATORS).then(|| Fault {
            field: "separators",
            message: format!("got {count} separators, expected at most {MAX_SEPARATORS}"),
        })
    }
}

fn separator_fault(separator: &str) -> Option<Fault> {
    let message = match separator.len() {
        0 => "got an empty separator, expected text: what no separator divides is cut anywhere as it is".to_owned(),
        1..=MAX_SEPARATOR_BYTES => return None,
        bytes => format!("got a separator of {bytes} bytes, expected at most {MAX_SEPARATOR_BYTES}"),
    };
    Some(Fault { field: "separators", message })
}

/// All faults in one line.
pub(super) fn list(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_settings_pass_their_check() {
        assert_eq!(ChunkSettings::default().check(), Ok(()));
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let settings = ChunkSettings {
            size: 0,
            overlap: 7,
            separators: vec![String::new(), "-".repeat(MAX_SEPARATOR_BYTES + 1)],
            ..ChunkSettings::default()
        };
        let faults = settings.check().unwrap_err();
        assert_eq!(
            list(&faults),
            "size: got 0, expected 1 to 8192 tokens; overlap: got 7, expected less than the size, 0; \
             separators: got an empty separator, expected text: what no separator divides is cut anywhere as it is; \
             separators: got a separator of 129 bytes, expected at most 128"
        );
    }

    #[test]
    fn sizes_are_checked_at_their_bounds() {
        for (size, overlap, unit, is_valid) in [
            (1, 0, Unit::Tokens, true),
            (8192, 8191, Unit::Tokens, true),
            (8193, 0, Unit::Tokens, false),
            (8193, 0, Unit::Characters, true),
            (32_769, 0, Unit::Characters, false),
            (10, 10, Unit::Tokens, false),
        ] {
            let settings = ChunkSettings { size, overlap, unit, ..ChunkSettings::default() };
            assert_eq!(settings.check().is_ok(), is_valid, "{size} {overlap} {unit:?}");
        }
    }

    #[test]
    fn settings_are_camel_case_json_whose_missing_fields_have_defaults() {
        let json = r#"{"strategy":"recursive","size":100,"overlap":10,"unit":"characters","separators":["\n"]}"#;
        let settings: ChunkSettings = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&settings).unwrap(), json);
        let partial: ChunkSettings = serde_json::from_str(r#"{"size":100}"#).unwrap();
        assert_eq!(partial, ChunkSettings { size: 100, ..ChunkSettings::default() });
    }
}

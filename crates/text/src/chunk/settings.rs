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
    /// separator ends. Default 32; at most half of `size`, which keeps the chunks together within a
    /// few times the text.
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

impl Unit {
    /// The largest chunk in it.
    #[must_use]
    pub const fn longest_chunk(self) -> u32 {
        match self {
            Self::Tokens => MAX_SIZE_TOKENS,
            Self::Characters => MAX_SIZE_CHARACTERS,
        }
    }
}

/// One thing wrong with settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: got {got}, expected {expected}")]
pub struct Fault {
    /// The field, as in JSON.
    pub field: &'static str,
    /// What came.
    pub got: String,
    /// What was expected.
    pub expected: String,
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
    /// As they are applied: no longer than a model reads of a chunk, and with an overlap of at most half. Settings that
    /// pass [`ChunkSettings::check`] are so already, unless they are older than it or than the model's limit.
    #[must_use]
    pub fn applied(mut self, longest: Option<u32>) -> Self {
        if self.unit == Unit::Tokens {
            self.size = self.size.min(longest.unwrap_or(u32::MAX));
        }
        self.overlap = self.overlap.min(self.longest_overlap());
        self
    }

    const fn longest_overlap(&self) -> u32 {
        self.size / 2
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
        let max = self.unit.longest_chunk();
        let unit = match self.unit {
            Unit::Tokens => "tokens",
            Unit::Characters => "characters",
        };
        let is_valid = (1..=max).contains(&self.size);
        (!is_valid).then(|| fault("size", self.size, format!("1 to {max} {unit}")))
    }

    fn overlap_fault(&self) -> Option<Fault> {
        let most = self.longest_overlap();
        (self.overlap > most).then(|| fault("overlap", self.overlap, format!("at most half of the size, {most}")))
    }

    fn separator_count_fault(&self) -> Option<Fault> {
        let count = self.separators.len();
        let got = || format!("{count} separators");
        (count > MAX_SEPARATORS).then(|| fault("separators", got(), format!("at most {MAX_SEPARATORS}")))
    }
}

fn separator_fault(separator: &str) -> Option<Fault> {
    let (got, expected) = match separator.len() {
        0 => ("an empty separator".to_owned(), "text: what no separator divides is cut anywhere as it is".to_owned()),
        1..=MAX_SEPARATOR_BYTES => return None,
        bytes => (format!("a separator of {bytes} bytes"), format!("at most {MAX_SEPARATOR_BYTES}")),
    };
    Some(fault("separators", got, expected))
}

fn fault(field: &'static str, got: impl ToString, expected: String) -> Fault {
    Fault { field, got: got.to_string(), expected }
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
            "size: got 0, expected 1 to 8192 tokens; overlap: got 7, expected at most half of the size, 0; \
             separators: got an empty separator, expected text: what no separator divides is cut anywhere as it is; \
             separators: got a separator of 129 bytes, expected at most 128"
        );
    }

    #[test]
    fn sizes_are_checked_at_their_bounds() {
        for (size, overlap, unit, is_valid) in [
            (1, 0, Unit::Tokens, true),
            (8192, 4096, Unit::Tokens, true),
            (8192, 4097, Unit::Tokens, false),
            (11, 5, Unit::Characters, true),
            (11, 6, Unit::Characters, false),
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
    fn settings_that_are_older_than_their_limits_are_held_to_them() {
        for (size, overlap, unit, longest, applied) in [
            (1000, 900, Unit::Tokens, Some(254), (254, 127)),
            (1000, 100, Unit::Tokens, Some(254), (254, 100)),
            (1000, 900, Unit::Tokens, None, (1000, 500)),
            (1000, 900, Unit::Characters, Some(254), (1000, 500)),
            (240, 32, Unit::Tokens, Some(254), (240, 32)),
        ] {
            let settings = ChunkSettings { size, overlap, unit, ..ChunkSettings::default() }.applied(longest);
            assert_eq!((settings.size, settings.overlap), applied, "{size} {overlap} {unit:?} {longest:?}");
            assert_eq!(settings.check(), Ok(()));
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

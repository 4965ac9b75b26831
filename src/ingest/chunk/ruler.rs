//! Measures parts of a text without reading them again.

use std::ops::Range;

use super::chars::CharIndex;
use super::{CountTokens, Unit};

/// A part of a text that has more characters than this for each token counts as more tokens. A
/// tokenizer makes one "unknown" token of a word it finds too long, and none of whitespace, so
/// token counts alone would let a chunk grow without bound.
const MAX_CHARS_PER_TOKEN: usize = 32;

/// A text and the offsets of its characters and tokens.
pub(super) struct Ruler<'a> {
    text: &'a str,
    chars: CharIndex<'a>,
    /// `None` when the unit is characters.
    tokens: Option<Tokens<'a>>,
}

struct Tokens<'a> {
    counter: &'a dyn CountTokens,
    offsets: Vec<(usize, usize)>,
}

impl<'a> Ruler<'a> {
    pub(super) fn new(text: &'a str, unit: Unit, counter: &'a dyn CountTokens) -> Self {
        let tokens = match unit {
            Unit::Tokens => Some(Tokens { counter, offsets: counter.token_offsets(text) }),
            Unit::Characters => None,
        };
        Self { text, chars: CharIndex::new(text), tokens }
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    pub(super) fn chars(&self) -> &CharIndex<'a> {
        &self.chars
    }

    /// Size of a part as read off the offsets: exact in characters, and in tokens where whitespace
    /// bounds the part.
    pub(super) fn estimate(&self, part: &Range<usize>) -> usize {
        let chars = self.chars.at_byte(part.end) - self.chars.at_byte(part.start);
        match &self.tokens {
            None => chars,
            Some(tokens) => tokens.touching(part).max(chars.div_ceil(MAX_CHARS_PER_TOKEN)),
        }
    }

    /// How many tokens the tokenizer makes of a part by itself; `None` when the unit is characters.
    pub(super) fn tokens(&self, part: &Range<usize>) -> Option<usize> {
        let tokens = self.tokens.as_ref()?;
        let count = if self.is_bounded(part) { tokens.touching(part) } else { tokens.count_again(self.text, part) };
        Some(count)
    }

    /// Whether a part is within `limit`, by estimate and by count.
    pub(super) fn fits(&self, part: &Range<usize>, limit: usize) -> bool {
        if self.estimate(part) > limit {
            return false;
        }
        // Within bounds the estimate is at least the count.
        self.is_bounded(part) || self.tokens(part).is_none_or(|tokens| tokens <= limit)
    }

    /// The farthest byte up to which the text from `start` on is estimated at `limit` or less.
    pub(super) fn reach(&self, start: usize, limit: usize) -> usize {
        let chars = if self.tokens.is_some() { limit * MAX_CHARS_PER_TOKEN } else { limit };
        let by_chars = self.chars.byte_of(self.chars.at_byte(start) + chars);
        let by_tokens = self.tokens.as_ref().and_then(|tokens| tokens.start_of_nth_after(start, limit));
        by_tokens.map_or(by_chars, |byte| self.text.floor_char_boundary(byte).min(by_chars))
    }

    /// The first byte from which the text up to `end` is estimated at `limit` or less.
    pub(super) fn reach_back(&self, end: usize, limit: usize) -> usize {
        let chars = if self.tokens.is_some() { limit * MAX_CHARS_PER_TOKEN } else { limit };
        let by_chars = self.chars.byte_of(self.chars.at_byte(end).saturating_sub(chars));
        let by_tokens = self.tokens.as_ref().and_then(|tokens| tokens.end_of_nth_before(end, limit));
        by_tokens.map_or(by_chars, |byte| self.text.ceil_char_boundary(byte).max(by_chars))
    }

    fn is_bounded(&self, part: &Range<usize>) -> bool {
        self.is_parted(part.start) && self.is_parted(part.end)
    }

    /// Whether whitespace or an end of the text keeps what is before `byte` and what is after it in
    /// different tokens. Control characters that Unicode counts as whitespace, such as the form
    /// feed, do not: tokenizers remove them.
    pub(super) fn is_parted(&self, byte: usize) -> bool {
        let parts = |c: char| c.is_whitespace() && (!c.is_control() || matches!(c, '\t' | '\n' | '\r'));
        let (before, after) = self.text.split_at(byte);
        before.chars().next_back().is_none_or(parts) || after.chars().next().is_none_or(parts)
    }
}

impl Tokens<'_> {
    /// How many tokens lie in a part, wholly or partly.
    fn touching(&self, part: &Range<usize>) -> usize {
        let until = self.offsets.partition_point(|&(start, _)| start < part.end);
        let from = self.offsets.partition_point(|&(_, end)| end <= part.start);
        until.saturating_sub(from)
    }

    /// How many tokens the tokenizer makes of a part, asking it.
    fn count_again(&self, text: &str, part: &Range<usize>) -> usize {
        self.counter.token_offsets(&text[part.clone()]).len()
    }

    /// Where the token begins that is one too many for `limit` tokens after `byte`; `None` when
    /// there are no more.
    fn start_of_nth_after(&self, byte: usize, limit: usize) -> Option<usize> {
        let first = self.offsets.partition_point(|&(_, end)| end <= byte);
        self.offsets.get(first + limit).map(|&(start, _)| start)
    }

    /// Where the token ends that is one too many for `limit` tokens before `byte`; `None` when
    /// there are no more.
    fn end_of_nth_before(&self, byte: usize, limit: usize) -> Option<usize> {
        let count = self.offsets.partition_point(|&(start, _)| start < byte);
        count.checked_sub(limit + 1).map(|index| self.offsets[index].1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::WordPieces;
    use super::*;

    const TEXT: &str = "aa bbbbbbbb, é\u{c}é cc";

    #[test]
    fn parts_bounded_by_whitespace_measure_as_the_tokenizer_counts_them() {
        let ruler = Ruler::new(TEXT, Unit::Tokens, &WordPieces);
        for (start, _) in TEXT.char_indices() {
            for (end, _) in TEXT.char_indices().filter(|&(end, _)| end > start) {
                let part = start..end;
                let counted = WordPieces.token_offsets(&TEXT[part.clone()]).len();
                assert_eq!(ruler.tokens(&part), Some(counted), "{:?}", &TEXT[part]);
            }
        }
    }

    #[test]
    fn reach_is_the_farthest_offset_within_the_limit() {
        for unit in [Unit::Tokens, Unit::Characters] {
            let ruler = Ruler::new(TEXT, unit, &WordPieces);
            for limit in 1..8 {
                for (start, _) in TEXT.char_indices() {
                    let end = ruler.reach(start, limit);
                    assert!(ruler.estimate(&(start..end)) <= limit);
                    let beyond = TEXT.ceil_char_boundary(end + 1);
                    assert!(end == TEXT.len() || ruler.estimate(&(start..beyond)) > limit);
                }
            }
        }
    }

    #[test]
    fn reach_back_is_the_first_offset_within_the_limit() {
        for unit in [Unit::Tokens, Unit::Characters] {
            let ruler = Ruler::new(TEXT, unit, &WordPieces);
            for limit in 1..8 {
                for (end, _) in TEXT.char_indices() {
                    let start = ruler.reach_back(end, limit);
                    assert!(start > end || ruler.estimate(&(start..end)) <= limit);
                    let before = TEXT.floor_char_boundary(start.saturating_sub(1));
                    assert!(start == 0 || ruler.estimate(&(before..end)) > limit);
                }
            }
        }
    }

    #[test]
    fn a_word_the_tokenizer_gives_up_on_has_a_size_all_the_same() {
        let text = "x".repeat(6400);
        let ruler = Ruler::new(&text, Unit::Tokens, &WordPieces);
        assert_eq!(ruler.tokens(&(0..6400)), Some(1));
        assert_eq!(ruler.estimate(&(0..6400)), 200);
    }
}

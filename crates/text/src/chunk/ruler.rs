//! Measures parts of a text without reading them again.

use std::ops::Range;

use super::chars::CharIndex;
use super::{ChunkSettings, CountTokens, Stop, Stopped, Unit};

/// A part of a text that has more characters than this for each token counts as more tokens. A
/// tokenizer makes one "unknown" token of a word it finds too long, and none of whitespace, so
/// token counts alone would let a chunk grow without bound.
const MAX_CHARS_PER_TOKEN: usize = 32;

/// A text and the offsets of its characters and tokens.
pub(super) struct Ruler<'a> {
    text: &'a str,
    chars: CharIndex<'a>,
    /// Characters that count as one unit at least.
    chars_per_unit: usize,
    /// `None` when the unit is characters and the model's longest chunk is not known.
    tokens: Option<Tokens<'a>>,
}

/// Bytes of a text that are given to the tokenizer at once: it cannot be stopped.
const WINDOW_BYTES: usize = 64 * 1024;

struct Tokens<'a> {
    counter: &'a dyn CountTokens,
    offsets: Vec<Offset>,
    /// Units that as many tokens count as: where the unit is characters, the tokens that the model reads fill a chunk,
    /// however few characters they are.
    weight: Weight,
}

#[derive(Clone, Copy)]
struct Weight {
    units: usize,
    tokens: usize,
}

impl Weight {
    fn units_of(self, tokens: usize) -> usize {
        (tokens * self.units).div_ceil(self.tokens)
    }

    /// Most tokens of at most so many units.
    fn tokens_of(self, units: usize) -> usize {
        units * self.tokens / self.units
    }
}

/// Where a token lies: in half the memory, which a text of single letters takes sixteen times its length of otherwise.
#[derive(Clone, Copy)]
struct Offset {
    start: u32,
    end: u32,
}

impl Offset {
    const fn start(self) -> usize {
        self.start as usize
    }

    const fn end(self) -> usize {
        self.end as usize
    }
}

impl<'a> Ruler<'a> {
    pub(super) fn new(
        text: &'a str,
        settings: &ChunkSettings,
        counter: &'a dyn CountTokens,
        stop: &Stop,
    ) -> Result<Self, Stopped> {
        let (chars_per_unit, weight) = match (settings.unit, counter.longest()) {
            (Unit::Tokens, _) => (MAX_CHARS_PER_TOKEN, Some(Weight { units: 1, tokens: 1 })),
            (Unit::Characters, None) => (1, None),
            (Unit::Characters, Some(longest)) => {
                (1, Some(Weight { units: settings.size as usize, tokens: longest.max(1) as usize }))
            }
        };
        let tokens = weight.map(|weight| Tokens::of(text, counter, weight, stop)).transpose()?;
        Ok(Self { text, chars: CharIndex::new(text), chars_per_unit, tokens })
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
        let by_tokens = self.tokens.as_ref().map(|tokens| tokens.weight.units_of(tokens.touching(part)));
        by_tokens.unwrap_or_default().max(chars.div_ceil(self.chars_per_unit))
    }

    /// How many tokens the tokenizer makes of a part by itself; `None` where they do not matter.
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
        self.is_bounded(part) || self.are_within(self.tokens(part), limit)
    }

    /// Whether so many tokens are within `limit`.
    pub(super) fn are_within(&self, tokens: Option<usize>, limit: usize) -> bool {
        let units = self.tokens.as_ref().zip(tokens).map(|(known, tokens)| known.weight.units_of(tokens));
        units.is_none_or(|units| units <= limit)
    }

    /// The farthest byte up to which the text from `start` on is estimated at `limit` or less.
    pub(super) fn reach(&self, start: usize, limit: usize) -> usize {
        let by_chars = self.chars.byte_of(self.chars.at_byte(start) + limit * self.chars_per_unit);
        let by_tokens = self.tokens.as_ref().and_then(|tokens| tokens.start_of_nth_after(start, limit));
        by_tokens.map_or(by_chars, |byte| self.text.floor_char_boundary(byte).min(by_chars))
    }

    /// The first byte from which the text up to `end` is estimated at `limit` or less.
    pub(super) fn reach_back(&self, end: usize, limit: usize) -> usize {
        let by_chars = self.chars.byte_of(self.chars.at_byte(end).saturating_sub(limit * self.chars_per_unit));
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

impl<'a> Tokens<'a> {
    fn of(text: &str, counter: &'a dyn CountTokens, weight: Weight, stop: &Stop) -> Result<Self, Stopped> {
        let mut offsets = Vec::new();
        let mut start = 0;
        while start < text.len() {
            stop.check()?;
            let end = start + window(&text[start..]);
            let place = |offset: usize| u32::try_from(start + offset).unwrap_or(u32::MAX);
            let tokens = counter.token_offsets(&text[start..end]).into_iter();
            offsets.extend(tokens.map(|(start, end)| Offset { start: place(start), end: place(end) }));
            start = end;
        }
        Ok(Self { counter, offsets, weight })
    }

    /// How many tokens lie in a part, wholly or partly.
    fn touching(&self, part: &Range<usize>) -> usize {
        let until = self.offsets.partition_point(|token| token.start() < part.end);
        let from = self.offsets.partition_point(|token| token.end() <= part.start);
        until.saturating_sub(from)
    }

    /// How many tokens the tokenizer makes of a part, asking it.
    fn count_again(&self, text: &str, part: &Range<usize>) -> usize {
        self.counter.token_offsets(&text[part.clone()]).len()
    }

    /// Where the token begins that is one too many for `limit` units after `byte`; `None` when
    /// there are no more.
    fn start_of_nth_after(&self, byte: usize, limit: usize) -> Option<usize> {
        let first = self.offsets.partition_point(|token| token.end() <= byte);
        self.offsets.get(first + self.weight.tokens_of(limit)).map(|token| token.start())
    }

    /// Where the token ends that is one too many for `limit` units before `byte`; `None` when
    /// there are no more.
    fn end_of_nth_before(&self, byte: usize, limit: usize) -> Option<usize> {
        let count = self.offsets.partition_point(|token| token.start() < byte);
        count.checked_sub(self.weight.tokens_of(limit) + 1).map(|index| self.offsets[index].end())
    }
}

/// How much of a text the tokenizer is given: up to a line's end, else up to whitespace, which part tokens.
fn window(text: &str) -> usize {
    if text.len() <= WINDOW_BYTES {
        return text.len();
    }
    let most = &text[..text.floor_char_boundary(WINDOW_BYTES)];
    let cut = most.rfind('\n').or_else(|| most.rfind([' ', '\t'])).unwrap_or_default();
    if cut == 0 { most.len() } else { cut }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Reading, WordPieces};
    use super::*;

    const TEXT: &str = "aa bbbbbbbb, é\u{c}é cc";

    fn ruler<'a>(text: &'a str, unit: Unit, counter: &'a dyn CountTokens) -> Ruler<'a> {
        let settings = ChunkSettings { size: 8, unit, ..ChunkSettings::default() };
        Ruler::new(text, &settings, counter, &Stop::default()).unwrap()
    }

    /// Each unit, and characters before a model that reads three tokens.
    const MEASURES: [(Unit, &dyn CountTokens); 3] =
        [(Unit::Tokens, &WordPieces), (Unit::Characters, &WordPieces), (Unit::Characters, &Reading(3))];

    /// The least limit that any text can be within.
    fn one_token(ruler: &Ruler<'_>) -> usize {
        ruler.tokens.as_ref().map_or(1, |tokens| tokens.weight.units_of(1))
    }

    #[test]
    fn parts_bounded_by_whitespace_measure_as_the_tokenizer_counts_them() {
        let ruler = ruler(TEXT, Unit::Tokens, &WordPieces);
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
        for (unit, counter) in MEASURES {
            let ruler = ruler(TEXT, unit, counter);
            for limit in one_token(&ruler)..8 {
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
        for (unit, counter) in MEASURES {
            let ruler = ruler(TEXT, unit, counter);
            for limit in one_token(&ruler)..8 {
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
        let ruler = ruler(&text, Unit::Tokens, &WordPieces);
        assert_eq!(ruler.tokens(&(0..6400)), Some(1));
        assert_eq!(ruler.estimate(&(0..6400)), 200);
    }
}

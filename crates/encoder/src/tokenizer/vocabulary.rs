//! The last step of BERT's tokenization: a word becomes the pieces that the model has vectors for.

use std::fmt;
use std::ops::Range;

use rustc_hash::FxHashMap;

/// Pieces with their ids. Most of the time of a tokenizer goes into looking up what is not there. The keys are the model's,
/// so no caller can choose them to be alike: a quick hash will do.
pub(super) type Pieces = FxHashMap<Box<str>, u32>;

/// The pieces a model knows, with their ids.
pub(super) struct Vocabulary {
    /// Pieces at the beginning of a word.
    beginnings: Pieces,
    /// Pieces after the beginning, without the prefix that marks them in the file.
    continuations: Pieces,
    /// Bytes of the longest piece: nothing longer needs to be looked up.
    longest_piece: usize,
    /// What stands for a word that cannot be put together.
    unknown: u32,
    max_word_chars: usize,
}

/// A piece of a word: its id, and where in the word it stands, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) id: u32,
    pub(super) range: Range<usize>,
}

impl Vocabulary {
    /// Puts the pieces of a file in order. `None` if the token for unknown words is not among them.
    pub(super) fn new(ids: Pieces, prefix: &str, unknown_token: &str, max_word_chars: usize) -> Option<Self> {
        let unknown = *ids.get(unknown_token)?;
        let longest_piece = ids.keys().map(|piece| piece.len()).max().unwrap_or(0);
        let continuations = ids.iter().filter_map(|(piece, id)| Some((piece.strip_prefix(prefix)?.into(), *id)));
        Some(Self { continuations: continuations.collect(), beginnings: ids, longest_piece, unknown, max_word_chars })
    }

    /// Characters of the longest word that is taken apart; a longer one is unknown.
    pub(super) fn max_word_chars(&self) -> usize {
        self.max_word_chars
    }

    /// Fills `pieces` with those of a word, the longest that fits first. If any part of the word fits none, all of it
    /// is one unknown piece.
    pub(super) fn split(&self, word: &str, pieces: &mut Vec<Piece>) {
        pieces.clear();
        if word.chars().count() > self.max_word_chars || !self.fill(word, pieces) {
            pieces.clear();
            pieces.push(Piece { id: self.unknown, range: 0..word.len() });
        }
    }

    /// Whether the whole word could be put together.
    fn fill(&self, word: &str, pieces: &mut Vec<Piece>) -> bool {
        let mut start = 0;
        while start < word.len() {
            let Some(piece) = self.longest_at(word, start) else { return false };
            start = piece.range.end;
            pieces.push(piece);
        }
        true
    }

    fn longest_at(&self, word: &str, start: usize) -> Option<Piece> {
        let known = if start == 0 { &self.beginnings } else { &self.continuations };
        let mut end = word.floor_char_boundary(start + self.longest_piece);
        while end > start {
            if let Some(&id) = known.get(&word[start..end]) {
                return Some(Piece { id, range: start..end });
            }
            end = word.floor_char_boundary(end - 1);
        }
        None
    }
}

impl fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vocabulary").field("pieces", &self.beginnings.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECES: [&str; 9] = ["[UNK]", "token", "tokens", "##s", "##izer", "é", "##é", "x", "##x"];

    fn vocabulary(prefix: &str, max_word_chars: usize) -> Vocabulary {
        let ids = PIECES.iter().zip(0..).map(|(piece, id)| ((*piece).into(), id));
        Vocabulary::new(ids.collect(), prefix, "[UNK]", max_word_chars).expect("there is a token for unknown words")
    }

    fn pieces(vocabulary: &Vocabulary, word: &str) -> Vec<(u32, Range<usize>)> {
        let mut pieces = vec![Piece { id: 99, range: 0..9 }];
        vocabulary.split(word, &mut pieces);
        pieces.into_iter().map(|piece| (piece.id, piece.range)).collect()
    }

    #[test]
    fn the_longest_piece_that_fits_is_taken_first() {
        let vocabulary = vocabulary("##", 100);
        assert_eq!(pieces(&vocabulary, "tokens"), [(2, 0..6)]);
        assert_eq!(pieces(&vocabulary, "tokenizers"), [(1, 0..5), (4, 5..9), (3, 9..10)]);
        assert_eq!(pieces(&vocabulary, "éé"), [(5, 0..2), (6, 2..4)]);
    }

    #[test]
    fn a_word_with_a_part_that_fits_nothing_is_unknown_as_a_whole() {
        let vocabulary = vocabulary("##", 100);
        assert_eq!(pieces(&vocabulary, "tokenize"), [(0, 0..8)]);
        assert_eq!(pieces(&vocabulary, "stoken"), [(0, 0..6)], "a piece for the middle does not begin a word");
        assert_eq!(pieces(&vocabulary, ""), []);
    }

    #[test]
    fn a_word_is_too_long_by_its_characters_not_its_bytes() {
        let vocabulary = vocabulary("##", 3);
        assert_eq!(pieces(&vocabulary, "ééé").len(), 3);
        assert_eq!(pieces(&vocabulary, "éééé"), [(0, 0..8)]);
    }

    #[test]
    fn a_vocabulary_can_have_another_prefix_or_none() {
        assert_eq!(pieces(&vocabulary("", 100), "xtoken"), [(7, 0..1), (1, 1..6)]);
        assert_eq!(pieces(&vocabulary("#", 100), "xx"), [(0, 0..2)]);
    }

    #[test]
    fn a_vocabulary_without_its_token_for_unknown_words_is_refused() {
        assert!(Vocabulary::new(Pieces::default(), "##", "[UNK]", 100).is_none());
    }
}

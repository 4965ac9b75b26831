//! The second step of BERT's tokenization: the normalized text falls into words at white space and punctuation.

use std::ops::{ControlFlow, Range};

use super::characters::is_punctuation;
use super::normalize::Normalizer;

/// Characters whose normal form is worked out beforehand: those that UTF-8 writes in one or two bytes, from Latin to
/// Arabic.
const FREQUENT: u32 = 0x800;

/// A normalized word that knows which bytes of the text it comes from.
#[derive(Debug, Default)]
pub(super) struct Word {
    text: String,
    /// For every byte of the word, where the character in the text stands that it comes from.
    sources: Vec<(usize, usize)>,
    chars: usize,
}

impl Word {
    /// The word as it is looked up. Of one that is too long, no more than what shows that it is.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The bytes of the text that a part of the word, not empty, comes from.
    pub(super) fn source(&self, part: Range<usize>) -> (usize, usize) {
        (self.sources[part.start].0, self.sources[part.end - 1].1)
    }

    fn clear(&mut self) {
        self.text.clear();
        self.sources.clear();
        self.chars = 0;
    }

    /// Adds a character. Past `max_chars` only the end of the word still moves: a text may be one word of megabytes.
    fn push(&mut self, c: char, source: (usize, usize), max_chars: usize) {
        if self.chars <= max_chars {
            self.text.push(c);
            self.sources.resize(self.text.len(), source);
            self.chars += 1;
        } else if let Some(last) = self.sources.last_mut() {
            last.1 = source.1;
        }
    }
}

/// What a normalized character does to the word before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// White space: the word ends.
    End,
    /// Punctuation: the word ends, and this is the next.
    Alone(char),
    /// The word goes on.
    Continue(char),
}

impl Step {
    fn of(normalized: char) -> Self {
        if normalized.is_whitespace() {
            Self::End
        } else if is_punctuation(normalized) {
            Self::Alone(normalized)
        } else {
            Self::Continue(normalized)
        }
    }
}

/// Takes texts apart into normalized words.
#[derive(Debug)]
pub(super) struct WordSplitter {
    normalizer: Normalizer,
    max_word_chars: usize,
    /// The only step that each frequent character leads to; `None` for the few that lead to none or several.
    frequent: Vec<Option<Step>>,
}

impl WordSplitter {
    pub(super) fn new(normalizer: Normalizer, max_word_chars: usize) -> Self {
        let only_step = |c| {
            let mut steps = Vec::new();
            normalizer.normalize(c, |part| steps.push(Step::of(part)));
            <[Step; 1]>::try_from(steps).ok().map(|[step]| step)
        };
        let frequent = (0..FREQUENT).filter_map(char::from_u32).map(only_step).collect();
        Self { normalizer, max_word_chars, frequent }
    }

    /// Shows every word of a text in turn, until told to stop.
    pub(super) fn split<F>(&self, text: &str, mut visit: F) -> ControlFlow<()>
    where
        F: FnMut(&Word) -> ControlFlow<()>,
    {
        let mut words = Words { word: Word::default(), max_word_chars: self.max_word_chars, visit: &mut visit };
        let mut steps = Vec::new();
        for (start, c) in text.char_indices() {
            let source = (start, start + c.len_utf8());
            if let Some(Some(step)) = self.frequent.get(c as usize) {
                words.take(*step, source)?;
            } else {
                self.normalizer.normalize(c, |part| steps.push(Step::of(part)));
                steps.drain(..).try_for_each(|step| words.take(step, source))?;
            }
        }
        words.end()
    }
}

/// The word that is being read, and who wants to see it when it ends.
struct Words<'a, F> {
    word: Word,
    max_word_chars: usize,
    visit: &'a mut F,
}

impl<F: FnMut(&Word) -> ControlFlow<()>> Words<'_, F> {
    fn take(&mut self, step: Step, source: (usize, usize)) -> ControlFlow<()> {
        match step {
            Step::End => self.end(),
            Step::Alone(c) => {
                self.end()?;
                self.word.push(c, source, self.max_word_chars);
                self.end()
            }
            Step::Continue(c) => {
                self.word.push(c, source, self.max_word_chars);
                ControlFlow::Continue(())
            }
        }
    }

    fn end(&mut self) -> ControlFlow<()> {
        if self.word.text.is_empty() {
            return ControlFlow::Continue(());
        }
        let flow = (self.visit)(&self.word);
        self.word.clear();
        flow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splitter(max_word_chars: usize) -> WordSplitter {
        let normalizer =
            Normalizer { clean_text: true, handle_chinese_chars: true, strip_accents: true, lowercase: true };
        WordSplitter::new(normalizer, max_word_chars)
    }

    fn words(splitter: &WordSplitter, text: &str) -> Vec<(String, (usize, usize))> {
        let mut words = Vec::new();
        let flow = splitter.split(text, |word| {
            words.push((word.text().to_owned(), word.source(0..word.text().len())));
            ControlFlow::Continue(())
        });
        assert_eq!(flow, ControlFlow::Continue(()));
        words
    }

    #[test]
    fn words_end_at_space_and_stand_alone_where_they_are_punctuation_or_chinese() {
        let found = words(&splitter(100), " Don’t\tSTOP…東京!? ");
        let expected = ["don", "’", "t", "stop", "…", "東", "京", "!", "?"];
        assert_eq!(found.iter().map(|(word, _)| word).collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
        assert_eq!(found[1].1, (4, 7));
        assert_eq!(found[6].1, (19, 22));
    }

    #[test]
    fn a_word_s_source_spans_what_was_left_out_inside_but_not_at_its_ends() {
        assert_eq!(words(&splitter(100), "\u{301}e\u{301}\u{ad}a\u{301}"), [("ea".to_owned(), (2, 8))]);
    }

    #[test]
    fn every_byte_of_a_word_knows_the_character_that_it_comes_from() {
        let flow = splitter(100).split("xẤ각", |word| {
            assert_eq!(word.text(), "xa\u{1100}\u{1161}\u{11a8}");
            assert_eq!((word.source(0..1), word.source(1..2)), ((0, 1), (1, 4)));
            assert!((2..11).all(|byte| word.source(byte..byte + 1) == (4, 7)));
            ControlFlow::Break(())
        });
        assert_eq!(flow, ControlFlow::Break(()));
    }

    #[test]
    fn of_a_word_too_long_one_character_too_many_is_kept_and_its_whole_source() {
        assert_eq!(words(&splitter(3), "abc defghij k")[1], ("defg".to_owned(), (4, 11)));
    }

    #[test]
    fn nothing_is_read_once_told_to_stop() {
        let mut seen = 0;
        let flow = splitter(100).split("a b c", |_| {
            seen += 1;
            if seen == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!((seen, flow), (2, ControlFlow::Break(())));
    }
}

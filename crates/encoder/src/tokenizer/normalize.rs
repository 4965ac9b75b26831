//! The first step of BERT's tokenization: every character becomes the characters that are looked up.

use unicode_normalization::char::decompose_canonical;

use super::characters::{is_chinese, is_nonspacing_mark, is_removed};

/// What a model wants done to its texts. A cased model keeps accents and capitals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Normalizer {
    /// Whether control and format characters are left out.
    pub(super) clean_text: bool,
    /// Whether every Chinese character is a word of its own.
    pub(super) handle_chinese_chars: bool,
    /// Whether characters are decomposed and their nonspacing marks left out.
    pub(super) strip_accents: bool,
    /// Whether capitals become small letters.
    pub(super) lowercase: bool,
}

impl Normalizer {
    /// Gives what becomes of one character: most often one, sometimes none, and space around a Chinese character.
    ///
    /// Characters are normalized one by one. A whole text's canonical decomposition would end with sorting the marks of
    /// each character, but hardly one of those that can be sorted is left by then.
    pub(super) fn normalize(self, c: char, mut emit: impl FnMut(char)) {
        if self.clean_text && is_removed(c) {
            return;
        }
        let stands_alone = self.handle_chinese_chars && is_chinese(c);
        if stands_alone {
            emit(' ');
        }
        if self.strip_accents {
            decompose_canonical(c, |part| {
                if !is_nonspacing_mark(part) {
                    self.lower(part, &mut emit);
                }
            });
        } else {
            self.lower(c, &mut emit);
        }
        if stands_alone {
            emit(' ');
        }
    }

    fn lower(self, c: char, emit: impl FnMut(char)) {
        if self.lowercase {
            c.to_lowercase().for_each(emit);
        } else {
            [c].into_iter().for_each(emit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNCASED: Normalizer =
        Normalizer { clean_text: true, handle_chinese_chars: true, strip_accents: true, lowercase: true };

    fn normalized(normalizer: Normalizer, text: &str) -> String {
        let mut all = String::new();
        text.chars().for_each(|c| normalizer.normalize(c, |part| all.push(part)));
        all
    }

    #[test]
    fn each_option_changes_what_it_names_and_nothing_else() {
        let text = "É東\u{ad}\u{fffd}Z";
        let nothing =
            Normalizer { clean_text: false, handle_chinese_chars: false, strip_accents: false, lowercase: false };
        for (normalizer, expected) in [
            (UNCASED, "e 東 z"),
            (nothing, text),
            (Normalizer { clean_text: true, ..nothing }, "É東Z"),
            (Normalizer { handle_chinese_chars: true, ..nothing }, "É 東 \u{ad}\u{fffd}Z"),
            (Normalizer { strip_accents: true, ..nothing }, "E東\u{ad}\u{fffd}Z"),
            (Normalizer { lowercase: true, ..nothing }, "é東\u{ad}\u{fffd}z"),
        ] {
            assert_eq!(normalized(normalizer, text), expected, "{normalizer:?}");
        }
    }

    #[test]
    fn one_character_can_become_several() {
        assert_eq!(normalized(UNCASED, "각"), "\u{1100}\u{1161}\u{11a8}");
        assert_eq!(normalized(Normalizer { strip_accents: false, ..UNCASED }, "İ"), "i\u{307}");
    }
}

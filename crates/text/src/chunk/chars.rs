//! From byte offsets to character offsets and back.

/// Bytes between two counts kept: a conversion reads at most this many, the index takes an eighth of the text.
const STRIDE: usize = 64;

/// Counts of the characters before every [`STRIDE`]th byte of a text.
pub(super) struct CharIndex<'a> {
    text: &'a str,
    before: Vec<usize>,
}

impl<'a> CharIndex<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mut total = 0;
        let before = text
            .as_bytes()
            .chunks(STRIDE)
            .map(|bytes| {
                let before = total;
                total += count_starts(bytes);
                before
            })
            .collect();
        Self { text, before }
    }

    /// How many characters begin before `byte`.
    pub(super) fn at_byte(&self, byte: usize) -> usize {
        let stride = (byte / STRIDE).min(self.before.len().saturating_sub(1));
        let before = self.before.get(stride).copied().unwrap_or_default();
        before + count_starts(&self.text.as_bytes()[stride * STRIDE..byte])
    }

    /// The byte where character `index` begins; the length of the text when it has no such
    /// character.
    pub(super) fn byte_of(&self, index: usize) -> usize {
        let stride = self.before.partition_point(|&before| before <= index).saturating_sub(1);
        let Some(&before) = self.before.get(stride) else {
            return self.text.len();
        };
        let from = stride * STRIDE;
        let starts = self.text.as_bytes()[from..].iter().enumerate().filter(|&(_, &byte)| is_start(byte));
        let position = starts.map(|(offset, _)| from + offset).nth(index - before);
        position.unwrap_or(self.text.len())
    }
}

fn count_starts(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| is_start(byte)).count()
}

/// Whether a character begins with this byte of UTF-8, that is, it is no continuation byte
/// (`10xxxxxx`).
const fn is_start(byte: u8) -> bool {
    byte & 0b1100_0000 != 0b1000_0000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_convert_both_ways_across_strides() {
        for text in ["", "a", &"aé😀".repeat(200), &"x".repeat(STRIDE), &"😀".repeat(STRIDE)] {
            let chars = CharIndex::new(text);
            for (index, (byte, _)) in text.char_indices().enumerate() {
                assert_eq!(chars.at_byte(byte), index);
                assert_eq!(chars.byte_of(index), byte);
            }
            let count = text.chars().count();
            assert_eq!(chars.at_byte(text.len()), count);
            assert_eq!(chars.byte_of(count + 1000), text.len());
        }
    }
}

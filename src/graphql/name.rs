//! Names as their readers see them: two that look alike are one.
//!
//! A name is trimmed and brought to Unicode's composed form (NFC), every kind of space in it becomes the plain one, and
//! characters that nobody sees are refused by their code point. Names that were stored before that rule keep theirs.

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeEmoji, UnicodeGeneralCategory};

use super::check::{self, NAME_LIMIT};
use crate::error::{Error, Result};

/// A name of 1 to [`NAME_LIMIT`] characters, as it is stored and looked up.
pub fn name(field: &str, given: &str) -> Result<String> {
    let name = composed(given);
    if let Some(unseen) = first_unseen(&name) {
        let got = format!("{} in the name", code_point(unseen));
        return Err(Error::input(field, got, "a name without control characters and invisible ones"));
    }
    check::text(field, name, 1, NAME_LIMIT)
}

/// As [`name`], where something was given.
pub fn optional_name(field: &str, given: Option<&str>) -> Result<Option<String>> {
    given.map(|given| name(field, given)).transpose()
}

/// A line of 1 to [`NAME_LIMIT`] characters for people to read, such as a title: line breaks and other runs of white
/// space become one space, other control characters are refused.
pub fn line(field: &str, given: &str) -> Result<String> {
    let line = given.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.nfc().collect();
    if let Some(control) = line.chars().find(|c| c.is_control()) {
        return Err(Error::input(field, code_point(control), "a line without control characters"));
    }
    check::text(field, line, 1, NAME_LIMIT)
}

/// As [`line()`], where something was given.
pub fn optional_line(field: &str, given: Option<&str>) -> Result<Option<String>> {
    given.map(|given| line(field, given)).transpose()
}

fn composed(given: &str) -> String {
    let is_space = |c: char| c.general_category() == GeneralCategory::SpaceSeparator;
    given.trim().nfc().map(|c| if is_space(c) { ' ' } else { c }).collect()
}

fn first_unseen(name: &str) -> Option<char> {
    let neighbour = |c: Option<char>| c.unwrap_or(' ');
    let mut places = name.char_indices().filter(|&(at, c)| {
        let (before, after) = (&name[..at], &name[at + c.len_utf8()..]);
        is_unseen(c) && !joins(neighbour(before.chars().next_back()), c, neighbour(after.chars().next()))
    });
    places.next().map(|(_, c)| c)
}

/// Controls, formats, and the letters and marks that Unicode gives no shape.
fn is_unseen(c: char) -> bool {
    use GeneralCategory::{Control, Format, LineSeparator, ParagraphSeparator};
    matches!(c.general_category(), Control | Format | LineSeparator | ParagraphSeparator)
        || matches!(c, '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}')
        || matches!(c, '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether an unseen character shapes its neighbours: joiners between letters of the scripts that need them, and what
/// puts emoji together.
fn joins(before: char, c: char, after: char) -> bool {
    let is_emoji = |c: char| !c.is_ascii() && c.is_emoji_char();
    // Arabic to Myanmar, and Khmer; before a joiner there may be a mark, such as the virama of Indic scripts.
    let is_joining = |c: char| matches!(c, '\u{600}'..='\u{109f}' | '\u{1780}'..='\u{17ff}');
    let is_within_word = is_joining(before) && is_joining(after) && after.is_alphanumeric();
    match c {
        '\u{200c}' => is_within_word,
        '\u{200d}' => is_within_word || ((is_emoji(before) || before == '\u{fe0f}') && is_emoji(after)),
        '\u{fe0f}' => is_emoji(before),
        _ => false,
    }
}

/// A character that cannot be shown, by its code point and, where people meet it, its name.
fn code_point(c: char) -> String {
    let name = match c {
        '\0' => " (NUL)",
        '\t' => " (tab)",
        '\n' => " (line feed)",
        '\r' => " (carriage return)",
        '\u{1b}' => " (escape)",
        '\u{ad}' => " (soft hyphen)",
        '\u{200b}' => " (zero width space)",
        '\u{200c}' => " (zero width non-joiner)",
        '\u{200d}' => " (zero width joiner)",
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => " (a mark of direction)",
        '\u{2028}' => " (line separator)",
        '\u{2060}' => " (word joiner)",
        '\u{feff}' => " (byte order mark)",
        _ => "",
    };
    format!("U+{:04X}{name}", u32::from(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike_are_one() {
        for (given, stored) in [
            ("notes", "notes"),
            (" notes\t\r\n", "notes"),
            ("\u{3000}notes\u{a0}", "notes"),
            ("te\u{301}am", "t\u{e9}am"),
            ("\u{1112}\u{1161}\u{11ab}", "한"),
            ("the team", "the team"),
            ("the\u{a0}team", "the team"),
            ("\u{212b}ngstr\u{f6}m", "\u{c5}ngstr\u{f6}m"),
        ] {
            assert_eq!(name("input.name", given).expect(given), stored, "{given:?}");
        }
    }

    #[test]
    fn what_nobody_sees_is_refused_by_its_code_point() {
        for (given, code_point) in [
            ("no\0tes", "U+0000 (NUL)"),
            ("no\ntes", "U+000A (line feed)"),
            ("no\ttes", "U+0009 (tab)"),
            ("no\u{200b}tes", "U+200B (zero width space)"),
            ("notes\u{200d}", "U+200D (zero width joiner)"),
            ("no\u{200c}tes", "U+200C (zero width non-joiner)"),
            ("no\u{ad}tes", "U+00AD (soft hyphen)"),
            ("\u{feff}notes", "U+FEFF (byte order mark)"),
            ("\u{202e}seton", "U+202E (a mark of direction)"),
            ("notes\u{fe0f}", "U+FE0F"),
            ("1\u{fe0f}", "U+FE0F"),
            ("notes\u{e0001}", "U+E0001"),
            ("no\u{34f}tes", "U+034F"),
            ("\u{3164}", "U+3164"),
            ("no\u{2028}tes", "U+2028 (line separator)"),
            ("no\u{7f}tes", "U+007F"),
        ] {
            let refused = name("input.name", given).expect_err(given);
            assert_eq!(refused.got.as_deref(), Some(&*format!("{code_point} in the name")), "{given:?}");
            assert_eq!(refused.field.as_deref(), Some("input.name"));
        }
    }

    #[test]
    fn a_name_of_spaces_or_beyond_the_limit_is_refused_and_the_limit_counts_what_is_stored() {
        for given in ["", " \u{2003}\n ", &"é".repeat(256)] {
            assert!(name("input.name", given).is_err(), "{given:?}");
        }
        assert!(name("input.name", &format!("  {}\n", "e\u{301}".repeat(255))).is_ok());
    }

    #[test]
    fn scripts_and_emoji_keep_what_joins_them() {
        for given in
            ["👨\u{200d}👩\u{200d}👧", "❤\u{fe0f}\u{200d}🔥", "می\u{200c}خواهم", "क्\u{200d}ष", "☎\u{fe0f} calls"]
        {
            assert_eq!(name("input.name", given).expect(given), given);
        }
    }

    #[test]
    fn a_line_has_no_breaks_and_no_controls() {
        assert_eq!(line("input.title", " Two\r\n\tlines ").expect("a line"), "Two lines");
        assert_eq!(line("input.title", "soft\u{ad}hyphen").expect("a line"), "soft\u{ad}hyphen");
        for given in ["a\0b", "\u{1b}[2J", "a\u{7}", "  "] {
            assert!(line("input.title", given).is_err(), "{given:?}");
        }
    }
}

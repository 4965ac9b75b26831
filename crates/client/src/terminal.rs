//! Text that is safe to show on a terminal.

/// `text` on one line without what a terminal would obey: control characters and those that turn the writing direction
/// go, so that a document cannot move the cursor, set the window's title, or show words in another order than they
/// are. White space becomes plain spaces.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|&c| !is_obeyed(c)).collect()
}

fn is_obeyed(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The begin of `text`, at most `limit` characters, made [`plain`], with runs of spaces collapsed.
pub(super) fn snippet(text: &str, limit: usize) -> String {
    let plain = plain(text);
    let collapsed = plain.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    match collapsed.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", collapsed[..end].trim_end()),
        None => collapsed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        for (text, expected) in [
            ("\u{1b}]0;owned\u{7}title", "]0;ownedtitle"),
            ("red \u{1b}[31mred", "red [31mred"),
            ("c1 \u{9b}2J", "c1 2J"),
            ("a\r\nb\tc", "a  b c"),
            ("abc\u{202e}fdp.exe", "abcfdp.exe"),
            ("naïve café — 日本", "naïve café — 日本"),
        ] {
            assert_eq!(plain(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_snippet_is_collapsed_and_cut_between_characters() {
        for (text, limit, expected) in [
            ("  one\n\n two\tthree ", 240, "one two three"),
            ("日本語のテキスト", 3, "日本語…"),
            ("one two", 4, "one…"),
            ("exact", 5, "exact"),
            ("", 5, ""),
        ] {
            assert_eq!(snippet(text, limit), expected, "{text:?}");
        }
    }
}

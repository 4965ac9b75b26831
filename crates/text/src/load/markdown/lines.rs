//! Lines of Markdown, as far as one can be judged by itself.

use std::ops::Range;

/// Quotes and lists within each other that are told apart; further ones are read as text. Writers nest a handful.
const MOST_NESTING: usize = 32;

/// The lines of a text with their ends, whichever these are.
pub(super) fn of(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let line = start..end(text, start)?;
        start = line.end;
        Some(line)
    })
}

/// Where the line that begins at `start` ends; `None` at the end of the text.
fn end(text: &[u8], start: usize) -> Option<usize> {
    let rest = text.get(start..).filter(|rest| !rest.is_empty())?;
    let ending = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
    Some(start + ending.map_or(rest.len(), |at| at + 1 + usize::from(rest[at..].starts_with(b"\r\n"))))
}

/// Whether a line that begins with `first` may, after a blank line, belong to a quote or list before it.
pub(super) fn may_go_on_with(first: u8) -> bool {
    first.is_ascii_whitespace() || first.is_ascii_digit() || b">-+*".contains(&first)
}

/// Appends `text`, with a letter for each mark that would open a quote or list too many.
pub(super) fn flatten(text: &str, flat: &mut String) {
    for line in of(text.as_bytes()) {
        let line = &text[line];
        match one_too_many(line.as_bytes()) {
            Some(mark) => flat.extend([&line[..mark], "x", &line[mark + 1..]]),
            None => flat.push_str(line),
        }
    }
}

/// Where a line opens a quote or list that is nested too deeply. What it is in needs marks or indentation as well.
fn one_too_many(line: &[u8]) -> Option<usize> {
    let (mut at, mut marks, mut columns) = (0, 0, 0);
    loop {
        while let Some(blank @ (b' ' | b'\t')) = line.get(at) {
            columns += if *blank == b'\t' { 4 } else { 1 };
            at += 1;
        }
        let length = mark(&line[at..])?;
        // An item's text stands two columns from its mark at least, of which one is the mark's own.
        if marks + (columns - marks.min(columns)) / 2 >= MOST_NESTING {
            return (!is_rule(line)).then_some(at);
        }
        (at, marks) = (at + length, marks + 1);
    }
}

/// Length of the mark that opens a quote or a list item here.
fn mark(rest: &[u8]) -> Option<usize> {
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let length = match (digits, rest.get(digits)?) {
        (0, b'>') => return Some(1),
        (0, b'-' | b'+' | b'*') => 1,
        (1..=9, b'.' | b')') => digits + 1,
        _ => return None,
    };
    rest.get(length).is_none_or(u8::is_ascii_whitespace).then_some(length)
}

/// Whether a line is a rule, which looks like many lists.
fn is_rule(line: &[u8]) -> bool {
    let mut marks = line.iter().filter(|byte| !byte.is_ascii_whitespace());
    marks.next().is_some_and(|first| b"-*".contains(first) && marks.all(|mark| mark == first))
}

/// The marks with which a fenced code block begins.
pub(super) fn fence(block: &str) -> &str {
    let marks = block.bytes().take_while(|byte| matches!(byte, b'`' | b'~')).count();
    &block[..marks]
}

/// As much of the beginning of an HTML block as decides where it ends.
pub(super) fn html_start(block: &str) -> &str {
    const LONGEST: usize = "<![CDATA[".len();
    let begins = |tag: &&str| block.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    if let Some(tag) = ["<script", "<pre", "<style", "<textarea"].into_iter().find(begins) {
        return tag;
    }
    if block.starts_with("<!") || block.starts_with("<?") {
        let line = block.lines().next().unwrap_or_default();
        return &line[..line.floor_char_boundary(LONGEST)];
    }
    // Any other ends at a blank line.
    "<div"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(text: &str) -> String {
        let mut flat = String::new();
        flatten(text, &mut flat);
        flat
    }

    #[test]
    fn lines_end_as_any_system_ends_them() {
        let text = "a\nb\r\nc\r\r\n\nd";
        let lines: Vec<_> = of(text.as_bytes()).map(|line| &text[line]).collect();
        assert_eq!(lines, ["a\n", "b\r\n", "c\r", "\r\n", "\n", "d"]);
    }

    #[test]
    fn marks_are_letters_from_the_first_that_nests_too_deeply() {
        for mark in ["> ", ">", "- ", "* ", "+ ", "1. ", "12) ", ">- "] {
            let levels = MOST_NESTING / mark.bytes().filter(|byte| b">-".contains(byte)).count().max(1);
            let deep = mark.repeat(levels);
            let whole = format!("{deep}text\n");
            assert_eq!(flat(&whole), whole);
            let flattened = flat(&format!("{deep}{mark}{mark}text\n"));
            assert_eq!(flattened, format!("{deep}x{}{mark}text\n", &mark[1..]));
        }
    }

    #[test]
    fn indentation_counts_as_nesting() {
        let line = |columns: usize| format!("{}- text\n", " ".repeat(columns));
        assert_eq!(flat(&line(2 * MOST_NESTING - 1)), line(2 * MOST_NESTING - 1));
        assert_eq!(flat(&line(2 * MOST_NESTING)), format!("{}x text\n", " ".repeat(2 * MOST_NESTING)));
    }

    #[test]
    fn rules_text_and_code_stay_as_they_are() {
        for text in [
            "- ".repeat(200),
            "* * *\n".repeat(3),
            " ".repeat(300),
            format!("{}code", " ".repeat(300)),
            "-".repeat(300),
        ] {
            assert_eq!(flat(&text), text);
        }
    }
}

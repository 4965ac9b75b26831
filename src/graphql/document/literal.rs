//! What string literals mean. <https://spec.graphql.org/September2025/#sec-String-Value>

/// The value of a string in quotes.
///
/// # Errors
/// The escape that there is none of; halves of surrogate pairs are none.
pub fn string(token: &str) -> Result<String, &str> {
    let mut rest = &token[1..token.len() - 1];
    let mut value = String::with_capacity(rest.len());
    while let Some(at) = rest.find('\\') {
        value.push_str(&rest[..at]);
        let (character, length) = escape(&rest[at..])?;
        value.push(character);
        rest = &rest[at + length..];
    }
    value.push_str(rest);
    Ok(value)
}

/// The character of the escape that a text begins with, and the length of the escape.
fn escape(text: &str) -> Result<(char, usize), &str> {
    let character = match text.as_bytes()[1] {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode(text).ok_or_else(|| shown(text)),
        _ => return Err(shown(text)),
    };
    Ok((character, 2))
}

/// `\u{1F600}`, `\u00e9`, or a pair such as `\uD83D\uDE00`.
fn unicode(text: &str) -> Option<(char, usize)> {
    if let Some(braced) = text.strip_prefix("\\u{") {
        let digits = &braced[..braced.find('}')?];
        return Some((char::from_u32(hexadecimal(digits)?)?, digits.len() + 4));
    }
    let first = hexadecimal(text.get(2..6)?)?;
    if let Some(character) = char::from_u32(first) {
        return Some((character, 6));
    }
    let second = hexadecimal(text.get(6..)?.strip_prefix("\\u")?.get(..4)?)?;
    let units = [u16::try_from(first).ok()?, u16::try_from(second).ok()?];
    Some((char::decode_utf16(units).next()?.ok()?, 12))
}

/// Without the sign that `from_str_radix` takes.
fn hexadecimal(digits: &str) -> Option<u32> {
    let is_plain = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_plain.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

/// Longest escape that is told back, in characters.
const SHOWN: usize = 12;

fn shown(text: &str) -> &str {
    text.char_indices().nth(SHOWN).map_or(text, |(end, _)| &text[..end])
}

/// The value of a block string: without the indentation that its lines share, and without blank lines around it.
pub fn block_string(token: &str) -> String {
    let lines: Vec<&str> = lines(&token[3..token.len() - 3]).collect();
    let is_blank = |line: &&str| indentation(line) == line.len();
    let common = lines.iter().skip(1).filter(|line| !is_blank(line)).map(|line| indentation(line)).min().unwrap_or(0);
    let first = lines.iter().position(|line| !is_blank(line)).unwrap_or(lines.len());
    let end = lines.iter().rposition(|line| !is_blank(line)).map_or(first, |last| last + 1);
    let kept =
        (first..end).map(|line| if line == 0 { lines[0] } else { lines[line].get(common..).unwrap_or_default() });
    kept.collect::<Vec<_>>().join("\n").replace("\\\"\"\"", "\"\"\"")
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split("\r\n").flat_map(|part| part.split(['\r', '\n']))
}

fn indentation(line: &str) -> usize {
    line.bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_escape_of_the_specification_is_read() {
        for (token, expected) in [
            (r#""""#, ""),
            (r#""plain é 😀""#, "plain é 😀"),
            (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r#""\u00e9\u00E9x""#, "ééx"),
            (r#""a\u{1F600}b""#, "a😀b"),
            (r#""\u{000000000041}""#, "A"),
            (r#""\u{10FFFF}\uFFFF""#, "\u{10ffff}\u{ffff}"),
            (r#""\uD83D\uDE00!""#, "😀!"),
            (r#""\\uD83D""#, "\\uD83D"),
        ] {
            assert_eq!(string(token).as_deref(), Ok(expected), "{token}");
        }
    }

    #[test]
    fn an_escape_that_stands_for_no_character_is_refused() {
        let bodies = r"\x \u \u12 \u12G4 \u+123 \u{} \u{110000} \u{D83D} \u{12 \u{+41} \uD83D \uD83Dx \uDE00 \uDE00\uD83D
            \uD83D\u0041 \uD83D\u{DE00} \U0041 \é \u{FFFFFFFFFFFFFFFFFF}";
        for body in bodies.split_whitespace() {
            assert!(string(&format!("\"{body}\"")).is_err(), "{body}");
        }
    }

    #[test]
    fn a_block_string_loses_its_common_indentation_and_blank_ends() {
        for (body, expected) in [
            ("", ""),
            ("  \n\t\n ", ""),
            ("plain", "plain"),
            ("  first\n    a\n      b\r\n\r    c\n  ", "  first\na\n  b\n\nc"),
            ("\n  a\n \n  b\n", "a\n\nb"),
            ("a \\\"\"\" b \\u{41}", "a \"\"\" b \\u{41}"),
            ("\n é\n  ü", "é\n ü"),
        ] {
            assert_eq!(block_string(&format!("\"\"\"{body}\"\"\"")), expected, "{body:?}");
        }
    }
}

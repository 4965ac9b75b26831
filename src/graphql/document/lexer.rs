//! Cuts the text of a document into tokens, in one pass, and stops where there are too many of them or their brackets
//! nest too deep. <https://spec.graphql.org/September2025/#sec-Language.Source-Text>

use async_graphql::Pos;
use settings::GraphqlSettings;

use super::error::{DocumentError, Result};
use crate::error::Code;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One of `! $ & ( ) ... : = @ [ ] { | }`.
    Punctuator,
    /// A name, which may be a keyword where one is expected.
    Name,
    /// A whole or decimal number.
    Number,
    /// A string in quotes, which belong to the token.
    String,
    /// A string in triple quotes, which belong to the token.
    BlockString,
    /// Behind the last token.
    End,
}

/// A token, and where it begins.
#[derive(Debug, Clone, Copy)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its text as written.
    pub text: &'a str,
    /// Line and column, both from 1, in characters.
    pub at: Pos,
}

/// The tokens of a document, with an end.
pub fn tokens<'a>(text: &'a str, limits: &GraphqlSettings) -> Result<Vec<Token<'a>>> {
    let mut lexer = Lexer { rest: text, at: Pos { line: 1, column: 1 } };
    let (mut tokens, mut nesting) = (Vec::new(), 0_usize);
    loop {
        let token = lexer.next()?;
        tokens.push(token);
        if token.kind == Kind::End {
            return Ok(tokens);
        }
        check(&token, tokens.len(), limits)?;
        match token.text {
            "{" | "[" | "(" => nesting += 1,
            "}" | "]" | ")" => nesting = nesting.saturating_sub(1),
            _ => {}
        }
        if nesting > limits.nesting_limit {
            let got = format!("brackets nested deeper than {} levels", limits.nesting_limit);
            return Err(DocumentError::limit(Code::QueryTooDeep, got, limits.nesting_limit, "levels", "nesting_limit"));
        }
    }
}

/// Names are told back in errors, each as often as it is used; without a limit that would be the square of the text.
fn check(token: &Token<'_>, count: usize, limits: &GraphqlSettings) -> Result<()> {
    if count > limits.tokens_limit {
        let got = format!("more than {} tokens", limits.tokens_limit);
        return Err(DocumentError::limit(Code::TooManyTokens, got, limits.tokens_limit, "tokens", "tokens_limit"));
    }
    if token.kind == Kind::Name && token.text.len() > limits.name_limit_bytes {
        let got = format!("a name of {} bytes", token.text.len());
        return Err(DocumentError::limit(Code::NameTooLong, got, limits.name_limit_bytes, "bytes", "name_limit_bytes"));
    }
    Ok(())
}

struct Lexer<'a> {
    rest: &'a str,
    at: Pos,
}

impl<'a> Lexer<'a> {
    fn next(&mut self) -> Result<Token<'a>> {
        self.skip_ignored();
        let bytes = self.rest.as_bytes();
        let (kind, length) = match bytes {
            [] => (Kind::End, 0),
            [b'.', b'.', b'.', ..] => (Kind::Punctuator, 3),
            [b'!' | b'$' | b'&' | b'(' | b')' | b':' | b'=' | b'@' | b'[' | b']' | b'{' | b'|' | b'}', ..] => {
                (Kind::Punctuator, 1)
            }
            [b'_' | b'a'..=b'z' | b'A'..=b'Z', ..] => (Kind::Name, count(bytes, is_name)),
            [b'-' | b'0'..=b'9', ..] => (Kind::Number, self.number()?),
            [b'"', b'"', b'"', ..] => (Kind::BlockString, self.block_string()?),
            [b'"', ..] => (Kind::String, self.string()?),
            _ => return Err(self.refuse(self.rest.chars().next().unwrap_or_default(), "a name, a value or a bracket")),
        };
        Ok(self.take(kind, length))
    }

    /// White space, commas, byte order marks and comments.
    fn skip_ignored(&mut self) {
        loop {
            let blank = self.rest.trim_start_matches([' ', ',', '\t', '\r', '\n', '\u{feff}']);
            let blank = self.rest.len() - blank.len();
            let comment = self.rest[blank..].starts_with('#');
            let skipped = match comment {
                true => blank + count(&self.rest.as_bytes()[blank..], |byte| !is_line_end(byte)),
                false => blank,
            };
            if skipped == 0 {
                return;
            }
            self.advance(skipped);
        }
    }

    fn take(&mut self, kind: Kind, length: usize) -> Token<'a> {
        let (text, at) = (&self.rest[..length], self.at);
        self.advance(length);
        Token { kind, text, at }
    }

    /// `\r\n` is one line's end: the line is counted at the `\n`.
    fn advance(&mut self, length: usize) {
        let (passed, rest) = self.rest.split_at(length);
        self.rest = rest;
        let mut characters = passed.chars().peekable();
        while let Some(character) = characters.next() {
            match (character, characters.peek()) {
                ('\r', Some('\n')) => {}
                ('\r' | '\n', _) => self.at = Pos { line: self.at.line + 1, column: 1 },
                _ => self.at.column += 1,
            }
        }
    }

    /// Bytes of a number; what follows must be apart from it.
    fn number(&self) -> Result<usize> {
        let bytes = self.rest.as_bytes();
        let digits = |from: usize| count(&bytes[from..], |byte| byte.is_ascii_digit());
        let sign = usize::from(bytes[0] == b'-');
        let whole = digits(sign);
        let mut end = sign + whole;
        let mut is_sound = whole == 1 || (whole > 1 && bytes[sign] != b'0');
        if bytes.get(end) == Some(&b'.') {
            let fraction = digits(end + 1);
            (end, is_sound) = (end + 1 + fraction, is_sound && fraction > 0);
        }
        if let Some(b'e' | b'E') = bytes.get(end) {
            let signed = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end + 1 + signed);
            (end, is_sound) = (end + 1 + signed + exponent, is_sound && exponent > 0);
        }
        let follower = bytes.get(end).is_some_and(|byte| is_name(*byte) || *byte == b'.');
        if !is_sound || follower {
            return Err(self.refuse(&self.rest[..end + usize::from(follower)], "a number"));
        }
        Ok(end)
    }

    /// Bytes of a string on one line. Its escapes are read with its value.
    fn string(&self) -> Result<usize> {
        let bytes = self.rest.as_bytes();
        let mut at = 1;
        loop {
            match bytes.get(at) {
                Some(b'"') => return Ok(at + 1),
                Some(b'\\') if bytes.get(at + 1).is_some_and(|byte| !is_line_end(*byte)) => at += 2,
                Some(byte) if !is_line_end(*byte) => at += 1,
                _ => return Err(self.refuse("a string without an end", "a quote on the same line")),
            }
        }
    }

    fn block_string(&self) -> Result<usize> {
        let bytes = self.rest.as_bytes();
        let mut at = 3;
        while at < bytes.len() {
            match &bytes[at..] {
                [b'"', b'"', b'"', ..] => return Ok(at + 3),
                [b'\\', b'"', b'"', b'"', ..] => at += 4,
                _ => at += 1,
            }
        }
        Err(self.refuse("a block string without an end", "three quotes"))
    }

    fn refuse(&self, got: impl std::fmt::Display, expected: &str) -> Box<DocumentError> {
        DocumentError::syntax(self.at, got, expected)
    }
}

fn count(bytes: &[u8], is_counted: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| is_counted(**byte)).count()
}

fn is_name(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

//! Places to cut, as the settings name them.

use std::iter;

/// A text between or after which a document may be cut.
pub(super) struct Separator {
    text: String,
    /// The same with Windows line ends, where that is another text.
    crlf: Option<String>,
    /// A separator such as `"\n## "` opens what follows: the cut is after the whitespace it begins
    /// with. One such as `". "` closes what is before: the cut is after all of it.
    closes: bool,
}

impl Separator {
    pub(super) fn new(separator: &str) -> Self {
        let has_inner_newline = separator.len() > 1 && separator.contains('\n') && !separator.contains('\r');
        Self {
            text: separator.to_owned(),
            crlf: has_inner_newline.then(|| separator.replace('\n', "\r\n")),
            closes: !separator.starts_with(char::is_whitespace),
        }
    }

    /// Most bytes that a match may have.
    pub(super) fn longest(&self) -> usize {
        self.crlf.as_ref().unwrap_or(&self.text).len()
    }

    /// Byte offsets in `text` where it may be cut, rising.
    pub(super) fn cuts(&self, text: &str) -> impl Iterator<Item = usize> {
        let mut plain = self.cuts_at(&self.text, text).peekable();
        let mut crlf = self.crlf.iter().flat_map(|separator| self.cuts_at(separator, text)).peekable();
        iter::from_fn(move || match (plain.peek(), crlf.peek()) {
            (Some(plain_cut), Some(crlf_cut)) if crlf_cut < plain_cut => crlf.next(),
            (Some(_), _) => plain.next(),
            (None, _) => crlf.next(),
        })
    }

    fn cuts_at(&self, separator: &str, text: &str) -> impl Iterator<Item = usize> {
        let whitespace = separator.len() - separator.trim_start().len();
        let kept = if self.closes { separator.len() } else { whitespace };
        text.match_indices(separator).map(move |(at, _)| at + kept)
    }
}

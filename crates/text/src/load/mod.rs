//! Loaders: the bytes of a document become the text that is stored, cut into chunks and shown.
//!
//! One file per format, each a function from checked UTF-8 to [`Loaded`]; [`load`] is the registry.
//! Pure: no loader reads anything but its argument. Each takes time and memory in proportion to the document, whatever is
//! in it, and asks every few kilobytes whether to go on.

mod binary;
mod content_type;
mod error;
mod html;
mod markdown;
mod outline;
mod plain;

use crate::{Stop, Stopped};

pub use binary::recognise;
pub use content_type::ContentType;
pub use error::LoadError;
pub use outline::HeadingPath;

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Most sections of a document; further headings are text like any other. More would make more chunks than a document
/// may have.
pub const MAX_SECTIONS: usize = 100_000;

/// A document as text: what is stored, and what every chunk is a slice of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The stored text. Holds at least one character that is not whitespace, and no NUL.
    pub text: String,
    /// The title the document gives itself: front matter, `<title>` or the first heading of level
    /// 1.
    pub title: Option<String>,
    /// Where each heading begins, by rising `start`; text before the first one is under no heading. At most
    /// [`MAX_SECTIONS`].
    pub sections: Vec<Section>,
}

/// A heading and what follows it, up to the next heading of any level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Byte offset in [`Loaded::text`] where the heading itself begins.
    pub start: usize,
    /// Byte offset in [`Loaded::text`] right after the heading.
    pub body_start: usize,
    /// Level of the heading, 1 (top) to 6.
    pub level: u8,
    /// What the heading says, in one line.
    pub title: String,
}

impl Loaded {
    /// Whether the text is byte for byte the input, so that the original need not be stored beside
    /// it.
    #[must_use]
    pub fn is_verbatim(&self, input: &[u8]) -> bool {
        self.text.as_bytes() == input
    }
}

/// Reads `bytes` as a document of `content_type`.
///
/// # Errors
/// When the bytes are not UTF-8, hold a NUL, or hold no text once the markup is gone; and when it was stopped.
pub fn load(content_type: ContentType, bytes: &[u8], stop: &Stop) -> Result<Loaded, LoadError> {
    let text = decode(bytes)?;
    let loaded = match content_type {
        ContentType::PlainText => plain::load(text),
        ContentType::Markdown => markdown::load(text, stop)?,
        ContentType::Html => html::load(text, stop)?,
    };
    loaded.ok_or(LoadError::Empty)
}

/// The checks that cost next to nothing, for refusing a document before it is taken in: [`load`] may still find that
/// there is only markup.
///
/// # Errors
/// When the bytes are not UTF-8, hold a NUL, or are blank.
pub fn check(bytes: &[u8]) -> Result<(), LoadError> {
    if decode(bytes)?.trim().is_empty() { Err(LoadError::Empty) } else { Ok(()) }
}

/// Checks what holds for every format and drops a leading byte order mark.
fn decode(bytes: &[u8]) -> Result<&str, LoadError> {
    let text = std::str::from_utf8(bytes).map_err(|error| LoadError::InvalidUtf8 { offset: error.valid_up_to() })?;
    if let Some(offset) = bytes.iter().position(|&byte| byte == 0) {
        return Err(LoadError::NulByte { offset });
    }
    Ok(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [ContentType; 3] = ContentType::ALL;

    #[test]
    fn bytes_that_are_not_utf8_are_refused_with_their_offset() {
        for content_type in ALL {
            let refused = load(content_type, b"caf\xe9 <meta charset=iso-8859-1>", &Stop::default());
            assert_eq!(refused, Err(LoadError::InvalidUtf8 { offset: 3 }));
        }
    }

    #[test]
    fn a_nul_byte_is_refused_with_its_offset() {
        for content_type in ALL {
            assert_eq!(load(content_type, b"ab\0c", &Stop::default()), Err(LoadError::NulByte { offset: 2 }));
        }
    }

    #[test]
    fn a_document_without_text_is_refused_as_empty() {
        for (content_type, input) in [
            (ContentType::PlainText, ""),
            (ContentType::PlainText, "\u{feff} \r\n\u{a0}"),
            (ContentType::Markdown, "---\ntitle: only front matter\n---\n"),
            (ContentType::Markdown, "***\n\n<!-- a note -->\n\n![](picture.png)\n"),
            (ContentType::Html, "<html><head><title>t</title></head><body><p> &nbsp; </p></body></html>"),
            (ContentType::Html, "<script>code()</script><ul><li></li></ul>"),
        ] {
            assert_eq!(load(content_type, input.as_bytes(), &Stop::default()), Err(LoadError::Empty), "{input:?}");
        }
    }

    #[test]
    fn only_text_equal_to_the_input_is_verbatim() {
        for (content_type, input, verbatim) in [
            (ContentType::PlainText, "a\r\nb ", true),
            (ContentType::PlainText, "\u{feff}a", false),
            (ContentType::Markdown, "# a\n", true),
            (ContentType::Html, "<p>a", false),
        ] {
            let loaded = load(content_type, input.as_bytes(), &Stop::default()).unwrap();
            assert_eq!(loaded.is_verbatim(input.as_bytes()), verbatim, "{input:?}");
        }
    }
}

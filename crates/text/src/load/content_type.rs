//! The formats that have a loader, by MIME type and by file name.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::LoadError;

/// A format that [`super::load`] reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentType {
    /// `text/plain`: kept as it is.
    PlainText,
    /// `text/markdown`: kept as it is; headings give sections and title.
    Markdown,
    /// `text/html`: the visible text.
    Html,
}

impl ContentType {
    /// Every format, in the order messages list them.
    pub const ALL: [Self; 3] = [Self::PlainText, Self::Markdown, Self::Html];

    /// The MIME type, without parameters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PlainText => "text/plain",
            Self::Markdown => "text/markdown",
            Self::Html => "text/html",
        }
    }

    /// The format a file's extension stands for, whatever its case; `None` for one that no loader
    /// reads.
    #[must_use]
    pub fn from_path(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "txt" | "text" | "log" | "rst" | "adoc" | "org" => Some(Self::PlainText),
            "md" | "markdown" | "mdown" | "mkd" => Some(Self::Markdown),
            "html" | "htm" | "xhtml" => Some(Self::Html),
            _ => None,
        }
    }

    /// The supported MIME types as one phrase, for messages.
    pub(super) fn expected() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Reads a MIME type, as in an HTTP `Content-Type`: any case, with or without parameters.
impl FromStr for ContentType {
    type Err = LoadError;

    fn from_str(mime: &str) -> Result<Self, LoadError> {
        let mut parts = mime.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
        let content_type = match essence.as_str() {
            "text/plain" | "text/x-rst" => Self::PlainText,
            "text/markdown" | "text/x-markdown" => Self::Markdown,
            "text/html" | "application/xhtml+xml" => Self::Html,
            _ => {
                return Err(LoadError::UnsupportedContentType { got: mime.to_owned() });
            }
        };
        for parameter in parts {
            check_charset(parameter)?;
        }
        Ok(content_type)
    }
}

/// Refuses a `charset` parameter that is not UTF-8 or its subset ASCII; other parameters do not
/// matter.
fn check_charset(parameter: &str) -> Result<(), LoadError> {
    let Some((name, value)) = parameter.split_once('=') else {
        return Ok(());
    };
    if !name.trim().eq_ignore_ascii_case("charset") {
        return Ok(());
    }
    let charset = value.trim().trim_matches('"');
    let is_utf8 = ["utf-8", "utf8", "us-ascii"].iter().any(|known| charset.eq_ignore_ascii_case(known));
    if is_utf8 { Ok(()) } else { Err(LoadError::UnsupportedCharset { got: charset.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mime_types_are_read_in_any_case_and_with_parameters() {
        for (mime, expected) in [
            ("text/plain", ContentType::PlainText),
            ("Text/Markdown; Charset=\"UTF-8\"; variant=GFM", ContentType::Markdown),
            ("text/html;charset=utf8", ContentType::Html),
            ("application/xhtml+xml", ContentType::Html),
        ] {
            assert_eq!(mime.parse(), Ok(expected), "{mime}");
        }
    }

    #[test]
    fn every_content_type_is_read_back_from_its_own_name() {
        for content_type in ContentType::ALL {
            assert_eq!(content_type.as_str().parse(), Ok(content_type));
        }
    }

    #[test]
    fn an_unsupported_type_is_refused_with_what_was_got_and_what_is_expected() {
        let error = "application/zip".parse::<ContentType>().unwrap_err();
        assert_eq!(error.code(), "UNSUPPORTED_CONTENT_TYPE");
        assert_eq!(
            error.to_string(),
            "got content type application/zip, expected one of text/plain, text/markdown, text/html"
        );
    }

    #[test]
    fn another_charset_is_refused_by_name() {
        let error = "text/html; charset=iso-8859-1".parse::<ContentType>().unwrap_err();
        assert_eq!(error, LoadError::UnsupportedCharset { got: "iso-8859-1".to_owned() });
    }

    #[test]
    fn the_extension_of_a_path_tells_the_format() {
        for (path, expected) in [
            ("notes/a.TXT", Some(ContentType::PlainText)),
            ("guide.rst", Some(ContentType::PlainText)),
            ("README.md", Some(ContentType::Markdown)),
            ("index.xhtml", Some(ContentType::Html)),
            ("archive.zip", None),
            ("README", None),
        ] {
            assert_eq!(ContentType::from_path(Path::new(path)), expected, "{path}");
        }
    }
}

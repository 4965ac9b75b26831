//! Formats that are no text, told by their first bytes whatever a name or a header says of them.

/// Bytes of a format, where they stand, and the format's name with its article.
type Sign = (usize, &'static [u8], &'static str);

/// No sign is plain words, so that no text is taken for another thing: PDF, RTF and PostScript are looked at by
/// themselves, because they may hold nothing but ASCII.
const SIGNS: [Sign; 43] = [
    (0, b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (0, b"\xff\xd8\xff", "a JPEG image"),
    (0, b"GIF87a", "a GIF image"),
    (0, b"GIF89a", "a GIF image"),
    (0, b"II*\0", "a TIFF image"),
    (0, b"MM\0*", "a TIFF image"),
    (8, b"WEBP", "a WebP image"),
    (4, b"ftypheic", "a HEIC image"),
    (4, b"ftypavif", "an AVIF image"),
    (0, b"\0\0\x01\0", "an icon"),
    (0, b"8BPS\0", "a Photoshop image"),
    (4, b"ftypM4A", "an MP4 audio file"),
    (4, b"ftyp", "an MP4 video"),
    (0, b"\x1a\x45\xdf\xa3", "a Matroska or WebM video"),
    (8, b"AVI ", "an AVI video"),
    (8, b"WAVE", "a WAV audio file"),
    (0, b"OggS\0", "an Ogg audio file"),
    (0, b"fLaC\0", "a FLAC audio file"),
    (0, b"ID3\x02", "an MP3 audio file"),
    (0, b"ID3\x03", "an MP3 audio file"),
    (0, b"ID3\x04", "an MP3 audio file"),
    (0, b"\xff\xfb", "an MP3 audio file"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"BZh", "a bzip2 archive"),
    (0, b"\xfd7zXZ\0", "an xz archive"),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"Rar!\x1a\x07", "a RAR archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"\x7fELF", "an ELF program"),
    (0, b"\xfe\xed\xfa\xce", "a Mach-O program"),
    (0, b"\xfe\xed\xfa\xcf", "a Mach-O program"),
    (0, b"\xce\xfa\xed\xfe", "a Mach-O program"),
    (0, b"\xcf\xfa\xed\xfe", "a Mach-O program"),
    (0, b"\xca\xfe\xba\xbe", "a Java class or a Mach-O program"),
    (0, b"MZ", "a Windows program"),
    (0, b"\0asm", "a WebAssembly module"),
    (0, b"SQLite format 3\0", "an SQLite database"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a document of an older Microsoft Office"),
    (0, b"PAR1", "a Parquet file"),
    (0, b"wOFF", "a font"),
    (0, b"wOF2", "a font"),
    (0, b"OTTO\0", "a font"),
];

/// What a zip archive holds, by a name that such archives have near their begin.
const IN_ZIP: [(&[u8], &str); 8] = [
    (b"word/", "a Word document (docx)"),
    (b"xl/", "an Excel workbook (xlsx)"),
    (b"ppt/", "a PowerPoint presentation (pptx)"),
    (b"application/vnd.oasis.opendocument.text", "an OpenDocument text (odt)"),
    (b"application/vnd.oasis.opendocument", "an OpenDocument file"),
    (b"application/epub+zip", "an EPUB book"),
    (b"META-INF/MANIFEST.MF", "a Java archive"),
    (b"[Content_Types].xml", "a Microsoft Office document"),
];

/// How far into a zip archive its names are looked for, in bytes.
const ZIP_LOOKED_AT: usize = 8 * 1024;

/// How far a PDF's header may be from the file's begin, in bytes; all readers look that far.
const PDF_HEADER_WITHIN: usize = 1024;

/// What the bytes are, if they are a known format that is no text: `a PDF document`. The signs of formats that also text
/// might begin with, such as `MZ`, count only where the bytes are no text.
#[must_use]
pub fn recognise(bytes: &[u8]) -> Option<&'static str> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if let Some(document) = in_ascii(bytes) {
        return Some(document);
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return Some(in_zip(bytes));
    }
    let begins = |&&(at, sign, _): &&Sign| bytes.get(at..).is_some_and(|rest| rest.starts_with(sign));
    let (_, sign, name) = SIGNS.iter().find(begins)?;
    let is_plain = sign.iter().all(|byte| matches!(byte, b' '..=b'~'));
    (!is_plain || !is_text(bytes)).then_some(name)
}

/// Formats that may be nothing but ASCII.
fn in_ascii(bytes: &[u8]) -> Option<&'static str> {
    let is_version = |rest: &[u8]| matches!(rest, [b'0'..=b'9', b'.', b'0'..=b'9', ..]);
    let is_header = |rest: &[u8]| rest.strip_prefix(b"%PDF-").is_some_and(is_version);
    if is_header(bytes) {
        return Some("a PDF document");
    }
    // Behind other bytes, only what has a PDF's end too: a text may be about such headers.
    let begin = &bytes[..bytes.len().min(PDF_HEADER_WITHIN)];
    let end = &bytes[bytes.len().saturating_sub(PDF_HEADER_WITHIN)..];
    let has_header = begin.windows(8).any(is_header);
    if has_header && (holds(end, b"%%EOF") && holds(end, b"startxref") || !is_text(bytes)) {
        return Some("a PDF document");
    }
    match bytes {
        [b'{', b'\\', b'r', b't', b'f', b'0'..=b'9', ..] => Some("an RTF document"),
        _ if bytes.starts_with(b"%!PS-Adobe-") => Some("a PostScript document"),
        _ => None,
    }
}

fn in_zip(bytes: &[u8]) -> &'static str {
    let begin = &bytes[..bytes.len().min(ZIP_LOOKED_AT)];
    IN_ZIP.iter().find(|(name, _)| holds(begin, name)).map_or("a zip archive", |(_, what)| what)
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

fn is_text(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok() && !bytes.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zip(name: &str, content: &str) -> Vec<u8> {
        [b"PK\x03\x04\x14\0\0\0\0\0", name.as_bytes(), content.as_bytes()].concat()
    }

    #[test]
    fn formats_that_are_no_text_are_told_by_their_bytes() {
        let mut tar = vec![0; 600];
        tar[257..262].copy_from_slice(b"ustar");
        for (bytes, what) in [
            (&b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\nstartxref\n9\n%%EOF\n"[..], "a PDF document"),
            (b"\xef\xbb\xbf%PDF-1.4\r", "a PDF document"),
            (b"junk\r\n%PDF-1.4\n...\nstartxref\n9\n%%EOF", "a PDF document"),
            (b"junk\r\n%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", "a PDF document"),
            (b"{\\rtf1\\ansi text}", "an RTF document"),
            (b"%!PS-Adobe-3.0 EPSF-3.0", "a PostScript document"),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a PNG image"),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG image"),
            (b"GIF89a\x01\0", "a GIF image"),
            (b"RIFF\x24\0\0\0WEBPVP8 ", "a WebP image"),
            (b"\0\0\0\x18ftypheic", "a HEIC image"),
            (b"\0\0\0\x20ftypisom", "an MP4 video"),
            (b"\x1f\x8b\x08\0", "a gzip archive"),
            (b"BZh91AY&SY\x00", "a bzip2 archive"),
            (b"\x7fELF\x02\x01\x01\0", "an ELF program"),
            (b"MZ\x90\0\x03", "a Windows program"),
            (b"SQLite format 3\0", "an SQLite database"),
            (b"PAR1\x15\0", "a Parquet file"),
            (&tar, "a tar archive"),
            (&zip("word/document.xml", ""), "a Word document (docx)"),
            (&zip("[Content_Types].xml", ""), "a Microsoft Office document"),
            (&zip("mimetype", "application/vnd.oasis.opendocument.textPK"), "an OpenDocument text (odt)"),
            (&zip("photos/", ""), "a zip archive"),
            (b"PK\x05\x06\0\0", "a zip archive"),
        ] {
            assert_eq!(recognise(bytes), Some(what), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_text_about_formats_is_text() {
        for text in [
            "",
            "MZ is how a Windows program begins.",
            "GIF89a is a version of GIF.",
            "BZh is the magic number of bzip2",
            "PAR1 and wOFF",
            "# PDF\n\nA file begins with `%PDF-1.7` and ends with %%EOF.",
            "%PDF- is a header",
            "{\\rtf is how it begins}",
            "1234ftypmp42",
            "RIFF....WAVE",
            "I have an AVI file",
            "<!doctype html><p>PK",
        ] {
            assert_eq!(recognise(text.as_bytes()), None, "{text}");
        }
    }
}

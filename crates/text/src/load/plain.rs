//! Plain text: kept as it is, with neither title nor sections.

use super::Loaded;

/// The text itself; `None` when it is all whitespace.
pub(super) fn load(text: &str) -> Option<Loaded> {
    if text.trim().is_empty() {
        return None;
    }
    Some(Loaded { text: text.to_owned(), title: None, sections: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_keeps_every_character_and_has_no_sections() {
        let text = "# not a heading\r\n\tx\u{a0}\n";
        let loaded = load(text).unwrap();
        assert_eq!(loaded, Loaded { text: text.to_owned(), title: None, sections: Vec::new() });
    }
}

//! What each HTML element means for the text of a page.

/// How an element shapes the text. Elements without a role (`span`, `a`, unknown ones) are inline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A paragraph of its own; its end closes what was left open inside.
    Block,
    /// As [`Role::Block`], for elements whose end tag may be left out: nothing waits for it.
    Paragraph,
    /// A heading of level 1 to 6.
    Heading(u8),
    /// A list: a paragraph, or just a new line within another list.
    List,
    /// A list item, marked `- `.
    Item,
    /// A line of its own: `dt`, `dd`, `caption` and the like.
    Line,
    /// A table.
    Table,
    /// A table row, or a group of them.
    Row,
    /// A table cell.
    Cell,
    /// `br`.
    Break,
    /// `pre`: whitespace counts.
    Preformatted,
    /// `title`: names the document, shows nothing.
    Title,
    /// Shows nothing, or nothing of the document's own: code, controls, and `nav`, whose links
    /// repeat on every page of a site and would be found in place of what they lead to.
    Dropped,
}

impl Role {
    /// Whether the element is open until its end tag, or that of one around it.
    pub(super) const fn has_end(self) -> bool {
        match self {
            Self::Block
            | Self::Heading(_)
            | Self::List
            | Self::Table
            | Self::Preformatted
            | Self::Title
            | Self::Dropped => true,
            Self::Paragraph | Self::Item | Self::Line | Self::Row | Self::Cell | Self::Break => false,
        }
    }
}

/// The elements that have a role, sorted by name. `header`, `footer` and `aside` are shown: they hold
/// titles, dates and notes as often as menus.
pub(super) const ELEMENTS: &[(&[u8], Role)] = &[
    (b"address", Role::Block),
    (b"article", Role::Block),
    (b"aside", Role::Block),
    (b"audio", Role::Dropped),
    (b"blockquote", Role::Block),
    (b"body", Role::Block),
    (b"br", Role::Break),
    (b"canvas", Role::Dropped),
    (b"caption", Role::Line),
    (b"center", Role::Block),
    (b"datalist", Role::Dropped),
    (b"dd", Role::Line),
    (b"details", Role::Block),
    (b"dialog", Role::Block),
    (b"div", Role::Block),
    (b"dl", Role::Block),
    (b"dt", Role::Line),
    (b"fieldset", Role::Block),
    (b"figcaption", Role::Block),
    (b"figure", Role::Block),
    (b"footer", Role::Block),
    (b"form", Role::Block),
    (b"h1", Role::Heading(1)),
    (b"h2", Role::Heading(2)),
    (b"h3", Role::Heading(3)),
    (b"h4", Role::Heading(4)),
    (b"h5", Role::Heading(5)),
    (b"h6", Role::Heading(6)),
    (b"header", Role::Block),
    (b"hgroup", Role::Block),
    (b"hr", Role::Paragraph),
    (b"iframe", Role::Dropped),
    (b"legend", Role::Line),
    (b"li", Role::Item),
    (b"main", Role::Block),
    (b"menu", Role::List),
    (b"nav", Role::Dropped),
    (b"noembed", Role::Dropped),
    (b"noframes", Role::Dropped),
    (b"noscript", Role::Dropped),
    (b"object", Role::Dropped),
    (b"ol", Role::List),
    (b"p", Role::Paragraph),
    (b"pre", Role::Preformatted),
    (b"script", Role::Dropped),
    (b"search", Role::Block),
    (b"section", Role::Block),
    (b"select", Role::Dropped),
    (b"style", Role::Dropped),
    (b"summary", Role::Line),
    (b"svg", Role::Dropped),
    (b"table", Role::Table),
    (b"tbody", Role::Row),
    (b"td", Role::Cell),
    (b"template", Role::Dropped),
    (b"textarea", Role::Dropped),
    (b"tfoot", Role::Row),
    (b"th", Role::Cell),
    (b"thead", Role::Row),
    (b"title", Role::Title),
    (b"tr", Role::Row),
    (b"ul", Role::List),
    (b"video", Role::Dropped),
    (b"xmp", Role::Preformatted),
];

/// The index in [`ELEMENTS`] of the element called `name` (lower case).
pub(super) fn find(name: &[u8]) -> Option<usize> {
    ELEMENTS.binary_search_by_key(&name, |(known, _)| known).ok()
}

/// The elements open at one point of a page, outermost first. Elements without end tags are never
/// in it.
///
/// Constant time per tag whatever the nesting, because how often each element is open is counted.
pub(super) struct OpenElements {
    stack: Vec<usize>,
    counts: [usize; ELEMENTS.len()],
}

impl OpenElements {
    pub(super) fn new() -> Self {
        Self { stack: Vec::new(), counts: [0; ELEMENTS.len()] }
    }

    pub(super) fn open(&mut self, element: usize) {
        self.stack.push(element);
        self.counts[element] += 1;
    }

    pub(super) fn is_open(&self, element: usize) -> bool {
        self.counts[element] > 0
    }

    /// Closes the innermost element and tells which it was.
    pub(super) fn close_innermost(&mut self) -> Option<usize> {
        let element = self.stack.pop()?;
        self.counts[element] -= 1;
        Some(element)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_sorted_so_that_each_is_found() {
        assert!(ELEMENTS.is_sorted_by_key(|(name, _)| name));
        for (index, (name, _)) in ELEMENTS.iter().enumerate() {
            assert_eq!(find(name), Some(index));
        }
        assert_eq!(find(b"span"), None);
    }
}

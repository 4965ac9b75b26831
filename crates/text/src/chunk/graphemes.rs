//! Ends and starts of graphemes near a place, without reading all those before it.

use unicode_segmentation::GraphemeCursor;

/// The last end of a grapheme in `text` up to `target`, or else the first one after it. What looks like an end at the
/// end of `text` counts only if the text `is_whole` there and not in the middle of a grapheme.
pub(super) fn nearest_end(text: &str, target: usize, is_whole: bool) -> Option<usize> {
    let counts = |end: &usize| *end > 0 && (*end < text.len() || is_whole);
    if is_boundary(text, target) && counts(&target) {
        return Some(target);
    }
    let before = cursor(text, target).prev_boundary(text, 0).ok().flatten().filter(counts);
    before.or_else(|| cursor(text, target).next_boundary(text, 0).ok().flatten().filter(counts))
}

/// The first start of a grapheme in `text` from `earliest` on.
pub(super) fn first_start(text: &str, earliest: usize) -> Option<usize> {
    if is_boundary(text, earliest) {
        return Some(earliest);
    }
    cursor(text, earliest).next_boundary(text, 0).ok().flatten().filter(|start| *start < text.len())
}

fn is_boundary(text: &str, at: usize) -> bool {
    cursor(text, at).is_boundary(text, 0) == Ok(true)
}

fn cursor(text: &str, at: usize) -> GraphemeCursor {
    GraphemeCursor::new(at, text.len(), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_and_starts_are_those_of_the_graphemes_around() {
        let text = "a\u{301}🇫🇷🇩🇪👩‍👩‍👧\r\nक्षb";
        let bounds: Vec<usize> =
            (0..=text.len()).filter(|&at| text.is_char_boundary(at) && is_boundary(text, at)).collect();
        assert_eq!(bounds, [0, 3, 11, 19, 37, 39, 48, 49]);
        for (at, _) in text.char_indices() {
            let last = bounds.iter().copied().rfind(|&end| 0 < end && end <= at);
            let next = bounds.iter().copied().find(|&end| end > at);
            assert_eq!(nearest_end(text, at, true), last.or(next), "{at}");
            assert_eq!(first_start(text, at), bounds.iter().copied().find(|&start| start >= at && start < text.len()));
        }
    }

    #[test]
    fn an_end_that_may_be_in_the_middle_of_a_grapheme_does_not_count() {
        for (text, target, is_whole, expected) in
            [("ab", 2, true, Some(2)), ("ab", 2, false, Some(1)), ("e\u{301}", 1, false, None)]
        {
            assert_eq!(nearest_end(text, target, is_whole), expected, "{text:?}");
        }
    }
}

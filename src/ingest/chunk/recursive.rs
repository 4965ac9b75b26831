//! The recursive chunker: cut where the text itself has its joints, coarse ones first, and fill
//! chunks with the pieces.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::ruler::Ruler;
use super::{ChunkSettings, Piece};

/// A word longer than a chunk is cut into pieces of this part of a chunk, so that overlap has
/// something to take.
const WORD_CUTS_PER_CHUNK: usize = 8;

/// Cuts one part of the ruler's text into chunks.
pub(super) fn chunk(ruler: &Ruler<'_>, part: Range<usize>, settings: &ChunkSettings) -> Vec<Piece> {
    let size = settings.size as usize;
    let chunker = Chunker {
        ruler,
        size,
        overlap: (settings.overlap as usize).min(size / 2),
        separators: settings.separators.iter().map(|separator| Separator::new(separator)).collect(),
    };
    let mut pieces = Vec::new();
    chunker.split(part, 0, &mut pieces);
    chunker.merge(&pieces)
}

struct Chunker<'a> {
    ruler: &'a Ruler<'a>,
    size: usize,
    overlap: usize,
    separators: Vec<Separator>,
}

impl Chunker<'_> {
    /// Appends pieces within size that cover the part: itself if it fits, else what the separators
    /// from `level` on make of it. Pieces are trimmed and never blank.
    fn split(&self, part: Range<usize>, level: usize, pieces: &mut Vec<Range<usize>>) {
        let Some(part) = self.trimmed(part) else {
            return;
        };
        if self.ruler.fits(&part, self.size) {
            pieces.push(part);
            return;
        }
        let Some(separator) = self.separators.get(level) else {
            self.cut(part, pieces);
            return;
        };
        let mut start = part.start;
        for cut in separator.cuts(&self.ruler.text()[part.clone()]) {
            let end = part.start + cut;
            self.split(start..end, level + 1, pieces);
            start = end;
        }
        self.split(start..part.end, level + 1, pieces);
    }

    /// Cuts a part that has no separator.
    fn cut(&self, part: Range<usize>, pieces: &mut Vec<Range<usize>>) {
        let mut start = part.start;
        while start < part.end {
            let end = self.cut_end(start, part.end);
            pieces.extend(self.trimmed(start..end));
            start = end;
        }
    }

    /// Where the piece from `start` on ends: between graphemes if one fits into a chunk, else
    /// between characters.
    fn cut_end(&self, start: usize, limit: usize) -> usize {
        let text = self.ruler.text();
        let first_char_end = text.ceil_char_boundary(start + 1);
        let within = |units: usize| self.ruler.reach(start, units).clamp(first_char_end, limit);
        let (target, farthest) = (within(self.size.div_ceil(WORD_CUTS_PER_CHUNK)), within(self.size));

        let ends = text[start..farthest].grapheme_indices(true).map(|(at, grapheme)| start + at + grapheme.len());
        // What looks like a grapheme's end at the end of the slice may be in the middle of one.
        let mut ends = ends.take_while(|&end| end < farthest || farthest == limit);
        let first_end = ends.next().unwrap_or(target);
        let mut end = ends.take_while(|&end| end <= target).last().unwrap_or(first_end);

        while end > first_char_end && !self.ruler.fits(&(start..end), self.size) {
            end = text.floor_char_boundary(start + (end - start) / 2).max(first_char_end);
        }
        end
    }

    /// Fills chunks with neighbouring pieces, each chunk beginning with the end of the one before
    /// as far as there is room.
    fn merge(&self, pieces: &[Range<usize>]) -> Vec<Piece> {
        let mut chunks: Vec<Piece> = Vec::new();
        let mut next = 0;
        while next < pieces.len() {
            let start = match chunks.last() {
                Some(last) => self.start_after(&last.range, &pieces[next]),
                None => pieces[next].start,
            };
            let (chunk, used) = self.fill(start, &pieces[next..]);
            chunks.push(chunk);
            next += used;
        }
        chunks
    }

    /// The chunk from `start` on that takes as many of `pieces` as fit, at least one; and how many.
    fn fill(&self, start: usize, pieces: &[Range<usize>]) -> (Piece, usize) {
        let fitting = pieces.iter().take_while(|piece| self.ruler.estimate(&(start..piece.end)) <= self.size);
        let mut used = fitting.count().max(1);
        loop {
            let range = start..pieces[used - 1].end;
            let tokens = self.ruler.tokens(&range);
            if used == 1 || tokens.is_none_or(|tokens| tokens <= self.size) {
                return (Piece { range, tokens }, used);
            }
            used -= 1;
        }
    }

    /// Where the chunk after `last` begins: at `next`, or before it if some of the end of `last`
    /// can be repeated.
    fn start_after(&self, last: &Range<usize>, next: &Range<usize>) -> usize {
        let taken = self.ruler.estimate(&(last.end..next.end));
        let room = self.overlap.min(self.size.saturating_sub(taken));
        let overlap = self.overlap_start(last, room);
        overlap.filter(|&start| self.ruler.fits(&(start..next.end), self.size)).unwrap_or(next.start)
    }

    /// Where the last `room` of a chunk begin, moved on to the first place where the coarsest
    /// separator possible ends.
    fn overlap_start(&self, chunk: &Range<usize>, room: usize) -> Option<usize> {
        let text = self.ruler.text();
        let earliest = self.ruler.reach_back(chunk.end, room).max(text.ceil_char_boundary(chunk.start + 1));
        if earliest >= chunk.end {
            return None;
        }
        let at_separator = self.separators.iter().find_map(|separator| {
            let from = text.floor_char_boundary(earliest.saturating_sub(separator.longest())).max(chunk.start);
            let mut cuts = separator.cuts(&text[from..chunk.end]).into_iter().map(|cut| from + cut);
            cuts.find(|&cut| cut >= earliest)
        });
        let start = at_separator.or_else(|| self.overlap_start_in_word(chunk, earliest))?;
        self.trimmed(start..chunk.end).map(|overlap| overlap.start)
    }

    /// The first grapheme from `earliest` on, if the chunk ends within a word.
    fn overlap_start_in_word(&self, chunk: &Range<usize>, earliest: usize) -> Option<usize> {
        if self.ruler.is_parted(chunk.end) {
            return None;
        }
        let graphemes = self.ruler.text()[chunk.clone()].grapheme_indices(true);
        graphemes.map(|(at, _)| chunk.start + at).find(|&start| start >= earliest)
    }

    /// The part without whitespace at its ends; `None` when nothing is left.
    fn trimmed(&self, part: Range<usize>) -> Option<Range<usize>> {
        let text = &self.ruler.text()[part.clone()];
        let end = part.start + text.trim_end().len();
        let start = part.end - text.trim_start().len();
        (start < end).then_some(start..end)
    }
}

/// A place to cut, as the settings name it.
struct Separator {
    text: String,
    /// The same with Windows line ends, where that is another text.
    crlf: Option<String>,
    /// A separator such as `"\n## "` opens what follows: the cut is after the whitespace it begins
    /// with. One such as `". "` closes what is before: the cut is after all of it.
    closes: bool,
}

impl Separator {
    fn new(separator: &str) -> Self {
        let has_inner_newline = separator.len() > 1 && separator.contains('\n') && !separator.contains('\r');
        Self {
            text: separator.to_owned(),
            crlf: has_inner_newline.then(|| separator.replace('\n', "\r\n")),
            closes: !separator.starts_with(char::is_whitespace),
        }
    }

    /// Most bytes that a match may have.
    fn longest(&self) -> usize {
        self.crlf.as_ref().unwrap_or(&self.text).len()
    }

    /// Byte offsets in `text` where it may be cut, rising.
    fn cuts(&self, text: &str) -> Vec<usize> {
        let mut cuts = self.cuts_at(&self.text, text);
        if let Some(crlf) = &self.crlf {
            cuts.extend(self.cuts_at(crlf, text));
            cuts.sort_unstable();
        }
        cuts
    }

    fn cuts_at(&self, separator: &str, text: &str) -> Vec<usize> {
        let whitespace = separator.len() - separator.trim_start().len();
        let kept = if self.closes { separator.len() } else { whitespace };
        text.match_indices(separator).map(|(at, _)| at + kept).collect()
    }
}

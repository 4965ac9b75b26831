//! The recursive chunker: cut where the text itself has its joints, coarse ones first, and fill
//! chunks with the pieces.

use std::ops::Range;

use super::graphemes;
use super::merge::{Merger, Sink};
use super::ruler::Ruler;
use super::separator::Separator;
use super::{ChunkError, ChunkSettings, Stop};

/// A word longer than a chunk is cut into pieces of this part of a chunk, so that overlap has
/// something to take.
const WORD_CUTS_PER_CHUNK: usize = 8;

/// A part of a text that is longer, in bytes, is cut after a look at whether to go on.
const BYTES_PER_LOOK: usize = 16 * 1024;

/// A text, and how it is to be cut.
pub(super) struct Chunker<'a> {
    ruler: &'a Ruler<'a>,
    size: usize,
    overlap: usize,
    separators: Vec<Separator>,
    stop: &'a Stop,
}

impl<'a> Chunker<'a> {
    pub(super) fn new(ruler: &'a Ruler<'a>, settings: &ChunkSettings, stop: &'a Stop) -> Self {
        let size = settings.size as usize;
        Self {
            ruler,
            size,
            overlap: settings.overlap as usize,
            separators: settings.separators.iter().map(|separator| Separator::new(separator)).collect(),
            stop,
        }
    }

    /// Cuts one part of the text into chunks.
    pub(super) fn chunk(&self, part: Range<usize>, sink: &mut Sink<'_>) -> Result<(), ChunkError> {
        let mut merger = Merger::new(self, sink);
        self.split(part, 0, &mut merger)?;
        merger.finish()
    }

    /// Whether so many tokens are within the size.
    pub(super) fn is_within(&self, tokens: Option<usize>) -> bool {
        self.ruler.are_within(tokens, self.size)
    }

    /// Whether a part is within the size as far as can be told without counting its tokens anew.
    pub(super) fn may_fit(&self, part: Range<usize>) -> bool {
        self.ruler.estimate(&part) <= self.size
    }

    /// How many tokens a part is; `None` when the unit is characters.
    pub(super) fn tokens(&self, part: &Range<usize>) -> Option<usize> {
        self.ruler.tokens(part)
    }

    /// Hands over pieces within size that cover the part: itself if it fits, else what the separators
    /// from `level` on make of it. Pieces are trimmed and never blank.
    fn split(&self, part: Range<usize>, level: usize, merger: &mut Merger<'_>) -> Result<(), ChunkError> {
        let Some(part) = self.trimmed(part) else {
            return Ok(());
        };
        if part.len() > BYTES_PER_LOOK {
            self.stop.check()?;
        }
        if self.ruler.fits(&part, self.size) {
            return merger.push(part);
        }
        let Some(separator) = self.separators.get(level) else {
            return self.cut(part, merger);
        };
        let mut start = part.start;
        for cut in separator.cuts(&self.ruler.text()[part.clone()]) {
            let end = part.start + cut;
            self.split(start..end, level + 1, merger)?;
            start = end;
        }
        self.split(start..part.end, level + 1, merger)
    }

    /// Cuts a part that has no separator.
    fn cut(&self, part: Range<usize>, merger: &mut Merger<'_>) -> Result<(), ChunkError> {
        let mut start = part.start;
        while start < part.end {
            let end = self.cut_end(start, part.end);
            if let Some(piece) = self.trimmed(start..end) {
                merger.push(piece)?;
            }
            start = end;
        }
        Ok(())
    }

    /// Where the piece from `start` on ends: between graphemes if one fits into a chunk, else
    /// between characters.
    fn cut_end(&self, start: usize, limit: usize) -> usize {
        let text = self.ruler.text();
        let first_char_end = text.ceil_char_boundary(start + 1);
        let within = |units: usize| self.ruler.reach(start, units).clamp(first_char_end, limit);
        let (target, farthest) = (within(self.size.div_ceil(WORD_CUTS_PER_CHUNK)), within(self.size));

        let mut end = graphemes::nearest_end(&text[start..farthest], target - start, farthest == limit)
            .map_or(target, |length| start + length);
        while end > first_char_end && !self.ruler.fits(&(start..end), self.size) {
            end = text.floor_char_boundary(start + (end - start) / 2).max(first_char_end);
        }
        end
    }

    /// Where the chunk after `last` begins: at `next`, or before it if some of the end of `last`
    /// can be repeated.
    pub(super) fn start_after(&self, last: &Range<usize>, next: &Range<usize>) -> usize {
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
            let mut cuts = separator.cuts(&text[from..chunk.end]).map(|cut| from + cut);
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
        let length = graphemes::first_start(&self.ruler.text()[chunk.clone()], earliest - chunk.start)?;
        Some(chunk.start + length)
    }

    /// The part without whitespace at its ends; `None` when nothing is left.
    fn trimmed(&self, part: Range<usize>) -> Option<Range<usize>> {
        let text = &self.ruler.text()[part.clone()];
        let end = part.start + text.trim_end().len();
        let start = part.end - text.trim_start().len();
        (start < end).then_some(start..end)
    }
}

//! Fills chunks with neighbouring pieces as these come, so that however small they are, few are held.

use std::ops::Range;

use super::recursive::Chunker;
use super::{ChunkError, Piece};

/// Takes a chunk; an error ends the work.
pub(super) type Sink<'a> = dyn FnMut(Piece) -> Result<(), ChunkError> + 'a;

/// The chunk that is being filled. Each chunk begins with the end of the one before as far as there is room.
pub(super) struct Merger<'a> {
    chunker: &'a Chunker<'a>,
    sink: &'a mut Sink<'a>,
    /// Pieces not yet in a chunk, in order: those that fit into one, and the first that does not.
    pending: Vec<Range<usize>>,
    /// Where the chunk of the pending pieces begins.
    start: usize,
    last: Option<Range<usize>>,
}

impl<'a> Merger<'a> {
    pub(super) fn new(chunker: &'a Chunker<'a>, sink: &'a mut Sink<'a>) -> Self {
        Self { chunker, sink, pending: Vec::new(), start: 0, last: None }
    }

    /// Takes the next piece, which by itself is no larger than a chunk.
    pub(super) fn push(&mut self, piece: Range<usize>) -> Result<(), ChunkError> {
        let end = piece.end;
        self.pending.push(piece);
        if self.pending.len() == 1 {
            self.begin();
        }
        while self.pending.len() > 1 && !self.chunker.may_fit(self.start..end) {
            self.fill()?;
        }
        Ok(())
    }

    /// Makes chunks of what is left.
    pub(super) fn finish(mut self) -> Result<(), ChunkError> {
        while !self.pending.is_empty() {
            self.fill()?;
        }
        Ok(())
    }

    fn begin(&mut self) {
        if let Some(next) = self.pending.first() {
            self.start = self.last.as_ref().map_or(next.start, |last| self.chunker.start_after(last, next));
        }
    }

    /// Makes the chunk that takes as many of the pending pieces as fit, at least one.
    fn fill(&mut self) -> Result<(), ChunkError> {
        let (chunker, start) = (self.chunker, self.start);
        let mut used = self.pending.partition_point(|piece| chunker.may_fit(start..piece.end)).max(1);
        let piece = loop {
            let range = start..self.pending[used - 1].end;
            let tokens = chunker.tokens(&range);
            if used == 1 || chunker.is_within(tokens) {
                break Piece { range, tokens };
            }
            used -= 1;
        };
        self.pending.drain(..used);
        self.last = Some(piece.range.clone());
        self.begin();
        (self.sink)(piece)
    }
}

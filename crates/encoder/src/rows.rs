//! Numbers in rows, as the kernels want them.

use std::ops::Range;

use simd::PANEL;

/// A matrix whose rows are padded with zeros to whole tiles, so that no kernel has a remainder to think of.
#[derive(Debug, Default, Clone)]
pub(crate) struct Rows {
    numbers: Vec<f32>,
    width: usize,
}

/// What a row of so many columns takes in a [`Rows`].
pub(crate) fn padded(columns: usize) -> usize {
    columns.next_multiple_of(PANEL)
}

impl Rows {
    /// Makes it `rows` times `columns`. What stands in it afterwards is finite and of no meaning.
    pub(crate) fn resize(&mut self, rows: usize, columns: usize) {
        self.width = padded(columns);
        self.numbers.resize(rows * self.width, 0.0);
    }

    /// Numbers from the beginning of one row to the beginning of the next.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// How many rows there are.
    pub(crate) fn count(&self) -> usize {
        self.numbers.len() / self.width.max(1)
    }

    /// All rows, end to end.
    pub(crate) fn all(&self) -> &[f32] {
        &self.numbers
    }

    /// All rows, end to end.
    pub(crate) fn all_mut(&mut self) -> &mut [f32] {
        &mut self.numbers
    }

    /// These rows, end to end.
    pub(crate) fn range(&self, rows: Range<usize>) -> &[f32] {
        &self.numbers[rows.start * self.width..rows.end * self.width]
    }

    /// These rows, end to end.
    pub(crate) fn range_mut(&mut self, rows: Range<usize>) -> &mut [f32] {
        &mut self.numbers[rows.start * self.width..rows.end * self.width]
    }

    /// Row by row.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.numbers.chunks_exact_mut(self.width.max(1))
    }
}

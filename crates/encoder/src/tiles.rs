//! The two sides of a product in the form that the matrix tiles of [`simd::amx`] take: steps of 32 numbers of
//! depth, each number as the sum of one or two `bf16`.

use simd::PANEL;
use simd::amx::{Amx, Line, STEP, STEP_LINES};

use crate::bf16;

/// Lines of one step.
pub(crate) const fn step_lines(parts: usize) -> usize {
    parts * STEP_LINES
}

/// Writes one row of the left side: at most [`STEP`] numbers; those that are missing become zero.
#[inline(always)]
pub(crate) fn write_row<const PARTS: usize>(amx: Amx, numbers: &[f32], row: usize, step: &mut [Line]) {
    let parts = split::<PARTS>(amx, numbers);
    for part in 0..PARTS {
        step[part * STEP_LINES + row] = parts[part];
    }
}

/// Writes one column of the right side, likewise.
#[inline(always)]
pub(crate) fn write_column<const PARTS: usize>(amx: Amx, numbers: &[f32], column: usize, step: &mut [Line]) {
    let (half, column) = (column / (PANEL / 2), column % (PANEL / 2));
    let parts = split::<PARTS>(amx, numbers);
    for part in 0..PARTS {
        let lines = &mut step[part * STEP_LINES + half * STEP_LINES / 2..][..STEP_LINES / 2];
        for (line, pair) in lines.iter_mut().zip(parts[part].0.as_chunks::<2>().0) {
            [line.0[2 * column], line.0[2 * column + 1]] = *pair;
        }
    }
}

/// Writes two rows of the right side, the first of an even number: at most [`PANEL`] numbers of each; those that are missing
/// become zero.
#[inline(always)]
pub(crate) fn write_rows<const PARTS: usize>(amx: Amx, even: &[f32], odd: &[f32], pair: usize, step: &mut [Line]) {
    let (even, odd) = (split::<PARTS>(amx, even), split::<PARTS>(amx, odd));
    for part in 0..PARTS {
        for half in 0..2 {
            let line = &mut step[part * STEP_LINES + half * STEP_LINES / 2 + pair].0;
            for column in 0..PANEL / 2 {
                line[2 * column] = even[part].0[half * PANEL / 2 + column];
                line[2 * column + 1] = odd[part].0[half * PANEL / 2 + column];
            }
        }
    }
}

/// Part by part.
#[inline(always)]
fn split<const PARTS: usize>(amx: Amx, numbers: &[f32]) -> [Line; PARTS] {
    let mut rest = [0.0; STEP];
    if let Some(numbers) = numbers.first_chunk::<STEP>() {
        rest = *numbers;
    } else {
        rest[..numbers.len()].copy_from_slice(numbers);
    }
    let mut parts = [Line::ZERO; PARTS];
    for part in &mut parts {
        *part = amx.round(&rest);
        for (rest, taken) in rest.iter_mut().zip(part.0) {
            *rest -= bf16::widen(taken);
        }
    }
    parts
}

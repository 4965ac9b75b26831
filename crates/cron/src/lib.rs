//! When something that recurs is due.
//!
//! Pure arithmetic on the time line, which never asks the clock and stores nothing: [`Cron`] tells the firings of an
//! expression in a time zone; [`due`] tells which of them a look at the clock has to start, and what becomes of those
//! that fell due while nobody looked.

mod expression;
mod fields;
mod missed;
#[cfg(test)]
mod tests;

pub use expression::{Cron, CronFault};
pub use missed::{Due, Missed, due};

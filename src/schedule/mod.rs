//! When something that recurs is due, and who starts it.
//!
//! Pure arithmetic on the time line, which never asks the clock and stores nothing: [`Cron`] tells the firings of an
//! expression in a time zone; [`due`] tells which of them a look at the clock has to start, and what becomes of those
//! that fell due while nobody looked. Over it one process at a time leads: it looks, and starts what is due.

pub mod built_in;
mod chores;
mod cron;
mod fields;
mod fire;
mod leader;
pub mod manage;
mod missed;
#[cfg(test)]
mod tests;

pub use cron::{Cron, CronFault};
pub use leader::{LEADER, lead};
pub use missed::{Due, Missed, due};

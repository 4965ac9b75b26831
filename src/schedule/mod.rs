//! Who starts what recurs. When it is due the crate `cron` tells; here one process at a time leads: it looks at the clock,
//! and starts what is due.

pub mod built_in;
mod chores;
mod fire;
mod leader;
pub mod manage;

pub use leader::{LEADER, lead};

//! Use case: collections come, change and go.

pub mod create;
pub mod purge;

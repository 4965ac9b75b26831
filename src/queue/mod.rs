//! The queue: apalis workers over our own `jobs` table. The only room that names apalis.
//!
//! A job is enqueued in the transaction of the rows it is about ([`crate::store::jobs::enqueue`]). Here it is taken
//! under a lease, run step by step, and settled: done, put back with backoff, left to wait for its provider, or dead.
//! Others may cancel, redrive or prefer it ([`steer`]). What a [kind](JobKind) of job does is its [`Handler`]'s business;
//! all of them are listed in [`crate::kinds`].

mod admit;
mod backend;
mod backoff;
mod crew;
mod due;
mod finish;
mod handler;
mod kind;
mod leases;
mod names;
mod settle;
pub mod steer;
mod take;
pub mod wait;
mod worker;

pub use admit::full as full_bucket;
pub use backoff::Backoff;
pub use crew::Crew;
pub use handler::{ActiveJob, Handler, Step, StepEnd};
pub use kind::{JobKind, Kinds, ProviderOf};
pub use leases::sweep;
pub use names::{INGEST, MAINTENANCE, NAMES, Queue};
pub use settle::Settler;
pub use take::take;
pub use worker::WorkerSettings;

//! Jobs: how they are enqueued, taken, done, settled and steered, each rule beside its SQL; and apalis, which only this room
//! names, over our own `jobs` table.
//!
//! A job is enqueued in the transaction of the rows it is about (`enqueue`), and gets its `turn`. It is taken (`take`; under
//! limits and circuits `admit` decides) under a lease (`lease`, `leases`), run step by step (`worker`, [`steps`]), and ended:
//! done (`finish`), put back with backoff, left to wait for its provider, or dead (`settle`). What its worker writes names
//! its lease (`fence`). Others may cancel, redrive or prefer it ([`steer`]). What a [kind](JobKind) of job does is its
//! [`Handler`]'s business; all of them are listed in [`crate::kinds`].

mod admit;
mod backend;
mod candidates;
pub mod circuits;
mod crew;
mod due;
mod enqueue;
mod fence;
mod finish;
mod handler;
pub mod history;
pub mod jobs;
mod kind;
mod lease;
mod leases;
pub mod limits;
mod names;
mod place;
pub mod processes;
pub mod queues;
mod selection;
mod settle;
pub mod steer;
pub mod steps;
mod take;
mod turn;
pub mod wait;
mod worker;

pub use candidates::{Candidate, Held, candidates, candidates_statement};
pub use crew::Crew;
pub use due::promote_due;
pub use enqueue::{Enqueued, NewJob, Uniqueness, enqueue, enqueue_unique};
pub use fence::{confirm, set_progress};
pub use finish::{Ended, succeed, succeed_all};
pub use handler::{ActiveJob, Handler, Step, StepEnd};
pub use kind::{JobKind, Kinds, ProviderOf};
pub use lease::{Claim, lease, lease_statement};
pub use leases::{expired, give_back, renew, sweep};
pub use names::{INGEST, MAINTENANCE, NAMES, Queue};
pub use settle::{Failed, Settler, postpone};
pub use take::take;
pub use worker::WorkerSettings;

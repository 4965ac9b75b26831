//! What a connection is in the middle of, and how long that may take.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use settings::HttpSettings;
use tokio::time::Instant;

use crate::lock::lock;

/// Where a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// A request's head is awaited, or a part of it has come. A new connection begins here: who connects has something
    /// to ask.
    Head,
    /// A request is being answered; that has limits of its own.
    Busy,
    /// All is answered, and nothing of a next request has come.
    Idle,
    /// A WebSocket, which has pings of its own.
    Upgraded,
}

/// The time limits of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    head: Duration,
    idle: Duration,
    /// Longest time in which the client takes nothing.
    pub stall: Duration,
}

/// Time for one short question on a connection beyond the limit of connections: places there are few.
const SHORT: Duration = Duration::from_secs(1);

impl Limits {
    /// The usual ones.
    pub fn of(settings: &HttpSettings) -> Self {
        Self { head: settings.head_timeout, idle: settings.idle_timeout, stall: settings.stall_timeout }
    }

    /// For connections that are to end soon.
    pub fn short(settings: &HttpSettings) -> Self {
        let usual = Self::of(settings);
        Self { head: usual.head.min(SHORT), idle: usual.idle.min(SHORT), stall: usual.stall.min(SHORT) }
    }
}

/// The stage of one connection and since when it lasts, shared by its bytes and its requests.
#[derive(Clone)]
pub struct Watch(Arc<Mutex<(Stage, Instant)>>);

impl Default for Watch {
    fn default() -> Self {
        Self(Arc::new(Mutex::new((Stage::Head, Instant::now()))))
    }
}

impl Watch {
    /// Begins a stage.
    pub fn enter(&self, stage: Stage) {
        *lock(&self.0) = (stage, Instant::now());
    }

    /// Notes that bytes came: the first after an answer begin a head.
    pub fn on_read(&self) {
        self.replace(Stage::Idle, Stage::Head);
    }

    /// Notes that bytes went: while an answer is on its way nobody is idle. Tells whether its time began anew.
    pub fn on_write(&self) -> bool {
        self.replace(Stage::Idle, Stage::Idle)
    }

    /// When the client must have sent something more, if ever.
    pub fn deadline(&self, limits: &Limits) -> Option<Instant> {
        let (stage, since) = *lock(&self.0);
        match stage {
            Stage::Head => Some(since + limits.head),
            Stage::Idle => Some(since + limits.idle),
            Stage::Busy | Stage::Upgraded => None,
        }
    }

    fn replace(&self, from: Stage, to: Stage) -> bool {
        let mut watched = lock(&self.0);
        let is_replaced = watched.0 == from;
        if is_replaced {
            *watched = (to, Instant::now());
        }
        is_replaced
    }
}

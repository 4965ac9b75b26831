//! What asks a process to stop.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// A signal ended work before it was done.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("stopped by {name} before it was done: give the same command again")]
pub struct Interrupted {
    name: &'static str,
    signal: SignalKind,
}

impl Interrupted {
    const INTERRUPT: Self = Self { name: "SIGINT", signal: SignalKind::interrupt() };
    const TERMINATE: Self = Self { name: "SIGTERM", signal: SignalKind::terminate() };

    /// As shells count a program that a signal ended: 128 and its number.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        u8::try_from(128 + self.signal.as_raw_value()).unwrap_or(u8::MAX)
    }
}

/// SIGINT and SIGTERM, heard from the moment this is made.
pub(super) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    /// Listens. From now on neither signal ends the process by itself.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for either.
    pub async fn received(&mut self) -> Interrupted {
        tokio::select! {
            _ = self.interrupt.recv() => Interrupted::INTERRUPT,
            _ = self.terminate.recv() => Interrupted::TERMINATE,
        }
    }

    /// What `work` gives, unless the process should stop before: then it is dropped where it stands.
    pub async fn unless<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Interrupted> {
        tokio::select! {
            done = work => Ok(done),
            stopped = self.received() => Err(stopped),
        }
    }
}

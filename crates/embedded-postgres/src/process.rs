//! One PostgreSQL server process: spawned, watched, signalled, waited for.

use std::{
    fs, io,
    path::Path,
    process::{Child, Command, ExitStatus},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::sync::watch;

use crate::{error::ServerError, orphan::PID_FILE, start::Start, wait::wait_for};

/// After a fast shutdown took too long, an immediate one gets this long: it only ends processes.
const IMMEDIATE_TIMEOUT: Duration = Duration::from_secs(5);
/// In `postmaster.pid` the eighth line tells the server's state (PostgreSQL's `pidfile.h`).
const STATE_LINE: usize = 7;

/// What is known of the process.
#[derive(Clone, Copy, Debug, Default)]
struct Life {
    asked_to_stop: bool,
    ended: Option<ExitStatus>,
}

/// A running server. Dropping it stops it, as a net; [`Process::stop`] is the way.
#[derive(Debug)]
pub(crate) struct Process {
    pid: Pid,
    life: Arc<watch::Sender<Life>>,
    stop_timeout: Duration,
}

impl Process {
    /// Starts `command` and keeps watch over it.
    ///
    /// A thread of its own spawns it and stays until it ends: Linux would tell it of our death already when the
    /// spawning thread ends (see `child::command`), and threads of an async runtime come and go.
    pub(crate) fn spawn(command: Command, stop_timeout: Duration) -> io::Result<Self> {
        let life = Arc::new(watch::Sender::new(Life::default()));
        let (spawned, answer) = mpsc::channel();
        let watched = Arc::clone(&life);
        thread::Builder::new()
            .name("postgres".to_owned())
            .spawn(move || spawn_and_wait(command, &spawned, &watched))?;
        let gone = || io::Error::other("the thread that starts PostgreSQL ended");
        let pid = answer.recv().map_err(|_| gone())??;
        Ok(Self { pid, life, stop_timeout })
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits until the server of `cluster` accepts connections: `Some(Ok)`; until it ends: `Some(Err)`; or until
    /// `timeout`, or until the start is abandoned: `None`.
    pub(crate) fn wait_ready(
        &self,
        cluster: &Path,
        timeout: Duration,
        start: &Start,
    ) -> Option<Result<(), ExitStatus>> {
        let pid_file = cluster.join(PID_FILE);
        let is_ready = || fs::read_to_string(&pid_file).is_ok_and(|text| is_ready(&text, self.pid));
        let look = || match self.ended() {
            Some(status) => Some(Some(Err(status))),
            None if start.check().is_err() => Some(None),
            None => is_ready().then_some(Some(Ok(()))),
        };
        wait_for(timeout, look).flatten()
    }

    fn ended(&self) -> Option<ExitStatus> {
        self.life.borrow().ended
    }

    /// Resolves when the process ends without [`Process::stop`] having been called; after that call, never.
    pub(crate) fn died(&self) -> impl Future<Output = ExitStatus> + Send + use<> {
        let mut life = self.life.subscribe();
        async move {
            // An error means that the sender is gone, hence that `stop` ran.
            let ended = life.wait_for(|life| life.ended.is_some()).await.map(|life| *life);
            match ended {
                Ok(Life { asked_to_stop: false, ended: Some(status) }) => status,
                _ => std::future::pending().await,
            }
        }
    }

    /// Fast shutdown (SIGINT), after the stop timeout an immediate one (SIGQUIT). Blocks the thread. Does nothing
    /// if the process has ended.
    pub(crate) fn stop(&self) -> Result<(), ServerError> {
        self.stop_within(self.stop_timeout)
    }

    /// As [`Process::stop`], with another time for the fast shutdown.
    pub(crate) fn stop_within(&self, timeout: Duration) -> Result<(), ServerError> {
        self.life.send_modify(|life| life.asked_to_stop = true);
        self.signal(Signal::INT);
        if wait_for(timeout, || self.ended()).is_some() {
            return Ok(());
        }
        tracing::warn!(pid = self.pid.as_raw_pid(), "PostgreSQL is slow to stop, ending it without a checkpoint");
        self.signal(Signal::QUIT);
        if wait_for(IMMEDIATE_TIMEOUT, || self.ended()).is_some() {
            return Ok(());
        }
        Err(ServerError::NotStopped { pid: self.pid.as_raw_pid(), waited: timeout + IMMEDIATE_TIMEOUT })
    }

    fn signal(&self, signal: Signal) {
        // While this is borrowed the thread cannot reap the process, so its id cannot be another's yet.
        let life = self.life.borrow();
        if life.ended.is_none() {
            // It can only fail for a process that has just ended.
            let _ = kill_process(self.pid, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none()
            && let Err(error) = self.stop()
        {
            tracing::error!(%error, "PostgreSQL was left running");
        }
    }
}

fn spawn_and_wait(mut command: Command, spawned: &mpsc::Sender<io::Result<Pid>>, life: &watch::Sender<Life>) {
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let _ = spawned.send(Err(error));
            return;
        }
    };
    let pid = Pid::from_child(&child);
    // Nobody listening would mean that the caller panicked; the process is waited for all the same.
    let _ = spawned.send(Ok(pid));
    await_end(pid);
    life.send_modify(|life| life.ended = Some(reap(&mut child)));
}

/// Blocks until the process ends, without reaping it.
fn await_end(pid: Pid) {
    let end = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), end) {}
}

fn reap(child: &mut Child) -> ExitStatus {
    // Fails only if somebody else reaped it; then how it ended is lost, but not that it did.
    child.wait().unwrap_or_default()
}

/// Whether the text of `postmaster.pid` says that the server `pid` accepts connections.
fn is_ready(pid_file: &str, pid: Pid) -> bool {
    let mut lines = pid_file.lines();
    let is_ours = lines.next().and_then(|line| line.trim().parse().ok()) == Some(pid.as_raw_pid());
    is_ours && lines.nth(STATE_LINE - 1).is_some_and(|state| state.trim() == "ready")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_ready_when_its_own_pid_file_says_so() {
        let pid = Pid::from_raw(42).expect("positive");
        let file = |pid: &str, state: &str| format!("{pid}\n/data\n1700000000\n5432\n/socket\n\n  1 2\n{state}\n");
        for (text, expected) in [
            (file("42", "ready   "), true),
            (file("42", "starting"), false),
            (file("42", "stopping"), false),
            (file("41", "ready   "), false),
            ("42\n/data\n".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(is_ready(&text, pid), expected, "{text:?}");
        }
    }

    #[tokio::test]
    async fn an_end_that_was_asked_for_is_no_death() {
        let mut sleeper = Command::new("sleep");
        sleeper.arg("1000");
        let process = Process::spawn(sleeper, Duration::from_secs(5)).expect("sleep runs");
        let died = process.died();
        process.stop().expect("sleep obeys SIGINT");
        let waited = tokio::time::timeout(Duration::from_millis(50), died).await;
        assert!(waited.is_err(), "resolved after stop");
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error_not_a_hang() {
        let missing = Command::new("/nonexistent/postgres");
        let error = Process::spawn(missing, Duration::ZERO).expect_err("not there");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}

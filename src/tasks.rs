//! Background tasks of a process: none may die unnoticed. The first that ends ends the process, with its cause.

use std::future::Future;
use std::pin::Pin;

use tokio::task::JoinSet;

use crate::causes::warn_of;
use crate::error::Result;

type Ending = (&'static str, Result<()>);

/// The tasks of this process.
#[derive(Default)]
pub struct Tasks {
    /// Aborted at the end.
    background: JoinSet<Ending>,
    /// Waited for at the end: they stop by themselves once told to.
    draining: JoinSet<Ending>,
    last: Vec<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Tasks {
    /// Starts a task that runs as long as the process and holds nothing that must be put in order.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = Result<()>> + Send + 'static) {
        self.background.spawn(async move { (name, task.await) });
    }

    /// Starts a task that ends by itself when the process stops, and is waited for.
    pub fn spawn_draining(&mut self, name: &'static str, task: impl Future<Output = Result<()>> + Send + 'static) {
        self.draining.spawn(async move { (name, task.await) });
    }

    /// Done when all tasks have ended.
    pub fn on_stop(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.last.push(Box::pin(work));
    }

    /// Waits for the first task to end: that is always a reason to end the process.
    pub async fn first_end(&mut self) -> anyhow::Error {
        let ended = tokio::select! {
            Some(ended) = self.background.join_next() => ended,
            Some(ended) = self.draining.join_next() => ended,
            else => std::future::pending().await,
        };
        match ended {
            Ok((name, Ok(()))) => anyhow::anyhow!("the task `{name}` ended"),
            Ok((name, Err(error))) => anyhow::Error::from(error).context(format!("the task `{name}` failed")),
            Err(panic) => anyhow::Error::from(panic).context("a task panicked"),
        }
    }

    /// Waits for the draining tasks, ends the others, and puts things in order.
    pub async fn stop(mut self) {
        while let Some(ended) = self.draining.join_next().await {
            if let Ok((name, Err(error))) = ended {
                warn_of!(error, task = name);
            }
        }
        self.background.shutdown().await;
        for work in self.last {
            work.await;
        }
    }
}

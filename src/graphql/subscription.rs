//! Subscriptions. Rows are the truth: join the signal first, read what is there, then read again at each signal.

use std::collections::VecDeque;
use std::sync::Arc;

use async_graphql::{Context, Description, ID, Subscription as GraphqlSubscription};
use futures_util::stream::{self, Stream};
use uuid::Uuid;

use super::context::ContextExt;
use super::fault::{OrFault, Result};
use super::page;
use super::types::progress::IngestProgress;
use crate::app::App;
use crate::error::Error;
use crate::id::Kind;
use crate::store::entity::run_event::{EventKind, Model};
use crate::store::listen::{RUNS_CHANNEL, Waiter};
use crate::store::{TenantId, runs};

/// Following.
#[derive(Description)]
pub struct Subscription;

#[GraphqlSubscription(use_type_description)]
impl Subscription {
    /// Every event of a run in order, each once: first those after the cursor, then the new ones as they happen. Ends
    /// by itself after `RUN_FINISHED`.
    async fn ingest_progress(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The run.")] run_id: ID,
        #[graphql(desc = "The cursor of the last event seen; without it all events come.")] after: Option<String>,
    ) -> Result<impl Stream<Item = Result<IngestProgress>> + use<>> {
        let run = Kind::Run.decode("runId", &run_id).or_fault()?;
        let after = page::number_after("after", after.as_deref()).or_fault()?.unwrap_or(0);
        let (app, tenant) = (ctx.app().clone(), ctx.tenant());
        let known = runs::by_ids(app.store.db(), tenant, &[run]).await.or_fault()?;
        if known.is_empty() {
            return Err(Error::not_found("runId", "run", &*run_id)).or_fault();
        }
        let is_over = known.values().any(|row| row.state.is_terminal() && row.last_event <= after);
        let waiter = app.signals.join(RUNS_CHANNEL, run.to_string());
        let events = Events { app, tenant, run, after, waiter, unsent: VecDeque::new(), is_over };
        Ok(stream::unfold(events, |mut events| async move {
            let next = events.next().await?;
            Some((next.map(IngestProgress).or_fault(), events))
        }))
    }
}

/// A reader's place in a run's events.
struct Events {
    app: Arc<App>,
    tenant: TenantId,
    run: Uuid,
    after: i64,
    waiter: Waiter,
    unsent: VecDeque<Model>,
    is_over: bool,
}

/// Events read at once: bounds what a slow reader holds in memory.
const BATCH: u64 = 256;

impl Events {
    /// The next event; `None` after the last one. After an error nothing more comes: the reader joins again.
    async fn next(&mut self) -> Option<crate::error::Result<Model>> {
        while self.unsent.is_empty() {
            if self.is_over {
                return None;
            }
            if let Err(error) = self.read().await {
                self.is_over = true;
                return Some(Err(error));
            }
            if self.unsent.is_empty() {
                let _ = tokio::time::timeout(self.app.config.events.poll, self.waiter.signal()).await;
            }
        }
        let event = self.unsent.pop_front()?;
        self.after = event.sequence;
        self.is_over = event.kind == EventKind::RunFinished;
        Some(Ok(event))
    }

    async fn read(&mut self) -> crate::error::Result<()> {
        let db = self.app.store.db();
        self.unsent = runs::events(db, self.tenant, self.run, self.after, BATCH).await?.into();
        // A collection that is deleted takes its runs with it: nothing more can come.
        if self.unsent.is_empty() && runs::by_ids(db, self.tenant, &[self.run]).await?.is_empty() {
            self.is_over = true;
        }
        Ok(())
    }
}

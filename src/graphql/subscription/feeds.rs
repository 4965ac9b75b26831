//! What all subscriptions of a process share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_graphql::Context;

use super::events::LogReaders;
use super::log::{JobLog, RunLog};
use super::states::QueueReaders;
use crate::app::App;
use crate::graphql::loader::{self, Rows};
use crate::lock::lock;
use crate::store::TenantId;

/// Readers of what is followed, and loaders of what is shown of it.
#[derive(Default)]
pub struct Feeds {
    pub(super) runs: LogReaders<RunLog>,
    pub(super) jobs: LogReaders<JobLog>,
    pub(super) queues: QueueReaders,
    rows: Mutex<HashMap<TenantId, Rows>>,
}

impl Feeds {
    /// Those of the schema.
    pub(super) fn of<'a>(ctx: &Context<'a>) -> &'a Self {
        ctx.data_unchecked::<Arc<Self>>()
    }

    /// A tenant's loader: the same for all its subscriptions, so that rows which many of them show are read once.
    pub fn rows(&self, app: &Arc<App>, tenant: TenantId) -> Rows {
        let mut rows = lock(&self.rows);
        rows.entry(tenant).or_insert_with(|| loader::for_subscriptions(app.clone(), tenant)).clone()
    }
}

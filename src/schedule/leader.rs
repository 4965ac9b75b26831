//! One process leads at a time, by lease; when it is gone, another one takes over where the rows say it stopped.

use std::sync::Arc;

use uuid::Uuid;

use super::chores::Chores;
use super::{built_in, fire};
use crate::app::App;
use crate::causes::warn_of;
use crate::error::Result;
use crate::queue::{Kinds, Settler};
use crate::store::leaders;

/// Name of the lead over all schedules.
pub const LEADER: &str = "schedules";

/// Leads whenever nobody else does, for ever. A fault of one round is told and left to the next.
pub async fn lead(app: Arc<App>, settler: Settler, holder: Uuid) -> Result<()> {
    let mut ticks = tokio::time::interval(app.config.schedule.tick);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut leader =
        Leader { kinds: settler.kinds.clone(), chores: Chores::new(app.clone(), settler), app, holder, leads: false };
    loop {
        ticks.tick().await;
        if let Err(error) = leader.round().await {
            warn_of!(error);
        }
    }
}

struct Leader {
    app: Arc<App>,
    kinds: Kinds,
    holder: Uuid,
    chores: Chores,
    /// Whether the last round was the leader's, and the built-in schedules are as the settings want them.
    leads: bool,
}

impl Leader {
    /// Fires each schedule that is due once; renews the lead before each, so that it lasts however many they are.
    async fn round(&mut self) -> Result<()> {
        let mut looked_at = Vec::new();
        while self.keep_lead().await? {
            let Some(schedule) = fire::fire_next(&self.app, &self.kinds, &looked_at).await? else { break };
            looked_at.push(schedule.id);
            self.chores.begin(&schedule);
        }
        Ok(())
    }

    async fn keep_lead(&mut self) -> Result<bool> {
        let lease = self.app.config.schedule.lease;
        if !leaders::lead(self.app.store.db(), LEADER, self.holder, lease).await? {
            self.leads = false;
        } else if !self.leads {
            built_in::keep(&self.app).await?;
            tracing::info!("leads the schedules");
            self.leads = true;
        }
        Ok(self.leads)
    }
}

//! Who leads: one process at a time, by lease.

use std::time::Duration;

use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::{execute, millis};
use crate::error::Result;

/// Takes or keeps the lead. False while another process has it.
pub async fn lead(db: &impl ConnectionTrait, name: &str, holder: Uuid, lease: Duration) -> Result<bool> {
    let sql = "INSERT INTO leaders AS l (name, holder, lease_until) VALUES ($1, $2, now() + $3 * interval '1 ms')
        ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, lease_until = excluded.lease_until
        WHERE l.holder = excluded.holder OR l.lease_until < now()";
    Ok(execute(db, "take the lead", sql, [name.into(), holder.into(), millis(lease).into()]).await? > 0)
}

/// Gives the lead to whoever asks next.
pub async fn resign(db: &impl ConnectionTrait, name: &str, holder: Uuid) -> Result<()> {
    let sql = "DELETE FROM leaders WHERE name = $1 AND holder = $2";
    execute(db, "give the lead away", sql, [name.into(), holder.into()]).await?;
    Ok(())
}

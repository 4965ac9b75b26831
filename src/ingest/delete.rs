//! Deleting a document, whatever state it is in: its jobs are cancelled first.

use uuid::Uuid;

use crate::app::App;
use crate::error::Result;
use crate::queue::{Kinds, steer};
use crate::store::{Doing, TenantId, documents};

/// Cancels what works on the document, then removes it with everything under it. False where there is no such document.
pub async fn delete(app: &App, kinds: &Kinds, tenant: TenantId, id: Uuid) -> Result<bool> {
    let tx = app.store.begin().await?;
    if documents::lock(&tx, tenant, id).await?.is_none() {
        return Ok(false);
    }
    steer::cancel_of_document(&tx, kinds, tenant, id).await?;
    let deleted = documents::delete(&tx, tenant, id).await?;
    tx.commit().await.doing("delete the document")?;
    Ok(deleted)
}

//! Changing what is told of a document; its chunks and vectors stay.

use uuid::Uuid;

use crate::app::App;
use crate::error::Result;
use crate::store::documents::{self, DocumentChange};
use crate::store::entity::document::Model as Document;
use crate::store::{Doing, TenantId};

/// Changes it. `None` where there is no such document.
pub async fn change(app: &App, tenant: TenantId, id: Uuid, change: DocumentChange) -> Result<Option<Document>> {
    let tx = app.store.begin().await?;
    let Some(document) = documents::update(&tx, tenant, id, change, app.now()).await? else { return Ok(None) };
    tx.commit().await.doing("update the document")?;
    Ok(Some(document))
}

//! `JobLimit` and the input that sets and removes it.

use async_graphql::{Enum, InputObject, SimpleObject};
use uuid::Uuid;

use crate::app::App;
use crate::error::{Error, Result};
use crate::graphql::name;
use crate::id::Kind;
use crate::queue::limits::{self, Limit, LimitScope as StoredScope};
use crate::queue::{self, Kinds};

/// A limit on jobs, over all processes.
#[derive(SimpleObject)]
pub struct JobLimit {
    /// What it is on.
    scope: LimitScope,
    /// Which queue, kind, provider or tenant.
    key: String,
    /// Jobs that run at once; 0 lets none start. Null: any number.
    concurrency: Option<i32>,
    /// Jobs that start per minute, evenly: in a second at most a sixtieth of it, or one. Null: any number.
    per_minute: Option<f64>,
}

impl From<Limit> for JobLimit {
    fn from(limit: Limit) -> Self {
        Self {
            key: shown_key(limit.scope, &limit.key),
            scope: limit.scope.into(),
            concurrency: limit.concurrency,
            per_minute: limit.per_minute,
        }
    }
}

/// A tenant is shown by its global id.
pub fn shown_key(scope: StoredScope, key: &str) -> String {
    let tenant = key.parse::<Uuid>().ok().filter(|_| scope == StoredScope::Tenant);
    tenant.map_or_else(|| key.to_owned(), |tenant| Kind::Tenant.encode(tenant))
}

/// What a limit is on.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "StoredScope")]
pub enum LimitScope {
    /// Jobs of one queue, such as `ingest`.
    Queue,
    /// Jobs of one kind, such as `ingest_document`.
    Kind,
    /// Jobs that depend on one provider: `local`, or `http:` and a host.
    Provider,
    /// Jobs of one tenant, `ten_…`.
    Tenant,
}

/// A limit to be set: `concurrency`, `perMinute` or both.
#[derive(InputObject)]
pub struct SetJobLimitInput {
    /// What it is on.
    scope: LimitScope,
    /// Which queue, kind, provider or tenant.
    key: String,
    /// Jobs at once, 0 or more; 0 lets none start.
    concurrency: Option<i32>,
    /// Starts per minute, more than 0.
    per_minute: Option<f64>,
}

/// Which limit to remove.
#[derive(InputObject)]
pub struct RemoveJobLimitInput {
    /// What it is on.
    scope: LimitScope,
    /// Which queue, kind, provider or tenant.
    key: String,
}

impl SetJobLimitInput {
    /// The checked limit, with a full bucket.
    pub async fn checked(self, app: &App, kinds: &Kinds) -> Result<Limit> {
        let key = key(app, kinds, self.scope, self.key).await?;
        let (concurrency, per_minute) = (self.concurrency, self.per_minute);
        if concurrency.is_none() && per_minute.is_none() {
            return Err(Error::input("input", "no limit", "`concurrency`, `perMinute` or both"));
        }
        if let Some(concurrency) = concurrency.filter(|most| *most < 0) {
            return Err(Error::input("input.concurrency", concurrency, format!("0 to {}", i32::MAX)));
        }
        if let Some(rate) = per_minute.filter(|rate| !rate.is_finite() || *rate <= 0.0) {
            return Err(Error::input("input.perMinute", rate, "more than 0"));
        }
        Ok(Limit::new(self.scope.into(), key, concurrency, per_minute, app.now()))
    }
}

impl RemoveJobLimitInput {
    /// The checked scope and key.
    pub async fn checked(self, app: &App, kinds: &Kinds) -> Result<(StoredScope, String)> {
        Ok((self.scope.into(), key(app, kinds, self.scope, self.key).await?))
    }
}

/// The key as it is stored, of something that is there.
async fn key(app: &App, kinds: &Kinds, scope: LimitScope, key: String) -> Result<String> {
    let field = "input.key";
    let key = name::name(field, &key)?;
    let known = match scope {
        LimitScope::Provider => return Ok(key),
        LimitScope::Tenant => return tenant(app, field, &key).await,
        LimitScope::Queue => queue::NAMES.to_vec(),
        LimitScope::Kind => kinds.names(),
    };
    if known.contains(&key.as_str()) {
        return Ok(key);
    }
    Err(Error::input(field, key, format!("one of {}", known.join(", "))))
}

async fn tenant(app: &App, field: &str, key: &str) -> Result<String> {
    let id = Kind::Tenant.decode(field, key)?;
    if !limits::has_tenant(app.store.db(), id).await? {
        return Err(Error::not_found(field, "tenant", key));
    }
    Ok(id.to_string())
}

/// A limit that was set.
#[derive(SimpleObject)]
pub struct JobLimitPayload {
    /// As it is now.
    pub limit: JobLimit,
}

/// A limit that was removed.
#[derive(SimpleObject)]
pub struct RemoveJobLimitPayload {
    /// What it was on.
    pub scope: LimitScope,
    /// Which.
    pub key: String,
    /// False where there was none.
    pub removed: bool,
}

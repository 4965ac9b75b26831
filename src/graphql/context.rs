//! What resolvers find in their context.

use std::sync::Arc;

use async_graphql::Context;

use super::gather::Gather;
use super::loader::{RowLoader, Rows};
use crate::app::App;
use crate::queue::Kinds;
use crate::store::TenantId;

/// Whose request it is.
#[derive(Clone, Copy)]
pub struct Tenant(pub TenantId);

/// Shorthands over the context.
pub trait ContextExt {
    /// The application.
    fn app(&self) -> &Arc<App>;
    /// The kinds of jobs.
    fn kinds(&self) -> &Kinds;
    /// Whose request it is.
    fn tenant(&self) -> TenantId;
    /// The request's loader, or that of all subscriptions.
    fn loader(&self) -> &Gather<RowLoader>;
}

impl ContextExt for Context<'_> {
    fn app(&self) -> &Arc<App> {
        self.data_unchecked()
    }

    fn kinds(&self) -> &Kinds {
        self.data_unchecked()
    }

    fn tenant(&self) -> TenantId {
        self.data_unchecked::<Tenant>().0
    }

    fn loader(&self) -> &Gather<RowLoader> {
        self.data_unchecked::<Rows>()
    }
}

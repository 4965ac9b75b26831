//! Queries.

use async_graphql::{Context, Description, ID, Object};

use super::check;
use super::context::ContextExt;
use super::fault::{OrFault, Result};
use super::limits::LimitQuery;
use super::loader::{CollectionById, DocumentById, RunById};
use super::name;
use super::page::{self, List, Place};
use super::schedules::ScheduleQuery;
use super::types::chunk::Chunk;
use super::types::collection::{Collection, CollectionTotal, page_cost};
use super::types::connection::Connection;
use super::types::document::Document;
use super::types::embedding_model::EmbeddingModel;
use super::types::job::{Job, JobFilterInput, JobTotal};
use super::types::node::Node;
use super::types::queue::Queue;
use super::types::run::Run;
use super::types::schedule::Schedule;
use super::types::search::{SearchInput, SearchPayload};
use super::types::worker::Worker;
use crate::id::{self, Kind};
use crate::queue::{jobs, processes};
use crate::search;
use crate::store::entity::collection;
use crate::store::{chunks, collections, schedules};

/// Reading.
#[derive(Description)]
pub struct Query;

#[Object(use_type_description)]
impl Query {
    #[graphql(flatten)]
    async fn of_schedules(&self) -> ScheduleQuery {
        ScheduleQuery
    }

    #[graphql(flatten)]
    async fn of_limits(&self) -> LimitQuery {
        LimitQuery
    }

    /// Anything by its global id; null where it is not there.
    async fn node(&self, ctx: &Context<'_>, #[graphql(desc = "A global id.")] id: ID) -> Result<Option<Node>> {
        let (kind, id) = id::decode_any("id", &id).or_fault()?;
        let (app, tenant) = (ctx.app(), ctx.tenant());
        Ok(match kind {
            Kind::Collection => {
                ctx.loader().load_one(CollectionById(id)).await.or_fault()?.map(|row| Collection(row).into())
            }
            Kind::Document => ctx.loader().load_one(DocumentById(id)).await.or_fault()?.map(|row| Document(row).into()),
            Kind::Run => ctx.loader().load_one(RunById(id)).await.or_fault()?.map(|row| Run(row).into()),
            Kind::Chunk => {
                let found = chunks::by_ids(app.store.db(), tenant, &[id]).await.or_fault()?;
                found.into_values().next().map(|row| Chunk::from(row).into())
            }
            Kind::Job => {
                let found = jobs::by_ids(app.store.db(), tenant, &[id]).await.or_fault()?;
                found.into_values().next().map(|row| Job(row).into())
            }
            Kind::Schedule => {
                let found = schedules::by_ids(app.store.db(), tenant, &[id]).await.or_fault()?;
                found.into_values().next().map(|row| Schedule(row).into())
            }
            // Nothing is shown of a tenant yet, and a worker is no node.
            Kind::Tenant | Kind::Worker => None,
        })
    }

    /// A collection by its id; null where it is not there.
    async fn collection(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "A collection's id, `col_…`.")] id: ID,
    ) -> Result<Option<Collection>> {
        let id = Kind::Collection.decode("id", &id).or_fault()?;
        Ok(ctx.loader().load_one(CollectionById(id)).await.or_fault()?.map(Collection))
    }

    /// A collection by its name; null where it is not there.
    async fn collection_by_name(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its whole name, in the same case. White space at its ends does not count.")] name: String,
    ) -> Result<Option<Collection>> {
        Ok(by_name(ctx, name).await.or_fault()?.map(Collection))
    }

    /// The collections in order of creation.
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn collections(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "page::DEFAULT_FIRST", desc = "Collections on the page, 1-100.")] first: i32,
        #[graphql(desc = "Start after this cursor.")] after: Option<String>,
    ) -> Result<Connection<Collection, CollectionTotal>> {
        let (first, limit) = page::rows_to_read("first", first, ctx.app().config.graphql.page_limit).or_fault()?;
        let list = List::new("collections", &ctx.tenant());
        let cursor = list.id_after("after", after.as_deref()).or_fault()?;
        let rows = collections::page(ctx.app().store.db(), ctx.tenant(), cursor, limit).await.or_fault()?;
        Ok(list.page(rows, first, cursor.is_some(), CollectionTotal, |row| Place::Id(row.id)))
    }

    /// A document by its id; null where it is not there.
    async fn document(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "A document's id, `doc_…`.")] id: ID,
    ) -> Result<Option<Document>> {
        let id = Kind::Document.decode("id", &id).or_fault()?;
        Ok(ctx.loader().load_one(DocumentById(id)).await.or_fault()?.map(Document))
    }

    /// A job by its id; null where it is not there.
    async fn job(&self, ctx: &Context<'_>, #[graphql(desc = "A job's id, `job_…`.")] id: ID) -> Result<Option<Job>> {
        let id = Kind::Job.decode("id", &id).or_fault()?;
        let found = jobs::by_ids(ctx.app().store.db(), ctx.tenant(), &[id]).await.or_fault()?;
        Ok(found.into_values().next().map(Job))
    }

    /// The jobs that a filter finds, newest first.
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn jobs(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which; without it all.")] filter: Option<JobFilterInput>,
        #[graphql(default_with = "page::DEFAULT_FIRST", desc = "Jobs on the page, 1-100.")] first: i32,
        #[graphql(desc = "Start after this cursor.")] after: Option<String>,
    ) -> Result<Connection<Job, JobTotal>> {
        let (first, limit) = page::rows_to_read("first", first, ctx.app().config.graphql.page_limit).or_fault()?;
        let filter = filter.unwrap_or_default().checked(ctx, "filter").await.or_fault()?;
        let list = List::new("jobs", &(ctx.tenant(), &filter));
        let cursor = list.id_after("after", after.as_deref()).or_fault()?;
        let rows = jobs::page(ctx.app().store.db(), ctx.tenant(), &filter, cursor, limit).await.or_fault()?;
        Ok(list.page(rows, first, cursor.is_some(), JobTotal::of(filter), |row| Place::Id(row.id)))
    }

    /// Every queue, in order of their names.
    #[graphql(complexity = "10 * child_complexity + 1")]
    async fn queues(&self, ctx: &Context<'_>) -> Result<Vec<Queue>> {
        Queue::all(ctx.app()).await.or_fault()
    }

    /// A queue by its name.
    async fn queue(&self, ctx: &Context<'_>, #[graphql(desc = "Its name.")] name: String) -> Result<Queue> {
        Queue::of_name(ctx.app(), "name", &name).await.or_fault()
    }

    /// Every worker process that told of itself, oldest first. One that ends in order takes its leave; one that is lost
    /// is forgotten after a while.
    #[graphql(complexity = "10 * child_complexity + 1")]
    async fn workers(&self, ctx: &Context<'_>) -> Result<Vec<Worker>> {
        let rows = processes::all(ctx.app().store.db()).await.or_fault()?;
        Ok(rows.into_iter().map(Worker).collect())
    }

    /// The embedding models that new collections may choose, the default one first.
    async fn embedding_models(&self, ctx: &Context<'_>) -> Vec<EmbeddingModel> {
        let embedders = &ctx.app().embedders;
        let default = embedders.default_embedder().map(|embedder| embedder.model());
        let mut models: Vec<_> = embedders.offered().map(|embedder| EmbeddingModel::new(embedder, default)).collect();
        models.sort_by_key(|model| !model.is_default);
        models
    }

    /// A run by its id; null where it is not there.
    async fn run(&self, ctx: &Context<'_>, #[graphql(desc = "A run's id, `run_…`.")] id: ID) -> Result<Option<Run>> {
        let id = Kind::Run.decode("id", &id).or_fault()?;
        Ok(ctx.loader().load_one(RunById(id)).await.or_fault()?.map(Run))
    }

    /// The chunks nearest to a text, a vector or a chunk, and how they were found.
    #[graphql(complexity = "page_cost(input.first, child_complexity) + 9")]
    async fn search(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to look for.")] input: SearchInput,
    ) -> Result<SearchPayload> {
        let with_documents = ctx.look_ahead().field("hits").field("chunk").field("document").exists();
        let request = input.checked(ctx.app(), with_documents).or_fault()?;
        Ok(search::search(ctx.app(), ctx.tenant(), request).await.or_fault()?.into())
    }
}

/// The collection of a name: as it was given, for those that were stored before names were normalised; then as a name
/// is stored.
async fn by_name(ctx: &Context<'_>, given: String) -> crate::error::Result<Option<collection::Model>> {
    let (db, tenant) = (ctx.app().store.db(), ctx.tenant());
    let normal = name::name("name", &given);
    let Ok(given) = check::text("name", given, 1, check::NAME_LIMIT) else {
        return collections::by_name(db, tenant, &normal?).await;
    };
    match collections::by_name(db, tenant, &given).await? {
        None if normal.as_ref().ok() != Some(&given) => collections::by_name(db, tenant, &normal?).await,
        found => Ok(found),
    }
}

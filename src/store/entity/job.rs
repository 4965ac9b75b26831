//! `jobs`

use sea_orm::entity::prelude::*;

/// One durable unit of work.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "jobs")]
#[expect(missing_docs, reason = "the columns are told in the migration and in the API's types")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub queue: String,
    pub kind: String,
    pub payload: Json,
    pub payload_version: i32,
    pub state: JobState,
    pub priority: i16,
    pub run_at: DateTimeUtc,
    pub attempts: i32,
    pub max_attempts: i32,
    pub lease_holder: Option<Uuid>,
    pub lease_until: Option<DateTimeUtc>,
    pub progress_done: i64,
    pub progress_total: Option<i64>,
    pub progress_unit: Option<String>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    pub unique_key: Option<String>,
    pub collection_id: Option<Uuid>,
    pub document_id: Option<Uuid>,
    pub run_id: Option<Uuid>,
    pub created_at: DateTimeUtc,
    pub started_at: Option<DateTimeUtc>,
    pub finished_at: Option<DateTimeUtc>,
    pub leases: i32,
    pub lease_token: Option<Uuid>,
    pub turn: i64,
    pub flow: i64,
    pub provider: Option<String>,
    pub stage: Option<String>,
    pub redrives: i32,
    pub schedule_id: Option<Uuid>,
    pub last_event: i64,
}

/// None: joins are written where they are asked.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Where a job stands. The last three are terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum JobState {
    /// Waits for its time.
    Scheduled,
    /// Waits for a worker.
    Pending,
    /// A worker holds its lease.
    Running,
    /// An attempt failed; waits for the next.
    Retrying,
    /// Done.
    Succeeded,
    /// Cancelled.
    Cancelled,
    /// Failed for good.
    Dead,
}

impl JobState {
    /// Those of jobs that will go on by themselves.
    pub const UNFINISHED: [Self; 4] = [Self::Scheduled, Self::Pending, Self::Running, Self::Retrying];

    /// Whether nothing more happens unless someone redrives the job.
    pub fn is_terminal(self) -> bool {
        !Self::UNFINISHED.contains(&self)
    }
}

//! Schema migrations: one file per table, each with a `down` that undoes its `up`.
//!
//! A file that has landed is never edited: a change is a new file. The SQL is written out because operator classes,
//! partitions and partial indexes have no builder.

use sea_orm_migration::prelude::MigrationTrait;
pub use sea_orm_migration::prelude::MigratorTrait;

/// Declares the migration of one file: the SQL of `up` and the SQL of `down`.
macro_rules! migration {
    (up: $up:expr, down: $down:expr $(,)?) => {
        use sea_orm_migration::prelude::*;

        /// This file's migration.
        #[derive(DeriveMigrationName)]
        pub struct Migration;

        #[async_trait::async_trait]
        impl MigrationTrait for Migration {
            async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
                manager.get_connection().execute_unprepared($up).await?;
                Ok(())
            }

            async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
                manager.get_connection().execute_unprepared($down).await?;
                Ok(())
            }
        }
    };
}

mod m0001_tenants;
mod m0002_api_keys;
mod m0003_collections;
mod m0004_embedding_spaces;
mod m0005_documents;
mod m0006_document_contents;
mod m0007_chunks;
mod m0008_embeddings;
mod m0009_ingestion_runs;
mod m0010_run_events;
mod m0011_jobs;
mod m0012_token_usage;
mod m0013_query_logs;
mod m0014_job_control;
mod m0015_job_events;
mod m0016_job_steps;
mod m0017_queues;
mod m0018_queue_counts;
mod m0019_workers;
mod m0020_job_limits;
mod m0021_circuits;
mod m0022_schedules;
mod m0023_leaders;
mod m0024_cancelled_documents;
mod m0025_job_rules;
mod m0026_document_sources;

/// All migrations in order.
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_tenants::Migration),
            Box::new(m0002_api_keys::Migration),
            Box::new(m0003_collections::Migration),
            Box::new(m0004_embedding_spaces::Migration),
            Box::new(m0005_documents::Migration),
            Box::new(m0006_document_contents::Migration),
            Box::new(m0007_chunks::Migration),
            Box::new(m0008_embeddings::Migration),
            Box::new(m0009_ingestion_runs::Migration),
            Box::new(m0010_run_events::Migration),
            Box::new(m0011_jobs::Migration),
            Box::new(m0012_token_usage::Migration),
            Box::new(m0013_query_logs::Migration),
            Box::new(m0014_job_control::Migration),
            Box::new(m0015_job_events::Migration),
            Box::new(m0016_job_steps::Migration),
            Box::new(m0017_queues::Migration),
            Box::new(m0018_queue_counts::Migration),
            Box::new(m0019_workers::Migration),
            Box::new(m0020_job_limits::Migration),
            Box::new(m0021_circuits::Migration),
            Box::new(m0022_schedules::Migration),
            Box::new(m0023_leaders::Migration),
            Box::new(m0024_cancelled_documents::Migration),
            Box::new(m0025_job_rules::Migration),
            Box::new(m0026_document_sources::Migration),
        ]
    }
}

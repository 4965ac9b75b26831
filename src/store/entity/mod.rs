//! Rows as sea-orm entities: only the columns' shapes. What is asked of them stands in the file of the noun.

pub mod chunk;
pub mod collection;
pub mod document;
pub mod document_content;
pub mod embedding;
pub mod embedding_space;
pub mod ingestion_run;
pub mod job;
pub mod run_event;

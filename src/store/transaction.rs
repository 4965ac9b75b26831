//! A transaction, and the signals that its commit sends.

use std::sync::Mutex;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, Statement};

use super::bell::{Bell, Topic};
use crate::lock::lock;

/// A transaction; what happens in it is seen by others at [`Transaction::commit`]. Dropped, it rolls back and rings
/// nobody.
pub struct Transaction {
    inner: DatabaseTransaction,
    bell: Bell,
    topics: Mutex<Vec<Topic>>,
    afterwards: Mutex<Vec<Afterwards>>,
}

/// What is done once a transaction is committed.
type Afterwards = Box<dyn FnOnce() + Send>;

impl Transaction {
    pub(super) fn new(inner: DatabaseTransaction, bell: Bell) -> Self {
        Self { inner, bell, topics: Mutex::default(), afterwards: Mutex::default() }
    }

    /// Wakes those who wait for a topic, once this is committed.
    pub fn ring(&self, channel: &'static str, payload: impl Into<String>) {
        lock(&self.topics).push((channel, payload.into()));
    }

    /// Does something once this is committed: counting it, which must not be undone.
    pub fn after_commit(&self, work: impl FnOnce() + Send + 'static) {
        lock(&self.afterwards).push(Box::new(work));
    }

    /// Makes it so, then counts it and wakes who waits for it.
    ///
    /// # Errors
    /// Where the database refuses or is gone; then nothing happened.
    pub async fn commit(self) -> Result<(), DbErr> {
        self.inner.commit().await?;
        lock(&self.afterwards).drain(..).for_each(|work| work());
        self.bell.ring_all(lock(&self.topics).drain(..));
        Ok(())
    }

    /// Undoes it.
    ///
    /// # Errors
    /// Where the database is gone; then it is undone all the same.
    pub async fn rollback(self) -> Result<(), DbErr> {
        self.inner.rollback().await
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.inner.execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.inner.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.inner.query_one_raw(statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.inner.query_all_raw(statement).await
    }
}

//! Queues: paused or not, how deep, how fast.

use std::collections::HashMap;
use std::time::Duration;

use sea_orm::{ActiveEnum, ConnectionTrait, DbBackend, FromQueryResult, Statement, prelude::DateTimeUtc};

use crate::error::Result;
use crate::store::entity::job::JobState;
use crate::store::listen::{JOB_EVENTS_CHANNEL, JOBS_CHANNEL};
use crate::store::{Doing, Store, execute};

/// What stands in the way of a queue's jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromQueryResult)]
pub struct Obstacles {
    /// The queue is paused.
    pub is_paused: bool,
    /// There are limits, or circuits that are not closed.
    pub has_rules: bool,
}

/// Whether the queue `$1` is paused.
pub(super) const IS_PAUSED: &str = "EXISTS (SELECT FROM queues WHERE name = $1 AND paused_at IS NOT NULL)";
/// Whether there are limits, or circuits that are not closed.
pub(super) const HAS_RULES: &str =
    "(EXISTS (SELECT FROM job_limits) OR EXISTS (SELECT FROM circuits WHERE open_until IS NOT NULL))";

/// Asks what stands in the way.
pub async fn obstacles(db: &impl ConnectionTrait, queue: &str) -> Result<Obstacles> {
    let sql = format!("SELECT {IS_PAUSED} AS is_paused, {HAS_RULES} AS has_rules");
    let question = Statement::from_sql_and_values(DbBackend::Postgres, sql, [queue.into()]);
    let row = Obstacles::find_by_statement(question).one(db).await.doing("look at the queue")?;
    Ok(row.unwrap_or(Obstacles { is_paused: false, has_rules: false }))
}

/// Stops the queue from starting jobs, or lets it go on. Running jobs run on. False where it was so already.
pub async fn set_paused(store: &Store, queue: &str, is_paused: bool) -> Result<bool> {
    let sql = "INSERT INTO queues (name, paused_at) VALUES ($1, CASE WHEN $2 THEN now() END)
        ON CONFLICT (name) DO UPDATE SET paused_at = excluded.paused_at
        WHERE (queues.paused_at IS NULL) <> (excluded.paused_at IS NULL)";
    let was_known = "SELECT FROM queues WHERE name = $1";
    let question = Statement::from_sql_and_values(DbBackend::Postgres, was_known, [queue.into()]);
    let tx = store.begin().await?;
    let is_new = tx.query_one_raw(question).await.doing("look for the queue")?.is_none();
    let changed = execute(&tx, "pause or resume the queue", sql, [queue.into(), is_paused.into()]).await?;
    tx.ring(JOBS_CHANNEL, queue);
    tx.ring(JOB_EVENTS_CHANNEL, queue);
    tx.commit().await.doing("pause or resume the queue")?;
    Ok(changed > 0 && (is_paused || !is_new))
}

/// A queue as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueState {
    /// Its name.
    pub name: String,
    /// Since when it is paused.
    pub paused_at: Option<DateTimeUtc>,
    /// Jobs that reached an end per second, over about the last minute.
    pub rate_per_s: f64,
    /// Jobs by state; no entry is 0.
    pub depths: HashMap<String, i64>,
    /// When the job that has waited longest became due.
    pub oldest_pending_at: Option<DateTimeUtc>,
}

impl QueueState {
    /// Jobs in a state.
    pub fn depth(&self, state: JobState) -> i64 {
        self.depths.get(&state.to_value()).copied().unwrap_or(0)
    }
}

/// The names of all queues that have or had jobs, or were paused.
pub async fn names(db: &impl ConnectionTrait) -> Result<Vec<String>> {
    let question = "SELECT name FROM queues UNION SELECT queue FROM queue_counts
        UNION SELECT queue FROM queue_count_changes ORDER BY 1";
    let rows = db.query_all_raw(Statement::from_string(DbBackend::Postgres, question)).await.doing("list queues")?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>().doing("list queues")
}

#[derive(FromQueryResult)]
struct QueueRow {
    name: String,
    paused_at: Option<DateTimeUtc>,
    rate_per_s: Option<f64>,
    oldest_pending_at: Option<DateTimeUtc>,
}

#[derive(FromQueryResult)]
struct DepthRow {
    queue: String,
    state: String,
    jobs: i64,
}

/// The queues of these names, and the others that are known where `with_others`; in order of their names.
pub async fn states(db: &impl ConnectionTrait, names: &[&str], with_others: bool) -> Result<Vec<QueueState>> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT n.name, q.paused_at, q.rate_per_s,
             (SELECT min(run_at) FROM jobs WHERE queue = n.name AND state = 'PENDING') AS oldest_pending_at
         FROM (SELECT unnest($1::text[]) AS name
               UNION SELECT name FROM queues WHERE $2 UNION SELECT queue FROM queue_counts WHERE $2
               UNION SELECT queue FROM queue_count_changes WHERE $2) AS n
         LEFT JOIN queues q ON q.name = n.name ORDER BY n.name",
        [names.clone().into(), with_others.into()],
    );
    let rows = QueueRow::find_by_statement(question).all(db).await.doing("read the queues")?;
    let known: Vec<String> = rows.iter().map(|row| row.name.clone()).collect();
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT queue, state, sum(jobs)::bigint AS jobs FROM (
             SELECT * FROM queue_counts UNION ALL SELECT * FROM queue_count_changes
         ) AS counts WHERE queue = ANY($1) GROUP BY queue, state",
        [known.into()],
    );
    let mut depths: HashMap<String, HashMap<String, i64>> = HashMap::new();
    for row in DepthRow::find_by_statement(question).all(db).await.doing("read the queues' depths")? {
        depths.entry(row.queue).or_default().insert(row.state, row.jobs);
    }
    let state = |row: QueueRow| QueueState {
        depths: depths.remove(&row.name).unwrap_or_default(),
        name: row.name,
        paused_at: row.paused_at,
        rate_per_s: row.rate_per_s.unwrap_or(0.0),
        oldest_pending_at: row.oldest_pending_at,
    };
    Ok(rows.into_iter().map(state).collect())
}

/// Time over which rates are averaged (exponentially).
const RATE_WINDOW: Duration = Duration::from_secs(60);

/// Folds the changes of counts into the counts, and renews the rates. Any number of processes may call it at once.
pub async fn fold_counts(db: &impl ConnectionTrait) -> Result<()> {
    let sql = "WITH changes AS (
            DELETE FROM queue_count_changes RETURNING queue, state, jobs
        ), folded AS (
            INSERT INTO queue_counts AS c (queue, state, jobs)
            SELECT queue, state, sum(jobs) FROM changes GROUP BY queue, state ORDER BY queue, state
            ON CONFLICT (queue, state) DO UPDATE SET jobs = c.jobs + excluded.jobs
        ), ended AS (
            SELECT queue, coalesce(sum(jobs) FILTER (WHERE jobs > 0 AND state IN ('SUCCEEDED', 'CANCELLED', 'DEAD')), 0)
                AS jobs
            FROM changes GROUP BY queue
        ), known AS (
            SELECT coalesce(q.name, e.queue) AS name, coalesce(e.jobs, 0) AS jobs
            FROM queues q FULL JOIN ended e ON e.queue = q.name
        )
        INSERT INTO queues AS q (name, rate_per_s, rated_at)
        SELECT name, jobs / $1::float8, now() FROM known ORDER BY name
        ON CONFLICT (name) DO UPDATE SET rated_at = now(), rate_per_s = (
            SELECT q.rate_per_s * exp(-p.s / $1) + known.jobs / p.s * (1 - exp(-p.s / $1))
            FROM known, (SELECT greatest(extract(epoch FROM now() - q.rated_at)::float8, 0.001) AS s) AS p
            WHERE known.name = q.name)";
    execute(db, "count the queues", sql, [RATE_WINDOW.as_secs_f64().into()]).await?;
    Ok(())
}

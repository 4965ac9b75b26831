//! What must be so when all is over.

use super::world::World;
use crate::support::kinds::{CRASH, LEDGER_KIND, POISON};

/// Each asks for rows that must not be there, as texts that name them.
const NEVER: &[(&str, &str)] = &[
    ("a lease is held", "SELECT id::text FROM jobs WHERE lease_holder IS NOT NULL OR lease_until IS NOT NULL"),
    ("attempts are out of bounds", "SELECT id::text FROM jobs WHERE attempts NOT BETWEEN 0 AND max_attempts"),
    ("attempts outnumber leases", "SELECT id::text FROM jobs WHERE attempts > leases"),
    (
        "events are missing or double",
        "SELECT j.id || ' ' || j.last_event FROM jobs j LEFT JOIN job_events e ON e.job_id = j.id GROUP BY j.id
         HAVING count(e.sequence) <> j.last_event OR max(e.sequence) <> j.last_event OR min(e.sequence) <> 1",
    ),
    (
        "the last event tells another state",
        "SELECT j.id || ' ' || j.state || ' ' || e.state FROM jobs j
         JOIN job_events e ON e.job_id = j.id AND e.sequence = j.last_event WHERE e.state <> j.state",
    ),
    (
        "a job's leases are not all told",
        "SELECT j.id || ' ' || j.leases FROM jobs j
         WHERE j.leases <> (SELECT count(*) FROM job_events e WHERE e.job_id = j.id AND e.kind = 'STARTED')",
    ),
    (
        "queues count something else",
        "SELECT concat_ws(' ', queue, state, counted.jobs, jobs.jobs) FROM (
             SELECT queue, state, sum(jobs) AS jobs FROM (SELECT * FROM queue_counts
                 UNION ALL SELECT * FROM queue_count_changes) AS c GROUP BY queue, state HAVING sum(jobs) <> 0
         ) AS counted FULL JOIN (SELECT queue, state, count(*) AS jobs FROM jobs GROUP BY queue, state) AS jobs
             USING (queue, state) WHERE counted.jobs IS DISTINCT FROM jobs.jobs",
    ),
    ("an event has no job", "SELECT job_id::text FROM job_events WHERE job_id NOT IN (SELECT id FROM jobs)"),
    ("a step has no job", "SELECT job_id::text FROM job_steps WHERE job_id NOT IN (SELECT id FROM jobs)"),
    (
        "a chunk has no version of a document",
        "SELECT c.id::text FROM chunks c LEFT JOIN documents d ON d.id = c.document_id AND d.indexed_version = c.version
         WHERE d.id IS NULL",
    ),
    ("a vector has no chunk", "SELECT chunk_id::text FROM embeddings WHERE chunk_id NOT IN (SELECT id FROM chunks)"),
    ("a vector is not shown", "SELECT chunk_id::text FROM embeddings WHERE NOT live"),
    ("a chunk has no vector", "SELECT id::text FROM chunks WHERE id NOT IN (SELECT chunk_id FROM embeddings)"),
    ("an event has no run", "SELECT run_id::text FROM run_events WHERE run_id NOT IN (SELECT id FROM ingestion_runs)"),
    (
        "chunks are missing or double",
        "SELECT concat_ws(' ', d.id, d.title, d.chunk_count, count(c.id)) FROM documents d
         LEFT JOIN chunks c ON c.document_id = d.id WHERE d.status = 'INDEXED' GROUP BY d.id
         HAVING count(c.id) <> d.title::integer OR d.chunk_count <> d.title::integer
             OR count(DISTINCT c.index) <> d.title::integer OR max(c.index) <> d.title::integer - 1",
    ),
    (
        "a cancelled document shows something",
        "SELECT d.id::text FROM documents d WHERE d.status = 'CANCELLED'
             AND (indexed_version <> 0 OR EXISTS (SELECT FROM chunks WHERE document_id = d.id))",
    ),
    (
        "a document differs from its job",
        "SELECT concat_ws(' ', d.id, d.status, j.state, j.attempts, j.stage, j.error_code, j.error_message) FROM documents d LEFT JOIN jobs j ON j.document_id = d.id
         WHERE (d.status, j.state) NOT IN (('INDEXED', 'SUCCEEDED'), ('CANCELLED', 'CANCELLED'), ('INDEXED', 'CANCELLED'))",
    ),
    (
        "a run miscounts",
        "SELECT concat_ws(' ', r.id, r.state, r.documents_done, r.documents_cancelled, r.documents_failed)
         FROM ingestion_runs r, LATERAL (SELECT count(*) FILTER (WHERE state = 'SUCCEEDED') AS done,
             count(*) FILTER (WHERE state = 'CANCELLED') AS cancelled, count(*) AS total FROM jobs
             WHERE run_id = r.id) AS j
         WHERE (r.documents_done, r.documents_cancelled, r.documents_failed, r.documents_total)
                 <> (j.done, j.cancelled, 0, j.total)
             OR r.state <> CASE WHEN j.cancelled = 0 THEN 'SUCCEEDED' WHEN j.done > 0 THEN 'PARTIAL' ELSE 'CANCELLED' END
             OR r.finished_at IS NULL",
    ),
    (
        "a run's events have gaps",
        "SELECT r.id::text FROM ingestion_runs r LEFT JOIN run_events e ON e.run_id = r.id GROUP BY r.id
         HAVING count(*) <> r.last_event OR max(e.sequence) <> r.last_event",
    ),
];

/// Everything.
pub async fn check(world: &World) {
    let database = &world.app.database;
    for (what, sql) in NEVER {
        assert_eq!(database.texts(sql).await, [""; 0], "{what}");
    }
    let cancelled: Vec<_> = world.cancelled.iter().map(ToString::to_string).collect();
    let found = database.texts("SELECT id::text FROM jobs WHERE state = 'CANCELLED' ORDER BY id").await;
    assert_eq!(found, cancelled, "cancelled jobs, and no others, are cancelled");
    let poison = format!("(kind = '{POISON}')");
    let others = format!(
        "SELECT concat_ws(' ', id, kind, state, error_code, error_message) FROM jobs WHERE state <> 'CANCELLED'
         AND CASE WHEN {poison} THEN (state, error_code) <> ('DEAD', 'BAD_USER_INPUT') ELSE state <> 'SUCCEEDED' END"
    );
    assert_eq!(database.texts(&others).await, [""; 0], "poison is dead, everything else has succeeded");
    let harmless = format!("SELECT id::text FROM jobs WHERE kind = '{CRASH}' AND leases < 2");
    assert_eq!(database.texts(&harmless).await, [""; 0], "what kills its worker is taken up by another one");
    exactly_once(world).await;
}

/// The lines of the ledger are the finished steps, each once; a job that succeeded has both.
async fn exactly_once(world: &World) {
    let database = &world.app.database;
    let lines = database.texts("SELECT job_id || ' ' || step || ' ' || lease FROM test_ledger ORDER BY 1").await;
    let steps = format!(
        "SELECT job_id || ' ' || name || ' ' || (result ->> 'lease') FROM job_steps JOIN jobs ON jobs.id = job_id
         WHERE kind = '{LEDGER_KIND}' AND job_steps.finished_at IS NOT NULL ORDER BY 1"
    );
    assert_eq!(lines, database.texts(&steps).await, "each finished step has written its line, and once");
    let half = format!(
        "SELECT id::text FROM jobs WHERE kind = '{LEDGER_KIND}' AND state = 'SUCCEEDED'
         AND (SELECT count(*) FROM test_ledger WHERE job_id = id) <> 2"
    );
    assert_eq!(database.texts(&half).await, [""; 0], "a job that succeeded has done both steps");
}

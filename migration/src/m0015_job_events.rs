//! Events of a job, append-only, numbered without gaps: its timeline, its attempts, and what subscriptions replay.
//! Written by triggers on `jobs` (m0025), which also remove them with their job: a foreign key would lock and look up
//! the job's row for every event.

migration! {
    up: "
        CREATE TABLE job_events (
            job_id uuid NOT NULL,
            sequence bigint NOT NULL,
            tenant_id uuid NOT NULL,
            at timestamptz NOT NULL DEFAULT clock_timestamp(),
            kind text NOT NULL,
            state text NOT NULL,
            lease integer NOT NULL,
            attempts integer NOT NULL,
            worker uuid,
            stage text,
            priority smallint NOT NULL,
            run_at timestamptz NOT NULL,
            progress_done bigint NOT NULL,
            progress_total bigint,
            progress_unit text,
            error_code text,
            error_message text,
            PRIMARY KEY (job_id, sequence)
        );
    ",
    down: "DROP TABLE job_events",
}

//! Steps of jobs that have several: a finished one has its result and is never done again.

migration! {
    up: "
        CREATE TABLE job_steps (
            job_id uuid NOT NULL,
            name text NOT NULL,
            attempts integer NOT NULL DEFAULT 0,
            result jsonb,
            finished_at timestamptz,
            error_code text,
            error_message text,
            PRIMARY KEY (job_id, name)
        );
    ",
    down: "DROP TABLE job_steps",
}

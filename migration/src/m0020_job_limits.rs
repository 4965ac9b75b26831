//! Limits on what runs at once and how often, over all processes: by queue, kind, provider or tenant.

migration! {
    up: "
        CREATE TABLE job_limits (
            scope text NOT NULL CHECK (scope IN ('QUEUE', 'KIND', 'PROVIDER', 'TENANT')),
            key text NOT NULL,
            concurrency integer CHECK (concurrency >= 0),
            per_minute double precision CHECK (per_minute > 0),
            tokens double precision NOT NULL DEFAULT 0,
            refilled_at timestamptz NOT NULL DEFAULT now(),
            created_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (scope, key),
            CHECK (concurrency IS NOT NULL OR per_minute IS NOT NULL)
        );
        COMMENT ON COLUMN job_limits.tokens IS 'starts left in the bucket at refilled_at';
    ",
    down: "DROP TABLE job_limits",
}

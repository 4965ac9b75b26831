//! Schedules: what is enqueued, or done by the leader, at the times of a cron expression.

migration! {
    up: "
        CREATE TABLE schedules (
            id uuid PRIMARY KEY,
            tenant_id uuid REFERENCES tenants (id) ON DELETE CASCADE,
            collection_id uuid REFERENCES collections (id) ON DELETE CASCADE,
            name text NOT NULL,
            kind text NOT NULL,
            payload jsonb NOT NULL,
            cron text NOT NULL,
            time_zone text NOT NULL,
            missed text NOT NULL CHECK (missed IN ('SKIP', 'RUN_ONCE', 'RUN_ALL')),
            enabled boolean NOT NULL DEFAULT true,
            next_run_at timestamptz,
            last_run_at timestamptz,
            last_job_id uuid,
            error_code text,
            error_message text,
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now()
        );
        COMMENT ON COLUMN schedules.tenant_id IS 'null: built in, the same for all tenants';
        CREATE UNIQUE INDEX schedules_name ON schedules (tenant_id, name) NULLS NOT DISTINCT;
        CREATE INDEX schedules_due ON schedules (next_run_at) WHERE enabled;
        CREATE INDEX schedules_collection ON schedules (collection_id) WHERE collection_id IS NOT NULL;
    ",
    down: "DROP TABLE schedules",
}

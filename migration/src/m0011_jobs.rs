//! Jobs: the only truth about a durable unit of work. A lease (holder, until) says who runs it.

migration! {
    up: "
        CREATE TABLE jobs (
            id uuid PRIMARY KEY,
            tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
            queue text NOT NULL,
            kind text NOT NULL,
            payload jsonb NOT NULL,
            payload_version integer NOT NULL,
            state text NOT NULL CHECK
                (state IN ('SCHEDULED', 'PENDING', 'RUNNING', 'RETRYING', 'SUCCEEDED', 'CANCELLED', 'DEAD')),
            priority smallint NOT NULL DEFAULT 0,
            run_at timestamptz NOT NULL DEFAULT now(),
            attempts integer NOT NULL DEFAULT 0,
            max_attempts integer NOT NULL CHECK (max_attempts > 0),
            lease_holder uuid,
            lease_until timestamptz,
            progress_done bigint NOT NULL DEFAULT 0,
            progress_total bigint,
            progress_unit text,
            error_code text,
            error_message text,
            unique_key text,
            collection_id uuid,
            document_id uuid,
            run_id uuid,
            created_at timestamptz NOT NULL DEFAULT now(),
            started_at timestamptz,
            finished_at timestamptz,
            CHECK ((state = 'RUNNING') = (lease_holder IS NOT NULL)),
            CHECK ((lease_holder IS NULL) = (lease_until IS NULL))
        );
        CREATE INDEX jobs_ready ON jobs (queue, priority DESC, run_at, id)
            WHERE state IN ('SCHEDULED', 'PENDING', 'RETRYING');
        CREATE INDEX jobs_leased ON jobs (lease_until) WHERE state = 'RUNNING';
        CREATE UNIQUE INDEX jobs_unique_key ON jobs (unique_key)
            WHERE unique_key IS NOT NULL AND state IN ('SCHEDULED', 'PENDING', 'RUNNING', 'RETRYING');
        CREATE INDEX jobs_document ON jobs (document_id, id) WHERE document_id IS NOT NULL;
        CREATE INDEX jobs_run ON jobs (run_id, id) WHERE run_id IS NOT NULL;
        CREATE INDEX jobs_collection ON jobs (collection_id) WHERE collection_id IS NOT NULL;
    ",
    down: "DROP TABLE jobs",
}

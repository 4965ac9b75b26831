//! Ingestion runs: what one ingest call started. `last_event` numbers its events; the row's lock orders them.

migration! {
    up: "
        CREATE TABLE ingestion_runs (
            id uuid PRIMARY KEY,
            tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
            collection_id uuid NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
            state text NOT NULL CHECK (state IN ('PENDING', 'RUNNING', 'SUCCEEDED', 'PARTIAL', 'FAILED')),
            documents_total integer NOT NULL,
            documents_done integer NOT NULL DEFAULT 0,
            documents_failed integer NOT NULL DEFAULT 0,
            chunks_total integer NOT NULL DEFAULT 0,
            chunks_embedded integer NOT NULL DEFAULT 0,
            tokens bigint NOT NULL DEFAULT 0,
            last_event bigint NOT NULL DEFAULT 0,
            created_at timestamptz NOT NULL DEFAULT now(),
            started_at timestamptz,
            finished_at timestamptz
        );
        CREATE INDEX ingestion_runs_page ON ingestion_runs (collection_id, id);
    ",
    down: "DROP TABLE ingestion_runs",
}

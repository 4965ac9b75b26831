//! Events of a run, append-only: what progress subscriptions replay. Each carries the state it led to.

migration! {
    up: "
        CREATE TABLE run_events (
            run_id uuid NOT NULL REFERENCES ingestion_runs (id) ON DELETE CASCADE,
            sequence bigint NOT NULL,
            tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
            at timestamptz NOT NULL DEFAULT now(),
            kind text NOT NULL,
            document_id uuid,
            document_status text,
            chunk_count integer,
            error_code text,
            error_message text,
            run_state text NOT NULL,
            documents_total integer NOT NULL,
            documents_done integer NOT NULL,
            documents_failed integer NOT NULL,
            chunks_total integer NOT NULL,
            chunks_embedded integer NOT NULL,
            PRIMARY KEY (run_id, sequence)
        );
    ",
    down: "DROP TABLE run_events",
}

//! Query log: what was asked, which chunks came back, how long it took.

migration! {
    up: "
        CREATE TABLE query_logs (
            id uuid PRIMARY KEY,
            tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
            collection_id uuid NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
            query text,
            chunk_ids uuid[] NOT NULL,
            answer text,
            took_ms real NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX query_logs_page ON query_logs (tenant_id, id);
    ",
    down: "DROP TABLE query_logs",
}

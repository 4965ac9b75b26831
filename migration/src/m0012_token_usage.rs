//! Tokens embedded or generated, by tenant, day and model: what a provider's bill is checked against.

migration! {
    up: "
        CREATE TABLE token_usage (
            tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
            day date NOT NULL,
            model text NOT NULL,
            purpose text NOT NULL CHECK (purpose IN ('INGEST', 'SEARCH', 'GENERATION')),
            tokens bigint NOT NULL DEFAULT 0,
            requests bigint NOT NULL DEFAULT 0,
            PRIMARY KEY (tenant_id, day, model, purpose)
        );
    ",
    down: "DROP TABLE token_usage",
}

//! Embedding spaces: a collection's vectors of one model, dimension and metric. One is active per collection.

migration! {
    up: "
        CREATE TABLE embedding_spaces (
            id uuid PRIMARY KEY,
            tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
            collection_id uuid NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
            model text,
            dimensions integer NOT NULL CHECK (dimensions BETWEEN 1 AND 16000),
            metric text NOT NULL CHECK (metric IN ('COSINE', 'L2', 'INNER_PRODUCT')),
            active boolean NOT NULL,
            index_state text NOT NULL DEFAULT 'NONE' CHECK (index_state IN ('NONE', 'BUILDING', 'READY')),
            created_at timestamptz NOT NULL DEFAULT now()
        );
        COMMENT ON COLUMN embedding_spaces.model IS 'null: callers bring their own vectors';
        CREATE UNIQUE INDEX embedding_spaces_active ON embedding_spaces (collection_id) WHERE active;
        CREATE INDEX embedding_spaces_collection ON embedding_spaces (collection_id);
    ",
    down: "DROP TABLE embedding_spaces",
}

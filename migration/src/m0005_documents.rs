//! Documents. `version` counts what was submitted; `indexed_version` is the one that readers see (0: none yet).

migration! {
    up: "
        CREATE TABLE documents (
            id uuid PRIMARY KEY,
            tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
            collection_id uuid NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
            source_uri text,
            title text,
            author text,
            tags text[] NOT NULL DEFAULT '{}',
            content_type text NOT NULL,
            content_hash bytea NOT NULL,
            size_bytes bigint NOT NULL,
            storage_backend text NOT NULL DEFAULT 'POSTGRES' CHECK (storage_backend IN ('POSTGRES')),
            metadata jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
            status text NOT NULL
                CHECK (status IN ('PENDING', 'PROCESSING', 'INDEXED', 'ERROR', 'DELETED', 'CANCELLED')),
            error_code text,
            error_message text,
            version integer NOT NULL DEFAULT 1,
            indexed_version integer NOT NULL DEFAULT 0,
            chunk_count integer NOT NULL DEFAULT 0,
            token_count bigint NOT NULL DEFAULT 0,
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now(),
            indexed_at timestamptz
        );
        CREATE UNIQUE INDEX documents_source_uri ON documents (collection_id, source_uri) WHERE source_uri IS NOT NULL;
        CREATE UNIQUE INDEX documents_content ON documents (collection_id, content_hash) WHERE source_uri IS NULL;
        CREATE INDEX documents_hash ON documents (collection_id, content_hash);
        CREATE INDEX documents_page ON documents (collection_id, id) INCLUDE (chunk_count);
        CREATE INDEX documents_status ON documents (collection_id, status, id);
        CREATE INDEX documents_metadata ON documents USING gin (metadata jsonb_path_ops);
    ",
    down: "DROP TABLE documents",
}

//! Chunks: slices of a document's text. A chunk is visible when its version is its document's `indexed_version`.

migration! {
    up: "
        CREATE TABLE chunks (
            id uuid PRIMARY KEY,
            tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
            collection_id uuid NOT NULL,
            document_id uuid NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
            version integer NOT NULL,
            index integer NOT NULL,
            text text NOT NULL,
            start_char integer NOT NULL,
            end_char integer NOT NULL CHECK (end_char > start_char),
            token_count integer,
            page integer,
            heading_path text[] NOT NULL DEFAULT '{}',
            metadata jsonb NOT NULL DEFAULT '{}'
        );
        CREATE UNIQUE INDEX chunks_document ON chunks (document_id, version, index);
        CREATE INDEX chunks_collection ON chunks (collection_id, id);
    ",
    down: "DROP TABLE chunks",
}

//! Embeddings, one partition per space: a space's vectors lie together, have their own index, and go by dropping
//! the partition. `live` is false while the version of the document they belong to is being built.

migration! {
    up: "
        CREATE TABLE embeddings (
            space_id uuid NOT NULL,
            chunk_id uuid NOT NULL,
            document_id uuid NOT NULL,
            tenant_id uuid NOT NULL,
            live boolean NOT NULL,
            embedding vector NOT NULL,
            PRIMARY KEY (space_id, chunk_id)
        ) PARTITION BY LIST (space_id);
        CREATE INDEX embeddings_document ON embeddings (document_id);
    ",
    down: "DROP TABLE embeddings",
}

//! What was submitted, per version: the original bytes, the text that chunks are slices of, ready-made vectors.
//! Apart from `documents`, so that listing documents never reads them.

migration! {
    up: "
        CREATE TABLE document_contents (
            document_id uuid NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
            version integer NOT NULL,
            tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
            original bytea NOT NULL,
            body text,
            vectors bytea,
            PRIMARY KEY (document_id, version)
        );
        COMMENT ON COLUMN document_contents.body IS 'null: the original is the text, byte for byte';
        COMMENT ON COLUMN document_contents.vectors IS 'little-endian f32, one vector per chunk; NaN: to be embedded';
    ",
    down: "DROP TABLE document_contents",
}

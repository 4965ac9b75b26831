//! Collections. `deleted_at` hides one at once; a job purges its rows afterwards.

migration! {
    up: "
        CREATE TABLE collections (
            id uuid PRIMARY KEY,
            tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
            name text NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
            description text NOT NULL DEFAULT '',
            metadata jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
            chunking jsonb NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now(),
            deleted_at timestamptz
        );
        CREATE UNIQUE INDEX collections_name ON collections (tenant_id, name) WHERE deleted_at IS NULL;
        CREATE INDEX collections_page ON collections (tenant_id, id) WHERE deleted_at IS NULL;
    ",
    down: "DROP TABLE collections",
}

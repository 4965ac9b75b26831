//! Tenants: who owns rows. One default tenant until API keys tell callers apart.

migration! {
    up: "
        CREATE TABLE tenants (
            id uuid PRIMARY KEY,
            name text NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 255),
            created_at timestamptz NOT NULL DEFAULT now()
        );
        INSERT INTO tenants (id, name) VALUES ('00000000-0000-7000-8000-000000000001', 'default');
    ",
    down: "DROP TABLE tenants",
}

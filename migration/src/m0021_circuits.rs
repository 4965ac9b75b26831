//! Circuit breakers by provider: a row is there while a provider fails.

migration! {
    up: "
        CREATE TABLE circuits (
            provider text PRIMARY KEY,
            failures integer NOT NULL,
            trips integer NOT NULL DEFAULT 0,
            open_until timestamptz,
            error_code text NOT NULL,
            error_message text NOT NULL,
            failed_at timestamptz NOT NULL DEFAULT now()
        );
        COMMENT ON COLUMN circuits.open_until IS 'null: closed; past: one job may try';
    ",
    down: "DROP TABLE circuits",
}

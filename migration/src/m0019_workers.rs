//! Worker processes, as they last told of themselves. `id` is the holder of their leases.

migration! {
    up: "
        CREATE TABLE workers (
            id uuid PRIMARY KEY,
            host text NOT NULL,
            pid integer NOT NULL,
            version text NOT NULL,
            slots jsonb NOT NULL,
            started_at timestamptz NOT NULL DEFAULT now(),
            seen_at timestamptz NOT NULL DEFAULT now()
        );
        COMMENT ON COLUMN workers.slots IS 'jobs at once, by queue';
    ",
    down: "DROP TABLE workers",
}

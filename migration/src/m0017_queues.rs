//! Queues: paused or not, and how fast they go.

migration! {
    up: "
        CREATE TABLE queues (
            name text PRIMARY KEY,
            paused_at timestamptz,
            rate_per_s double precision NOT NULL DEFAULT 0,
            rated_at timestamptz NOT NULL DEFAULT now(),
            created_at timestamptz NOT NULL DEFAULT now()
        );
        COMMENT ON COLUMN queues.rate_per_s IS 'jobs that reached an end per second, averaged over about a minute';
        INSERT INTO queues (name) SELECT DISTINCT queue FROM jobs ON CONFLICT DO NOTHING;
    ",
    down: "DROP TABLE queues",
}

//! Who leads: one process at a time, by lease.

migration! {
    up: "
        CREATE TABLE leaders (
            name text PRIMARY KEY,
            holder uuid NOT NULL,
            lease_until timestamptz NOT NULL
        );
    ",
    down: "DROP TABLE leaders",
}

//! Jobs by queue and state, so that depth is told without counting millions of rows. Every statement that changes jobs
//! appends what it changed (m0025), which waits for nobody; a chore folds the changes into the counts.

migration! {
    up: "
        CREATE TABLE queue_counts (
            queue text NOT NULL,
            state text NOT NULL,
            jobs bigint NOT NULL,
            PRIMARY KEY (queue, state)
        );
        CREATE TABLE queue_count_changes (
            queue text NOT NULL,
            state text NOT NULL,
            jobs bigint NOT NULL
        );
        INSERT INTO queue_counts SELECT queue, state, count(*) FROM jobs GROUP BY queue, state;
    ",
    down: "DROP TABLE queue_count_changes, queue_counts",
}

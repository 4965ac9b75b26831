//! Cancelled documents go back to what they were, runs count them, and documents may expire.

migration! {
    up: "
        ALTER TABLE document_contents ADD COLUMN other_attributes jsonb;
        COMMENT ON COLUMN document_contents.other_attributes IS
            'attributes that the document takes when this version is cancelled or, cancelled, is redriven: they swap';
        ALTER TABLE documents ADD COLUMN expires_at timestamptz;
        CREATE INDEX documents_expiry ON documents (expires_at) WHERE expires_at IS NOT NULL;
        ALTER TABLE ingestion_runs ADD COLUMN documents_cancelled integer NOT NULL DEFAULT 0,
            DROP CONSTRAINT ingestion_runs_state_check,
            ADD CONSTRAINT ingestion_runs_state_check
                CHECK (state IN ('PENDING', 'RUNNING', 'SUCCEEDED', 'PARTIAL', 'FAILED', 'CANCELLED'));
        ALTER TABLE run_events ADD COLUMN documents_cancelled integer NOT NULL DEFAULT 0;
        CREATE INDEX ingestion_runs_finished ON ingestion_runs (finished_at) WHERE finished_at IS NOT NULL;
    ",
    down: "
        DROP INDEX ingestion_runs_finished;
        ALTER TABLE run_events DROP COLUMN documents_cancelled;
        UPDATE ingestion_runs SET state = 'PARTIAL' WHERE state = 'CANCELLED';
        ALTER TABLE ingestion_runs DROP COLUMN documents_cancelled,
            DROP CONSTRAINT ingestion_runs_state_check,
            ADD CONSTRAINT ingestion_runs_state_check
                CHECK (state IN ('PENDING', 'RUNNING', 'SUCCEEDED', 'PARTIAL', 'FAILED'));
        DROP INDEX documents_expiry;
        ALTER TABLE documents DROP COLUMN expires_at;
        ALTER TABLE document_contents DROP COLUMN other_attributes;
    ",
}

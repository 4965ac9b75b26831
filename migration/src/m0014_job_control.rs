//! What steering a job needs: a fence of its own (`lease_token`), a turn among its neighbours, a provider, a stage.

migration! {
    up: "
        ALTER TABLE jobs
            ADD COLUMN leases integer NOT NULL DEFAULT 0,
            ADD COLUMN lease_token uuid,
            ADD COLUMN turn bigint NOT NULL DEFAULT 0,
            ADD COLUMN flow bigint NOT NULL DEFAULT 0,
            ADD COLUMN provider text,
            ADD COLUMN stage text,
            ADD COLUMN redrives integer NOT NULL DEFAULT 0,
            ADD COLUMN schedule_id uuid,
            ADD COLUMN last_event bigint NOT NULL DEFAULT 0;
        COMMENT ON COLUMN jobs.leases IS 'times it was leased, counted as an attempt or not';
        COMMENT ON COLUMN jobs.lease_token IS 'the fence: made anew for every lease, named by every write of its worker';
        COMMENT ON COLUMN jobs.turn IS 'place among jobs of its queue, priority and tenant: those of one flow come one a round';
        COMMENT ON COLUMN jobs.flow IS 'hash of kind, provider and collection: what takes turns within a tenant';
        COMMENT ON COLUMN jobs.provider IS 'what it depends on, as limits and circuits know it';
        COMMENT ON COLUMN jobs.stage IS 'the step at which it is or failed; null: the first';
        UPDATE jobs SET leases = attempts, lease_token = CASE WHEN state = 'RUNNING' THEN gen_random_uuid() END;
        DROP INDEX jobs_ready, jobs_unique_key;
        CREATE INDEX jobs_ready ON jobs (queue, priority DESC, tenant_id, turn, id) WHERE state = 'PENDING';
        CREATE INDEX jobs_flow ON jobs (queue, tenant_id, flow, priority DESC, turn, id) WHERE state = 'PENDING';
        CREATE INDEX jobs_oldest ON jobs (queue, run_at) WHERE state = 'PENDING';
        CREATE INDEX jobs_due ON jobs (run_at) WHERE state IN ('SCHEDULED', 'RETRYING');
        CREATE INDEX jobs_unique_key ON jobs (unique_key, id) WHERE unique_key IS NOT NULL;
        CREATE INDEX jobs_state ON jobs (tenant_id, state, id);
        CREATE INDEX jobs_finished ON jobs (state, finished_at) WHERE finished_at IS NOT NULL;
        -- Dead entries at the head of the ready index are what slows a queue down: vacuum by count, not by share.
        ALTER TABLE jobs SET (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000,
            autovacuum_analyze_scale_factor = 0.05);
    ",
    down: "
        ALTER TABLE jobs RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold,
            autovacuum_analyze_scale_factor);
        DROP INDEX jobs_ready, jobs_flow, jobs_oldest, jobs_due, jobs_unique_key, jobs_state, jobs_finished;
        ALTER TABLE jobs DROP COLUMN leases, DROP COLUMN lease_token, DROP COLUMN turn, DROP COLUMN flow, DROP COLUMN provider,
            DROP COLUMN stage, DROP COLUMN redrives, DROP COLUMN schedule_id, DROP COLUMN last_event;
        UPDATE jobs SET unique_key = NULL WHERE EXISTS (SELECT FROM jobs o WHERE o.unique_key = jobs.unique_key
            AND o.id < jobs.id);
        CREATE INDEX jobs_ready ON jobs (queue, priority DESC, run_at, id)
            WHERE state IN ('SCHEDULED', 'PENDING', 'RETRYING');
        CREATE UNIQUE INDEX jobs_unique_key ON jobs (unique_key)
            WHERE unique_key IS NOT NULL AND state IN ('SCHEDULED', 'PENDING', 'RUNNING', 'RETRYING');
    ",
}

//! The state machine of jobs, kept by the database itself, and what follows from every change: an event and a count.

migration! {
    up: r"
        CREATE FUNCTION jobs_check() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'INSERT' THEN
                IF NEW.state NOT IN ('SCHEDULED', 'PENDING') THEN
                    RAISE EXCEPTION 'a job cannot begin as %', NEW.state
                        USING ERRCODE = 'check_violation', CONSTRAINT = 'jobs_transition';
                END IF;
                NEW.last_event := 1;
                RETURN NEW;
            END IF;
            IF NEW.state <> OLD.state AND NOT (CASE OLD.state
                WHEN 'SCHEDULED' THEN NEW.state IN ('PENDING', 'CANCELLED')
                WHEN 'PENDING' THEN NEW.state IN ('RUNNING', 'CANCELLED')
                WHEN 'RETRYING' THEN NEW.state IN ('PENDING', 'CANCELLED')
                WHEN 'RUNNING' THEN NEW.state IN ('SUCCEEDED', 'RETRYING', 'DEAD', 'CANCELLED', 'PENDING')
                ELSE NEW.state = 'PENDING'
            END) THEN
                RAISE EXCEPTION 'a job cannot go from % to %', OLD.state, NEW.state
                    USING ERRCODE = 'check_violation', CONSTRAINT = 'jobs_transition';
            END IF;
            IF NEW.leases < OLD.leases OR (NEW.leases > OLD.leases AND NEW.state <> 'RUNNING') THEN
                RAISE EXCEPTION 'only taking a job counts its leases, and only up'
                    USING ERRCODE = 'check_violation', CONSTRAINT = 'jobs_fence';
            END IF;
            -- What is tidied up after the end is no progress.
            NEW.last_event := OLD.last_event + CASE WHEN (NEW.state, NEW.priority, NEW.progress_done, NEW.stage)
                IS DISTINCT FROM (OLD.state, OLD.priority, OLD.progress_done, OLD.stage)
                AND (NEW.state <> OLD.state OR NEW.state NOT IN ('SUCCEEDED', 'CANCELLED', 'DEAD'))
                THEN 1 ELSE 0 END;
            RETURN NEW;
        END $$;
        CREATE TRIGGER jobs_check_insert BEFORE INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION jobs_check();
        CREATE TRIGGER jobs_check_update BEFORE UPDATE OF state, leases, priority, progress_done, stage ON jobs
            FOR EACH ROW EXECUTE FUNCTION jobs_check();

        CREATE FUNCTION jobs_tell_insert() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO job_events (job_id, sequence, tenant_id, kind, state, lease, attempts, priority, run_at,
                progress_done)
            SELECT id, last_event, tenant_id, 'ENQUEUED', state, leases, attempts, priority, run_at, 0 FROM fresh;
            INSERT INTO queue_count_changes SELECT queue, state, count(*) FROM fresh GROUP BY queue, state;
            RETURN NULL;
        END $$;
        CREATE TRIGGER jobs_tell_insert AFTER INSERT ON jobs REFERENCING NEW TABLE AS fresh
            FOR EACH STATEMENT EXECUTE FUNCTION jobs_tell_insert();

        CREATE FUNCTION jobs_tell_update() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO job_events (job_id, sequence, tenant_id, kind, state, lease, attempts, worker, stage, priority,
                run_at, progress_done, progress_total, progress_unit, error_code, error_message)
            SELECT n.id, n.last_event, n.tenant_id,
                CASE
                    WHEN n.state = o.state AND n.priority <> o.priority THEN 'PRIORITY_CHANGED'
                    WHEN n.state = o.state THEN 'PROGRESSED'
                    WHEN n.state = 'RUNNING' THEN 'STARTED'
                    WHEN n.state = 'PENDING' AND o.state = 'RUNNING' THEN 'RELEASED'
                    WHEN n.state = 'PENDING' AND o.state IN ('SCHEDULED', 'RETRYING') THEN 'DUE'
                    WHEN n.state = 'PENDING' THEN 'REDRIVEN'
                    ELSE n.state
                END,
                n.state, n.leases, n.attempts, coalesce(n.lease_holder, o.lease_holder), n.stage, n.priority, n.run_at,
                n.progress_done, n.progress_total, n.progress_unit,
                CASE WHEN n.state = 'PENDING' THEN o.error_code ELSE n.error_code END,
                CASE WHEN n.state = 'PENDING' THEN o.error_message ELSE n.error_message END
            FROM fresh n JOIN stale o ON o.id = n.id WHERE n.last_event > o.last_event;
            INSERT INTO queue_count_changes
            SELECT queue, state, sum(jobs) FROM (
                SELECT queue, state, 1 AS jobs FROM fresh UNION ALL SELECT queue, state, -1 FROM stale
            ) AS moved GROUP BY queue, state HAVING sum(jobs) <> 0;
            RETURN NULL;
        END $$;
        CREATE TRIGGER jobs_tell_update AFTER UPDATE ON jobs REFERENCING OLD TABLE AS stale NEW TABLE AS fresh
            FOR EACH STATEMENT EXECUTE FUNCTION jobs_tell_update();

        CREATE FUNCTION jobs_tell_delete() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            DELETE FROM job_events WHERE job_id IN (SELECT id FROM stale);
            DELETE FROM job_steps WHERE job_id IN (SELECT id FROM stale);
            INSERT INTO queue_count_changes SELECT queue, state, -count(*) FROM stale GROUP BY queue, state;
            RETURN NULL;
        END $$;
        CREATE TRIGGER jobs_tell_delete AFTER DELETE ON jobs REFERENCING OLD TABLE AS stale
            FOR EACH STATEMENT EXECUTE FUNCTION jobs_tell_delete();
    ",
    down: "
        DROP TRIGGER jobs_check_insert ON jobs;
        DROP TRIGGER jobs_check_update ON jobs;
        DROP TRIGGER jobs_tell_insert ON jobs;
        DROP TRIGGER jobs_tell_update ON jobs;
        DROP TRIGGER jobs_tell_delete ON jobs;
        DROP FUNCTION jobs_check(), jobs_tell_insert(), jobs_tell_update(), jobs_tell_delete();
    ",
}

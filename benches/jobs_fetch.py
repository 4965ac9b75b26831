"""What taking jobs costs beside millions of rows: part of `jobs.py`, which says how to run it."""

import json
import statistics

FEW = 5_000
TENANTS = 10
FLOWS = 100
QUEUE = "bench"

# Jobs as if they had been through it: the triggers would refuse finished ones, and take minutes.
JOBS = """
INSERT INTO tenants (id, name) SELECT ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'bench ' || n
FROM generate_series(0, {tenants} - 1) AS n ON CONFLICT DO NOTHING;
ALTER TABLE jobs DISABLE TRIGGER USER;
INSERT INTO jobs (id, tenant_id, queue, kind, payload, payload_version, state, max_attempts, attempts, leases, turn, flow,
    provider, last_event, run_at, created_at, started_at, finished_at)
SELECT uuidv7(), ('00000000-0000-7000-8000-' || lpad((n % {tenants})::text, 12, '0'))::uuid, '{queue}', 'noop', '{{}}', 1,
    '{state}', 5, {ran}, {ran}, n / {tenants}, n % {flows} + {first_flow}, {provider}, 1 + 2 * {ran}, now(), now(),
    CASE WHEN {ran} = 1 THEN now() END, CASE WHEN {ran} = 1 THEN now() END
FROM generate_series(1, {jobs}) AS n;
ALTER TABLE jobs ENABLE TRIGGER USER;
"""
EVENTS = """
INSERT INTO job_events (job_id, sequence, tenant_id, kind, state, lease, attempts, priority, run_at, progress_done)
SELECT id, sequence, tenant_id, 'ENQUEUED', 'PENDING', leases, attempts, 0, run_at, 0
FROM jobs, generate_series(1, last_event) AS sequence ORDER BY id;
INSERT INTO queue_count_changes SELECT queue, state, count(*) FROM jobs GROUP BY queue, state;
"""
LIMIT = """INSERT INTO job_limits (scope, key, concurrency, per_minute, tokens)
    VALUES ('KIND', 'noop', 1000000, 1e9, 1e6);"""
CIRCUIT = """INSERT INTO circuits (provider, failures, trips, open_until, error_code, error_message)
    VALUES ('down', 5, 1, now() + interval '1 day', 'UNAVAILABLE', 'down');"""


def add_options(options):
    options.add_argument("--rows", type=int, default=1_000_000, help="rows beside which jobs are taken")
    options.add_argument("--leases", type=int, default=200, help="times that jobs are taken, by case")
    options.add_argument("--lease-limit", type=int, default=16, help="jobs taken at once")


def jobs(count, state="PENDING", provider=None):
    """SQL that puts jobs into the table."""
    return JOBS.format(jobs=count, state=state, ran=int(state != "PENDING"), tenants=TENANTS, flows=FLOWS, queue=QUEUE,
                       # A flow is of one provider.
                       first_flow=FLOWS if provider else 0, provider=f"'{provider}'" if provider else "NULL")


def cases(args):
    """What stands in the table, by name; the first is what the others are compared with."""
    few, rows = jobs(FEW), f"{args.rows:,}"
    return {
        f"{FEW:,} waiting": few,
        f"{rows} waiting": jobs(args.rows),
        f"{rows} finished": jobs(args.rows, "SUCCEEDED") + few,
        f"{FEW:,} waiting, a limit": few + LIMIT,
        f"{rows} waiting, a limit": jobs(args.rows) + LIMIT,
        f"{rows} of a blocked provider": jobs(args.rows, provider="down") + few + CIRCUIT,
    }


def measure(server, side, args):
    """Times of a lease; `side` makes our programs over a database. Every case is asked once in each round."""
    takers = {}
    try:
        for number, (name, sql) in enumerate(cases(args).items()):
            database = f"fetch_{number}"
            server.sql(f"CREATE DATABASE {database}")
            ours = side(database)
            ours.lines("migrate")
            server.sql(f"\\c {database}\n{sql}{EVENTS}VACUUM ANALYZE;")
            takers[name] = ours.start("lease", "--limit", args.lease_limit)
        taken = {name: [] for name in takers}
        for round_ in range(args.leases):
            for name, taker in takers.items():
                taker.stdin.write("\n")
                taker.stdin.flush()
                told = json.loads(taker.stdout.readline())
                if told["jobs"] != args.lease_limit:
                    raise SystemExit(f"{name}: {told['jobs']} jobs taken in round {round_}")
                taken[name].append(told["seconds"] * 1000)
    finally:
        for taker in takers.values():
            taker.stdin.close()
            taker.wait(60)
    medians = {name: statistics.median(times) for name, times in taken.items()}
    base = next(iter(medians.values()))
    figures = {}
    for name, median in medians.items():
        figures[f"taking {args.lease_limit}, {name}, ms"] = round(median, 2)
        figures[f"taking {args.lease_limit}, {name}, ratio"] = round(median / base, 2)
    return figures

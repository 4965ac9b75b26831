"""The queue: jobs per second, time to start, a large mutation, and what taking jobs costs beside millions of rows.

    (cd benches/queue_rivals && npm ci)
    cargo build --release --bench queue
    python3 benches/jobs.py [--only throughput,latency,mutation,fetch] [--jobs 10000] [--rounds 5] [--rows 1000000]

Everything runs on one PostgreSQL, ours as `serve` starts it, each queue in a database of its own, in short rounds that
alternate; told are medians over the rounds and their ratios ("x": ours over theirs, above 1 ours is faster).

- throughput: worker processes wait; a client enqueues `--jobs` jobs that do nothing in one transaction. "end to end" is
  from the client's first statement until the last job's end is committed, "drained" from the client's commit. Ours keeps
  every job with its events and counts; graphile-worker deletes it.
- latency: an idle worker, one job at a time from another process; from commit to the handler's start, and the same from
  the call, which also counts the commit itself.
- mutation: one `ingestDocuments` of 10,000 documents with ready-made vectors: as many jobs in one transaction.
- fetch: taking 16 jobs, beside nothing, beside `--rows` waiting or finished jobs, under a limit, and beside `--rows`
  jobs of a provider whose circuit is open; as ratios to the empty table.

The rival is graphile-worker (Node.js), as it comes and as its documentation tunes it for speed. apalis-postgres is not
measured: its migrations need hstore, which the PostgreSQL that comes along does not have. Goals: over 2,000 jobs/s, p50
from commit to start under 10 ms. Not `queue.py`: a module of that name hides Python's own.
"""

import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import time
import urllib.parse

import jobs_fetch
from common import REPOSITORY, Client, Server, parser, percentile, report
from vectors import Vectors, base64_of

PARTS = ("throughput", "latency", "mutation", "fetch")
RIVALS = REPOSITORY / "benches/queue_rivals"
POLL_S = 0.005
DIMENSIONS = 8


class Side:
    """A queue: its programs, its database, and how one sees there that it is empty and that every job ended well. (The
    rival's is not empty where a job failed.)"""

    def __init__(self, server, name, database, command, worker_options=(), is_empty=None, is_well="SELECT true"):
        self.server, self.name, self.database, self.command = server, name, database, command
        self.worker_options, self.is_empty, self.is_well = worker_options, is_empty, is_well
        socket = str(server.data_dir / "socket")
        url = f"postgres://vectorforge@localhost:5432/{self.database}?host={urllib.parse.quote(socket, safe='')}"
        self.environment = {**os.environ, "DATABASE_URL": url, "PGHOST": socket, "PGPORT": "5432",
                            "PGUSER": "vectorforge", "PGDATABASE": self.database}

    def start(self, *arguments):
        """One of its programs, to be written to and read from."""
        return subprocess.Popen([*self.command, *map(str, arguments)], env=self.environment, text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def lines(self, *arguments):
        """What one of its programs tells."""
        done = subprocess.run([*self.command, *map(str, arguments)], env=self.environment, text=True, check=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        return [json.loads(line) for line in done.stdout.splitlines()]

    @contextlib.contextmanager
    def workers(self, count, *options):
        """Worker processes that are ready; they stop in order."""
        processes = [self.start("worker", *self.worker_options, *options) for _ in range(count)]
        try:
            for process in processes:
                if not process.stdout.readline():
                    raise SystemExit(f"a worker of {self.name} did not start")
            yield processes
        finally:
            for process in processes:
                process.stdin.close()
            for process in processes:
                process.wait(60)

    def wait_until_empty(self):
        """Returns when no job waits or runs; asked over one connection."""
        with Session(self.server, self.database) as session:
            while session.ask(self.is_empty) != "t":
                time.sleep(POLL_S)


class Session:
    """A kept `psql`, for questions with one value."""

    def __init__(self, server, database):
        options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--dbname", database]
        self.psql = subprocess.Popen([*server.postgres_command("psql"), *options], text=True, bufsize=1,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.psql.stdin.close()
        self.psql.wait()

    def ask(self, question):
        self.psql.stdin.write(question + ";\n")
        return self.psql.stdout.readline().strip()


def sides(server, args):
    """Ours, and the rivals that are installed; all with their schema."""
    ours = Side(server, "ours", "bench_ours", [bench_binary(args)], ["--slots", args.slots],
                "SELECT NOT EXISTS (SELECT FROM jobs WHERE state IN ('PENDING', 'RUNNING'))",
                "SELECT NOT EXISTS (SELECT FROM jobs WHERE state <> 'SUCCEEDED')")
    found = [ours]
    if (RIVALS / "node_modules/graphile-worker").is_dir():
        database, command = "bench_graphile", ["node", RIVALS / "graphile.mjs"]
        is_empty = "SELECT NOT EXISTS (SELECT FROM graphile_worker._private_jobs)"
        slots = ["--slots", args.rival_slots]
        found.append(Side(server, "graphile-worker, batched", database, command, [*slots, "--batched"], is_empty))
        found.append(Side(server, "graphile-worker", database, command, slots, is_empty))
    else:
        print(f"graphile-worker is not measured: run `npm ci` in {RIVALS}")
    for side in {side.database: side for side in found}.values():
        server.sql(f"CREATE DATABASE {side.database}")
        side.lines("migrate")
    return found


def bench_binary(args):
    """The library's half, as cargo built it last."""
    if args.bench_binary:
        return args.bench_binary.resolve()
    built = [path for path in (REPOSITORY / "target/release/deps").glob("queue-*") if not path.suffix]
    if not built:
        raise SystemExit("run first: cargo build --release --bench queue")
    return max(built, key=lambda path: path.stat().st_mtime)


def throughput(found, args):
    figures = {}
    for processes in args.processes:
        rates = {side.name: [] for side in found}
        for _ in range(args.rounds):
            for side in found:
                rates[side.name].append(drain(side, processes, args.jobs))
        for place, what in enumerate(("end to end", "drained")):
            medians = {name: statistics.median(rate[place] for rate in all_of) for name, all_of in rates.items()}
            unit = f"{what}, {processes} process{'es' if processes > 1 else ''}, jobs/s"
            figures |= compare(unit, {name: round(rate) for name, rate in medians.items()}, higher_is_better=True)
    return figures


def drain(side, processes, jobs):
    """Jobs per second: end to end, and from the commit."""
    with side.workers(processes):
        time.sleep(0.2)
        started = time.time()
        told = side.lines("enqueue", "--jobs", jobs)[0]
        side.wait_until_empty()
        ended = time.time()
    with Session(side.server, side.database) as session:
        if session.ask(side.is_well) != "t":
            raise SystemExit(f"jobs of {side.name} failed")
    began = told["at_us"] / 1e6 - told["seconds"]
    if began < started:
        raise SystemExit("the clocks of two processes disagree")
    return jobs / (ended - began), jobs / max(ended - told["at_us"] / 1e6, 1e-6)


def latency(found, args):
    waits = {side.name: {"commit": [], "call": []} for side in found}
    for _ in range(args.rounds):
        for side in found:
            with side.workers(1, "--tell") as (worker,):
                asked = {line["job"]: line for line in
                         side.lines("trickle", "--jobs", args.latency_jobs, "--pause-ms", args.pause_ms)}
                side.wait_until_empty()
                for _ in asked:
                    told = json.loads(worker.stdout.readline())
                    line = asked[told["job"]]
                    waits[side.name]["commit"].append((told["at_us"] - line["at_us"]) / 1000)
                    waits[side.name]["call"].append((told["at_us"] - line["asked_us"]) / 1000)
    figures = {}
    for since in ("commit", "call"):
        for percent in (50, 95):
            values = {name: round(percentile(wait[since], percent), 2) for name, wait in waits.items()}
            figures |= compare(f"from {since} to start, p{percent}, ms", values, higher_is_better=False)
    return figures


def compare(what, values, higher_is_better):
    """Each side's figure, and ours over each other's."""
    figures, ours = {}, values["ours"]
    for name, value in values.items():
        figures[f"{what}: {name}"] = value
        if name != "ours" and min(ours, value) > 0:
            figures[f"{what}: x {name}"] = round(ours / value if higher_is_better else value / ours, 2)
    return figures


def mutation(server, args):
    """One call that enqueues `args.jobs` jobs."""
    client, vectors, taken = Client(server.port), Vectors(DIMENSIONS, seed=1), []
    for number in range(args.rounds):
        collection = client.create_collection(f"mutation {number}", embedding={"dimensions": DIMENSIONS})
        documents = [{"sourceUri": f"bench:{n}", "source": {"chunks": [
            {"text": f"Chunk {n}.", "vector": base64_of(vectors.next())}]}} for n in range(args.jobs)]
        ask = """mutation($input: IngestDocumentsInput!) {
            ingestDocuments(input: $input) { run { documentsTotal } } }"""
        body = json.dumps({"query": ask, "variables": {"input": {
            "collectionId": collection, "documents": documents}}}).encode()
        started = time.monotonic()
        total = client.send(body)["ingestDocuments"]["run"]["documentsTotal"]
        taken.append(time.monotonic() - started)
        if total != args.jobs:
            raise SystemExit(f"{total} documents of {args.jobs}")
    seconds = statistics.median(taken)
    return {f"ingestDocuments of {args.jobs:,}, s": round(seconds, 2),
            "ingestDocuments, jobs/s": round(args.jobs / seconds)}


def fetch(server, args):
    return jobs_fetch.measure(server, lambda database: Side(server, "ours", database, [bench_binary(args)]), args)


def main():
    options = parser(__doc__)
    options.add_argument("--bench-binary", type=pathlib.Path, help="the library's half; as cargo built it last")
    options.add_argument("--only", default=",".join(PARTS))
    options.add_argument("--jobs", type=int, default=10_000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--processes", type=lambda text: [int(n) for n in text.split(",")], default=[1, 4])
    options.add_argument("--slots", type=int, default=64, help="jobs at once per worker process of ours")
    options.add_argument("--rival-slots", type=int, default=16, help="the same of the rivals: a connection each")
    options.add_argument("--latency-jobs", type=int, default=100)
    options.add_argument("--pause-ms", type=int, default=20)
    jobs_fetch.add_options(options)
    args = options.parse_args()
    wanted = args.only.split(",")
    # The API's own workers stay away; a call may bring as many documents as the benchmark's.
    args.set = ["queue.workers=0", f"ingest.documents_limit={max(args.jobs, 1000)}",
                "http.request_timeout_ms=600000", *args.set]
    figures = {}
    with Server(args) as server:
        if {"throughput", "latency"} & set(wanted):
            found = sides(server, args)
            figures |= throughput(found, args) if "throughput" in wanted else {}
            figures |= latency(found, args) if "latency" in wanted else {}
        figures |= mutation(server, args) if "mutation" in wanted else {}
        figures |= fetch(server, args) if "fetch" in wanted else {}
        report(args, figures)


if __name__ == "__main__":
    main()

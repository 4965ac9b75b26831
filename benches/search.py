"""Search by vector through the HNSW index: latency, throughput, recall, and the same SQL without the house.

    python3 benches/search.py [--chunks 100000] [--seconds 10] [--queries 500]

Fills a collection with vectors of 384 dimensions (`own_vectors.py`; how they are drawn: `vectors.py`), waits until its
index is ready, and asks for the 10 nearest to queries from the same source that are not among them:

- recall@10 against an exact scan by PostgreSQL;
- p50, p95 and requests/s with one client and with eight (processes with a bare socket each, so that as little as
  possible of the time is the client's);
- the nearest-neighbour statement alone by `pgbench -M prepared` with the same settings on the same server, next to it.

Ratios are those of the API to `pgbench`: requests/s as a share, p50 as a multiple. The API answers with the chunks, and
checks collection and tenant first; the statement alone gives ids.
"""

import json
import multiprocessing
import os
import pathlib
import socket
import statistics
import subprocess
import tempfile
import time

import own_vectors
from common import Client, Server, parser, percentile, report
from vectors import Vectors, base64_of, literal_of

FIRST = 10
# The default of `search.ef_search`.
EF_SEARCH = 100
CLIENTS = (1, 8)
DOCUMENT = """query($input: SearchInput!) { search(input: $input) {
    hits { rank score chunk { id } } info { exact tookMs } } }"""


class Statement:
    """The house's nearest-neighbour statement (`src/store/embeddings.rs`) over one collection."""

    def __init__(self, server, collection):
        uuid = collection.removeprefix("col_")
        [[space]] = server.sql(f"SELECT id FROM embedding_spaces WHERE collection_id = '{uuid}' AND active")
        self.table = "embeddings_" + space.replace("-", "")

    def of_query(self, query):
        distance = f"(e.embedding::vector({own_vectors.DIMENSIONS})) <=> {query}"
        return f"SELECT e.chunk_id, ({distance})::float8 FROM {self.table} e WHERE e.live ORDER BY {distance} LIMIT {FIRST}"

    def exact(self):
        """The ids of each query's nearest, by the plain column, over which there is no index."""
        return f"""SELECT q.id, (SELECT string_agg(n.chunk_id::text, ',') FROM (SELECT e.chunk_id FROM {self.table} e
            WHERE e.live ORDER BY e.embedding <=> q.v LIMIT {FIRST}) n) FROM bench_queries q ORDER BY q.id"""


def write_queries(server, queries):
    rows = ",\n".join(f"({number}, '{literal_of(query)}')" for number, query in enumerate(queries, 1))
    server.sql(f"""CREATE TABLE bench_queries (id int PRIMARY KEY, v vector({own_vectors.DIMENSIONS}) NOT NULL);
        ALTER TABLE bench_queries ALTER v SET STORAGE PLAIN;
        INSERT INTO bench_queries VALUES {rows}; ANALYZE bench_queries""")


def make_requests(collection, queries):
    """The bodies. A list of numbers is what clients in a hurry avoid: base64, as at ingest."""
    def body(query):
        given = {"collectionId": collection, "query": {"vector": base64_of(query)}, "first": FIRST}
        return json.dumps({"query": DOCUMENT, "variables": {"input": given}}).encode()
    return [body(query) for query in queries]


def recall(server, client, statement, requests):
    """The share of the exact answers that the API finds."""
    shares = []
    for (_, nearest), request in zip(server.sql(statement.exact()), requests, strict=True):
        answer = client.send(request)["search"]
        if answer["info"]["exact"]:
            raise SystemExit("the search was exact: there is no index to measure")
        expected = {"chk_" + uuid.replace("-", "") for uuid in nearest.split(",")}
        shares.append(len(expected & {hit["chunk"]["id"] for hit in answer["hits"]}) / FIRST)
    return statistics.mean(shares)


def ask_until(port, requests, start, end):
    """One client: milliseconds of each request between two points of time."""
    head = "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"
    messages = [head.format(len(body)).encode() + body for body in requests]
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    times, number = [], os.getpid()
    time.sleep(max(0.0, start - time.time()))
    while time.time() < end:
        number += 1
        began = time.perf_counter()
        connection.sendall(messages[number % len(messages)])
        answer = receive(connection)
        times.append((time.perf_counter() - began) * 1e3)
        if b'"errors"' in answer:
            raise RuntimeError(answer[:500])
    return times


def receive(connection):
    """One HTTP answer with a `Content-Length`."""
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        data += more(connection)
    length = int(data[:end].lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    while len(data) < end + 4 + length:
        data += more(connection)
    return data


def more(connection):
    if part := connection.recv(1 << 16):
        return part
    raise RuntimeError("the server closed the connection")


def by_api(server, requests, clients, seconds):
    # Time for the processes to start and to write their messages.
    start = time.time() + 1
    with multiprocessing.Pool(clients) as pool:
        work = [(server.port, requests, start, start + seconds)] * clients
        return [ms for times in pool.starmap(ask_until, work, chunksize=1) for ms in times]


def by_pgbench(server, statement, queries, clients, seconds):
    with tempfile.TemporaryDirectory() as directory:
        script = pathlib.Path(directory) / "nearest.sql"
        query = "(SELECT v FROM bench_queries WHERE id = :q)"
        script.write_text(f"\\set q random(1, {queries})\n{statement.of_query(query)};\n")
        settings = {"hnsw.ef_search": EF_SEARCH, "hnsw.iterative_scan": "strict_order"}
        settings |= {"enable_seqscan": "off", "enable_sort": "off"}
        environment = {**os.environ, "PGOPTIONS": " ".join(f"-c {name}={value}" for name, value in settings.items())}
        load = ["--client", str(clients), "--jobs", str(min(clients, os.cpu_count())), "--time", str(seconds)]
        command = [*server.postgres_command("pgbench"), "--no-vacuum", "--protocol", "prepared", "--file", script,
                   "--log", *load, "vectorforge"]
        done = subprocess.run(command, env=environment, cwd=directory, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"pgbench: {done.stderr[:2000]}")
        logs = pathlib.Path(directory).glob("pgbench_log.*")
        # Client, transaction, microseconds, and more.
        return [int(line.split()[2]) / 1e3 for log in logs for line in log.read_text().splitlines()]


def side_by_side(server, statement, requests, seconds):
    figures = {}
    for clients in CLIENTS:
        found = {}
        for name, times in (
            ("api", by_api(server, requests, clients, seconds)),
            ("pgbench", by_pgbench(server, statement, len(requests), clients, seconds)),
        ):
            p50, p95, rate = percentile(times, 50), percentile(times, 95), len(times) / seconds
            found[name] = p50, rate
            at = f"{name}, {clients} client{'s' if clients > 1 else ''}"
            figures |= {f"{at}: p50, ms": round(p50, 2), f"{at}: p95, ms": round(p95, 2), f"{at}: requests/s": round(rate, 1)}
        (p50, rate), (bare_p50, bare_rate) = found["api"], found["pgbench"]
        figures[f"ratio, {clients}: requests/s"] = round(rate / bare_rate, 3)
        figures[f"ratio, {clients}: p50"] = round(p50 / bare_p50, 2)
    return figures


def main():
    options = parser(__doc__)
    own_vectors.add_options(options)
    options.add_argument("--seconds", type=int, default=10, help="length of each measurement")
    options.add_argument("--queries", type=int, default=500, help="different queries, asked in turn")
    args = options.parse_args()
    source = Vectors(own_vectors.DIMENSIONS, seed=2)
    queries = [source.next() for _ in range(args.queries)]
    with Server(args) as server:
        client = Client(server.port)
        collection, loaded = own_vectors.load(server, args)
        started = time.monotonic()
        client.wait_for_index(collection, threshold=0)
        ready = time.monotonic() - started
        statement, requests = Statement(server, collection), make_requests(collection, queries)
        write_queries(server, queries)
        found = recall(server, client, statement, requests)
        figures = {
            "chunks": loaded["chunks"],
            "indexed, chunks/s": loaded["indexed, chunks/s"],
            "index ready after the last chunk, s": round(ready, 1),
            f"recall@{FIRST}": round(found, 4),
        }
        report(args, {**figures, **side_by_side(server, statement, requests, args.seconds)})


if __name__ == "__main__":
    main()

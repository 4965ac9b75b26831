"""Ingest of ready-made chunks with their vectors: what the house does when the model does nothing.

    python3 benches/own_vectors.py [--chunks 100000] [--clients 2]

Documents of 100 chunks, each chunk a text of about 200 characters and a vector of 384 dimensions as a base64 string (see
`vectors.py`), several documents per call and well under `http.body_limit_bytes`. All requests are made before the clock
starts. "Submitted" ends when the last call is answered, "indexed" when every run is done. Goal: over 5,000 chunks/s indexed.
"""

import time

from common import Client, Server, Usage, ingest_body, mib, parser, report, submit_all
from vectors import Vectors, base64_of

DIMENSIONS = 384
CHUNKS_PER_DOCUMENT = 100
TEXT = "Chunk {n}. " + "The quick brown fox jumps over the lazy dog while the band plays on. " * 3


def add_options(options):
    options.add_argument("--chunks", type=int, default=100_000)
    options.add_argument("--clients", type=int, default=2, help="connections that submit at once")
    options.add_argument("--documents-per-call", type=int, default=20)


def make_bodies(collection, args):
    """Requests that bring `args.chunks` chunks."""
    vectors, documents = Vectors(DIMENSIONS, seed=1), []
    for first in range(0, args.chunks, CHUNKS_PER_DOCUMENT):
        numbers = range(first, min(first + CHUNKS_PER_DOCUMENT, args.chunks))
        chunks = [{"text": TEXT.format(n=n), "vector": base64_of(vectors.next())} for n in numbers]
        documents.append({"sourceUri": f"bench:{first}", "source": {"chunks": chunks}})
        if len(documents) == args.documents_per_call:
            yield ingest_body(collection, documents)
            documents = []
    if documents:
        yield ingest_body(collection, documents)


def load(server, args):
    """A collection filled with those chunks, and the figures of filling it."""
    client = Client(server.port)
    collection = client.create_collection("own vectors", embedding={"dimensions": DIMENSIONS})
    bodies = list(make_bodies(collection, args))
    with Usage(server) as usage:
        started = time.monotonic()
        runs = submit_all(server.port, bodies, args.clients)
        submitted = time.monotonic() - started
        rows = client.wait_for_runs(runs)
        indexed = time.monotonic() - started
    chunks = sum(row["chunksTotal"] for row in rows)
    if chunks != args.chunks or any(row["state"] != "SUCCEEDED" for row in rows):
        raise SystemExit(f"{chunks} chunks of {args.chunks} were indexed: {rows[:3]}")
    stages = server.metric_sums("vectorforge_ingest_stage_duration_seconds", "stage")
    return collection, {
        "chunks": chunks,
        "request MB": round(sum(map(len, bodies)) / 1e6, 1),
        "submitted, chunks/s": round(chunks / submitted),
        "indexed, chunks/s": round(chunks / indexed),
        "seconds": round(indexed, 2),
        **{f"stage {name}, s over all workers": round(seconds, 2) for name, seconds in stages.items()},
        **{f"processor of {name}, s": round(seconds, 2) for name, seconds in usage.cpu_s.items()},
        "peak of server (VmHWM), MiB": mib(usage.peak_server),
        "peak of postgres (proportional), MiB": mib(usage.peak_postgres),
    }


def main():
    options = parser(__doc__)
    add_options(options)
    args = options.parse_args()
    with Server(args) as server:
        report(args, load(server, args)[1])


if __name__ == "__main__":
    main()

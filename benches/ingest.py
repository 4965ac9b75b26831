"""Ingest of real documents with the local model, then searches by text over them.

    python3 benches/ingest.py FOLDER [--suffix .html] [--clients 2] [--searches 200]

A folder that suits, on Debian (530 files, 51 MB of HTML; the package's name follows the release's Python):

    apt-get download python3.11-doc && dpkg -x python3.11-doc_*.deb tree
    python3 benches/ingest.py tree/usr/share/doc/python3.11/html

Tells documents, chunks and tokens per second; where the time of the jobs goes by stage (`embed` holds the wait for the
model, which all workers share, so the sum over the workers is longer than the clock); the processor time of the model's
threads, of the rest of the server and of PostgreSQL; peak memory; then the latency of searches by text, one client.
`--limit N` takes the first N files only; `--model local/all-MiniLM-L6-v2:bf16` takes the rounded model.
"""

import pathlib
import time

from common import Client, Server, Usage, ingest_body, mib, parser, percentile, report, submit_all

CONTENT_TYPES = {".html": "text/html", ".md": "text/markdown", ".txt": "text/plain"}
# Far below the default of `http.body_limit_bytes`, 64 MiB, so that several calls share the work of the clients.
CALL_BYTES = 8 << 20
CALL_DOCUMENTS = 50
# The default of `ingest.document_limit_bytes`.
DOCUMENT_BYTES = 10 << 20

SEARCH = """query($input: SearchInput!) { search(input: $input) {
    hits { rank score chunk { text document { title sourceUri } } } info { tookMs stages { name ms } } } }"""
QUESTIONS = [
    "how do I read a file line by line", "sort a list of dictionaries by a key", "start a subprocess and read its output",
    "parse command line arguments", "difference between a list and a tuple", "open a TCP socket with a timeout",
    "write JSON with sorted keys", "run code when the interpreter exits", "measure the time of a function call",
    "regular expression with named groups", "catch several exceptions at once", "make a class iterable",
]


def make_calls(args):
    """Lists of documents, each for one call."""
    call, size = [], 0
    files = sorted(path for path in args.folder.rglob(f"*{args.suffix}") if path.is_file())
    for path in files[:args.limit]:
        text = path.read_text(encoding="utf-8", errors="replace").replace("\0", "")
        length = len(text.encode())
        if not text.strip() or length > DOCUMENT_BYTES:
            print(f"left out: {path}, {length} bytes")
            continue
        if call and (size + length > CALL_BYTES or len(call) == CALL_DOCUMENTS):
            yield call, size
            call, size = [], 0
        uri = str(path.relative_to(args.folder))
        kind = CONTENT_TYPES.get(args.suffix, "text/plain")
        call.append({"source": {"text": text}, "contentType": kind, "sourceUri": uri})
        size += length
    if call:
        yield call, size


def ingest(server, client, collection, args):
    calls = list(make_calls(args))
    if not calls:
        raise SystemExit(f"no file *{args.suffix} under {args.folder}")
    bodies = [ingest_body(collection, documents) for documents, _ in calls]
    with Usage(server) as usage:
        started = time.monotonic()
        runs = submit_all(server.port, bodies, args.clients)
        submitted = time.monotonic() - started
        rows = client.wait_for_runs(runs)
        took = time.monotonic() - started
    total = {name: sum(row[name] for row in rows) for name in ("documentsDone", "documentsFailed", "chunksTotal", "tokens")}
    stages = server.metric_sums("vectorforge_ingest_stage_duration_seconds", "stage")
    in_stages, in_all = sum(stages.values()), sum(usage.cpu_s.values())
    return {
        "documents": total["documentsDone"],
        "documents failed": total["documentsFailed"],
        "MB": round(sum(size for _, size in calls) / 1e6, 1),
        "chunks": total["chunksTotal"],
        "tokens": total["tokens"],
        "seconds": round(took, 2),
        "seconds until all were submitted": round(submitted, 2),
        "documents/s": round(total["documentsDone"] / took, 1),
        "chunks/s": round(total["chunksTotal"] / took, 1),
        "tokens/s": round(total["tokens"] / took),
        **{f"stage {name}, s over all workers": f"{seconds:.2f} ({seconds / in_stages:.0%})" for name, seconds in stages.items()},
        **{f"processor of {name}, s": f"{seconds:.2f} ({seconds / in_all:.0%})" for name, seconds in usage.cpu_s.items()},
        # What does not change with what else the machine does.
        "tokens per processor second of the model": round(total["tokens"] / usage.cpu_s["model"]),
        "processors busy with the model": round(usage.cpu_s["model"] / took, 2),
        "peak of server (VmHWM), MiB": mib(usage.peak_server),
        "peak of postgres (proportional), MiB": mib(usage.peak_postgres),
    }


def search(client, collection, count):
    times, stages = [], {}
    for number in range(count):
        query = {"text": QUESTIONS[number % len(QUESTIONS)]}
        started = time.monotonic()
        answer = client.ask(SEARCH, input={"collectionId": collection, "query": query, "first": 10})
        times.append((time.monotonic() - started) * 1e3)
        for stage in answer["search"]["info"]["stages"]:
            stages.setdefault(stage["name"], []).append(stage["ms"])
    return {
        "text search p50, ms": round(percentile(times, 50), 2),
        "text search p95, ms": round(percentile(times, 95), 2),
        **{f"text search stage {name} p50, ms": round(percentile(values, 50), 2) for name, values in stages.items()},
    }


def main():
    options = parser(__doc__)
    options.add_argument("folder", type=pathlib.Path)
    options.add_argument("--suffix", default=".html", help="of the files to take")
    options.add_argument("--limit", type=int, help="files to take, in order of their names; all by default")
    options.add_argument("--clients", type=int, default=2, help="connections that submit at once")
    options.add_argument("--model", help="of the collection; by default the server's default one")
    options.add_argument("--searches", type=int, default=200)
    args = options.parse_args()
    with Server(args) as server:
        client = Client(server.port)
        options = {"embedding": {"model": args.model}} if args.model else {}
        collection = client.create_collection("documents", **options)
        figures = ingest(server, client, collection, args)
        client.wait_for_index(collection)
        report(args, {**figures, **search(client, collection, args.searches)})


if __name__ == "__main__":
    main()

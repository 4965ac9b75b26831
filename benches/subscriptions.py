"""Ingest beside subscriptions that nobody reads.

    python3 benches/subscriptions.py [--sockets 20] [--each 20] [--documents 2000] [--rounds 3]

Each round ingests the same documents twice, in turns: with nobody following the run, and with `--sockets` WebSockets of
`--each` subscriptions to it of which not a byte is read after the subscriptions were sent. The queue is paused while the
documents are submitted and the sockets opened, so that both turns measure the work alone. Documents bring their vectors
(`--dimensions`), so that no model's time hides what subscriptions cost; with `--dimensions 0` the server's model embeds
them. Tells documents per second of both and their ratio (the goal is 0.8), and meanwhile the latency of an ordinary query,
which must never be refused.
"""

import base64
import json
import os
import random
import socket
import struct
import threading
import time

from common import Client, Server, ingest_body, mib, parser, percentile, report, status_bytes

PROGRESS = """subscription($run: ID!) { ingestProgress(runId: $run) { cursor at kind
    document { id status title chunkCount error { code message } }
    run { state documentsTotal documentsDone documentsFailed chunksTotal chunksEmbedded } } }"""
QUERY = "{ collections(first: 10) { totalCount edges { node { name documentCount chunkCount } } } }"
QUERY_PAUSE_S = 0.02
# The default of `ingest.documents_limit`.
CALL_DOCUMENTS = 1_000


class Unread:
    """A WebSocket that subscribes and then reads nothing, as RFC 6455 frames it."""

    def __init__(self, port, subscriptions):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((
            f"GET /graphql HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n").encode())
        self.read_until(b"\r\n\r\n")
        self.send({"type": "connection_init"})
        self.read_until(b"connection_ack")
        for number, variables in enumerate(subscriptions):
            self.send({"id": str(number), "type": "subscribe", "payload": {"query": PROGRESS, "variables": variables}})

    def read_until(self, end):
        seen = b""
        while end not in seen:
            part = self.socket.recv(1)
            if not part:
                raise SystemExit(f"the server closed a WebSocket: {seen!r}")
            seen += part

    def send(self, message):
        text, mask = json.dumps(message).encode(), os.urandom(4)
        length = bytes([0x80 | len(text)]) if len(text) < 126 else bytes([0x80 | 126]) + struct.pack(">H", len(text))
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(text))
        self.socket.sendall(b"\x81" + length + mask + masked)

    def close(self):
        self.socket.close()


class Asking:
    """Asks an ordinary query again and again while `with` lasts; any error ends the benchmark."""

    def __init__(self, port):
        self.client, self.over, self.times = Client(port), threading.Event(), []
        self.thread = threading.Thread(target=self.ask)
        self.failed = None

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        if self.failed:
            raise self.failed

    def ask(self):
        try:
            while not self.over.wait(QUERY_PAUSE_S):
                started = time.monotonic()
                self.client.ask(QUERY)
                self.times.append((time.monotonic() - started) * 1e3)
        except BaseException as error:
            self.failed = error


def documents(args, chance):
    for number in range(args.documents):
        text = f"note {number} " + " ".join(chance.choice(("ferry", "fjord", "lamp", "tide")) for _ in range(8))
        if args.dimensions:
            vector = [round(chance.uniform(-1, 1), 4) for _ in range(args.dimensions)]
            yield {"source": {"chunks": [{"text": text, "vector": vector}]}, "title": f"note {number}"}
        else:
            yield {"source": {"text": text}, "title": f"note {number}"}


def pace(server, client, args, name, sockets):
    """Documents per second of one ingest beside so many sockets, and the latencies of the query meanwhile."""
    options = {"embedding": {"dimensions": args.dimensions}} if args.dimensions else {}
    collection = client.create_collection(name, **options)
    client.ask('mutation { pauseQueue(input: {name: "ingest"}) { changed } }')
    given, runs = list(documents(args, random.Random(7))), []
    for start in range(0, len(given), CALL_DOCUMENTS):
        body = ingest_body(collection, given[start:start + CALL_DOCUMENTS])
        runs.append(client.send(body)["ingestDocuments"]["run"]["id"])
    unread = [Unread(server.port, [{"run": runs[0]}] * args.each) for _ in range(sockets)]
    # The first event of each is under way before the work begins.
    time.sleep(1)
    with Asking(server.port) as asking:
        started = time.monotonic()
        client.ask('mutation { resumeQueue(input: {name: "ingest"}) { changed } }')
        rows = client.wait_for_runs(runs)
        took = time.monotonic() - started
    for one in unread:
        one.close()
    if sum(row["documentsDone"] for row in rows) != args.documents:
        raise SystemExit(f"not every document was indexed: {rows}")
    return args.documents / took, asking.times


def main():
    options = parser(__doc__)
    options.add_argument("--sockets", type=int, default=20)
    options.add_argument("--each", type=int, default=20, help="subscriptions of each socket")
    options.add_argument("--documents", type=int, default=CALL_DOCUMENTS, help="of each ingest")
    options.add_argument("--dimensions", type=int, default=128, help="of the documents' own vectors; 0: the model embeds")
    options.add_argument("--rounds", type=int, default=3)
    args = options.parse_args()
    paces, times = {"without": [], "beside": []}, {"without": [], "beside": []}
    with Server(args) as server:
        client = Client(server.port)
        pace(server, client, args, "warm-up", 0)
        before = status_bytes(server.process.pid, "VmRSS")
        for round_number in range(args.rounds):
            for kind, sockets in (("without", 0), ("beside", args.sockets)):
                one, latencies = pace(server, client, args, f"{kind} {round_number}", sockets)
                paces[kind].append(one)
                times[kind] += latencies
        peak = status_bytes(server.process.pid, "VmHWM")
    middle = {kind: percentile(values, 50) for kind, values in paces.items()}
    report(args, {
        "subscriptions that nobody reads": args.sockets * args.each,
        "documents of each ingest": args.documents,
        "documents/s without": round(middle["without"], 1),
        "documents/s beside": round(middle["beside"], 1),
        "ratio": round(middle["beside"] / middle["without"], 3),
        "ratio of each round": ", ".join(f"{b / a:.3f}" for a, b in zip(paces["without"], paces["beside"])),
        **{f"query {kind}, p{percent}, ms": round(percentile(values, percent), 2)
           for kind, values in times.items() for percent in (50, 99)},
        "resident before, MiB": mib(before),
        "peak, MiB": mib(peak),
    })


if __name__ == "__main__":
    main()

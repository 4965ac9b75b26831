"""What WebSockets leave behind: resident memory of a server before many are opened, while they are open, and after all
are closed, round after round.

    python3 benches/websockets.py [--sockets 3000] [--rounds 2] [--set http.websocket_client_limit=0]

Each socket greets, follows a run that does not move (no workers), reads its first event, and stays open until all are.
The server has settled when its memory has not fallen for a while.
"""

import base64
import json
import os
import resource
import socket
import struct
import time

from common import Client, INGEST, Server, mib, parser, report, status_bytes

PROGRESS = "subscription($run: ID!) { ingestProgress(runId: $run) { cursor kind run { state } } }"
SETTLE_S = 3
TEXT, CLOSE = 1, 8


class Socket:
    """The least of a `graphql-transport-ws` client."""

    def __init__(self, port):
        self.tcp = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        key = base64.b64encode(os.urandom(16)).decode()
        self.tcp.sendall(
            f"GET /graphql HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self.buffer:
            self.fill()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        if b" 101 " not in head:
            raise SystemExit(f"no WebSocket: {head[:200]!r}")

    def fill(self):
        part = self.tcp.recv(65536)
        if not part:
            raise SystemExit("the server ended a connection")
        self.buffer += part

    def take(self, size):
        while len(self.buffer) < size:
            self.fill()
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def send(self, opcode, payload):
        """One masked frame; the mask is zero, so that nothing has to be computed."""
        size = struct.pack("!B", 0x80 | len(payload)) if len(payload) < 126 else struct.pack("!BH", 0x80 | 126, len(payload))
        self.tcp.sendall(bytes([0x80 | opcode]) + size + bytes(4) + payload)

    def say(self, **message):
        self.send(TEXT, json.dumps(message).encode())

    def hear(self):
        """Opcode and payload of the next frame that is no ping."""
        while True:
            first, size = self.take(2)
            if size >= 126:
                size = struct.unpack("!H" if size == 126 else "!Q", self.take(2 if size == 126 else 8))[0]
            payload = self.take(size)
            if first & 0x0F in (TEXT, CLOSE):
                return first & 0x0F, payload

    def follow(self, run):
        self.say(type="connection_init")
        self.hear()
        self.say(type="subscribe", id="1", payload={"query": PROGRESS, "variables": {"run": run}})
        opcode, payload = self.hear()
        if opcode != TEXT or json.loads(payload)["type"] != "next":
            raise SystemExit(f"no event: {payload[:300]!r}")

    def close(self):
        """With the handshake; gives the server's code."""
        self.send(CLOSE, struct.pack("!H", 1000))
        opcode, payload = self.hear()
        while opcode != CLOSE:
            opcode, payload = self.hear()
        self.tcp.close()
        return struct.unpack("!H", payload[:2])[0]


def settled(pid):
    """Resident memory once it does not fall any more."""
    lowest, since = status_bytes(pid, "VmRSS"), time.monotonic()
    while time.monotonic() - since < SETTLE_S:
        time.sleep(0.1)
        if (now := status_bytes(pid, "VmRSS")) < lowest:
            lowest, since = now, time.monotonic()
    return status_bytes(pid, "VmRSS")


def quiet(server):
    """Returns when the server counts no WebSocket any more."""
    while any(line.startswith("vectorforge_websockets ") and float(line.split()[1]) > 0
              for line in server.get("/metrics")[1].splitlines()):
        time.sleep(0.1)


def round_of(server, run, count):
    pid = server.process.pid
    sockets = []
    for _ in range(count):
        one = Socket(server.port)
        one.follow(run)
        sockets.append(one)
    peak = status_bytes(pid, "VmRSS")
    codes = {one.close() for one in sockets}
    if codes != {1000}:
        raise SystemExit(f"closed with {codes}")
    quiet(server)
    return peak, settled(pid)


def main():
    options = parser(__doc__)
    options.add_argument("--sockets", type=int, default=3_000)
    options.add_argument("--rounds", type=int, default=2)
    args = options.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # The sockets that are open are not read while others are being opened: pings would find them deaf.
    args.set = ["queue.workers=0", "http.websocket_keepalive_ms=3600000", *args.set]
    with Server(args) as server:
        client = Client(server.port)
        collection = client.create_collection("bench")
        documents = [{"source": {"text": "A document that waits."}}]
        given = {"collectionId": collection, "documents": documents}
        run = client.ask(INGEST, input=given)["ingestDocuments"]["run"]["id"]
        round_of(server, run, 1)
        before = settled(server.process.pid)
        figures = {"sockets": args.sockets, "before, MiB": mib(before)}
        for turn in range(1, args.rounds + 1):
            peak, after = round_of(server, run, args.sockets)
            figures[f"round {turn}: open, MiB"] = mib(peak)
            figures[f"round {turn}: closed, MiB"] = mib(after)
            figures[f"round {turn}: above before, MiB"] = mib(after - before)
        report(args, figures)


if __name__ == "__main__":
    main()

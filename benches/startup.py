"""How long a server takes to start and to stop, and what it holds while nobody asks.

    python3 benches/startup.py [--rounds 3]

A round is: first start in an empty directory until `/readyz` answers 200 (initdb and migrations included), SIGTERM until
the process has ended, a later start in the same directory, idle memory, SIGTERM again. Figures are medians of the rounds;
the binary and PostgreSQL's programs are in the page cache from the second round on.
"""

import shutil
import statistics
import time

from common import Server, make_data_dir, mib, parser, proportional_bytes, report, status_bytes

# After readiness the pool and PostgreSQL's own processes still settle.
SETTLE_S = 2


def start(args, directory):
    started = time.monotonic()
    server = Server(args, directory).__enter__()
    return server, time.monotonic() - started


def round_of(args):
    directory = make_data_dir()
    try:
        server, first = start(args, directory)
        stops = [server.stop()]
        server, later = start(args, directory)
        time.sleep(SETTLE_S)
        pid, postgres = server.processes()
        idle = {
            "idle: server, resident MiB": mib(status_bytes(pid, "VmRSS")),
            "idle: server, proportional MiB": mib(proportional_bytes(pid)),
            "idle: postgres, proportional MiB": mib(sum(map(proportional_bytes, postgres))),
            "idle: postgres processes": len(postgres),
        }
        stops.append(server.stop())
        starts = {"first start to ready, s": first, "later start to ready, s": later}
        return {**starts, "SIGTERM to exit, s": max(stops), **idle}
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def main():
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=3)
    args = options.parse_args()
    rounds = [round_of(args) for _ in range(args.rounds)]
    report(args, {name: round(statistics.median(one[name] for one in rounds), 3) for name in rounds[0]})


if __name__ == "__main__":
    main()

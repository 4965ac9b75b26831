"""Writes ONNX models of all-MiniLM-L6-v2 from its `model.safetensors`, in the form that ONNX Runtime runs fastest.

    /tmp/rivals-venv/bin/python benches/embed_rivals/export.py MODEL_DIR OUT_DIR

Without torch. OUT_DIR gets four models, each from token ids and attention mask to `last_hidden_state`; batch and
sequence are dynamic, and pooling is the caller's, as fastembed and sentence-transformers do it:

- plain-f32.onnx: standard operators in the order in which torch exports the model. What most users run.
- plain-int8.onnx: that, quantized as in int8.onnx below.
- f32.onnx: made for ONNX Runtime. Its own Attention and Gelu operators, one product for query, key and value, the token
  type folded into the positions. No SkipLayerNormalization: on a processor ONNX Runtime 1.32 takes six times as
  long for it as for Add and LayerNormalization, so `onnx_rival.py` also keeps them from being fused into it. No
  BiasGelu: the int8 product adds a bias that stands alone, and for f32 ONNX Runtime fuses it by itself.
- int8.onnx: that, quantized dynamically (`quantize_dynamic`; weights QInt8 per channel, reduce_range off), with
  Attention as QAttention. QUInt8 weights take twice as long, and one scale per matrix is no faster but less exact. The
  embeddings stay f32: they are looked up, not multiplied.

Tried and not faster: the graph of `onnxruntime.transformers.optimizer` (model_type "bert"), EmbedLayerNormalization,
MultiHeadAttention (one product or three; with the mask, or without it, which allows flash attention), and Gemm.
"""

import argparse
import json
import logging
import math
import pathlib
import struct

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

OPSET = 17  # The first with LayerNormalization; newer ones bring nothing that this model needs.
IR_VERSION = 8
CONTRIB = "com.microsoft"
LAYER_PARTS = ("query", "key", "value")


class Graph:
    """An ONNX graph in the making; nodes and weights are told by the names of their outputs."""

    def __init__(self, tensors, config):
        self.tensors, self.hidden, self.heads = tensors, config["hidden_size"], config["num_attention_heads"]
        self.eps, self.layers = config["layer_norm_eps"], config["num_hidden_layers"]
        self.nodes, self.weights = [], {}

    def constant(self, name, array):
        self.weights[name] = numpy_helper.from_array(numpy.ascontiguousarray(array), name)
        return name

    def number(self, name, value, dtype=numpy.int64):
        return self.constant(name, numpy.array(value, dtype))

    def tensor(self, name):
        return self.constant(name, self.tensors[name])

    def node(self, kind, *inputs, domain="", **attributes):
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name, domain=domain, **attributes))
        return name

    def dense(self, x, name):
        product = self.node("MatMul", x, self.constant(f"{name}.weight", self.tensors[f"{name}.weight"].T))
        return self.node("Add", product, self.tensor(f"{name}.bias"))

    def norm(self, x, name):
        weight, bias = self.tensor(f"{name}.weight"), self.tensor(f"{name}.bias")
        return self.node("LayerNormalization", x, weight, bias, axis=-1, epsilon=self.eps)

    def embed(self, token_type):
        """Sum of word and position, and whatever `token_type` adds to it, normed."""
        zero, one, two = (self.number(f"embed.{value}", [value]) for value in range(3))
        length = self.node("Slice", self.node("Shape", "input_ids"), one, two)
        words = self.node("Gather", self.tensor("embeddings.word_embeddings.weight"), "input_ids")
        positions = self.tensors["embeddings.position_embeddings.weight"]
        kind = self.tensors["embeddings.token_type_embeddings.weight"][0]
        if token_type == "folded":
            positions = positions + kind
        else:
            words = self.node("Add", words, self.constant("token_type", kind))
        positions = self.node("Slice", self.constant("positions", positions), zero, length, zero)
        return self.norm(self.node("Add", words, positions), "embeddings.LayerNorm")

    def encoder(self, x, attention, gelu):
        for layer in (f"encoder.layer.{index}" for index in range(self.layers)):
            context = self.dense(attention(x, f"{layer}.attention.self"), f"{layer}.attention.output.dense")
            x = self.norm(self.node("Add", context, x), f"{layer}.attention.output.LayerNorm")
            inner = self.dense(gelu(self.dense(x, f"{layer}.intermediate.dense")), f"{layer}.output.dense")
            x = self.norm(self.node("Add", inner, x), f"{layer}.output.LayerNorm")

    def save(self, path, integer):
        """Writes the model; its result is that of the last node."""
        axes = ["batch", "sequence"]
        self.nodes[-1].output[0] = "last_hidden_state"
        inputs = [helper.make_tensor_value_info(name, integer, axes) for name in ("input_ids", "attention_mask")]
        outputs = [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [*axes, self.hidden])]
        graph = helper.make_graph(self.nodes, "minilm", inputs, outputs, list(self.weights.values()))
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION), path)


def write_plain(path, tensors, config):
    g = Graph(tensors, config)
    width = g.hidden // g.heads
    one, two = g.number("one", [1]), g.number("two", [2])
    split, merged = g.number("split", [0, 0, g.heads, width]), g.number("merged", [0, 0, g.hidden])
    floats = {"scale": math.sqrt(width), "lowest": numpy.finfo("f4").min, "unit": 1, "half": 0.5, "root": math.sqrt(2)}
    scale, lowest, unit, half, root = (g.number(name, value, numpy.float32) for name, value in floats.items())
    kept = g.node("Cast", g.node("Unsqueeze", g.node("Unsqueeze", "attention_mask", one), two), to=TensorProto.FLOAT)
    mask = g.node("Mul", g.node("Sub", unit, kept), lowest)

    def attention(x, name):
        split_heads = [g.node("Reshape", g.dense(x, f"{name}.{part}"), split) for part in LAYER_PARTS]
        orders = ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
        query, key, value = (g.node("Transpose", x, perm=order) for x, order in zip(split_heads, orders))
        scores = g.node("Add", g.node("Div", g.node("MatMul", query, key), scale), mask)
        context = g.node("MatMul", g.node("Softmax", scores, axis=-1), value)
        return g.node("Reshape", g.node("Transpose", context, perm=[0, 2, 1, 3]), merged)

    def gelu(x):
        erf = g.node("Add", g.node("Erf", g.node("Div", x, root)), unit)
        return g.node("Mul", g.node("Mul", x, erf), half)

    g.encoder(g.embed("added"), attention, gelu)
    g.save(path, TensorProto.INT64)


def write_fused(path, tensors, config):
    g = Graph(tensors, config)

    def attention(x, name):
        names = [f"{name}.{part}" for part in LAYER_PARTS]
        weight = numpy.concatenate([tensors[f"{part}.weight"].T for part in names], axis=1)
        bias = numpy.concatenate([tensors[f"{part}.bias"] for part in names])
        inputs = [x, g.constant(f"{name}.weight", weight), g.constant(f"{name}.bias", bias), "attention_mask"]
        return g.node("Attention", *inputs, domain=CONTRIB, num_heads=g.heads)

    # This Gelu is the exact one, with erf.
    g.encoder(g.embed("folded"), attention, lambda x: g.node("Gelu", x, domain=CONTRIB))
    g.save(path, TensorProto.INT32)  # Attention takes no other mask.


def quantize(source, path):
    # It has no shapes for operators that are not ONNX's own, and asks for the type to assume.
    assumed = {"DefaultTensorType": TensorProto.FLOAT}
    quantize_dynamic(source, path, op_types_to_quantize=["MatMul", "Attention"], per_channel=True, reduce_range=False,
                     weight_type=QuantType.QInt8, extra_options=assumed)


def read_tensors(path):
    raw = path.read_bytes()
    (header_len,) = struct.unpack("<Q", raw[:8])
    tensors = {}
    for name, entry in json.loads(raw[8:8 + header_len]).items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = (8 + header_len + offset for offset in entry["data_offsets"])
            tensors[name] = numpy.frombuffer(raw[begin:end], "<f4").reshape(entry["shape"])
    return tensors


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("model_dir", type=pathlib.Path)
    options.add_argument("out_dir", type=pathlib.Path)
    args = options.parse_args()
    # The quantizer advises a step of its own before it, which changes nothing here, once for each model.
    logging.disable(logging.WARNING)
    config = json.loads((args.model_dir / "config.json").read_text())
    tensors = read_tensors(args.model_dir / "model.safetensors")
    args.out_dir.mkdir(parents=True, exist_ok=True)
    for prefix, write in (("plain-", write_plain), ("", write_fused)):
        f32, int8 = (args.out_dir / f"{prefix}{precision}.onnx" for precision in ("f32", "int8"))
        write(f32, tensors, config)
        quantize(f32, int8)


if __name__ == "__main__":
    main()

"""Writes the ONNX models of this directory and the vectors that ONNX Runtime makes with them.

Two sentence encoders as sentence-transformers and optimum export them, but small and of random weights: they say nothing
of what real models know. Neither is one that our own encoder runs.

- `tokens`: as XLM-RoBERTa. A Unigram tokenizer, positions counted from the ids, prompts, and `last_hidden_state`, which
  the first token's vector stands for. The graph is in `onnx/`.
- `sentence`: as RoBERTa. A byte-level BPE tokenizer, segments, and `sentence_embedding` of a size that the graph does not
  tell, beside the tokens' vectors.

The vectors are of length one; each text was run alone, so that nothing is padded. `refused/` holds graphs that nobody
here runs.

    python3 -m venv /tmp/onnx && /tmp/onnx/bin/pip install -r benches/embed_rivals/requirements.txt
    /tmp/onnx/bin/python tests/onnx/make.py
"""

import json
import math
import pathlib

import numpy
import onnx
import onnxruntime
import tokenizers
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).parent
OPSET = 14  # What torch has exported by default for years; it has no LayerNormalization.
IR_VERSION = 8
HIDDEN, HEADS, INNER = 16, 2, 24
PAD = 1  # As in all models of the RoBERTa family, whose first position is the one after it.
PIECES = "the fox how do i re set my pass word s query passage a e o 4 2 é 東 京".split()
TEXTS = [
    "",
    "fox",
    "How do I reset my password?",
    "the password,  the PASSWORD and the passwords",
    "Élan vital: café, 東京! 🦊🦊",
    "a text that names </s> and <mask>",
    " ".join("the fox resets passwords".split()[i * i % 4] for i in range(60)),
]


class Graph:
    """An ONNX graph in the making; nodes and weights are told by the names of their outputs."""

    def __init__(self, seed):
        self.draw = numpy.random.Generator(numpy.random.PCG64(seed))
        self.nodes, self.weights = [], []

    def constant(self, array):
        name = f"constant_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(numpy.ascontiguousarray(array), name))
        return name

    def number(self, value, dtype="i8"):
        return self.constant(numpy.array(value, dtype))

    def random(self, *shape, scale=1.0, middle=0.0):
        return self.constant((middle + scale * self.draw.uniform(-1, 1, shape)).astype("f4"))

    def node(self, kind, *inputs, **attributes):
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def dense(self, x, inputs, outputs):
        # Wide enough that attention picks some tokens over others.
        product = self.node("MatMul", x, self.random(inputs, outputs, scale=2.5 / math.sqrt(inputs)))
        return self.node("Add", product, self.random(outputs, scale=0.2))

    def norm(self, x):
        middle = self.node("Sub", x, self.node("ReduceMean", x, axes=[-1]))
        square = self.node("Pow", middle, self.number(2, "f4"))
        variance = self.node("Add", self.node("ReduceMean", square, axes=[-1]), self.number(1e-5, "f4"))
        scaled = self.node("Mul", self.node("Div", middle, self.node("Sqrt", variance)),
                           self.random(HIDDEN, scale=0.4, middle=1))
        return self.node("Add", scaled, self.random(HIDDEN, scale=0.2))

    def embed(self, vocabulary, positions, segments):
        words = self.node("Gather", self.random(vocabulary, HIDDEN), "input_ids")
        if segments:
            words = self.node("Add", words, self.node("Gather", self.random(2, HIDDEN), "token_type_ids"))
        kept = self.node("Cast", self.node("Not", self.node("Equal", "input_ids", self.number(PAD))), to=TensorProto.INT64)
        counted = self.node("Mul", self.node("CumSum", kept, self.number(1)), kept)
        places = self.node("Gather", self.random(positions, HIDDEN), self.node("Add", counted, self.number(PAD)))
        return self.norm(self.node("Add", words, places))

    def attention(self, x, mask):
        width = HIDDEN // HEADS
        split, merged = self.number([0, 0, HEADS, width]), self.number([0, 0, HIDDEN])
        orders = ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
        parts = [self.node("Reshape", self.dense(x, HIDDEN, HIDDEN), split) for _ in orders]
        query, key, value = (self.node("Transpose", part, perm=order) for part, order in zip(parts, orders))
        scores = self.node("Div", self.node("MatMul", query, key), self.number(math.sqrt(width), "f4"))
        context = self.node("MatMul", self.node("Softmax", self.node("Add", scores, mask), axis=-1), value)
        return self.node("Reshape", self.node("Transpose", context, perm=[0, 2, 1, 3]), merged)

    def gelu(self, x):
        erf = self.node("Erf", self.node("Div", x, self.number(math.sqrt(2), "f4")))
        return self.node("Mul", self.node("Mul", x, self.node("Add", erf, self.number(1, "f4"))), self.number(0.5, "f4"))

    def encode(self, x, layers):
        kept = self.node("Cast", self.node("Unsqueeze", "attention_mask", self.number([1, 2])), to=TensorProto.FLOAT)
        lowest = self.number(numpy.finfo("f4").min, "f4")
        mask = self.node("Mul", self.node("Sub", self.number(1, "f4"), kept), lowest)
        for _ in range(layers):
            x = self.norm(self.node("Add", self.dense(self.attention(x, mask), HIDDEN, HIDDEN), x))
            inner = self.gelu(self.dense(x, HIDDEN, INNER))
            x = self.norm(self.node("Add", self.dense(inner, INNER, HIDDEN), x))
        return x

    def mean(self, x):
        kept = self.node("Cast", self.node("Unsqueeze", "attention_mask", self.number([-1])), to=TensorProto.FLOAT)
        total = self.node("ReduceSum", self.node("Mul", x, kept), self.number([1]), keepdims=0)
        return self.node("Div", total, self.node("ReduceSum", kept, self.number([1]), keepdims=0))

    def save(self, path, inputs, outputs):
        """Writes the model. Inputs and outputs are shapes by name; an output's node comes before its shape."""
        named = [helper.make_node("Identity", [node], [name]) for name, (node, _) in outputs.items()]
        inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, axes) for name, axes in inputs.items()]
        outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, axes) for name, (_, axes) in outputs.items()]
        graph = helper.make_graph(self.nodes + named, path.stem, inputs, outputs, self.weights)
        opsets = [helper.make_opsetid("", OPSET)]
        path.parent.mkdir(parents=True, exist_ok=True)
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, path)


AXES = ["batch", "sequence"]


def write_tokens(path, vocabulary):
    g = Graph(1)
    hidden = g.encode(g.embed(vocabulary, 24 + PAD + 1, segments=False), layers=1)
    g.save(path, {"input_ids": AXES, "attention_mask": AXES}, {"last_hidden_state": (hidden, [*AXES, HIDDEN])})


def write_sentence(path, vocabulary):
    g = Graph(2)
    hidden = g.encode(g.embed(vocabulary, 40 + PAD + 1, segments=True), layers=1)
    sentence = g.node("Tanh", g.dense(g.mean(hidden), HIDDEN, 12))
    g.save(path, {"input_ids": AXES, "token_type_ids": AXES, "attention_mask": AXES},
           {"token_embeddings": (hidden, [*AXES, HIDDEN]), "sentence_embedding": (sentence, ["batch", "size"])})


def write_refused(path):
    """Graphs that look words up and do nothing else."""
    def save(name, inputs, outputs):
        g = Graph(3)
        words = g.node("Gather", g.random(300, 2), next(iter(inputs)))
        for other in list(inputs)[1:]:
            words = g.node("Add", words, g.node("Cast", g.node("Unsqueeze", other, g.number([-1])), to=TensorProto.FLOAT))
        made = {3: words, 2: g.node("ReduceMean", words, axes=[1], keepdims=0), 1: g.node("ReduceMean", words, axes=[1, 2], keepdims=0)}
        g.save(path / f"{name}.onnx", inputs, {output: (made[len(axes)], axes) for output, axes in outputs.items()})

    ids = {"input_ids": AXES}
    hidden = {"last_hidden_state": [*AXES, 2]}
    save("positions", {**ids, "position_ids": AXES}, hidden)
    save("no_ids", {"attention_mask": AXES}, hidden)
    save("fixed", {"input_ids": [1, 8]}, {"last_hidden_state": [1, 8, 2]})
    save("logits", ids, {"logits": ["batch", 2]})
    save("flat_sentence", ids, {"sentence_embedding": ["batch"]})
    # Runs; for what is read from other files.
    save("words", ids, hidden)


def special(name, number):
    return {"id": number, "content": name, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}


SPECIALS = ["<s>", "<pad>", "</s>", "<unk>"]


def tokenizer_file(model, normalizer, pre_tokenizer, mask):
    """`<s> text </s>`. The padding and truncation are what other users left in the file."""
    token = lambda name: {"SpecialToken": {"id": name, "type_id": 0}}
    return {
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": PAD, "pad_type_id": 0, "pad_token": "<pad>"},
        "added_tokens": [*(special(name, number) for number, name in enumerate(SPECIALS)), special("<mask>", mask)],
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [token("<s>"), {"Sequence": {"id": "A", "type_id": 0}}, token("</s>")],
            "pair": [token("<s>"), {"Sequence": {"id": "A", "type_id": 0}}, token("</s>"), {"Sequence": {"id": "B", "type_id": 0}}, token("</s>")],
            "special_tokens": {name: {"id": name, "ids": [SPECIALS.index(name)], "tokens": [name]} for name in ("<s>", "</s>")},
        },
        "decoder": None,
        "model": model,
    }


def unigram():
    letters = "▁abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.,:?!<>/"
    pieces = [*SPECIALS, *letters, *PIECES, *("▁" + piece for piece in PIECES)]
    pieces = list(dict.fromkeys(pieces))
    vocabulary = [[piece, 0.0 if piece in SPECIALS else -10.0 + len(piece) / 2] for piece in pieces]
    model = {"type": "Unigram", "unk_id": 3, "vocab": vocabulary, "byte_fallback": False}
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    return tokenizer_file(model, {"type": "NFKC"}, metaspace, len(pieces)), len(pieces) + 1


def byte_level():
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    merges = [pair.split() for pair in ["t h", "th e", "Ġ the", "f o", "fo x", "p a", "s s", "pa ss"]]
    pieces = [*SPECIALS, *alphabet, *("".join(pair) for pair in merges)]
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "", "end_of_word_suffix": "",
             "fuse_unk": False, "byte_fallback": False, "vocab": {piece: number for number, piece in enumerate(pieces)}, "merges": merges}
    split = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return tokenizer_file(model, None, split, len(pieces)), len(pieces) + 1


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


def write_vectors(path, graph, tokenizer, max_tokens, prompts, pool):
    session = onnxruntime.InferenceSession(graph)
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps(tokenizer))
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    cases = []
    for purpose, prompt in prompts.items():
        for text in TEXTS:
            tokenizer.no_truncation()
            whole = tokenizer.encode(prompt + text).ids
            tokenizer.enable_truncation(max_tokens)
            ids = tokenizer.encode(prompt + text).ids
            named = {"input_ids": [ids], "attention_mask": [[1] * len(ids)], "token_type_ids": [[0] * len(ids)]}
            inputs = {one.name: numpy.array(named[one.name], "i8") for one in session.get_inputs()}
            output = pool(dict(zip([one.name for one in session.get_outputs()], session.run(None, inputs))))
            vector = output.astype("f8") / numpy.linalg.norm(output.astype("f8"))
            cases.append({"purpose": purpose, "text": text, "ids": ids, "truncated": len(whole) > len(ids),
                          "vector": [round(float(value), 7) for value in vector]})
    path.write_text("[\n" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) + "\n]\n", encoding="utf-8")


def main():
    tokenizer, vocabulary = unigram()
    place = HERE / "tokens"
    write_json(place / "tokenizer.json", tokenizer)
    write_json(place / "config.json", {"model_type": "xlm-roberta", "hidden_size": HIDDEN, "max_position_embeddings": 24 + PAD + 1})
    classes = [("", "Transformer"), ("1_Pooling", "Pooling")]
    write_json(place / "modules.json", [{"path": path, "type": f"sentence_transformers.models.{name}"} for path, name in classes])
    write_json(place / "1_Pooling/config.json", {"word_embedding_dimension": HIDDEN, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False})
    write_json(place / "sentence_bert_config.json", {"max_seq_length": 24, "do_lower_case": False})
    prompts = {"query": "query: ", "document": "passage: "}
    write_json(place / "config_sentence_transformers.json", {"prompts": {"query": "query: ", "passage": "passage: "}})
    write_tokens(place / "onnx/model.onnx", vocabulary)
    write_vectors(place / "vectors.json", place / "onnx/model.onnx", tokenizer, 24, prompts, lambda made: made["last_hidden_state"][0, 0])

    tokenizer, vocabulary = byte_level()
    place = HERE / "sentence"
    write_json(place / "tokenizer.json", tokenizer)
    write_json(place / "tokenizer_config.json", {"model_max_length": 40})
    write_sentence(place / "model.onnx", vocabulary)
    nothing = {"query": "", "document": ""}
    write_vectors(place / "vectors.json", place / "model.onnx", tokenizer, 40, nothing, lambda made: made["sentence_embedding"][0])

    write_refused(HERE / "refused")


if __name__ == "__main__":
    main()

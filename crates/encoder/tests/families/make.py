"""Writes the models of this directory, one per family of sentence encoders, and their vectors.

Each is a directory as sentence-transformers saves it, with the files, the pooling, the prompts and the number format of
its family, but small and of random weights: it says nothing of what the family's real models know. The vectors are those
of the reference in ../minilm/make.py (numpy, 64-bit floats), which shares nothing with ours.

    python3 -m venv /tmp/families && /tmp/families/bin/pip install numpy==2.4.6
    /tmp/families/bin/python encoder/tests/families/make.py

The same numbers come out every time and everywhere: weights are drawn by the integers of `Draw`. compare.py compared
them with the vectors that sentence-transformers 5.1.2 (torch 1.12.1, transformers 4.44.2) makes of these directories.
"""

import importlib.util
import json
import math
import pathlib
import struct

import numpy

HERE = pathlib.Path(__file__).parent
spec = importlib.util.spec_from_file_location("reference", HERE.parent / "minilm" / "make.py")
reference = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reference)

LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = "query passage represent this sentence for searching relevant passages the fox how do i reset my password".split()
VOCABULARY = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *":.,?!-", *"0123456789", *LETTERS, *(f"##{c}" for c in LETTERS),
    *(word for word in WORDS if len(word) > 1), "##ing", "##word", "##s1", "É", "##é",
]  # fmt: skip
TEXTS = [
    "",
    "fox",
    "How do I reset my password?",
    "the password, the PASSWORD and the passwords",
    "Élan vital: café, 東京!",
    "searching - searching - searching for 42 foxes",
    " ".join("the relevant passages".split()[i * i % 3] for i in range(60)),
]
SPECIAL = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}

OLD = "sentence_transformers.models."
FAMILIES = {
    # The first token, and a prompt for queries alone.
    "bge": {
        "shape": (2, 48, 4, 96),
        "format": "F32",
        "pool": "cls",
        "max_tokens": 32,
        "prompts": {"query": "Represent this sentence for searching relevant passages: ", "document": ""},
        "modules": [(OLD + "Transformer", ""), (OLD + "Pooling", "1_Pooling"), (OLD + "Normalize", "2_Normalize")],
        "pooling": {"word_embedding_dimension": 48, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
        "sentence": {"max_seq_length": 32, "do_lower_case": False},
        "tokenizer_max": 512,
    },
    # The mean, prompts for both purposes, and a limit that only the tokenizer knows.
    "e5": {
        "shape": (2, 32, 2, 64),
        "format": "F32",
        "pool": "mean",
        "max_tokens": 24,
        "prompts": {"query": "query: ", "document": "passage: "},
        "modules": [(OLD + "Transformer", ""), (OLD + "Pooling", "1_Pooling"), (OLD + "Normalize", "2_Normalize")],
        "pooling": {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True, "include_prompt": True},
        "sentence": {"max_seq_length": None, "do_lower_case": False},
        "tokenizer_max": 24,
    },
    # The mean in half precision, no limit but the positions, and no file that is not needed.
    "gte": {
        "shape": (2, 64, 4, 128),
        "format": "F16",
        "pool": "mean",
        "max_tokens": 40,
        "prompts": None,
        "modules": [(OLD + "Transformer", ""), (OLD + "Pooling", "pool"), (OLD + "Normalize", "2_Normalize")],
        "pooling": {"word_embedding_dimension": 64, "pooling_mode_mean_tokens": True},
        "sentence": None,
        "tokenizer_max": 1000000000000000019884624838656,
    },
    # A cased tokenizer behind lower case, another weight for long texts, no step that normalises.
    "cased": {
        "shape": (2, 40, 5, 72),
        "format": "BF16",
        "pool": "mean",
        "max_tokens": 36,
        "prompts": None,
        "modules": [(OLD + "Transformer", ""), (OLD + "Pooling", "1_Pooling")],
        "pooling": {
            "word_embedding_dimension": 40,
            "pooling_mode_mean_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": True,
        },
        "sentence": {"max_seq_length": 36, "do_lower_case": True},
        "tokenizer_max": 512,
    },
}
POSITIONS = 40


class Draw:
    """Numbers between -1 and 1 from the upper bits of a linear congruential generator of 64 bits (Knuth's MMIX)."""

    def __init__(self, seed):
        self.state = seed

    def tensor(self, *shape):
        numbers = []
        for _ in range(math.prod(shape)):
            self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
            numbers.append((self.state >> 40) / 2**23 - 1.0)
        return numpy.array(numbers).reshape(shape)


def draw_tensors(seed, layers, hidden, inner):
    draw = Draw(seed)
    tensors = {}

    def dense(name, inputs, outputs):
        # Wide enough that attention picks some tokens over others.
        tensors[f"{name}.weight"] = draw.tensor(outputs, inputs) * 2.5 / math.sqrt(inputs)
        tensors[f"{name}.bias"] = draw.tensor(outputs) * 0.2

    def norm(name):
        tensors[f"{name}.weight"] = 1.0 + draw.tensor(hidden) * 0.4
        tensors[f"{name}.bias"] = draw.tensor(hidden) * 0.2

    for kind, count in [("word", len(VOCABULARY)), ("position", POSITIONS), ("token_type", 2)]:
        tensors[f"embeddings.{kind}_embeddings.weight"] = draw.tensor(count, hidden)
    norm("embeddings.LayerNorm")
    for layer in (f"encoder.layer.{index}" for index in range(layers)):
        for part in ["query", "key", "value"]:
            dense(f"{layer}.attention.self.{part}", hidden, hidden)
        dense(f"{layer}.attention.output.dense", hidden, hidden)
        norm(f"{layer}.attention.output.LayerNorm")
        dense(f"{layer}.intermediate.dense", hidden, inner)
        dense(f"{layer}.output.dense", inner, hidden)
        norm(f"{layer}.output.LayerNorm")
    dense("pooler.dense", hidden, hidden)
    return tensors


def encode_numbers(tensor, number_format):
    """The bytes of a tensor, and the numbers that they stand for."""
    if number_format == "F16":
        halves = tensor.astype("<f2")
        return halves.tobytes(), halves.astype(numpy.float64)
    floats = tensor.astype("<f4")
    if number_format == "BF16":
        # To the nearest; no number here lies in the middle of two.
        halves = ((floats.view("<u4") + 0x8000) >> 16).astype("<u2")
        floats = (halves.astype("<u4") << 16).view("<f4")
        return halves.tobytes(), floats.astype(numpy.float64)
    return floats.tobytes(), floats.astype(numpy.float64)


def write_tensors(path, tensors, number_format):
    """Writes a safetensors file, and gives the numbers as they are read back."""
    header, data, written = {"__metadata__": {"format": "pt"}}, b"", {}
    for name, tensor in tensors.items():
        encoded, written[name] = encode_numbers(tensor, number_format)
        offsets = [len(data), len(data) + len(encoded)]
        header[name] = {"dtype": number_format, "shape": list(tensor.shape), "data_offsets": offsets}
        data += encoded
    header = json.dumps(header, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return written


def write_json(path, value):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


def tokenizer_file(uncased):
    token = lambda name: {"SpecialToken": {"id": name, "type_id": 0}}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": id, "content": name, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
            for name, id in SPECIAL.items()
        ],
        "normalizer": {
            "type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
            "lowercase": uncased,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [token("[CLS]"), {"Sequence": {"id": "A", "type_id": 0}}, token("[SEP]")],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {name: {"id": name, "ids": [SPECIAL[name]], "tokens": [name]} for name in ["[CLS]", "[SEP]"]},
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
            "vocab": {piece: id for id, piece in enumerate(VOCABULARY)},
        },
    }  # fmt: skip


def write_family(seed, name, family):
    layers, hidden, heads, inner = family["shape"]
    directory = HERE / name
    directory.mkdir(exist_ok=True)
    uncased = name != "cased"
    config = {
        "architectures": ["BertModel"], "model_type": "bert", "hidden_act": "gelu", "hidden_size": hidden,
        "num_hidden_layers": layers, "num_attention_heads": heads, "intermediate_size": inner,
        "vocab_size": len(VOCABULARY), "max_position_embeddings": POSITIONS, "type_vocab_size": 2,
        "layer_norm_eps": 1e-12, "pad_token_id": 0, "position_embedding_type": "absolute",
    }  # fmt: skip
    write_json(directory / "config.json", config)
    modules = [{"idx": i, "name": str(i), "path": path, "type": kind} for i, (kind, path) in enumerate(family["modules"])]
    write_json(directory / "modules.json", modules)
    write_json(directory / modules[1]["path"] / "config.json", family["pooling"])
    tokenizer = {
        "tokenizer_class": "BertTokenizer", "do_lower_case": uncased, "model_max_length": family["tokenizer_max"],
        "strip_accents": None, "tokenize_chinese_chars": True, "unk_token": "[UNK]", "sep_token": "[SEP]",
        "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]",
    }  # fmt: skip
    write_json(directory / "tokenizer_config.json", tokenizer)
    write_json(directory / "tokenizer.json", tokenizer_file(uncased))
    if family["sentence"]:
        write_json(directory / "sentence_bert_config.json", family["sentence"])
    prompts = family["prompts"] or {"query": "", "document": ""}
    if family["prompts"]:
        write_json(directory / "config_sentence_transformers.json", {"prompts": prompts, "default_prompt_name": None})
    tensors = draw_tensors(seed, layers, hidden, inner)
    tensors = write_tensors(directory / "model.safetensors", tensors, family["format"])

    vocabulary = {piece: id for id, piece in enumerate(VOCABULARY)}
    cases = []
    for purpose, prompt in prompts.items():
        for text in TEXTS:
            whole = prompt + text
            # The cased tokenizer keeps accents; the capitals are taken before it sees the text.
            whole = whole if uncased else whole.lower()
            ids, truncated = reference.tokenize(whole, vocabulary, family["max_tokens"], uncased)
            rows = reference.token_vectors(ids, tensors, config)
            vector = reference.unit(rows[0] if family["pool"] == "cls" else rows.mean(axis=0))
            vector = [round(float(number), 7) for number in vector]
            cases.append({"purpose": purpose, "text": text, "ids": ids, "truncated": truncated, "vector": vector})
    rows = ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases)
    (directory / "vectors.json").write_text(f"[\n{rows}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    for seed, (name, family) in enumerate(FAMILIES.items(), 1):
        write_family(seed, name, family)

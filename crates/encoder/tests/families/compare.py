"""Compares vectors.json of each model here with what sentence-transformers itself makes of the model's directory.

    python3.10 -m venv /tmp/compare
    /tmp/compare/bin/pip install sentence-transformers==5.1.2 torch==1.12.1 transformers==4.44.2 "numpy<2"
    /tmp/compare/bin/python encoder/tests/families/compare.py
"""

import json
import pathlib

import numpy
import sentence_transformers

for file in sorted(pathlib.Path(__file__).parent.glob("*/vectors.json")):
    model = sentence_transformers.SentenceTransformer(str(file.parent), device="cpu").float()
    cases = json.loads(file.read_text())
    worst, ids_differ = 1.0, 0
    for case in cases:
        query = case["purpose"] == "query"
        encode = model.encode_query if query else model.encode_document
        vector = encode(case["text"])
        worst = min(worst, numpy.dot(vector, case["vector"]) / numpy.linalg.norm(vector))
        prompt = model.prompts.get(case["purpose"]) or ""
        ids_differ += model.tokenize([prompt + case["text"]])["input_ids"][0].tolist() != case["ids"]
    print(f"{file.parent.name}: {len(cases)} texts, {ids_differ} of other tokens, least cosine {worst:.9f}")

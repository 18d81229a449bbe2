"""The two names of a bundle: hashes of its numbers, as `src/codec/bundle.rs` computes them."""

import hashlib
import struct

import numpy as np


def raw(tensor):
    """Little-endian bytes of a tensor."""
    return np.ascontiguousarray(tensor.cpu().numpy()).tobytes()


def codec_id(card, weights):
    """Names what makes the latents. card: `codec.toml` as a dict; weights: the tensors."""
    weight, index = weights.get("analysis.weight", weights.get("analysis")), weights.get("analysis.index")
    step = card["quantizer"]["kind"] == "step"
    numbers = [
        int(card["kind"] == "audio"), card["inputs"], card["levels"], int(card["ends"] == "mirror"),
        card.get("padding", 0), 0 if step else 1, 0 if step else card["quantizer"]["bits"],
        *weight.shape, int(index is not None),
    ]  # fmt: skip
    h = hashlib.sha256(b"tamis codec 1" + struct.pack("<10I", *numbers))
    if card.get("arithmetic", "float") == "fixed":
        h.update(b"fixed 1")
    if index is not None:
        h.update(raw(index))
    for tensor in (weight, weights["bias"], weights["steps"], weights["deviation"]):
        h.update(raw(tensor))
    return h.hexdigest()[:16]


def tables_id(weights):
    """Names the numbers of the entropy coders."""
    names = ["tables", "select", "contexts.references", "contexts.taps", "contexts.alone.weights", "contexts.alone.select"]
    if "contexts.continued.weights" in weights:
        names += ["contexts.continued.weights", "contexts.continued.select"]
    h = hashlib.sha256(b"tamis tables 2")
    for name in [*names, "contexts.tables"]:
        h.update(raw(weights[name]))
    return h.hexdigest()[:16]

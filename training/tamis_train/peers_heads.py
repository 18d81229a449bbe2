"""`python -m tamis_train peers-heads`: transformers in tamis, in ONNX Runtime and in plain tract, on the same files.

Engines take turns, a fraction of a second each, so that what else the machine does falls on all alike. Times are wall
clock on one thread: the median of a turn's calls, then the median over turns; ratios are the median over turns too.
"""

import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import torch.nn as nn
from onnxruntime.quantization import QuantType, quantize_dynamic

SIZES = [  # name, height and width in cells, blocks, width, heads, class token
    ("6x192, 197 tokens", (28, 28), 6, 192, 3, True), ("6x192, 98 tokens", (14, 28), 6, 192, 3, False),
    ("6x192, 64 tokens", (16, 16), 6, 192, 3, False), ("12x384, 197 tokens", (28, 28), 12, 384, 6, True),
    ("12x384, 98 tokens", (14, 28), 12, 384, 6, False), ("12x384, 64 tokens", (16, 16), 12, 384, 6, False),
]  # fmt: skip
CHANNELS, PATCH, CLASSES = 48, 2, 1000


class Block(nn.Module):
    """Pre-norm block. Shape: [b, n, w] -> the same."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.scale = heads, (width // heads) ** -0.5
        self.norm1, self.qkv, self.out = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norm2, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        b, n, w = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(b, n, 3, self.heads, w // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        attention = (q * self.scale @ k.transpose(-2, -1)).softmax(-1)
        x = x + self.out((attention @ v).transpose(1, 2).reshape(b, n, w))
        return x + self.down(nn.functional.gelu(self.up(self.norm2(x))))


class Vit(nn.Module):
    """A vision transformer on latents. Shape: [1, 48, h, w] -> [1, 1000]."""

    def __init__(self, grid, depth, width, heads, token):
        super().__init__()
        patches = grid[0] * grid[1] // PATCH**2
        self.embed = nn.Conv2d(CHANNELS, width, PATCH, PATCH)
        self.token = nn.Parameter(torch.zeros(1, 1, width)) if token else None
        self.positions = nn.Parameter(torch.randn(1, patches + token, width) * 0.02)
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(depth)])
        self.norm, self.answer = nn.LayerNorm(width), nn.Linear(width, CLASSES)

    def forward(self, x):
        x = self.embed(x).flatten(2).transpose(1, 2)
        if self.token is not None:
            x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        x = self.norm(self.blocks(x + self.positions))
        return self.answer(x[:, 0] if self.token is not None else x.mean(1))


def make(folder):
    """The files: random weights, since only the shapes count, and ONNX Runtime's dynamic int8 of each."""
    for i, (name, grid, *sizes) in enumerate(SIZES):
        torch.manual_seed(i)
        path = folder / f"{i}.onnx"
        model = Vit(grid, *sizes).eval()
        for p in model.parameters():
            if p.ndim == 2:
                # As large as trained ones, so that attention is uneven.
                nn.init.normal_(p, std=p.shape[1] ** -0.5)
        torch.onnx.export(model, (torch.zeros(1, CHANNELS, *grid),), path, opset_version=17, dynamo=False, input_names=["latent"])
        # A convolution in whole numbers is slower there.
        quantize_dynamic(path, folder / f"{i}.int8.onnx", weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul", "Gemm"])
        yield name, path, [1, CHANNELS, *grid]


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def median_ms(call, seconds):
    call()
    times, begin = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - begin < seconds:
        before = time.perf_counter()
        call()
        times.append((time.perf_counter() - before) * 1e3)
    return statistics.median(times)


def arguments(verbs):
    verb = verbs.add_parser("peers-heads", help="time transformers in tamis, ONNX Runtime and plain tract, on the same files")
    verb.add_argument("--tamis", type=Path, default=Path("target/release/tamis"))
    verb.add_argument("--rounds", type=int, default=15)
    verb.add_argument("--seconds", type=float, default=0.3, help="of a turn of an engine")
    verb.add_argument("--only", default="", help="sizes whose name begins so")


def run(args):
    columns = ["ORT f32", "ORT int8", "tract", "float", "int8"]
    print("| encoder | " + " | ".join(columns) + " | float : ORT f32 | int8 : ORT int8 | cosine of int8 |")
    print("|---|" + "---|" * (len(columns) + 3))
    with tempfile.TemporaryDirectory() as folder:
        for name, path, shape in make(Path(folder)):
            if not name.startswith(args.only):
                continue
            x = {"latent": np.random.default_rng(1).standard_normal(shape).astype(np.float32)}
            peers = {"ORT f32": session(path), "ORT int8": session(path.with_suffix(".int8.onnx"))}
            turns = {column: [] for column in columns}
            for _ in range(args.rounds):
                for column, peer in peers.items():
                    turns[column].append(median_ms(lambda peer=peer: peer.run(None, x), args.seconds))
                command = [args.tamis, "bench", "--head", path, "--seconds", str(args.seconds), "--json"]
                rows = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["rows"]
                for row in rows:
                    turns[row["engine"]].append(row["ms"])
            cosine = next(row["cosine"] for row in rows if row["engine"] == "int8")
            ratio = lambda a, b: statistics.median(p / q for p, q in zip(turns[a], turns[b], strict=True))
            cells = [f"{statistics.median(turns[column]):.2f}" for column in columns]
            ratios = [f"{ratio('float', 'ORT f32'):.2f}", f"{ratio('int8', 'ORT int8'):.2f}", f"{cosine:.5f}"]
            print("| " + " | ".join([name, *cells, *ratios]) + " |", flush=True)

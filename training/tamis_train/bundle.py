"""A tamis bundle: what turns pictures or sound into latents, read from `codec.toml` and `weights.safetensors`."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file

from .transform import packets_1d, packets_2d, pad_mirror

DEFAULT_QUALITY = 75


@dataclass
class Bundle:
    """Shape: analysis [C, inputs * bands], bias, steps, deviation [C]."""

    name: str
    kind: str
    codec_id: str
    inputs: int
    levels: int
    channels: int
    rate: int
    analysis: torch.Tensor
    bias: torch.Tensor
    steps: torch.Tensor
    deviation: torch.Tensor

    @staticmethod
    def load(folder):
        """Reads a bundle from its folder."""
        folder = Path(folder)
        card = tomllib.loads((folder / "codec.toml").read_text())
        if card["format"] != 1 or card["ends"] != "mirror" or card["quantizer"]["kind"] != "step":
            raise ValueError(f"{folder}: heads are trained on bundles of format 1 with mirrored ends and steps")
        weights = load_file(folder / "weights.safetensors")
        bands = card["inputs"] * (4 if card["kind"] == "image" else 2) ** card["levels"]
        return Bundle(
            name=card["card"]["name"], kind=card["kind"], codec_id=card["codec_id"], inputs=card["inputs"],
            levels=card["levels"], channels=card["channels"], rate=card.get("rate", 0),
            analysis=dense(weights, "analysis", card["channels"], bands),
            bias=weights["bias"].float(), steps=weights["steps"].float(), deviation=weights["deviation"].float(),
        )  # fmt: skip

    def project(self, x):
        """Latents before rounding. Shape: [b, inputs, h, w] -> [b, C, h', w'] or [b, inputs, n] -> [b, C, t]."""
        cell = 2**self.levels
        if self.kind == "image":
            bands = packets_2d(pad_mirror(pad_mirror(x, cell, -1), cell, -2), self.levels)
        else:
            bands = packets_1d(pad_mirror(x, cell), self.levels)
        y = self.analysis @ bands.flatten(2) + self.bias[:, None]
        return y.reshape(y.shape[0], -1, *bands.shape[2:])

    def head_input(self, y, quality, prefix):
        """What a head is given: rounded, restored, divided by the deviation, zero from channel `prefix` on.

        Shape: y [b, C, ...]; quality and prefix [b] integers -> [b, C, ...].
        """
        wide = (slice(None), slice(None)) + (None,) * (y.dim() - 2)
        step = (step_factor(quality)[:, None] * self.steps)[wide]
        kept = (torch.arange(y.shape[1]) < prefix[:, None])[wide]
        v = round_half_away(y / step)
        return v * (step / self.deviation[None][wide]) * kept


def dense(weights, name, rows, columns):
    """A projection as one matrix, also where the file holds it as indices and weights. Shape: [rows, columns]."""
    if name in weights:
        return weights[name].float()
    matrix = torch.zeros(rows, columns)
    # `scatter_add_`, since an index may stand twice in a row as filling.
    return matrix.scatter_add_(1, weights[f"{name}.index"].long(), weights[f"{name}.weight"].float())


def step_factor(quality):
    """The factor of quality 1..100 on every step, in whole 1/65536; 75 is 1. Shape: [b] -> [b]."""
    below = (DEFAULT_QUALITY - quality).double()
    factor = torch.exp2(torch.where(below >= 0, below / 16, below / 8))
    return (torch.round(factor * 65536) / 65536).float()


def round_half_away(x):
    """Rounds to the nearest integer, ties away from zero."""
    return torch.sign(x) * torch.floor(torch.abs(x) + 0.5)

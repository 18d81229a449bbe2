"""A tamis bundle: what turns pictures or sound into latents, read from `codec.toml` and `weights.safetensors`."""

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file

from .transform import fixed_bands, mul, packets_1d, packets_2d, pad_mirror, saturate, smooth_bands

DEFAULT_QUALITY = 75


@dataclass
class Bundle:
    """Shape: analysis [C, bands], bias, steps, deviation [C].

    Of a bundle in fixed point also `terms`: the index of bands and the weights in 1/32768, int32 [C, terms] each.
    """

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
    terms: tuple[torch.Tensor, torch.Tensor] | None = None

    @staticmethod
    def load(folder):
        """Reads a bundle from its folder."""
        card, weights = read(folder)
        if card["format"] != 2 or card["ends"] != "mirror" or card["quantizer"]["kind"] != "step":
            raise ValueError(f"{folder}: heads are trained on bundles of format 2 with mirrored ends and steps")
        bands, terms = card["inputs"] * (4 if card["kind"] == "image" else 2) ** card["levels"], None
        if (arithmetic := card.get("arithmetic", "float")) == "fixed":
            bands = 96 if card["inputs"] == 3 else 64
            terms = whole_terms(weights)
        elif arithmetic != "float":
            raise ValueError(f"{folder}: no such arithmetic as {arithmetic}")
        return Bundle(
            name=card["card"]["name"], kind=card["kind"], codec_id=card["codec_id"], inputs=card["inputs"],
            levels=card["levels"], channels=card["channels"], rate=card.get("rate", 0),
            analysis=dense(weights, "analysis", card["channels"], bands),
            bias=weights["bias"].float(), steps=weights["steps"].float(), deviation=weights["deviation"].float(),
            terms=terms,
        )  # fmt: skip

    def to(self, device):
        """The same bundle on a device."""
        moved = {k: getattr(self, k).to(device) for k in ("analysis", "bias", "steps", "deviation")}
        return replace(self, **moved, terms=self.terms and tuple(t.to(device) for t in self.terms))

    def project(self, x):
        """Latents before rounding. Shape: [b, inputs, h, w] -> [b, C, h', w'] or [b, inputs, n] -> [b, C, t].

        Samples of pictures are -0.5 to 0.5. In fixed point they are first made 16-bit, as tamis does with floating-point
        samples; those of 8 bits come out exact, and so do the latents, which are int16 then.
        """
        cell = 2**self.levels
        if self.terms is not None:
            # One by one they stay in the caches of a processor.
            return torch.cat([self.project_fixed(part) for part in x.split(64 if x.is_cuda else 1)])
        if self.kind == "image":
            bands = packets_2d(pad_mirror(pad_mirror(x, cell, -1), cell, -2), self.levels)
        else:
            bands = packets_1d(pad_mirror(x, cell), self.levels)
        y = self.analysis @ bands.flatten(2) + self.bias[:, None]
        return y.reshape(y.shape[0], -1, *bands.shape[2:])

    def project_smooth(self, x):
        """Latents of pictures before rounding, to train on: in fixed point without the rounding of its steps, which
        moves about one of 300 values by one at the default quality. Shape and samples as in `project`.
        """
        if self.terms is None:
            return self.project(x)
        bands = smooth_bands(pad_mirror(pad_mirror((x + 0.5) * 2040, 8, -1), 8, -2))
        return (self.analysis @ bands.flatten(2) + self.bias[:, None]).round().unflatten(2, bands.shape[2:])

    def project_fixed(self, x):
        """Shape: [b, inputs, h, w] -> int16 [b, C, h', w']."""
        wide = torch.floor((x + 0.5).nan_to_num(0).clamp(0, 1).mul(65535).double() + 0.5).int()
        value = torch.div(wide * 2040 + 32767, 65535, rounding_mode="floor")
        bands = fixed_bands(pad_mirror(pad_mirror(value, 8, -1), 8, -2))
        return self.project_bands(bands)

    def project_bands(self, bands):
        """Shape: int32 [b, bands, h, w] -> int16 [b, C, h, w]."""
        index, weight = self.terms
        y = self.bias.int()[:, None, None].expand(len(bands), -1, *bands.shape[2:]).clone()
        for t in range(index.shape[1]):
            saturate(y.add_(mul(bands[:, index[:, t]], weight[:, t, None, None])))
        return y.short()

    def quantize(self, y, quality):
        """The integers of the latent, as floating-point numbers. Shape: y [b, C, ...], quality [b] -> [b, C, ...]."""
        wide = (slice(None), slice(None)) + (None,) * (y.dim() - 2)
        step = step_factor(quality)[:, None] * self.steps
        # Rare values cost more than they repair: `Bundle::rounding` of tamis.
        rounding = (0.5 - 0.07 * step / self.deviation).clamp(0.25, 0.5)
        if self.terms is None:
            y = y / step[wide]
            return torch.copysign(torch.floor(y.abs() + rounding[wide]), y)
        factor, shift = divisors(step)
        part = torch.floor(rounding * (1 << shift)).int()
        back = (1 << shift) - 1 - 2 * part
        y = mul(y.int(), factor[wide])
        below = torch.where(y < 0, back[wide], 0)
        return (saturate(saturate(y.add_(part[wide])).add_(below)) >> shift[wide]).float()

    def head_input(self, y, quality, prefix):
        """What a head is given: rounded, restored, divided by the deviation, zero from channel `prefix` on.

        Shape: y [b, C, ...]; quality and prefix [b] integers -> [b, C, ...].
        """
        wide = (slice(None), slice(None)) + (None,) * (y.dim() - 2)
        step = (step_factor(quality)[:, None] * self.steps)[wide]
        kept = (torch.arange(y.shape[1], device=y.device) < prefix[:, None])[wide]
        return self.quantize(y, quality) * (step / self.deviation[None][wide]) * kept


def read(folder):
    """The two files of a bundle: `codec.toml` as a dict, and the tensors."""
    folder = Path(folder)
    return tomllib.loads((folder / "codec.toml").read_text()), load_file(folder / "weights.safetensors")


def whole_terms(weights):
    """Index and weights in 1/32768 of a projection in fixed point, in their stored order. Shape: int32 [C, terms] twice."""
    weight = weights.get("analysis.weight", weights.get("analysis"))
    index = weights.get("analysis.index", torch.arange(weight.shape[1]).expand(weight.shape))
    return index.int(), torch.round(weight.double() * 32768).int()


def divisors(step):
    """Division by steps as a factor in 1/32768 and a shift. Shape: f32 [...] -> int32 [...] twice."""
    inverse, shift = 1 / step.double(), torch.zeros_like(step, dtype=torch.int32)
    for _ in range(15):
        small = inverse < 0.5
        inverse, shift = torch.where(small, 2 * inverse, inverse), shift + small.int()
    return torch.floor(inverse * 32768 + 0.5).clamp(max=32767).int(), shift


def dense(weights, name, rows, columns):
    """A projection as one matrix, also where the file holds it as indices and weights. Shape: [rows, columns]."""
    if name in weights:
        return weights[name].float()
    return matrix(weights[f"{name}.index"].long(), weights[f"{name}.weight"].float(), rows, columns)


def matrix(index, weight, rows, columns):
    """A few terms a row as one matrix. Shape: index and weight [rows, terms] -> [rows, columns]."""
    # `scatter_add`, since an index may stand twice in a row as filling.
    return weight.new_zeros(rows, columns).scatter_add(1, index, weight)


def step_factor(quality):
    """The factor of quality 1..100 on every step, in whole 1/65536; 75 is 1. Shape: [b] -> [b]."""
    below = (DEFAULT_QUALITY - quality).double()
    factor = torch.exp2(torch.where(below >= 0, below / 16, below / 8))
    return (torch.round(factor * 65536) / 65536).float()


def draw_rate(b, prefixes, channels, qualities, device):
    """Random qualities and prefixes; the default is what most will run, so it is not left to chance. -> [b] twice."""
    quality = torch.randint(qualities[0], qualities[1] + 1, (b,), device=device)
    quality = torch.where(torch.rand(b, device=device) < 0.3, DEFAULT_QUALITY, quality)
    every = torch.tensor([*prefixes, channels], device=device)
    return quality, every[torch.randint(len(every), (b,), device=device)]

"""A fixed-point picture codec that can be trained, together with two neural decoders."""

import math
from typing import NamedTuple

import torch
import torch.nn as nn

from .bundle import matrix
from .rate import Rate
from .residual import Residual

BIAS_UNIT = 1000  # Biases are trained in thousands, so that they move at the pace of weights.
ANALYSIS, SYNTHESIS = 32768, 16384  # parts of one in which weights are whole


class Coded(NamedTuple):
    """What became of a batch. Shape: bits and hard [b, h, w]; linear, default, edge [b, bands, h, w]; largest [].

    `bits` are of the kept channels, by noise where there is any, and teach the encoder; `hard` are of the integers and
    all channels, and teach the stand-in of the coder. `largest` is the largest real.
    """

    bits: torch.Tensor
    hard: torch.Tensor
    linear: torch.Tensor
    default: torch.Tensor
    edge: torch.Tensor
    largest: torch.Tensor


class Matrix(nn.Module):
    """A projection whose terms stay where they are."""

    def __init__(self, weights, name, rows, columns):
        super().__init__()
        self.sparse, self.shape = f"{name}.index" in weights, (rows, columns)
        self.weight = nn.Parameter(weights[f"{name}.weight" if self.sparse else name].clone())
        if self.sparse:
            self.register_buffer("index", weights[f"{name}.index"].long(), persistent=False)
            # A term of weight 0 only fills its row; it may stand at the place of another.
            self.register_buffer("used", (self.weight != 0).float(), persistent=False)

    def dense(self):
        """Shape: [rows, columns]."""
        return matrix(self.index, self.weight * self.used, *self.shape) if self.sparse else self.weight


class Codec(nn.Module):
    """Projection, synthesis, steps, stand-in of the coder, and the decoders `default` and `edge`."""

    def __init__(self, card, weights, default, edge):
        """card and weights as `bundle.read` gives them; default and edge: width and number of blocks."""
        super().__init__()
        channels, bands = card["channels"], len(weights["offset"])
        self.analysis = Matrix(weights, "analysis", channels, bands)
        self.synthesis = Matrix(weights, "synthesis", bands, channels)
        self.bias = nn.Parameter(weights["bias"] / BIAS_UNIT)
        self.offset = nn.Parameter(weights["offset"] / BIAS_UNIT)
        self.log_steps = nn.Parameter(torch.log(weights["steps"]))
        self.register_buffer("deviation", weights["deviation"].clone())
        self.rate = Rate(channels, card["groups"])
        self.default = Residual(channels, bands, *default)
        self.edge = Residual(channels, bands, *edge)

    @property
    def channels(self):
        return len(self.bias)

    def core(self):
        """What makes the latent and the linear decoder, but for the steps."""
        return [self.analysis.weight, self.bias, self.synthesis.weight, self.offset]

    def project(self, bands):
        """Shape: [b, bands, h, w] -> [b, C, h, w]."""
        y = torch.einsum("ck,bkhw->bchw", self.analysis.dense(), bands)
        return y + BIAS_UNIT * self.bias[:, None, None]

    def forward(self, bands, factor, prefix, noise=None, nets=None):
        """Shape: bands [b, bands, h, w]; step factor and prefix [b]; noise, -0.5 to 0.5, [b, C, h, w] -> Coded.

        `nets(which, latent, condition)` may run the decoders in another way than calling them.
        """
        y = self.project(bands)
        step = (torch.exp(self.log_steps) * factor[:, None])[..., None, None]
        u = y / step
        # `Bundle::rounding` of tamis. The dead zone is a shrinking before rounding to the nearest, which tells how
        # small values cost nothing, and so the noise acts behind it.
        rounding = (0.5 - 0.07 * step / self.deviation[:, None, None]).clamp(0.25, 0.5).detach()
        hard = torch.copysign(torch.floor(u.abs() + rounding), u).detach()
        shrunk = u - torch.maximum(torch.minimum(u, 0.5 - rounding), rounding - 0.5)
        kept = (torch.arange(self.channels, device=u.device) < prefix[:, None])[..., None, None].float()
        octave = torch.log2(factor)
        exact = self.rate(hard, hard, octave)
        bits = exact.detach()
        if noise is not None:
            # The encoder is taught by a coder that it cannot change.
            fixed = {name: p.detach() for name, p in self.rate.named_parameters()}
            seen = shrunk + (hard - shrunk).detach()
            bits = torch.func.functional_call(self.rate, fixed, (shrunk + noise, seen, octave))
        real = (u + (hard - u).detach()) * step * kept
        linear = torch.einsum("kc,bchw->bkhw", self.synthesis.dense(), real)
        linear = linear + BIAS_UNIT * self.offset[:, None, None]
        latent = real / self.deviation[:, None, None]
        condition = torch.stack([octave / 4, prefix / self.channels], 1)
        run = nets or (lambda which, *inputs: getattr(self, which)(*inputs))
        default = run("default", latent, condition).float()
        # The small decoder learns from the latent as it is, and does not change it.
        edge = run("edge", latent.detach(), condition).float()
        return Coded((bits * kept).sum(1), exact.sum(1), linear, default, edge, y.detach().abs().amax())

    @torch.no_grad()
    def limit(self):
        """Keeps every number within what fixed point can hold, `check_fixed` in `src/codec/bundle.rs`."""
        self.analysis.weight.clamp_(1 / ANALYSIS - 1, 1 - 1 / ANALYSIS)
        self.synthesis.weight.clamp_(1 / SYNTHESIS - 2, 2 - 1 / SYNTHESIS)
        self.log_steps.clamp_(math.log(16.1), math.log(16384))

    @torch.no_grad()
    def round(self):
        """Rounds the core to fixed point."""
        self.limit()
        for matrix_, unit in ((self.analysis, ANALYSIS), (self.synthesis, SYNTHESIS)):
            used = matrix_.used if matrix_.sparse else 1
            matrix_.weight.copy_(torch.round(matrix_.weight * unit) / unit * used)
        self.bias.copy_(torch.round(self.bias.double() * BIAS_UNIT) / BIAS_UNIT)
        self.offset.copy_(torch.round(self.offset.double() * BIAS_UNIT / 2) * 2 / BIAS_UNIT)

    @torch.no_grad()
    def tensors(self):
        """The tensors of a bundle that training changes, of a rounded codec."""
        name = lambda part, m: f"{part}.weight" if m.sparse else part
        return {
            name("analysis", self.analysis): self.analysis.weight.cpu().clone(),
            name("synthesis", self.synthesis): self.synthesis.weight.cpu().clone(),
            "bias": torch.round(self.bias.cpu() * BIAS_UNIT), "offset": torch.round(self.offset.cpu() * BIAS_UNIT),
            "steps": torch.exp(self.log_steps.cpu()),
        }  # fmt: skip

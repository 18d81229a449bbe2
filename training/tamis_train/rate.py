"""Stand-in of the dense entropy coder: bits of the integers, as a smooth function of them."""

import torch
import torch.nn as nn
import torch.nn.functional as F

# Neighbours that the coder knows, as (up, left): left, above, above left, above right, two left, two above.
TAPS = [(0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0)]
BLOCK = 4  # channels coded side by side


class Rate(nn.Module):
    """A mixture of two logistics around a prediction from the neighbours, as wide as the neighbours are large.

    Like `bitstream/context.rs`: a channel sees its own causal neighbours and, at its own cell, the channels of earlier
    blocks of its group; widths change with the quality.
    """

    def __init__(self, channels, groups):
        super().__init__()
        basis = torch.zeros(len(TAPS), 3, 4)
        for k, (up, left) in enumerate(TAPS):
            basis[k, 2 - up, 2 - left] = 1
        self.register_buffer("basis", basis, persistent=False)
        known, first = torch.zeros(channels, channels), 0
        for end in groups:
            for c in range(first, end):
                known[c, first : first + (c - first) // BLOCK * BLOCK] = 1
            first = end
        self.register_buffer("known", known, persistent=False)
        self.register_buffer("ends", torch.tensor(groups), persistent=False)
        self.taps = nn.Parameter(torch.zeros(channels, len(TAPS)))
        self.bend = nn.Parameter(torch.zeros(channels, len(TAPS)))
        self.sizes = nn.Parameter(torch.full((channels, len(TAPS)), -2.0))
        self.others = nn.Parameter(torch.full((channels, channels), -6.0))
        self.floor = nn.Parameter(torch.full((channels,), -3.0))
        self.power = nn.Parameter(torch.full((channels,), 0.8))
        self.base = nn.Parameter(torch.zeros(channels, 3))
        self.ratio = nn.Parameter(torch.full((channels,), 0.5))
        self.share = nn.Parameter(torch.tensor([-1.0, 0.0]).repeat(channels, 1))

    def around(self, x, weight):
        """Weighted sum of the causal neighbours. Shape: [b, C, h, w], weight [C, taps] -> [b, C, h, w]."""
        kernel = torch.einsum("ct,tij->cij", weight, self.basis)[:, None]
        return F.conv2d(F.pad(x, (2, 1, 2, 0)), kernel, groups=x.shape[1])

    def forward(self, value, seen, octave):
        """Bits of `value`. Shape: value and seen, what neighbours are read from, [b, C, h, w]; octave, the logarithm
        of the step factor to base 2, [b] -> [b, C, h, w]."""
        wide = lambda p: p[:, None, None]
        octave = octave[:, None, None, None]
        middle = self.around(seen, self.taps) + octave * self.around(seen, self.bend)
        size = seen.abs()
        near = self.around(size, F.softplus(self.sizes))
        near = near + F.conv2d(size, (torch.exp(self.others) * self.known)[..., None, None])
        near = torch.log(wide(torch.exp(self.floor)) + near)
        base = wide(self.base[:, 0]) + octave * (wide(self.base[:, 1]) + octave * wide(self.base[:, 2]))
        narrow = torch.exp(-(base + wide(self.power) * near).clamp(-4, 8))
        broad = narrow * torch.exp(-F.softplus(wide(self.ratio)))
        share = torch.sigmoid(wide(self.share[:, 0]) + wide(self.share[:, 1]) * near)
        # Below zero both sigmoids keep their relative precision.
        distance = -(value - middle).abs()
        cell = lambda inverse: torch.sigmoid((distance + 0.5) * inverse) - torch.sigmoid((distance - 0.5) * inverse)
        chance = (1 - share) * cell(narrow) + share * cell(broad)
        return -torch.log2(chance.clamp_min(1e-9))

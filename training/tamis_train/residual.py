"""The neural decoder: what the linear synthesis misses, from the latent alone and at the latent's resolution."""

import torch
import torch.nn as nn
import torch.nn.functional as F

HIDDEN = 32  # of the condition


class Block(nn.Module):
    """3x3 each channel for itself, then two 1x1 over all, scaled by the condition. Shape: [b, width, h, w] -> the same."""

    def __init__(self, width):
        super().__init__()
        self.depth = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.wide = nn.Conv2d(width, 2 * width, 1)
        self.back = nn.Conv2d(2 * width, width, 1)
        self.gamma = nn.Linear(HIDDEN, width)
        nn.init.zeros_(self.gamma.weight)
        nn.init.zeros_(self.gamma.bias)

    def forward(self, x, condition):
        y = self.back(F.relu(self.wide(self.depth(x))))
        return x + (1 + self.gamma(condition))[..., None, None] * y


class Residual(nn.Module):
    """Shape: latent [b, channels, h, w], condition [b, 2] -> [b, bands, h, w], in units of the bands.

    `latent` is what heads read: restored reals over the deviation, zero beyond the prefix. `condition` is the logarithm
    of the step factor to base 2, over 4, and the share of the channels that is there. Nothing looks farther than `reach`
    cells, so that tiles with so much context give what the whole gives.
    """

    def __init__(self, channels, bands, width, blocks):
        super().__init__()
        self.first = nn.Conv2d(channels, width, 1)
        self.condition = nn.Linear(2, HIDDEN)
        self.shift = nn.Linear(HIDDEN, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))
        self.last = nn.Conv2d(width, bands, 1)
        # Zero at first: training begins at the linear decoder.
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.register_buffer("gain", torch.full((channels,), 2.0))
        self.register_buffer("scale", torch.ones(bands))

    @property
    def reach(self):
        """Cells to each side that a value depends on."""
        return len(self.blocks)

    def forward(self, latent, condition):
        condition = F.relu(self.condition(condition))
        # Brightness has ten times the range of the rest; asinh brings them together without a limit.
        x = torch.asinh(latent * self.gain[:, None, None]).contiguous(memory_format=torch.channels_last)
        x = self.first(x) + self.shift(condition)[..., None, None]
        for block in self.blocks:
            x = block(x, condition)
        return self.last(F.relu(x)) * self.scale[:, None, None]

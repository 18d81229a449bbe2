"""From an error in the bands of a fixed-point codec to the error in pixels, by matrices.

The true inverse is integer lifting (`src/codec/fixed.rs`); its exact inverse in floating point is one matrix an axis.
"""

import functools

import torch

from .transform import FIXED_ALPHA, FIXED_BETA, FIXED_DELTA, FIXED_GAMMA

LEVELS, SUM_BANDS, HALF_BANDS = 3, 64, 16


def lift(x):
    """One level of the fixed-point transform without its rounding. Shape: f64 [..., n] -> two of [..., n / 2]."""
    s, d = x[..., 0::2], x[..., 1::2]
    after = lambda s: s + torch.cat([s[..., 1:], s[..., -1:]], -1)
    before = lambda d: d + torch.cat([d[..., :1], d[..., :-1]], -1)
    d = d - (1 + FIXED_ALPHA / 32768) * after(s)
    s = s + FIXED_BETA / 32768 * before(d)
    d = d + FIXED_GAMMA / 32768 * after(s)
    return s + FIXED_DELTA / 32768 * before(d), d


def doubled(n):
    """A plane of half size to the whole: three quarters of the nearest, a quarter of the next. Shape: f64 [2 n, n]."""
    m, k = torch.zeros(2 * n, n, dtype=torch.float64), torch.arange(n)
    for row, other in ((2 * k, (k - 1).clamp(min=0)), (2 * k + 1, (k + 1).clamp(max=n - 1))):
        m[row, k] += 0.75
        m[row, other] += 0.25
    return m


@functools.lru_cache(maxsize=32)
def axis(cells, levels, device):
    """Samples of one axis from its bands. Shape: f32 [8 * cells, 2^levels * cells], columns are (band, place)."""
    n = cells << levels
    x = torch.eye(n, dtype=torch.float64)[:, None]
    for _ in range(levels):
        x = torch.stack(lift(x), -2).flatten(-3, -2)
    m = torch.linalg.inv(x.reshape(n, n).T)
    if levels < LEVELS:
        m = doubled(n) @ m
    return m.float().to(device)


def plane(bands, levels):
    """Shape: [b, 4^levels, h, w] -> [b, 8 h, 8 w]."""
    b, _, h, w = bands.shape
    x = bands.reshape(b, *[2] * (2 * levels), h, w)
    # Of each level first the bit across, then the bit down; the first level is the highest.
    down, across = [2 + 2 * j for j in range(levels)], [1 + 2 * j for j in range(levels)]
    x = x.permute(0, *down, 2 * levels + 1, *across, 2 * levels + 2).reshape(b, h << levels, w << levels)
    return axis(h, levels, bands.device) @ x @ axis(w, levels, bands.device).T


def planes(bands):
    """The sum of the colours and both opponents, 8 to a level of grey. Shape: [b, 96, h, w] -> three of [b, 8 h, 8 w]."""
    parts = bands.split([SUM_BANDS, HALF_BANDS, HALF_BANDS], 1)
    return [plane(part, LEVELS - (i > 0)) for i, part in enumerate(parts)]


def mean_square(error, inside):
    """Mean squared error over red, green, blue in levels of grey, of the cells that count.

    Shape: error in the bands [b, 96, h, w]; inside, 0 or 1, [b, h, w] -> [b].
    """
    # r^2 + g^2 + b^2 in terms of the sum, r - b and 2 g - r - b.
    total, first, second = (p.square() for p in planes(error))
    square = (total / 3 + first / 2 + second / 6) / (3 * 64)
    square = square.unflatten(2, (-1, 8)).sum(3).unflatten(1, (-1, 8)).sum(2)
    return (square * inside).sum((1, 2)) / (64 * inside.sum((1, 2)))

"""The packet transform of native bundles: CDF 9/7 lifting, mirrored ends, every band split at every level.

Signs and band order are those of WaLLoC: the high band is the negated detail, bands stand in natural (Paley) order.
"""

import functools

import torch

ALPHA, BETA, GAMMA, DELTA = -1.586134342059924, -0.052980118572961, 0.882911075530934, 0.443506852043971
LOW_GAIN, HIGH_GAIN = 1.149604398860241, -0.869864451624781


def level(x):
    """One level along the last axis. Shape: [..., n], n even -> two of [..., n / 2], low and high."""
    s, d = x[..., 0::2], x[..., 1::2]
    # Whole-sample symmetry: beyond the end stands the last even sample again, before the start the first odd one.
    after = lambda s: s + torch.cat([s[..., 1:], s[..., -1:]], -1)
    before = lambda d: d + torch.cat([d[..., :1], d[..., :-1]], -1)
    d = d + ALPHA * after(s)
    s = s + BETA * before(d)
    d = d + GAMMA * after(s)
    s = s + DELTA * before(d)
    return LOW_GAIN * s, HIGH_GAIN * d


def packets_1d(x, levels):
    """Shape: [..., c, n] -> [..., c * 2^levels, n / 2^levels]."""
    for _ in range(levels):
        x = torch.stack(level(x), -2).flatten(-3, -2)
    return x


@functools.lru_cache(maxsize=8)
def axis_matrix(n, levels):
    """The whole transform of one axis as a matrix. Shape: [2^levels * n / 2^levels, n]; rows are (band, place)."""
    eye = torch.eye(n, dtype=torch.float64)
    return packets_1d(eye[:, None], levels).reshape(n, n).T.float().contiguous()


def packets_2d(x, levels):
    """Shape: [..., c, h, w] -> [..., c * 4^levels, h / 2^levels, w / 2^levels].

    The two axes are independent, so each is one matrix product; then the bits of the two band numbers are
    interleaved, the width's bit first.
    """
    *lead, h, w = x.shape
    y = axis_matrix(h, levels).to(x) @ x @ axis_matrix(w, levels).to(x).T
    y = y.reshape(-1, *[2] * levels, h >> levels, *[2] * levels, w >> levels)
    bits = [axis for j in range(levels) for axis in (levels + 2 + j, 1 + j)]
    y = y.permute(0, *bits, levels + 1, 2 * levels + 2)
    return y.reshape(*lead[:-1], lead[-1] * 4**levels, h >> levels, w >> levels)


def pad_mirror(x, cell, axis=-1):
    """Pads the end of `axis` to a multiple of `cell`: x[n - 1 + i] = x[n - 1 - i], again and again if x is short."""
    n = x.shape[axis]
    whole = max(cell, -(-n // cell) * cell)
    if whole == n:
        return x
    period = max(1, 2 * (n - 1))
    index = torch.arange(whole) % period
    return x.index_select(axis, torch.minimum(index, period - index) if n > 1 else index * 0)

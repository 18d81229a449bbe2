"""The packet transform of native bundles: CDF 9/7 lifting, mirrored ends, every band split at every level.

Signs and band order are those of WaLLoC: the high band is the negated detail, bands stand in natural (Paley) order.
At the end the same in 16-bit fixed point, integer for integer as `src/codec/fixed.rs` has it.
"""

import functools

import torch

ALPHA, BETA, GAMMA, DELTA = -1.586134342059924, -0.052980118572961, 0.882911075530934, 0.443506852043971
LOW_GAIN, HIGH_GAIN = 1.149604398860241, -0.869864451624781


def level(x, gains=(LOW_GAIN, HIGH_GAIN)):
    """One level along the last axis. Shape: [..., n], n even -> two of [..., n / 2], low and high."""
    s, d = x[..., 0::2], x[..., 1::2]
    # Whole-sample symmetry: beyond the end stands the last even sample again, before the start the first odd one.
    after = lambda s: s + torch.cat([s[..., 1:], s[..., -1:]], -1)
    before = lambda d: d + torch.cat([d[..., :1], d[..., :-1]], -1)
    d = d + ALPHA * after(s)
    s = s + BETA * before(d)
    d = d + GAMMA * after(s)
    s = s + DELTA * before(d)
    return gains[0] * s, gains[1] * d


def packets_1d(x, levels, gains=(LOW_GAIN, HIGH_GAIN)):
    """Shape: [..., c, n] -> [..., c * 2^levels, n / 2^levels]."""
    for _ in range(levels):
        x = torch.stack(level(x, gains), -2).flatten(-3, -2)
    return x


@functools.lru_cache(maxsize=16)
def axis_matrix(n, levels, gains, device):
    """The whole transform of one axis as a matrix. Shape: [2^levels * n / 2^levels, n]; rows are (band, place)."""
    eye = torch.eye(n, dtype=torch.float64)
    return packets_1d(eye[:, None], levels, gains).reshape(n, n).T.float().contiguous().to(device)


def packets_2d(x, levels, gains=(LOW_GAIN, HIGH_GAIN)):
    """Shape: [..., c, h, w] -> [..., c * 4^levels, h / 2^levels, w / 2^levels].

    The two axes are independent, so each is one matrix product; then the bits of the two band numbers are
    interleaved, the width's bit first.
    """
    *lead, h, w = x.shape
    matrix = lambda n: axis_matrix(n, levels, gains, str(x.device)).to(x.dtype)
    y = matrix(h) @ x @ matrix(w).T
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
    index = torch.arange(whole, device=x.device) % period
    return x.index_select(axis, torch.minimum(index, period - index) if n > 1 else index * 0)


# The lifting steps in 1/32768; the first is -1 - FIXED_ALPHA / 32768.
FIXED_ALPHA, FIXED_BETA, FIXED_GAMMA, FIXED_DELTA = 19206, -1736, 28931, 14533
CENTRE = 3060  # half the range of the sum of the colours


def saturate(x):
    """Sums of 16-bit numbers stop at the ends of 16 bits. In place."""
    return x.clamp_(-32768, 32767)


def mul(a, c):
    """a * c / 32768, rounded half up. Shape: int32 of 16-bit numbers -> the same."""
    return (a * c).add_(0x4000).bitwise_right_shift_(15)


def fixed_level(x):
    """One level along the last axis but one, without gains. Shape: int32 [..., n, m], n even -> two of [..., n / 2, m]."""
    s, d = x[..., 0::2, :], x[..., 1::2, :]
    after = lambda s: saturate(s + torch.cat([s[..., 1:, :], s[..., -1:, :]], -2))
    before = lambda d: saturate(d + torch.cat([d[..., :1, :], d[..., :-1, :]], -2))
    t = after(s)
    d = saturate(saturate(d - t).sub_(mul(t, FIXED_ALPHA)))
    s = saturate(s + mul(before(d), FIXED_BETA))
    d = saturate(d + mul(after(s), FIXED_GAMMA))
    s = saturate(s + mul(before(d), FIXED_DELTA))
    return s, d


def fixed_packets(x, levels):
    """Shape: int32 [..., n, m] -> [..., 2^levels, n / 2^levels, m]."""
    x = x.unsqueeze(-3)
    for _ in range(levels):
        x = torch.stack(fixed_level(x), -3).flatten(-4, -3)
    return x


def fixed_packets_2d(x, levels):
    """First the packets of every row, then those of every column. Shape: int32 [b, h, w] -> [b, 4^levels, h', w']."""
    rows = fixed_packets(x.transpose(-1, -2).contiguous(), levels)
    both = fixed_packets(rows.transpose(-1, -2).contiguous(), levels)
    b, _, _, h, w = both.shape
    bits = [axis for j in range(levels) for axis in (1 + j, 1 + levels + j)]
    both = both.reshape(b, *[2] * (2 * levels), h, w).permute(0, *bits, 2 * levels + 1, 2 * levels + 2)
    return both.reshape(b, 4**levels, h, w)


def fixed_bands(x):
    """Bands of the sum and, of colours, of two opponents of half size. Shape: int32 [b, 1 or 3, h, w], 8 to an 8-bit
    level, h and w multiples of 8 -> [b, 64 or 96, h / 8, w / 8]."""
    if x.shape[1] == 1:
        return fixed_packets_2d(3 * x[:, 0] - CENTRE, 3)
    r, g, b = x.unbind(1)
    opponents = [fixed_packets_2d((sum_of_four(p) + 2) >> 2, 2) for p in (r - b, 2 * g - r - b)]
    return torch.cat([fixed_packets_2d(r + g + b - CENTRE, 3), *opponents], 1)


def sum_of_four(p):
    """Shape: [b, h, w] -> [b, h / 2, w / 2]."""
    return p[:, 0::2, 0::2] + p[:, 0::2, 1::2] + p[:, 1::2, 0::2] + p[:, 1::2, 1::2]


def smooth_bands(x):
    """`fixed_bands` without its rounding, as matrix products: many times faster on a GPU. Shape: f32 [b, 1 or 3, h, w]."""
    packets = lambda p, levels: packets_2d(p[:, None], levels, (1.0, 1.0))
    if x.shape[1] == 1:
        return packets(3 * x[:, 0] - CENTRE, 3)
    r, g, b = x.unbind(1)
    opponents = [packets(sum_of_four(p) / 4, 2) for p in (r - b, 2 * g - r - b)]
    return torch.cat([packets(r + g + b - CENTRE, 3), *opponents], 1)

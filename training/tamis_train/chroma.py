"""What a decoder should make of the opponents, which it has at half size only.

The encoder halves them by the mean of four; the decoder doubles them by a filter that blurs. The planes of half size
whose doubled versions come closest to the picture are sharper than the means, by a third of the error that halving
leaves. The rest of that error no decoder repairs, so training aims at these planes and forgets the rest.
"""

import functools

import torch

from .inverse import doubled
from .transform import fixed_packets_2d

REACH = 6  # places of half size; beyond, the filter is below a thousandth


def opponents(x):
    """Red less blue, and twice green less both. Shape: int32 [b, 3, h, w] -> int32 [2, b, h, w]."""
    r, g, b = x.unbind(1)
    return torch.stack([r - b, 2 * g - r - b])


@functools.lru_cache(maxsize=4)
def kernel(device):
    """Doubling is (1, 3, 3, 1) / 4; with its transpose it makes (3, 10, 3) / 8, of which the inverse is (-1/3)^|k|."""
    k = torch.zeros(4 * REACH + 4)
    for at in range(2 * REACH + 1):
        k[2 * at :][:4] += torch.tensor([0.25, 0.75, 0.75, 0.25]) * (-1 / 3) ** abs(at - REACH)
    return k.to(device)


def halved(x):
    """The best plane of half the size along the last axis. Shape: f32 [..., n] -> [..., n / 2]."""
    n, more, taps = x.shape[-1], 2 * REACH + 1, kernel(x.device)
    place = torch.arange(-more, n + more, device=x.device) % (2 * n)
    return x[..., torch.minimum(place, 2 * n - 1 - place)].unfold(-1, len(taps), 2) @ taps


def best(planes):
    """Shape: int32 [..., h, w] -> f32 [..., h / 2, w / 2]."""
    return halved(halved(planes.float()).transpose(-1, -2).contiguous()).transpose(-1, -2)


def target_bands(x):
    """Bands of the best opponents. Shape: int32 [b, 3, h, w], 8 to an 8-bit level -> int32 [b, 32, h / 8, w / 8]."""
    return torch.cat([fixed_packets_2d(plane.round().int(), 2) for plane in best(opponents(x))], 1)


def lost(x):
    """The squared error in levels of grey, over the colours, that even the best opponents leave at each pixel.

    Shape: int32 [1, 3, h, w] -> f32 [h, w].
    """
    planes = opponents(x)[:, 0]
    up, across = (doubled(n // 2).float() for n in planes.shape[1:])
    first, second = (up @ best(planes) @ across.T - planes).square()
    return (first / 2 + second / 6) / (3 * 64)

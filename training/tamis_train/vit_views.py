"""What a transformer and its twins see of the same pictures.

Every view gives as many tokens, one for 32x32 pixels. `latent` and `small` (pixels, down-scaled to half) have as many
numbers in a token, `full` (all pixels) has four times as many. `energy` is the latent and how strong it is.

Pixels come as the cosines of 8x8 blocks, brought to unit spread: in training only. It is a change of basis, which
the export folds into the patch embedding; without it the twins learn nothing in the time that latents need.
"""

import functools
import math

import torch
import torch.nn.functional as F

from .vit import energy

CHANNELS = 48
VIEWS = ("latent", "energy", "small", "full")
SCALES = {"small": 2, "full": 1}
CELL, PATCH = 8, 4  # pixels of a cell of the latent, cells of a patch, along a side


def shape(view):
    """Channels and side of a patch, in cells or pixels."""
    return {"latent": (CHANNELS, PATCH), "energy": (2 * CHANNELS, PATCH), "small": (192, 2), "full": (192, 4)}[view]


@functools.lru_cache(maxsize=2)
def cosines(device):
    """The basis of 8x8 blocks of three colours, as a convolution. Shape: [192, 1, 8, 8], groups of 64."""
    k = torch.arange(8, dtype=torch.float64)
    one = torch.cos(math.pi / 8 * (k + 0.5) * k[:, None]) / 2
    one[0] /= math.sqrt(2)
    return torch.einsum("ij,kl->ikjl", one, one).reshape(64, 1, 8, 8).float().repeat(3, 1, 1, 1).to(device)


def spread_of_cosines(pictures, scale):
    """Shape: pictures [b, 3, h, w] u8 -> [192], of pictures made smaller by `scale`."""
    x = F.conv2d(shrink(pictures.float() / 255 - 0.5, scale), cosines(str(pictures.device)), stride=8, groups=3)
    return x.transpose(0, 1).flatten(1).std(1) + 1e-3


def shrink(x, scale):
    """Shape: [b, 3, h, w] -> [b, 3, h / scale, w / scale]."""
    return x if scale == 1 else F.interpolate(x, scale_factor=1 / scale, mode="bicubic", antialias=True)


def see(bundle, pictures, quality, prefix, views, spreads, exact=True):
    """Shape: pictures [b, 3, h, w] u8; quality and prefix [b] -> {view: [b, channels, ...]}.

    `spreads`: of the cosines, {view: [192]}. `exact`: the latents that tamis gives, to the last integer.
    """
    x, seen = pictures.float() / 255 - 0.5, {}
    if {"latent", "energy"} & set(views):
        latent = bundle.head_input((bundle.project if exact else bundle.project_smooth)(x), quality, prefix)
        seen["latent"] = latent
        seen["energy"] = energy(latent)
    for view, scale in SCALES.items():
        if view in views:
            y = F.conv2d(shrink(x, scale), cosines(str(x.device)), stride=8, groups=3)
            seen[view] = y / spreads[view][:, None, None]
    return {view: seen[view] for view in views}


def alter(x, size, zoom=(0.75, 1.4)):
    """One random version of every picture, `size` (h, w) large. Shape: [b, 3, H, W] u8 -> [b, 3, h, w] u8.

    Half of them are only mirrored and moved by whole pixels: resampling blurs, and a head must not learn that pictures
    are blurred.
    """
    b, _, high, wide = x.shape
    spread = lambda low, top: low + (top - low) * torch.rand(b, device=x.device)
    coin = lambda: torch.rand(b, device=x.device) < 0.5
    sign = lambda: torch.where(coin(), 1.0, -1.0)
    plain = coin()
    turn = torch.where(plain, 0.0, spread(-1, 1) * math.radians(30))
    scale = torch.where(plain, 1.0, torch.exp(-spread(math.log(zoom[0]), math.log(zoom[1]))))
    ratio = torch.where(plain, 1.0, torch.exp(spread(-0.12, 0.12)))
    shift = []
    for source, target in ((wide, size[1]), (high, size[0])):
        room = max(64, source - target)
        offset = (spread(-0.5, 0.5) * room).round() + 0.5 * ((source - target) % 2)
        shift.append(2 * offset / source)
    cos, sin, across, down = torch.cos(turn) * scale, torch.sin(turn) * scale, sign(), sign()
    # In units of half a picture.
    theta = torch.stack([
        across * cos * ratio * size[1] / wide, -down * sin * size[0] / wide, shift[0],
        across * sin * size[1] / high, down * cos / ratio * size[0] / high, shift[1],
    ], 1)  # fmt: skip
    grid = F.affine_grid(theta.view(b, 2, 3), [b, 3, *size], align_corners=False)
    x = F.grid_sample(x.float() / 255, grid, mode="bicubic", padding_mode="reflection", align_corners=False)
    column = lambda v: v.view(b, 1, 1, 1)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * column(spread(0.7, 1.3))
    x = x * (1 + 0.06 * (2 * torch.rand(b, 3, 1, 1, device=x.device) - 1))
    mean = x.mean((1, 2, 3), keepdim=True)
    x = mean + (x - mean) * column(spread(0.75, 1.25)) + column(spread(-0.12, 0.12))
    return (x.clamp(0, 1) * 255).round().to(torch.uint8)

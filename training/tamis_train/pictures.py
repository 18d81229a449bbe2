"""Pictures for training: reading, and altered versions of a whole set as latents."""

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image


def read_split(data, split):
    """The paths of `splits/<split>.txt`, each relative to `data`."""
    return (Path(data) / "splits" / f"{split}.txt").read_text().split()


def read_pictures(data, paths):
    """Shape: [n, 3, h, w] u8; all of one size."""
    read = lambda path: torch.from_numpy(np.array(Image.open(Path(data) / path).convert("RGB")))
    return torch.stack([read(path).permute(2, 0, 1) for path in paths])


def alter(x, generator):
    """One random version of every picture. Shape: [b, 3, h, w] in [0, 1] -> the same.

    Half of them are moved by whole pixels only: resampling blurs, and a head must not learn that pictures are blurred.
    """
    b, _, h, w = x.shape
    rand = lambda *shape: torch.rand(shape, generator=generator)
    spread = lambda low, high: low + (high - low) * rand(b)
    x = torch.where(rand(b, 1, 1, 1) < 0.5, x.flip(-1), x)
    x = torch.where(rand(b, 1, 1, 1) < 0.5, x.flip(-2), x)

    moved = torch.empty_like(x)
    for i in range(b):
        dy, dx = (int(v) for v in (rand(2) * 64 - 32).round())
        padded = F.pad(x[i : i + 1], (32, 32, 32, 32), mode="reflect")[0]
        moved[i] = padded[:, 32 + dy : 32 + dy + h, 32 + dx : 32 + dx + w]
    turn = spread(-1, 1) * math.radians(30)
    zoom = torch.exp(spread(math.log(0.75), math.log(1.3)))
    ratio = torch.exp(spread(-0.12, 0.12))
    # In units of half a picture, so the aspect enters the turn.
    cos, sin, aspect = torch.cos(turn) / zoom, torch.sin(turn) / zoom, w / h
    theta = torch.stack([cos * ratio, -sin / aspect, spread(-0.2, 0.2), sin * aspect, cos / ratio, spread(-0.2, 0.2)], 1)
    grid = F.affine_grid(theta.view(b, 2, 3), list(x.shape), align_corners=False)
    turned = F.grid_sample(x, grid, mode="bicubic", padding_mode="reflection", align_corners=False)
    x = torch.where(rand(b, 1, 1, 1) < 0.5, moved, turned)

    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * spread(0.7, 1.3).view(b, 1, 1, 1)
    x = x * (1 + 0.06 * (2 * rand(b, 3, 1, 1) - 1))
    mean = x.mean((1, 2, 3), keepdim=True)
    x = mean + (x - mean) * spread(0.75, 1.25).view(b, 1, 1, 1) + spread(-0.12, 0.12).view(b, 1, 1, 1)
    return (x.clamp(0, 1) * 255).round() / 255


def latents(bundle, pictures, generator=None, chunk=32):
    """Latents before rounding, of altered pictures if there is a generator.

    Shape: [n, 3, h, w] u8 -> [n, C, h', w'], f16, or the int16 of a bundle in fixed point.
    """
    parts = []
    for x in pictures.split(chunk):
        x = x.float() / 255
        if generator is not None:
            x = alter(x, generator)
        y = bundle.project(x - 0.5)
        parts.append(y.half() if y.is_floating_point() else y)
    return torch.cat(parts)

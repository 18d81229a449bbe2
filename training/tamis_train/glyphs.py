"""`glyphs`: an inspection task without limit. A small mark on a large textured surface, or none.

All marks are round, of any contrast; the hatching tells which it is: none, or lines in one of four directions, 3.2 or
2.4 pixels apart. That is what down-scaling destroys: at half size both are beyond what the pixels can hold. Everything
is drawn from a generator of torch, on any device; a seed and a device give the same pictures again.
"""

import json
import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F

PITCHES, DIRECTIONS = {"lines": 3.2, "fine": 2.4}, (0, 45, 90, 135)  # pixels between lines; degrees of their normal
LABELS = ["none", "plain", *(f"{name}-{angle}" for name in PITCHES for angle in DIRECTIONS)]
SIDE = 448
SIZES = (8.0, 12.0)  # of a mark, in pixels
WINDOW = 20  # pixels that a mark is drawn in
MARGIN = 16  # of its middle to the edge


def noise(b, c, high, wide, generator, device, side=SIDE):
    """Smooth noise of unit spread: a grid of random numbers, blown up. -> [b, c, side, side]."""
    grid = torch.randn(b, c, high, wide, generator=generator, device=device)
    if (high, wide) == (side, side):
        return grid
    x = F.interpolate(grid, size=(side, side), mode="bicubic" if max(high, wide) > 2 else "bilinear", align_corners=False)
    return x / x.std((2, 3), keepdim=True).clamp_min(1e-3)


def surfaces(b, generator, device, side=SIDE):
    """Textured surfaces: stone, brushed metal, cloth, grain, and mixtures of them. -> [b, 3, side, side] in [0, 1]."""
    rand = lambda *shape: torch.rand(*shape, generator=generator, device=device)
    stone = sum(noise(b, 1, n, n, generator, device, side) / k for k, n in enumerate((7, 14, 28, 56, 112, 224), 1))
    brushed = noise(b, 1, side // 2, 6, generator, device, side) + 0.5 * noise(b, 1, side, 24, generator, device, side)
    turned = (rand(b) < 0.5)[:, None, None, None]
    brushed = torch.where(turned, brushed, brushed.transpose(2, 3))
    at = torch.arange(side, device=device, dtype=torch.float32)
    pitch, phase = 3.5 + 8 * rand(b, 2, 1), 2 * math.pi * rand(b, 2, 1)
    waves = torch.sin(2 * math.pi * at / pitch + phase)
    cloth = waves[:, 0, :, None] * waves[:, 1, None, :]
    cloth = cloth[:, None] * (1 + 0.3 * noise(b, 1, 28, 28, generator, device, side))
    grain = noise(b, 1, side, side, generator, device, side)
    shares = rand(b, 4, 1, 1).pow(3)
    shares = shares / shares.sum(1, keepdim=True)
    parts = torch.cat([stone / stone.std((2, 3), keepdim=True), brushed, 1.5 * cloth, grain], 1)
    texture = (parts * shares).sum(1, keepdim=True)
    texture = texture / texture.std((2, 3), keepdim=True) * (0.02 + 0.07 * rand(b, 1, 1, 1))
    colour = 0.25 + 0.5 * rand(b, 1, 1, 1) + 0.12 * (rand(b, 3, 1, 1) - 0.5)
    light = 0.08 * noise(b, 1, 2, 2, generator, device, side) * rand(b, 1, 1, 1)
    tint = 0.015 * noise(b, 3, 14, 14, generator, device, side)
    return colour + texture + light + tint


def marks(kind, size, turn, shift, phase, stretch):
    """How much of each pixel of a window a mark covers. Shape: [b] each, shift [b, 2] -> [b, WINDOW, WINDOW] in [0, 1].

    `turn` in radians and `stretch`, a factor of the pitch, are what differs between marks of a kind.
    """
    at = torch.arange(WINDOW, device=kind.device, dtype=torch.float32) - (WINDOW - 1) / 2
    y, x = (at[:, None] - shift[:, 0, None, None]), (at[None, :] - shift[:, 1, None, None])
    column = lambda v: v[:, None, None]
    disc = (column(size / 2) + 0.5 - torch.sqrt(x * x + y * y)).clamp(0, 1)
    line = (kind - 2).clamp(min=0)
    angle = column((line % 4) * (math.pi / 4) + turn)
    pitch = torch.tensor(list(PITCHES.values()), device=kind.device)[line // 4] * stretch
    wave = torch.cos(2 * math.pi * ((torch.cos(angle) * x + torch.sin(angle) * y) / column(pitch) + column(phase)))
    return disc * torch.where(column(kind > 1), 0.5 + 0.5 * wave, 0.5) * column(kind > 0)


def draw(b, generator, device="cpu", side=SIDE):
    """Pictures, their labels, and the middle of the mark (row, column; in pixels).

    -> [b, 3, side, side] u8, [b] int64, [b, 2] f32.
    """
    rand = lambda *shape: torch.rand(*shape, generator=generator, device=device)
    x = surfaces(b, generator, device, side)
    kind = torch.randint(len(LABELS), (b,), generator=generator, device=device)
    size = SIZES[0] + (SIZES[1] - SIZES[0]) * rand(b)
    turn = math.radians(10) * (2 * rand(b) - 1)
    middle = MARGIN + (side - 2 * MARGIN) * rand(b, 2)
    corner = (middle - WINDOW / 2).floor().long()
    cover = marks(kind, size, turn, middle - corner - WINDOW / 2, rand(b), 0.95 + 0.1 * rand(b))
    ink = (0.16 + 0.24 * rand(b)) * torch.where(rand(b) < 0.5, -1.0, 1.0)
    offset = torch.arange(WINDOW, device=device)
    rows, columns = corner[:, 0, None] + offset, corner[:, 1, None] + offset
    index = (rows[:, :, None] * side + columns[:, None, :]).flatten(1)
    added = (cover * ink[:, None, None]).flatten(1)[:, None].expand(-1, 3, -1).contiguous()
    x = x.flatten(2).scatter_add(2, index[:, None].expand(-1, 3, -1), added).view(b, 3, side, side)
    return (x.clamp(0, 1) * 255).round().to(torch.uint8), kind, middle


def arguments(verbs):
    """Adds the command."""
    verb = verbs.add_parser("draw-glyphs", help="write pictures of `glyphs` to standard output, as bare rgb24 frames of 448x448")
    verb.add_argument("--count", type=int, default=5120)
    verb.add_argument("--seed", type=int, default=100000)
    verb.add_argument("--labels", type=Path, required=True, help="where their labels go, a list in JSON")


def run(args, each=16):
    """Draws on the CPU, so that a seed gives the same pictures on every machine."""
    labels = []
    for start in range(0, args.count, each):
        b = min(each, args.count - start)
        x, kind, _ = draw(b, torch.Generator().manual_seed(args.seed + start // each))
        sys.stdout.buffer.write(x.permute(0, 2, 3, 1).contiguous().numpy().tobytes())
        labels += [LABELS[k] for k in kind]
    args.labels.write_text(json.dumps(labels) + "\n")

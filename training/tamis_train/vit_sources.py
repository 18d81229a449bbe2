"""Where transformers' pictures come from: batches of them, what is asked about them, and which patches are shown."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from . import glyphs
from .pictures import read_pictures, read_split
from .vit import patterns
from .vit_views import CELL, PATCH, alter

SIDE = CELL * PATCH  # pixels of a token
TILE = 448
PART = 5  # patches along a side of the parts that most of the training on `glyphs` looks at
WHOLE = 0.8  # of the time, after which it looks at whole pictures
VISIBLE = 0.3  # of the patches, in pretraining
SMOOTHING, MIXING = 0.1, 0.3


@dataclass
class Batch:
    """Shape: pictures [b, 3, h, w] u8; targets [b, labels]; kept [b, k] and places [b, n] as `Vit.tokens` has them;
    what stands at each token shown, spots [b, k], and how much that counts, weights [b, k]."""

    pictures: torch.Tensor
    targets: torch.Tensor | None = None
    kept: torch.Tensor | None = None
    places: torch.Tensor | None = None
    spots: torch.Tensor | None = None
    weights: torch.Tensor | None = None
    blend: tuple[torch.Tensor, torch.Tensor] | None = None

    def mixed(self, x):
        """Inputs, each with a share of another."""
        return x if self.blend is None else torch.lerp(x[self.blend[0]], x, self.blend[1][:, None, None, None])


def grid_of(size):
    """Patches of pictures of this size."""
    return size[0] // SIDE, size[1] // SIDE


class Unlabelled:
    """Parts of all training pictures, to guess what is hidden; `kept` holds all patches, the visible ones first."""

    def __init__(self, data, size, device):
        groups, paths = {}, read_split(data, "codec-images-train")
        with ThreadPoolExecutor() as pool:
            for picture in pool.map(lambda path: read_pictures(data, [path])[0], paths):
                _, h, w = picture.shape
                tiles = [picture]
                if min(h, w) > 1.5 * TILE:
                    corners = [(y, x) for y in range(0, h - TILE + 1, TILE) for x in range(0, w - TILE + 1, TILE)]
                    tiles = [picture[:, y : y + TILE, x : x + TILE] for y, x in corners]
                for tile in tiles:
                    groups.setdefault(tuple(tile.shape), []).append(tile)
        self.groups = [torch.stack(g).to(device) for g in groups.values()]
        self.shares = torch.tensor([float(len(g)) for g in self.groups])
        self.size, self.device, self.val = size, device, None

    def batch(self, b, done):
        group = self.groups[int(torch.multinomial(self.shares, 1))]
        pictures = alter(group[torch.randint(len(group), (b,), device=self.device)], self.size)
        return Batch(pictures, kept=patterns(b, grid_of(self.size), self.device))


class Labelled:
    """A folder of pictures, a class a folder: altered, mixed, some of the patches shown."""

    def __init__(self, data, task, labels, size, device):
        self.pictures, self.labels = labelled(data, f"{task}-train", labels, device)
        self.val = labelled(data, f"{task}-val", labels, device)
        self.count, self.size, self.device = len(labels), size, device

    def batch(self, b, done):
        chosen = torch.randint(len(self.pictures), (b,), device=self.device)
        targets = F.one_hot(self.labels[chosen], self.count).float() * (1 - SMOOTHING) + SMOOTHING / self.count
        share = torch.distributions.Beta(MIXING, MIXING).sample((b,)).to(self.device)
        other = torch.randperm(b, device=self.device)
        rows, columns = grid_of(self.size)
        shown = int(rows * columns * (0.5 + 0.5 * float(torch.rand(()))))
        return Batch(
            alter(self.pictures[chosen], self.size), torch.lerp(targets[other], targets, share[:, None]),
            torch.rand(b, rows * columns, device=self.device).argsort(1)[:, :shown], blend=(other, share),
        )  # fmt: skip


def examples(n, seed, device):
    """Whole pictures of `glyphs`, the same each time. Shape: [n, 3, 448, 448] u8 and [n] int64."""
    counts = [min(64, n - start) for start in range(0, n, 64)]
    parts = [glyphs.draw(b, torch.Generator(device).manual_seed(seed + i), device)[:2] for i, b in enumerate(counts)]
    return tuple(torch.cat(part) for part in zip(*parts))


def labelled(data, split, labels, device):
    """Shape: [n, 3, h, w] u8 and [n] int64."""
    paths = read_split(data, split)
    with ThreadPoolExecutor() as pool:
        pictures = torch.cat(list(pool.map(lambda path: read_pictures(data, [path]), paths)))
    return pictures.to(device), torch.tensor([labels.index(Path(p).parent.name) for p in paths], device=device)


class Glyphs:
    """Drawn as needed; at first small parts around a mark, which hold as much to learn and cost an eighth."""

    def __init__(self, size, device):
        self.size, self.device, self.val = size, device, examples(512, 70, device)

    def batch(self, b, done):
        side = PART * SIDE if done < WHOLE else self.size[0]
        b = b if done < WHOLE else max(1, b // 8)
        pictures, kind, middle = glyphs.draw(b, None, self.device, side)
        n, whole = side // SIDE, self.size[0] // SIDE
        rows = torch.arange(n, device=self.device)
        row, column = rows.repeat_interleave(n), rows.repeat(n)
        place = (middle / SIDE).long()
        at = place[:, :1] * n + place[:, 1:]
        near = ((row - place[:, :1]).abs() < 2) & ((column - place[:, 1:]).abs() < 2)
        here = torch.arange(n * n, device=self.device) == at
        # Neighbours of a mark may hold a bit of it, so they do not count.
        spots = torch.where(near & (kind > 0)[:, None], -100, 0)
        spots = torch.where(here, kind[:, None], spots)
        weights = torch.where(here, 1.0, 1.0 / (n * n))
        corner = torch.randint(whole - n + 1, (b, 2), device=self.device)
        places = (corner[:, :1] + row) * whole + corner[:, 1:] + column
        # The token of a mark is always shown, those around it before others.
        least = 0.3 if done < WHOLE else 0.5
        shown = int(n * n * (least + 0.5 * float(torch.rand(()))))
        kept = (torch.rand(b, n * n, device=self.device) + near.int() + here.int()).topk(shown, 1).indices
        targets = F.one_hot(kind, len(glyphs.LABELS)).float()
        return Batch(pictures, targets, kept, places, spots.gather(1, kept), weights.gather(1, kept))

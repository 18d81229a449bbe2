"""What a codec under training reaches on pictures it has not seen: bits and PSNR, before entropy coding in earnest."""

from pathlib import Path

import torch

from .bundle import step_factor
from .chroma import lost
from .crops import bands_of, counted, parted, read_picture, values
from .inverse import mean_square

QUALITIES = [30, 40, 52, 65, 75, 85, 92]
CUT_QUALITY = 75
MEASURED = 48  # cells a side


def shown(groups):
    """Qualities and prefixes to measure: all qualities with all channels, the default with every group."""
    return [(q, groups[-1]) for q in QUALITIES] + [(CUT_QUALITY, end) for end in groups[-2::-1]]


def windows(data, paths, device):
    """Middles of pictures, as large as all allow, up to 48 cells, which cells count, and what no decoder repairs.

    Pictures are those of `splits/codec-images-val-textured.txt`, or the first twelve of `paths` where it is missing.
    Shape: f32 [n, 96, m, m] twice, f32 [n, m, m], f32 [n].
    """
    split = Path(data) / "splits" / "codec-images-val-textured.txt"
    if split.exists():
        paths = [p for p in (Path(data) / name for name in split.read_text().split()) if p.exists()] or paths
    pictures = [read_picture(p)[None] for p in paths[:12]]
    bands = [bands_of(p)[0] for p in pictures]
    size = min(MEASURED, *(n for b in bands for n in b.shape[1:]))
    cut = [middle(b, size) for b in bands]
    rest = torch.stack([middle(lost(values(p)), 8 * size, 8).mean() for p in pictures])
    edges = [torch.tensor([b.shape[i] == size for b in bands]) for i in (1, 1, 2, 2)]
    return *(x.to(device) for x in (*parted(torch.stack(cut).float()), counted(size, *edges), rest)),


def middle(x, size, unit=1):
    """A square in the middle that begins at a whole unit. Shape: [..., h, w] -> [..., size, size]."""
    top, left = ((n - size) // 2 // unit * unit for n in x.shape[-2:])
    return x[..., top : top + size, left : left + size]


@torch.no_grad()
def measure(codec, bands, target, inside, rest, asked):
    """Bits a pixel and PSNR of the three decoders, mean over the pictures.

    bands, target, inside, rest: as `windows`; asked: pairs of quality and prefix.
    """
    rows = []
    for quality, prefix in asked:
        factor = step_factor(torch.tensor([quality])).to(bands).expand(len(bands))
        coded = codec(bands, factor, torch.full_like(factor, prefix))
        bits = (coded.bits * inside).sum((1, 2)) / (64 * inside.sum((1, 2)))
        psnr = lambda error: float(-10 * torch.log10((mean_square(error, inside) + rest) / 255**2).mean())
        linear = coded.linear - target
        rows.append({
            "quality": quality, "prefix": prefix, "bits": round(float(bits.mean()), 4),
            "linear": round(psnr(linear), 3), "edge": round(psnr(linear + coded.edge), 3),
            "default": round(psnr(linear + coded.default), 3),
        })  # fmt: skip
    return rows

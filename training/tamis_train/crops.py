"""Windows of pictures as bands in fixed point, drawn without a loop over samples."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from .chroma import target_bands
from .transform import fixed_bands, pad_mirror

SCALES = {"photos": (1, 0.67, 0.5), "camera_trap": (1, 0.67, 0.5)}
SHARE_OF_PHOTOS = 0.7
RIM = 3  # cells at a window's rim that do not count
BANDS, SUM_BANDS, STORED = 96, 64, 128


def listed(data, folders=None):
    """Paths of the pictures: of folders, or of `splits/codec-images-train.txt`, or all of `data`."""
    data = Path(data)
    split = data / "splits" / "codec-images-train.txt"
    if folders or not split.exists():
        found = sorted(p for folder in folders or [data] for p in Path(folder).rglob("*") if p.is_file())
        return [p for p in found if p.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp")]
    paths = [data / name for name in split.read_text().split()]
    there = [p for p in paths if p.exists()]
    if len(there) < len(paths):
        print(f"{split}: {len(paths) - len(there)} of {len(paths)} files are missing", flush=True)
    return there


def source(path):
    """What a picture counts as when samples are drawn: the folder below `images`, else that of the file."""
    parts = Path(path).parts
    return parts[parts.index("images") + 1] if "images" in parts[:-1] else parts[-2]


def values(pictures):
    """Whole cells of pictures, 8 to a level. Shape: u8 [b, h, w, 3] -> int32 [b, 3, h', w']."""
    return pad_mirror(pad_mirror(pictures.permute(0, 3, 1, 2).int() * 8, 8, -1), 8, -2)


def bands_of(pictures):
    """What the encoder sees, and behind it the opponents that a decoder should show.

    Shape: u8 [b, h, w, 3] -> int32 [b, 128, h', w'].
    """
    x = values(pictures)
    return torch.cat([fixed_bands(x), target_bands(x)], 1)


def parted(bands):
    """Bands that the encoder sees, and those to decode. Shape: [b, 128, h, w] -> [b, 96, h, w] twice."""
    return bands[:, :BANDS], torch.cat([bands[:, :SUM_BANDS], bands[:, BANDS:]], 1)


def laid(picture, ways):
    """A picture laid in 1, 2 or 8 ways, those of one shape together. Shape: u8 [h, w, 3] -> list of [b, h, w, 3]."""
    mirrored = torch.stack([picture, picture.flip(1)][:ways])
    if ways < 8:
        return [mirrored]
    upright = torch.cat([mirrored, mirrored.flip(1)])
    return [upright, upright.transpose(1, 2)]


def read_picture(path):
    """Shape: u8 [h, w, 3]."""
    return torch.from_numpy(np.array(Image.open(path).convert("RGB")))


def scaled(path, scales):
    """A picture at several scales. Shape: list of u8 [h, w, 3]."""
    image = Image.open(path).convert("RGB")
    size = lambda scale: (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    resized = lambda s: image if s == 1 else image.resize(size(s), Image.Resampling.LANCZOS)
    return [torch.from_numpy(np.array(resized(s))) for s in scales]


@dataclass
class Crops:
    """Pictures side by side. Shape: cells int16 [all cells, 128]; start, height, width and chance [pictures].

    `mean` [96] and `square` [96, 96] are of the bands of unaltered pictures and their products.
    """

    cells: torch.Tensor
    start: torch.Tensor
    height: torch.Tensor
    width: torch.Tensor
    chance: torch.Tensor
    mean: torch.Tensor
    square: torch.Tensor

    def draw(self, count, window, generator):
        """Windows, each cell of a source as likely as any, and which of their cells count.

        The packets of a window were made of the whole picture, but are undone as if it ended at the rim, so what stands
        there is not what a decoder shows: 3 cells are left out, the reach of three levels, but where the picture itself
        ends.
        Shape: f32 [count, 96, window, window] twice, as `parted`, and f32 [count, window, window].
        """
        device = self.cells.device
        rand = lambda: torch.rand(count, generator=generator, device=device, dtype=torch.float64)
        # Searching the summed chances needs no wait for the device, unlike torch.multinomial.
        k = torch.searchsorted(self.chance.cumsum(0), rand()).clamp(max=len(self.chance) - 1)
        height, width = self.height[k], self.width[k]
        top, left = (rand() * (height - window + 1)).long(), (rand() * (width - window + 1)).long()
        at = torch.arange(window, device=device)
        rows, columns = top[:, None] + at, left[:, None] + at
        index = self.start[k][:, None, None] + rows[:, :, None] * width[:, None, None] + columns[:, None, :]
        bands = self.cells[index.flatten()].float().view(count, window, window, STORED).permute(0, 3, 1, 2)
        return *parted(bands), counted(window, top == 0, top + window == height, left == 0, left + window == width)


def counted(window, *ends):
    """Which cells count; ends: whether the picture ends at the top, bottom, left, right. Shape: [b] x 4 -> [b, n, n]."""
    at = torch.arange(window, device=ends[0].device)
    first, last = at >= RIM, at < window - RIM
    rows = (first | ends[0][:, None]) & (last | ends[1][:, None])
    columns = (first | ends[2][:, None]) & (last | ends[3][:, None])
    return (rows[:, :, None] & columns[:, None, :]).float()


def load(paths, window, flips, device, threads, cache=None):
    """All pictures, altered, as `Crops`; those smaller than a window are left out. `cache`: folder to keep them in."""
    words = "\n".join([*map(str, paths), str(window), str(flips), str(SCALES), str(STORED)])
    file = cache and Path(cache) / f"bands-{hashlib.sha256(words.encode()).hexdigest()[:12]}.pt"
    if file and file.exists():
        return Crops(**{k: v.to(device) for k, v in torch.load(file, mmap=True).items()})
    crops = prepare(paths, window, flips, device, threads)
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.save(vars(crops), file.with_suffix(".part"))
        file.with_suffix(".part").replace(file)
    return crops


def prepare(paths, window, flips, device, threads):
    """Reads and transforms. Photos are laid in `flips` ways."""
    plan = []  # of each picture: path, scales that are large enough
    table, total = [], 0
    grid = lambda n, scale: -(-max(1, round(n * scale)) // 8)
    for path in paths:
        try:
            with Image.open(path) as image:
                width, height = image.size
        except UnidentifiedImageError:
            print(f"{path} is no picture", flush=True)
            continue
        kind = source(path)
        scales = [s for s in SCALES.get(kind, (1, 0.67)) if min(grid(height, s), grid(width, s)) >= window]
        plan.append((path, scales, flips if kind == "photos" else 1))
        for scale in scales:
            for k in range(plan[-1][2]):
                h, w = grid(height, scale), grid(width, scale)
                table.append((total, *((h, w) if k < 4 else (w, h)), kind))
                total += h * w
    if not table:
        raise SystemExit(f"no picture of at least {8 * window} pixels a side")
    cells = torch.empty(total, STORED, dtype=torch.int16, device=device)
    mean, square = (torch.zeros(*shape, dtype=torch.float64, device=device) for shape in ((BANDS,), (BANDS, BANDS)))
    place, seen = 0, 0
    with ThreadPoolExecutor(threads) as pool:  # Pillow works outside of the interpreter's lock.
        for (_, scales, ways), pictures in zip(plan, ahead(pool, plan, 4 * threads)):
            for scale, picture in zip(scales, pictures):
                for k, batch in enumerate(laid(picture.to(device), ways)):
                    bands = bands_of(batch).permute(0, 2, 3, 1).flatten(0, 2)
                    cells[place : place + len(bands)] = bands.clamp(-32768, 32767).short()
                    place += len(bands)
                    if scale == 1 and k == 0:
                        first = bands[: len(bands) // len(batch), :BANDS].float()
                        mean, square, seen = mean + first.sum(0), square + first.T @ first, seen + len(first)
    start, height, width, _ = zip(*table)
    column = lambda values: torch.tensor(values, dtype=torch.int64, device=device)
    seen = max(1, seen)
    return Crops(
        cells, column(start), column(height), column(width), chances(table).to(device), mean / seen, square / seen
    )


def ahead(pool, plan, count):
    """Pictures of the plan in order, at most `count` read ahead, since all of them at once may not fit."""
    waiting, rest = [], iter(plan)
    for path, scales, _ in rest:
        waiting.append(pool.submit(scaled, path, scales))
        if len(waiting) >= count:
            yield waiting.pop(0).result()
    for job in waiting:
        yield job.result()


def chances(table):
    """Photos have their share, the other sources what is left in equal parts; within one all cells are alike."""
    kinds = sorted({kind for *_, kind in table})
    rest = [kind for kind in kinds if kind != "photos"]
    share = {kind: (1 - SHARE_OF_PHOTOS) / len(rest) for kind in rest} | {"photos": SHARE_OF_PHOTOS}
    area = {kind: sum(h * w for _, h, w, k in table if k == kind) for kind in kinds}
    chance = torch.tensor([share[k] * h * w / area[k] for _, h, w, k in table], dtype=torch.float64)
    return chance / chance.sum()

"""Speed from Python: encoding beside the Rust binary, and training reads beside JPEG.

    python bench.py PICTURES... [--tamis target/release/tamis] [--rounds 15]

Needs numpy and pillow; torch if it is there. One thread; files lie in memory (the page cache). Each round takes
every way in turn, and medians over rounds are printed, with the spread between the quartiles.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy
import tamis
from PIL import Image

try:
    import torch

    torch.set_num_threads(1)
    tensor, kind = torch.from_numpy, "torch tensors"
except ImportError:
    tensor, kind = (lambda x: x), "numpy arrays"

WIDTH, HEIGHT = 768, 512
# As many values as 12 channels at an eighth of each side: 3 colours at a quarter.
TWIN = (WIDTH // 4, HEIGHT // 4)
ENDINGS = {".png", ".jpg", ".jpeg", ".webp"}


def pictures(folders):
    """Every picture, cut to the shape from its middle and scaled to 768x512."""
    paths = [p for f in folders for p in sorted(Path(f).rglob("*")) if p.suffix.lower() in ENDINGS]
    for path in paths:
        image = Image.open(path).convert("RGB")
        scale = min(image.width / WIDTH, image.height / HEIGHT)
        wide, high = scale * WIDTH, scale * HEIGHT
        left, top = (image.width - wide) / 2, (image.height - high) / 2
        box = (left, top, left + wide, top + high)
        yield path.stem, image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS, box)


def rounds(ways, count):
    """Seconds of each way, round by round; they take turns, in another order each round."""
    taken = {name: [] for name in ways}
    names = list(ways)
    for name in names:
        ways[name]()
    for i in range(count):
        for name in names[i % len(names) :] + names[: i % len(names)]:
            start = time.perf_counter()
            ways[name]()
            taken[name].append(time.perf_counter() - start)
    return taken


def spread(values):
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:9.1f}  ({low:.1f} to {high:.1f})"


def encoding(images, folder, binary, count, channels):
    """Megapixels per second to latents, in Python and by the binary, in turn."""
    arrays = [numpy.asarray(image) for image in images]
    encoder = tamis.Encoder("rgb", channels=channels)
    for name, image in enumerate(images):
        image.save(folder / f"{name}.png")
    command = [binary, "bench", folder, "--codec", "rgb", "--threads", "1", "--seconds", "0.3", "--json"]
    python, rust = [], []
    for _ in range(count):
        rows = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["rows"]
        for row in rows:
            if row["what"] == "encode_latents" and row["channels"] == channels:
                rust.append(row["mpps"])
        times = []
        end = time.perf_counter() + 0.5
        while time.perf_counter() < end:
            for array in arrays:
                start = time.perf_counter()
                encoder.push(array)
                times.append(time.perf_counter() - start)
        python.append(WIDTH * HEIGHT / 1e6 / statistics.median(times))
    ratio = statistics.median(p / r for p, r in zip(python, rust))
    print(f"encode to latents, {channels} channels, {len(arrays)} pictures of 768x512, megapixels/s, n = {count} rounds")
    print(f"  rust    {spread(rust)}")
    print(f"  python  {spread(python)}")
    print(f"  python / rust, round by round: {ratio:.3f}")


def reading(names, images, folder, count):
    """Samples per second into float32 tensors, from recordings and from JPEG files."""
    paths = {}
    encoder = tamis.Encoder("rgb", quality=75)
    for coder in ["fast", "dense"]:
        paths[coder] = [folder / coder / f"{name}.tamis" for name in names]
        for path, image in zip(paths[coder], images):
            with tamis.Writer(path, coder=coder) as writer:
                writer.write(encoder.push(numpy.asarray(image)))
    paths["jpeg"] = [folder / f"{name}.jpg" for name in names]
    for path, image in zip(paths["jpeg"], images):
        image.save(path, quality=75)

    def latents(coder):
        for path in paths[coder]:
            latent = next(tamis.Reader(path, channels=12))
            assert tensor(latent.dequantized()).shape == (12, HEIGHT // 8, WIDTH // 8)

    def jpeg(draft):
        for path in paths["jpeg"]:
            image = Image.open(path)
            if draft:
                image.draft("RGB", TWIN)
            pixels = numpy.asarray(image.convert("RGB").resize(TWIN, Image.Resampling.BILINEAR))
            scaled = (pixels.transpose(2, 0, 1).astype(numpy.float32) - 127.5) / 64
            assert tensor(scaled).shape == (3, TWIN[1], TWIN[0])

    ways = {
        "tamis, fast coder": lambda: latents("fast"),
        "tamis, dense coder": lambda: latents("dense"),
        "JPEG, decoded, resized": lambda: jpeg(False),
        "JPEG, decoded small (draft)": lambda: jpeg(True),
    }
    taken = rounds(ways, count)
    size = {kind: sum(p.stat().st_size for p in found) / len(found) / 1e3 for kind, found in paths.items()}
    print(f"training reads, {len(names)} files, 73728 values each, {kind}, samples/s, n = {count} rounds")
    print("  kB a file: " + ", ".join(f"{kind} {kb:.1f}" for kind, kb in size.items()))
    base = taken["JPEG, decoded, resized"]
    for name, seconds in taken.items():
        speeds = [len(names) / s for s in seconds]
        ratio = statistics.median(b / s for b, s in zip(base, seconds))
        print(f"  {name:<28}{spread(speeds)}  {ratio:.2f} times JPEG")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="+", help="folders with pictures")
    parser.add_argument("--tamis", help="the Rust binary; without it encoding is left out")
    parser.add_argument("--rounds", type=int, default=15)
    typed = parser.parse_args()
    named = list(pictures(typed.pictures))
    names, images = [f"{i}-{name}" for i, (name, _) in enumerate(named)], [image for _, image in named]
    with tempfile.TemporaryDirectory() as folder:
        if typed.tamis:
            (Path(folder) / "png").mkdir()
            for channels in [12, 48]:
                encoding(images, Path(folder) / "png", typed.tamis, typed.rounds, channels)
        reading(names, images, Path(folder), typed.rounds)


if __name__ == "__main__":
    main()

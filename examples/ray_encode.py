"""Encodes a folder of pictures on a Ray cluster: a .tamis file for each, with the bytes that one process would write.

    python ray_encode.py photos/ small/ [--quality 75] [--coder fast] [--address auto] [--workers 8]

Both folders are on a file system that all nodes share under the same path: only names go through Ray. Each node needs
the tamis wheel and Pillow.

`a/b.png` becomes `a/b.png.tamis`, as with `tamis encode --shard`. An output gets its name when it is whole and on the
disk, and the time of modification of its input: one that has this time is done, and every later run passes it over. One
run at a time, and always with the same settings, writes to a folder. Exit codes: 0 done, 1 failed, 2 usage, 3 done but
for files that are named, 66 no input. Pictures only, as Pillow reads them: no alpha, and 16 bits of gray only.
"""

import argparse
import collections
import os
import socket
import sys
import time
from pathlib import Path

import numpy
import ray
import tamis
from PIL import Image, ImageOps

PART = ".tamis-part"  # ending of unfinished outputs


def read(path):
    with Image.open(path) as file:
        picture = ImageOps.exif_transpose(file)
    if picture.mode in ("I", "F"):
        raise ValueError(f"has samples of mode {picture.mode}, expected 8 bits, or 16 of gray; convert it to PNG")
    if picture.mode.startswith("I;16"):
        return numpy.asarray(picture).astype(numpy.uint16)
    return numpy.asarray(picture.convert("L" if picture.mode in ("1", "L", "LA") else "RGB"))


class Encode:
    """A worker: it loads its bundle once, and has one file in work at a time."""

    def __init__(self, source, target, bundle, channels, quality, coder):
        self.source, self.target, self.coder = source, target, coder
        self.encoder = tamis.Encoder(bundle, channels, quality)

    def __call__(self, batch):
        return {"name": batch["item"], "what": [self.attempt(str(name)) for name in batch["item"]]}

    def attempt(self, name):
        try:
            return self.encode(self.source / name, self.target / f"{name}.tamis")
        except Exception as why:  # Pillow raises many kinds, and no file may keep others from being done.
            return f"failed: {type(why).__name__}: {why}"

    def encode(self, source, target):
        # Taken before it is read: if it changes meanwhile, it is done again the next time.
        changed = source.stat().st_mtime_ns
        if target.exists() and target.stat().st_mtime_ns == changed:
            return "done already"
        latent = self.encoder.push(read(source))
        target.parent.mkdir(parents=True, exist_ok=True)
        # No other worker writes to this name, not even one that Ray thinks dead and that is not.
        part = target.with_name(f".{socket.gethostname()}-{os.getpid()}{PART}")
        with open(part, "wb") as file:
            with tamis.Writer(file, coder=self.coder) as writer:
                writer.write(latent)
            file.flush()
            os.utime(part, ns=(changed, changed))
            os.fsync(file.fileno())
        os.replace(part, target)
        return "encoded"


def find(folder):
    """Paths of all files below a folder but hidden ones, in the order of their names."""
    found = []
    for at, folders, files in os.walk(folder, onerror=sys.exit):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = (os.path.join(at, name) for name in files if not name.startswith("."))
        found += [os.path.relpath(path, folder) for path in paths if os.path.isfile(path)]
    return sorted(found)


def sweep(folder):
    """Removes what killed workers left."""
    for part in folder.rglob(f".*{PART}"):
        part.unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--bundle", default="rgb", help="a name, or a full path that all nodes have")
    parser.add_argument("--quality", type=int, default=75)
    parser.add_argument("--channels", type=int, help="end of a group of the bundle [default: all]")
    parser.add_argument("--coder", choices=["dense", "fast"], default="dense")
    parser.add_argument("--address", help="cluster; auto on one of its nodes [default: what runs here, or a new one]")
    parser.add_argument("--workers", type=int, help="processes, of a CPU each [default: all CPUs]")
    typed = parser.parse_args()
    source, target = typed.input.resolve(), typed.output.resolve()
    if target.is_relative_to(source):
        parser.error(f"output {target} is inside the input folder; name one outside")
    if not source.is_dir() or not (names := find(source)):
        print(f"{source}: holds no file; name a folder of pictures", file=sys.stderr)
        return 66
    job = (source, target, typed.bundle, typed.channels, typed.quality, typed.coder)
    codec = Encode(*job).encoder.bundle  # Wrong settings end it here.
    settings = f"tamis {tamis.__version__}, codec {codec.id}, tables {codec.tables}, {job[3:]}"
    target.mkdir(parents=True, exist_ok=True)
    note = target / ".ray_encode"
    if not note.exists():
        note.write_text(settings)
    if note.read_text() != settings:
        sys.exit(f"{target}: holds outputs of {note.read_text()}, not of {settings}; name another folder")
    sweep(target)
    ray.init(address=typed.address)
    workers = typed.workers or int(ray.cluster_resources()["CPU"])
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False  # Lines instead, which logs can hold.
    context.max_errored_blocks = 10  # Given up on, with their names; more is a fault of the cluster.
    # A block of names is what a worker takes at once, and goes through again if it dies.
    files = ray.data.from_items(names, override_num_blocks=min(len(names), 50 * workers))
    pool = ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=2)
    # For ever are Ray Data's defaults: right for workers, not for blocks, one of which may hold a file that kills them.
    again = {"max_restarts": -1, "max_task_retries": 3}
    results = files.map_batches(Encode, fn_constructor_args=job, compute=pool, batch_size=None, num_cpus=1, **again)
    begin = said = time.monotonic()
    counts, left = collections.Counter(), set(names)
    for row in results.iter_rows():
        left.discard(row["name"])
        counts[row["what"].partition(":")[0]] += 1
        if row["what"].startswith("failed"):
            print(row["name"], row["what"], file=sys.stderr)
        if time.monotonic() - said > 5:
            said = time.monotonic()
            print(f"{len(names) - len(left)} of {len(names)} files, {counts['failed']} failed", file=sys.stderr)
    for name in sorted(left):
        print(f"{name} failed: a worker died at it, or at one near it, 4 times; leave it out", file=sys.stderr)
    counts["failed"] += len(left)
    sweep(target)
    words = ", ".join(f"{counts[what]} {what}" for what in ("encoded", "done already", "failed"))
    print(f"{len(names)} files: {words}; {time.monotonic() - begin:.1f} s, {workers} workers")
    return 3 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())

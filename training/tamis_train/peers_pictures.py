"""`python -m tamis_train peers-pictures`: bits for the same PSNR beside other codecs, as a table and a plot."""

import csv
import json
from pathlib import Path

import numpy as np

from . import plot

RANGE = (0.25, 1.1)  # bits a pixel of the codec that is judged
PLOTTED = 2.0  # bits a pixel, at most


def arguments(verbs):
    """Adds the verb to a parser."""
    verb = verbs.add_parser("peers-pictures", help="BD-rates from what `tamis eval --json` and other codecs' tables say")
    verb.add_argument("ours", type=Path, nargs="+", help="output of `tamis eval --json` on the same pictures")
    verb.add_argument("--peers", type=Path, help="CSV with columns config (NAME_SETTING), bpp, psnr_db: means over the pictures")
    verb.add_argument("--plot", type=Path, help="write the curves to this SVG")


def measured(paths):
    """Means over the pictures from the lines of `tamis eval --json`. -> name -> [(bits a pixel, PSNR), ...]."""
    files = {}
    for path in paths:
        for line in filter(str.strip, path.read_text().splitlines()):
            row = json.loads(line)
            if "path" in row and "bpp" in row:
                name = f"{row['codec']} {row.get('decoder', 'linear')}"
                files.setdefault((name, row["quality"]), []).append((row["bpp"], row["psnr_db"]))
    curves = {}
    for (name, _), values in files.items():
        curves.setdefault(name, []).append(tuple(np.mean(values, 0)))
    return curves


def others(path):
    """Curves of at least four points."""
    curves = {}
    with path.open() as file:
        for row in csv.DictReader(line for line in file if "," in line):
            curves.setdefault(row["config"].rsplit("_", 1)[0], []).append((float(row["bpp"]), float(row["psnr_db"])))
    return {name: points for name, points in curves.items() if len(set(points)) >= 4}


def monotone(x, y, at):
    """A cubic through points that overshoots nowhere (Fritsch and Carlson 1980, with Butland's slopes)."""
    h, d = np.diff(x), np.diff(y) / np.diff(x)
    slope = np.zeros(len(x))
    w1, w2 = 2 * h[1:] + h[:-1], h[1:] + 2 * h[:-1]
    same = d[1:] * d[:-1] > 0
    slope[1:-1][same] = ((w1 + w2)[same]) / (w1[same] / d[:-1][same] + w2[same] / d[1:][same])
    slope[0], slope[-1] = d[0], d[-1]
    k = np.clip(np.searchsorted(x, at) - 1, 0, len(h) - 1)
    t = (at - x[k]) / h[k]
    return (
        y[k] * (1 + 2 * t) * (1 - t) ** 2 + h[k] * slope[k] * t * (1 - t) ** 2
        + y[k + 1] * t**2 * (3 - 2 * t) - h[k] * slope[k + 1] * t**2 * (1 - t)
    )  # fmt: skip


def bd_rate(ours, theirs, low=None, high=None):
    """Bits more (or less, below 0) than `theirs` at the same PSNR, %, mean over the decibels that both reach.

    Curves are [(bits a pixel, PSNR), ...]; low, high: decibels. -> nan if there are none. After Bjontegaard, VCEG-M33.
    """
    (r1, p1), (r2, p2) = (np.array(sorted(curve, key=lambda p: p[1])).T for curve in (ours, theirs))
    low = max(p1[0], p2[0], -np.inf if low is None else low)
    high = min(p1[-1], p2[-1], np.inf if high is None else high)
    if low >= high:
        return float("nan")
    at = np.linspace(low, high, 400)
    return 100 * (np.exp(np.mean(monotone(p1, np.log(r1), at) - monotone(p2, np.log(r2), at))) - 1)


def psnr_at(curve, bits):
    """PSNR at a rate, or at the nearest end. Shape: [(bits a pixel, PSNR), ...] -> decibels."""
    r, p = np.array(sorted(curve)).T
    return float(monotone(np.log(r), p, np.clip(np.log(bits), np.log(r[0]), np.log(r[-1]))))


def run(args):
    """Prints a row for each of our curves, a column for each other."""
    ours = measured(args.ours)
    for name, curve in ours.items():
        rising = all(a[1] < b[1] for a, b in zip(sorted(curve), sorted(curve)[1:]))
        if len(curve) < 2 or not rising:
            raise SystemExit(f"{name}: {len(curve)} qualities; needed are two or more whose PSNR rises with their bits")
    if not ours:
        raise SystemExit("no pictures in what `tamis eval --json` wrote")
    theirs = others(args.peers) if args.peers else {}
    print(f"Bits for the same PSNR, %, mean over the decibels of {RANGE[0]} to {RANGE[1]} bits a pixel\n")
    columns = ours | theirs
    print("| | " + " | ".join(columns) + " |\n|---|" + "---|" * len(columns))
    for name, curve in ours.items():
        ends = [psnr_at(curve, bits) for bits in RANGE]
        print("| " + " | ".join([name, *(f"{bd_rate(curve, other, *ends):+.1f}" for other in columns.values())]) + " |")
    if args.plot:
        shown = {name: [p for p in curve if p[0] <= PLOTTED] for name, curve in columns.items()}
        args.plot.write_text(plot.lines({k: v for k, v in shown.items() if v}, "bits per pixel", "PSNR, dB"))

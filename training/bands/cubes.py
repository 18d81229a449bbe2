"""Cubes of a made-up hyperspectral sensor, as NumPy arrays: `cubes.py FOLDER COUNT [--seed N] [--size N] [--bands N]`.

One sensor: a few smooth spectra of materials, a solar curve, gains of columns, noise of light and of reading, 12 bits in
uint16, [height, width, bands]. Every cube has its own land: patches with edges, texture at all scales, mixtures,
slopes and shadows, and materials whose spectra vary from patch to patch.
"""
import argparse
import pathlib
import numpy as np

SENSOR = 20261128


def spectra(rng, count, bands):
    """Smooth reflectances of `count` materials: a slope, humps, and dips of absorption."""
    x = np.linspace(0, 1, bands)
    out = []
    for _ in range(count):
        y = rng.uniform(0.15, 0.5) + rng.uniform(-0.25, 0.25) * (x - 0.5)
        for _ in range(rng.integers(2, 5)):
            y = y + rng.uniform(-0.2, 0.25) * np.exp(-((x - rng.uniform(0, 1)) / rng.uniform(0.08, 0.3)) ** 2)
        for _ in range(rng.integers(1, 4)):
            y = y * (1 - rng.uniform(0.05, 0.4) * np.exp(-((x - rng.uniform(0, 1)) / rng.uniform(0.015, 0.05)) ** 2))
        if rng.uniform() < 0.4:  # the red edge of plants
            y = y + rng.uniform(0.1, 0.35) / (1 + np.exp(-(x - rng.uniform(0.35, 0.6)) / 0.02))
        out.append(np.clip(y, 0.02, 0.95))
    return np.array(out)


def rough(rng, size, slope):
    """Noise whose spectrum falls as frequency to the power of -slope, deviation 1."""
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.rfftfreq(size), indexing="ij"))
    f[0, 0] = 1.0
    y = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((size, size))) * f ** -slope, s=(size, size))
    return (y - y.mean()) / y.std()


def patches(rng, size, count):
    """Which of `count` patches a pixel belongs to; edges are crooked."""
    y, x = np.mgrid[:size, :size].astype(float)
    y += 6 * rough(rng, size, 1.6)
    x += 6 * rough(rng, size, 1.6)
    best, label = np.full((size, size), np.inf), np.zeros((size, size), int)
    for k in range(count):
        cy, cx, w = rng.uniform(0, size), rng.uniform(0, size), rng.uniform(0.7, 1.4)
        d = (np.abs(y - cy) + np.abs(x - cx)) * w if k % 2 else np.hypot(y - cy, x - cx) * w
        label[d < best] = k
        best = np.minimum(best, d)
    return label


def cube(seed, size=256, bands=100):
    sensor, rng = np.random.default_rng(SENSOR), np.random.default_rng([SENSOR, seed])
    materials = spectra(sensor, 8, bands)
    x = np.linspace(0, 1, bands)
    solar = (0.35 + 1.1 * x * np.exp(1 - 2.2 * x)) * (1 - 0.5 * np.exp(-((x - 0.72) / 0.02) ** 2))
    gain = 1 + 0.002 * sensor.standard_normal((1, 4096, bands))[:, :size]
    count = len(materials)
    label = patches(rng, size, max(12, size * size // 1800))
    # Each patch has a main material and some of the others.
    main = rng.dirichlet(np.full(count, 0.25), label.max() + 1)
    energy = np.log(main[label] + 0.01)
    for m in range(count):
        energy[..., m] += 0.5 * rough(rng, size, 1.1) + 0.25 * rough(rng, size, 0.4)
    share = np.exp(energy - energy.max(-1, keepdims=True))
    share /= share.sum(-1, keepdims=True)
    # The spectra of a patch are not quite those of the library.
    knots = rng.standard_normal((label.max() + 1, 6))
    bend = np.array([np.interp(x, np.linspace(0, 1, 6), k) for k in knots])
    light = np.exp(0.12 * rough(rng, size, 1.4)) * np.where(rough(rng, size, 1.8) > 1.3, 0.45, 1.0)
    light *= 1 + 0.05 * rough(rng, size, 0.5)
    signal = (share @ materials) * (1 + 0.03 * bend[label]) * light[..., None] * solar * gain
    counts = 2600 * signal + 60
    counts = counts + rng.standard_normal(counts.shape) * np.sqrt(4.0 ** 2 + 0.06 * np.maximum(counts, 0))
    return np.clip(np.rint(counts), 0, 4095).astype(np.uint16)


if __name__ == "__main__":
    typed = argparse.ArgumentParser(description=__doc__)
    typed.add_argument("folder", type=pathlib.Path)
    typed.add_argument("count", type=int)
    typed.add_argument("--seed", type=int, default=0, help="of the first cube; the next has the next")
    typed.add_argument("--size", type=int, default=256)
    typed.add_argument("--bands", type=int, default=100)
    typed = typed.parse_args()
    typed.folder.mkdir(parents=True, exist_ok=True)
    for seed in range(typed.seed, typed.seed + typed.count):
        np.save(typed.folder / f"cube-{seed:03}.npy", cube(seed, typed.size, typed.bands))

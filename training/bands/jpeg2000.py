"""tamis beside JPEG 2000 on cubes: `jpeg2000.py TAMIS BUNDLE TEST FIT > table`.

TAMIS is the binary, BUNDLE the folder that `tamis fit` made of the cubes in FIT, TEST holds other cubes of the sensor.
Needs NumPy and imagecodecs (OpenJPEG). JPEG 2000 is used in four ways, all irreversible with the 9/7 wavelet:

  bands    every band a picture of its own, all at one fidelity
  cube     all bands components of one codestream, whose rate OpenJPEG shares out
  own      the principal components of the cube, in one codestream; mean and components in half precision are paid for
  shared   the principal components of the cubes in FIT, which cost nothing, as tamis' bundle does

Bits are those of whole files, per sample; PSNR is of 4095, from the mean squared error of all cubes. Ways with components
take the best number of them for each rate.
"""
import pathlib
import subprocess
import sys
import tempfile

import imagecodecs
import numpy as np

PEAK = 4095
RATES = [0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0]


def codestream(planes, bits, level):
    data = imagecodecs.jpeg2k_encode(np.ascontiguousarray(planes), level=level, codecformat="j2k", bitspersample=bits,
                                     reversible=False, resolutions=6, mct=False)
    return len(data), imagecodecs.jpeg2k_decode(data)


def bands(cube, level):
    pairs = [codestream(cube[..., b], 12, level) for b in range(cube.shape[-1])]
    return sum(n for n, _ in pairs), np.stack([p for _, p in pairs], -1)


def components(cubes):
    pixels = np.concatenate([c.reshape(-1, c.shape[-1]) for c in cubes]).astype(float)
    mean = pixels.mean(0)
    return mean, np.linalg.eigh(np.cov((pixels - mean).T))[1][:, ::-1]


def rotated(cube, basis, count, level, paid):
    mean, vectors = basis
    vectors = vectors[:, :count]
    if paid:
        mean, vectors = (a.astype(np.float16).astype(float) for a in basis)
        vectors = vectors[:, :count]
    y = (cube.reshape(-1, cube.shape[-1]) - mean) @ vectors
    low, scale = y.min(), 65535 / (y.max() - y.min())
    n, back = codestream(np.rint((y - low) * scale).astype(np.uint16).reshape(*cube.shape[:2], count), 16, level)
    back = (back.reshape(-1, count) / scale + low) @ vectors.T + mean
    return n + (2 * cube.shape[-1] * (count + 1) if paid else 0), back.reshape(cube.shape)


def tamis(binary, bundle, path, quality):
    with tempfile.TemporaryDirectory() as folder:
        coded, back = f"{folder}/x.tamis", f"{folder}/x.npy"
        more = ["--codec", bundle]
        subprocess.run([binary, "encode", path, "-o", coded, "--quality", str(quality), *more], check=True,
                       capture_output=True)
        subprocess.run([binary, "decode", coded, "-o", back, *more], check=True, capture_output=True)
        return pathlib.Path(coded).stat().st_size, np.load(back)


def curve(cubes, code):
    """Rate and fidelity of all cubes together."""
    size = error = 0
    for cube in cubes:
        n, back = code(cube)
        size += n
        error += np.mean((np.clip(np.rint(back.astype(float)), 0, 65535) - cube) ** 2) / len(cubes)
    return 8 * size / sum(c.size for c in cubes), 10 * np.log10(PEAK ** 2 / error)


def at(points, rate):
    """Fidelity at a rate, between the points that nothing beats."""
    best = []
    for p in sorted(points):
        if not best or p[1] > best[-1][1]:
            best.append(p)
    x, y = np.log([p[0] for p in best]), [p[1] for p in best]
    return np.interp(np.log(rate), x, y, left=np.nan, right=np.nan)


if __name__ == "__main__":
    binary, bundle, test, fit = sys.argv[1:]
    paths = sorted(pathlib.Path(test).glob("*.npy"))
    cubes = [np.load(p) for p in paths]
    shared = components([np.load(p) for p in sorted(pathlib.Path(fit).glob("*.npy"))])
    own = {id(c): components([c]) for c in cubes}
    names = {id(c): str(p) for c, p in zip(cubes, paths)}
    counts = [k for k in (5, 8, 11, 14, 20, 36, 100) if k <= cubes[0].shape[-1]]
    levels = range(38, 71, 4)
    curves = {
        "tamis": [curve(cubes, lambda c: tamis(binary, bundle, names[id(c)], q)) for q in range(4, 101, 12)],
        "bands": [curve(cubes, lambda c: bands(c, level)) for level in range(25, 62, 6)],
        "cube": [curve(cubes, lambda c: codestream(c, 12, level)) for level in range(25, 62, 6)],
        "own": [curve(cubes, lambda c: rotated(c, own[id(c)], k, level, True)) for k in counts for level in levels],
        "shared": [curve(cubes, lambda c: rotated(c, shared, k, level, False)) for k in counts for level in levels],
    }
    for name in curves:
        print(f"# {name}: " + " ".join(f"{r:.4f}:{p:.2f}" for r, p in sorted(curves[name])), file=sys.stderr)
    print("| bits per sample | " + " | ".join(curves) + " |")
    print("|---|" + "---|" * len(curves))
    for rate in RATES:
        row = (at(points, rate) for points in curves.values())
        print(f"| {rate} | " + " | ".join("-" if np.isnan(v) else f"{v:.2f}" for v in row) + " |")
    print(f"\nn = {len(cubes)} cubes of {cubes[0].shape}")

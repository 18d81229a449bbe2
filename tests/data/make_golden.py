"""Writes golden.safetensors: what the reference package `walloc` computes, for the Rust tests to answer to.

Needs walloc 1.2.1, torch, numpy and safetensors. Run from anywhere: `python tests/data/make_golden.py`.
Weights and inputs are random with fixed seeds. Values are f32 unless a type is given.
Band order, signs and the two extra columns of audio: those of the reference package.

    image.j3.input            [3, 64, 48]    picture in [-0.5, 0.5]
    image.j3.bands            [192, 8, 6]    its packet transform, J = 3, periodic ends
    image.weight, image.bias  [12, 192] [12] a projection
    image.projected           [12, 8, 6]     weight @ bands + bias
    image.b8.companded        [12, 8, 6]     ToUniform(projected), 8 bits
    image.b8.integers         [12, 8, 6] i16 round(companded), ties to even
    image.b8.near_tie         [12, 8, 6] u8  1 where companded lies within 1e-3 of a tie
    image.b8.normal           [12, 8, 6]     ToNormal(integers)
    image.j12.input           [1, 40, 48]
    image.j1.bands            [4, 20, 24]    of image.j12.input
    image.j2.bands            [16, 10, 12]   of image.j12.input
    image.j4.input_u8         [1, 80, 96] u8 picture; the transform saw u8 / 255 - 0.5
    image.j4.bands            [256, 5, 6]
    audio.j8.input            [2, 4096]      stereo in [-0.5, 0.5]
    audio.j8.bands            [512, 16]
    audio.weight, audio.bias  [27, 512] [27] a projection with one column of padding at each end
    audio.projected           [27, 18]       columns 0 and 17 are the bias alone
    audio.b8.companded, .integers i16, .near_tie u8   [27, 18]
    audio.b4.gain             [1]            weight and bias times this gain, for 4 bits
    audio.b4.companded, .integers i16, .near_tie u8   [27, 18]
    compand.b{2,3,4,6,8}.constants  [2] f64  scale, latent_max
    compand.b{2,3,4,6,8}.normal     [2M+1]   ToNormal(q) of q = -M..=M, M = 2^(b-1) - 1

Mirrored ends are not in the reference package: here the whole-sample symmetric extension is convolved with the
filter taps in float64, level by level.

    mirror.audio64.input, .bands    [64] [8, 8]           f64, J = 3
    mirror.audio256.input, .bands   [256] [128, 2]        f64, J = 7
    mirror.image.input, .bands      [1, 16, 24] [64, 2, 3] f64, J = 3
"""

import sys
import types
from pathlib import Path

import diffusers.models.autoencoders  # noqa: F401  it looks for torchvision, so before the stand-in below
import numpy as np
import torch
from safetensors.numpy import save_file

try:
    import torchvision.transforms  # noqa: F401
except ImportError:
    # walloc imports two picture converters that nothing here calls.
    vision, transforms = types.ModuleType("torchvision"), types.ModuleType("torchvision.transforms")
    transforms.ToPILImage = transforms.PILToTensor = object
    vision.transforms = transforms
    sys.modules.update({"torchvision": vision, "torchvision.transforms": transforms})

from walloc import walloc  # noqa: E402

DEC_LO = [0, 0.03782845550726404, -0.023849465019556843, -0.11062440441843718, 0.37740285561283066,
          0.8526986790088938, 0.37740285561283066, -0.11062440441843718, -0.023849465019556843, 0.03782845550726404]
DEC_HI = [0, -0.06453888262869706, 0.04068941760916406, 0.41809227322161724, -0.7884856164055829,
          0.41809227322161724, 0.04068941760916406, -0.06453888262869706, 0, 0]


def picture(generator, *shape):
    """A smooth picture with noise on it, in [-0.5, 0.5]. shape: [c, h, w]."""
    coarse = torch.rand((1, shape[0], 6, 7), generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=shape[1:], mode="bicubic")[0]
    return (smooth - 0.5 + 0.1 * torch.randn(shape, generator=generator)).clamp(-0.5, 0.5)


def companded(tensors, name, bits, projected):
    """Adds what the bottleneck of `bits` makes of `projected` under `name`."""
    top = 2 ** (bits - 1) - 1
    scale, latent_max = top / 1.85, top + 0.5 - 1e-3
    values = walloc.ToUniform(scale, latent_max)(projected)
    integers = walloc.Round().eval()(values)
    distance = (values - values.floor() - 0.5).abs()
    tensors[f"{name}.companded"] = values
    tensors[f"{name}.integers"] = integers.to(torch.int16)
    tensors[f"{name}.near_tie"] = (distance < 1e-3).to(torch.uint8)
    if name.startswith("image"):
        tensors[f"{name}.normal"] = walloc.ToNormal(scale, latent_max)(integers)


def mirrored_level(x, axis):
    """One level along `axis` with whole-sample symmetric ends: (lo, hi), each half as long."""
    x = np.moveaxis(x, axis, -1)
    n = x.shape[-1]
    period = 2 * (n - 1)
    fold = lambda i: min(i % period, period - i % period)
    halves = []
    for taps in (DEC_LO, DEC_HI):
        half = np.zeros(x.shape[:-1] + (n // 2,))
        for k in range(n // 2):
            for m, tap in enumerate(taps):
                half[..., k] += tap * x[..., fold(2 * k + 5 - m)]
        halves.append(np.moveaxis(half, -1, axis))
    return halves


def mirrored_audio(x, levels):
    """x: [n] -> [2^levels, n / 2^levels], natural order."""
    bands = x[None]
    for _ in range(levels):
        lo, hi = mirrored_level(bands, -1)
        bands = np.stack([lo, hi], 1).reshape(-1, lo.shape[-1])
    return bands


def mirrored_image(x, levels):
    """x: [c, h, w] -> [c * 4^levels, h / 2^levels, w / 2^levels], natural order."""
    bands = x
    for _ in range(levels):
        parts = []
        for across in mirrored_level(bands, -1):
            parts += mirrored_level(across, -2)
        bands = np.stack(parts, 1).reshape(-1, *parts[0].shape[1:])
    return bands


def main():
    generator = torch.Generator().manual_seed(20261123)
    out = {}

    image = walloc.Codec2D(channels=3, J=3, Ne=None, Nd=32, latent_dim=12, latent_bits=8, lightweight_encode=True).eval()
    x = picture(generator, 3, 64, 48)
    bands = image.wavelet_analysis(x[None], J=3)[0]
    weight = 12 * torch.randn((12, 192), generator=generator)
    bias = 4 * torch.randn(12, generator=generator)
    projected = torch.nn.functional.conv2d(bands[None], weight[:, :, None, None], bias)[0]
    out |= {"image.j3.input": x, "image.j3.bands": bands, "image.weight": weight, "image.bias": bias}
    out["image.projected"] = projected
    companded(out, "image.b8", 8, projected)

    x = picture(generator, 1, 40, 48)
    out["image.j12.input"] = x
    for levels in (1, 2):
        out[f"image.j{levels}.bands"] = image.wavelet_analysis(x[None], J=levels)[0]
    x = ((picture(generator, 1, 80, 96) + 0.5) * 255).round()
    out["image.j4.input_u8"] = x.to(torch.uint8)
    out["image.j4.bands"] = image.wavelet_analysis((x / 255 - 0.5)[None], J=4)[0]

    audio = walloc.Codec1D(channels=2, J=8, Ne=None, Nd=27, latent_dim=27, latent_bits=8, lightweight_encode=True,
                           post_filter=False).eval()
    tone = torch.sin(torch.arange(4096) * torch.tensor([[0.031], [0.173]]))
    x = (0.3 * tone + 0.05 * torch.randn((2, 4096), generator=generator)).clamp(-0.5, 0.5)
    bands = audio.wavelet_analysis(x[None], J=8)[0]
    weight = 10 * torch.randn((27, 512), generator=generator)
    bias = 4 * torch.randn(27, generator=generator)
    projected = torch.nn.functional.conv1d(bands[None], weight[:, :, None], bias, padding=1)[0]
    out |= {"audio.j8.input": x, "audio.j8.bands": bands, "audio.weight": weight, "audio.bias": bias}
    out["audio.projected"] = projected
    companded(out, "audio.b8", 8, projected)
    gain = torch.tensor([0.0625])
    out["audio.b4.gain"] = gain
    companded(out, "audio.b4", 4, torch.nn.functional.conv1d(bands[None], gain * weight[:, :, None], gain * bias, padding=1)[0])

    for bits in (2, 3, 4, 6, 8):
        top = 2 ** (bits - 1) - 1
        scale, latent_max = top / 1.85, top + 0.5 - 1e-3
        out[f"compand.b{bits}.constants"] = torch.tensor([scale, latent_max], dtype=torch.float64)
        out[f"compand.b{bits}.normal"] = walloc.ToNormal(scale, latent_max)(torch.arange(-top, top + 1).float())

    rng = np.random.default_rng(9)
    out = {name: tensor.detach().contiguous().numpy() for name, tensor in out.items()}
    for n, levels in ((64, 3), (256, 7)):
        x = rng.uniform(-0.5, 0.5, n)
        out |= {f"mirror.audio{n}.input": x, f"mirror.audio{n}.bands": mirrored_audio(x, levels)}
    x = rng.uniform(-0.5, 0.5, (1, 16, 24))
    out |= {"mirror.image.input": x, "mirror.image.bands": mirrored_image(x, 3)}

    path = Path(__file__).with_name("golden.safetensors")
    save_file({name: np.ascontiguousarray(value) for name, value in out.items()}, path)
    for name, value in out.items():
        print(f"{name:28} {str(value.dtype):8} {list(value.shape)}")
    print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    with torch.no_grad():
        main()

"""Pictures of bands: a bundle of one's own, there and back."""

import io

import numpy
import pytest
import tamis


def make_cube(seed, bands=20, side=64, dtype=numpy.uint16):
    """Two smooth spectra, mixed by a wave and an edge, with a little noise; 12 bits."""
    y, x = numpy.mgrid[:side, :side].astype(numpy.float64)
    wood = 0.5 + 0.4 * numpy.sin(x / 11 + seed)
    water = numpy.where((x - y + 7 * seed) % 60 < 25, 0.9, 0.1)
    at = numpy.linspace(0, 1, bands)
    spectra = [0.3 + 0.5 * at, 0.8 * numpy.exp(-12 * (at - 0.4) ** 2)]
    cube = wood[..., None] * spectra[0] + water[..., None] * spectra[1]
    noise = numpy.random.default_rng(seed).normal(0, 4, cube.shape)
    return (2000 * cube + noise).clip(0, 4095).astype(dtype)


@pytest.fixture(scope="module")
def bundle():
    return tamis.fit([make_cube(seed) for seed in range(6)], name="cubes")


def psnr(a, b):
    error = ((a.astype(numpy.float64) - b) ** 2).mean()
    return 10 * numpy.log10(4095**2 / error)


@pytest.mark.parametrize("dtype", [numpy.uint16, numpy.int16])
def test_there_and_back(bundle, dtype):
    cube = make_cube(9, dtype=dtype)
    latent = tamis.Encoder(bundle, quality=90).push(cube)
    assert (latent.layout, latent.extent, latent.grid) == ("bands", (64, 64), (8, 8))
    back = tamis.Decoder(bundle).push(latent)
    assert (back.shape, back.dtype) == (cube.shape, dtype)
    assert psnr(cube, back) > 40
    few = bundle.groups[0]
    coarse = tamis.Decoder(bundle, channels=few).push(latent)
    assert psnr(cube, coarse) < psnr(cube, back)


def test_recordings_keep_what_they_were(bundle):
    cube = make_cube(9)
    encoder, file = tamis.Encoder(bundle, quality=90), io.BytesIO()
    with tamis.Writer(file) as writer:
        writer.write(encoder.push(cube))
    file.seek(0)
    reader = tamis.Reader(file, bundle=bundle)
    latents = list(reader)
    assert len(latents) == 1 and reader.lost == 0
    (header,) = reader.headers.values()
    assert (header["layout"], header["channels"]) == ("bands", 20)
    decoder = tamis.Decoder(bundle)
    assert (decoder.push(latents[0]) == decoder.push(encoder.push(cube))).all()


def test_what_does_not_fit_is_said(bundle):
    encoder = tamis.Encoder(bundle)
    cube = make_cube(9)
    for wrong, words in [
        (cube[..., :19], r"shape \[64, 64, 19\], expected \[height, width, 20\]"),
        (numpy.moveaxis(cube, -1, 0), r"expected \[height, width, 20\].*numpy.moveaxis\(x, 0, -1\)"),
        (cube[..., 0], r"expected \[height, width, 20\]"),
        (cube[:0], "a pixel at least"),
    ]:
        with pytest.raises(ValueError, match=words):
            encoder.push(wrong)
    with pytest.raises(TypeError, match="expected uint8, uint16, int16 or float32"):
        encoder.push(cube.astype(numpy.float64))
    with pytest.raises(ValueError, match="bands are rotated once"):
        tamis.fit([cube], dense=True)
    with pytest.raises(ValueError, match="1 to 256 bands"):
        tamis.fit([numpy.zeros((8, 8, 257), numpy.uint8)])

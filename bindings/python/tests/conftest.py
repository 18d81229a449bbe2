"""Pictures and sounds that the tests make themselves."""

from pathlib import Path

import numpy
import pytest

import tamis

ROOT = Path(__file__).resolve().parents[3]


def make_picture(height=120, width=176, seed=1):
    """Waves, an edge and noise, uint8 [height, width, 3]."""
    y, x = numpy.mgrid[:height, :width].astype(numpy.float32)
    wave = 60 * numpy.sin(x / 9) + 50 * numpy.cos(y / 13)
    edge = numpy.where(abs(x - y) < 10, 70, 0)
    noise = numpy.random.default_rng(seed).random((height, width)) * 12
    planes = [128 + wave + noise, 110 + edge + noise, 90 - wave / 2 + edge / 2 + noise]
    return numpy.stack(planes, -1).clip(0, 255).astype(numpy.uint8)


def make_sound(steps=20000, channels=1, seed=1):
    """Two tones and noise, float32 [steps, channels]."""
    t = numpy.arange(steps, dtype=numpy.float32)[:, None] + numpy.arange(channels)
    noise = numpy.random.default_rng(seed).random((steps, channels)) - 0.5
    return (0.3 * numpy.sin(t * 0.05) + 0.2 * numpy.sin(t * 0.31) + 0.02 * noise).astype(numpy.float32)


@pytest.fixture
def picture():
    return make_picture()


@pytest.fixture(scope="session")
def rgb():
    return tamis.Bundle("rgb")


@pytest.fixture
def recording(tmp_path):
    """Six pictures that change a little, by the dense coder."""
    path = tmp_path / "six.tamis"
    encoder = tamis.Encoder("rgb")
    with tamis.Writer(path, fps=25) as writer:
        for i in range(6):
            changed = make_picture()
            changed[10 * i : 10 * i + 10] = 255
            writer.write(encoder.push(changed))
    return path


def psnr(a, b):
    error = ((a.astype(numpy.float64) - b) ** 2).mean()
    return 10 * numpy.log10(255**2 / error)

"""The example trains where there is a torch."""

import subprocess
import sys
from pathlib import Path

import numpy
import pytest
import tamis

EXAMPLE = Path(__file__).parents[1] / "examples" / "train_on_latents.py"


def test_it_is_short():
    assert len(EXAMPLE.read_text().splitlines()) < 100


def test_it_learns_two_textures(tmp_path):
    pytest.importorskip("torch")
    encoder, random = tamis.Encoder("rgb"), numpy.random.default_rng(1)
    for label, period in [("coarse", 16), ("fine", 3)]:
        for i in range(30):
            x = numpy.arange(96) + random.integers(16)
            stripes = 128 + 80 * numpy.sin(x / period) + random.normal(0, 8, (64, 96))
            picture = numpy.repeat(stripes[..., None], 3, 2).clip(0, 255).astype(numpy.uint8)
            with tamis.Writer(tmp_path / label / f"{i}.tamis", coder="fast") as writer:
                writer.write(encoder.push(picture))
    command = [sys.executable, EXAMPLE, tmp_path, "--epochs", "6", "--side", "8", "--workers", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1].rstrip("%")) >= 90, done.stdout

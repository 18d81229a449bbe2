"""The recordings that the Rust tests read, with the same values in them."""

import re

import numpy
import pytest
import tamis
from conftest import ROOT

FILES = ROOT / "tests" / "conformance"


@pytest.mark.parametrize("name", ["rgb-fast", "rgb-dense", "mono-dense"])
def test_values_are_those_of_the_rust_tests(name):
    reader = tamis.Reader(FILES / f"{name}.tamis")
    latents = list(reader)
    values = b"".join(latent.values.astype("<i2").tobytes() for latent in latents)
    assert values == (FILES / f"{name}.latents").read_bytes()
    assert reader.complete and reader.lost == 0
    words = [w for w in (FILES / f"{name}.txt").read_text().splitlines() if w.startswith("packet")]
    assert len(words) == len(latents)
    for latent, line in zip(latents, words):
        index, stream, micros = map(int, re.match(r"packet (\d+) of stream (\d+) at (\d+) us", line).groups())
        assert (latent.stamp.index, latent.stamp.stream) == (index, stream)
        assert latent.stamp.captured == pytest.approx(micros / 1e6, abs=1e-9)
        assert f"{latent.channels} channels of {list(latent.grid)} cells" in line
        assert f"{list(latent.extent)} samples, quality {latent.quality}" in line


@pytest.mark.parametrize("name", ["rgb-fast", "rgb-dense", "mono-dense"])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_any_pieces_give_the_same(name, size):
    data = (FILES / f"{name}.tamis").read_bytes()
    reader = tamis.Reader()
    latents = []
    for at in range(0, len(data), size):
        latents += reader.push(data[at : at + size])
    latents += reader.finish()
    assert b"".join(x.values.astype("<i2").tobytes() for x in latents) == (FILES / f"{name}.latents").read_bytes()


@pytest.mark.parametrize("name", ["pictures-fast", "pictures-dense", "sound-dense"])
def test_a_codec_that_nobody_has_is_named(name):
    # Their codecs are made by the Rust tests only.
    with pytest.raises(ValueError, match="no bundle here has codec [0-9a-f]{16}"):
        list(tamis.Reader(FILES / f"{name}.tamis"))


def test_prefix_is_the_first_channels():
    whole = list(tamis.Reader(FILES / "rgb-dense.tamis"))
    for kind in [{"channels": 12}, {"groups": 3}, {"channels": 7}]:
        part = list(tamis.Reader(FILES / "rgb-dense.tamis", **kind))
        n = kind.get("channels", 12)
        assert len(part) == len(whole)
        for a, b in zip(part, whole):
            assert a.channels == n
            assert (a.values == b.values[:n]).all()
            numpy.testing.assert_array_equal(a.dequantized(), b.dequantized(n))

"""Fixed point: the integers that tamis makes."""

from pathlib import Path

import pytest
import torch
from conftest import bundle_folder
from safetensors.torch import load_file

from tamis_train.bundle import Bundle
from tamis_train.transform import fixed_level


@pytest.fixture(scope="module")
def recorded():
    """A noisy picture of 37 x 51 pixels, the numbers of a bundle, and the latents that `tamis encode` wrote."""
    return load_file(Path(__file__).parent / "data" / "fixed.safetensors")


@pytest.fixture(scope="module")
def bundle(recorded, tmp_path_factory):
    weights = {k: v for k, v in recorded.items() if k not in ("picture",) and not k.startswith("latent")}
    folder = bundle_folder(tmp_path_factory.mktemp("b") / "fixed", "image", 3, 3, 48, weights, "fixed")
    return Bundle.load(folder)


def test_latents_are_those_of_tamis(bundle, recorded):
    x = recorded["picture"].permute(2, 0, 1)[None].float() / 255 - 0.5
    y = bundle.project(x)
    assert y.dtype == torch.int16 and y.shape == (1, 48, 5, 7)
    for quality in (20, 75, 100):
        found = bundle.quantize(y, torch.tensor([quality]))[0]
        assert torch.equal(found, recorded[f"latent.q{quality}"].float()), quality


def test_heads_get_steps_over_deviations(bundle, recorded):
    y = bundle.project(recorded["picture"].permute(2, 0, 1)[None].float() / 255 - 0.5)
    x = bundle.head_input(y, torch.tensor([75]), torch.tensor([12]))[0]
    wanted = recorded["latent.q75"] * bundle.steps[:, None, None] / bundle.deviation[:, None, None]
    assert torch.allclose(x[:12], wanted[:12]) and x[12:].abs().max() == 0


def test_sums_saturate():
    """One level against the same written sample by sample, on numbers that reach both ends of 16 bits."""
    generator = torch.Generator().manual_seed(2)
    x = torch.randint(-32768, 32768, (64, 3), generator=generator, dtype=torch.int32)
    s, d = fixed_level(x)
    for column in range(3):
        assert (s[:, column].tolist(), d[:, column].tolist()) == one_level(x[:, column].tolist())


def one_level(x):
    sat = lambda v: max(-32768, min(32767, v))
    mul = lambda a, c: (a * c + 0x4000) >> 15
    s, d, n = x[0::2], x[1::2], len(x) // 2
    after = lambda k: sat(s[k] + s[min(k + 1, n - 1)])
    before = lambda k: sat(d[max(k - 1, 0)] + d[k])
    d = [sat(sat(d[k] - after(k)) - mul(after(k), 19206)) for k in range(n)]
    s = [sat(s[k] + mul(before(k), -1736)) for k in range(n)]
    d = [sat(d[k] + mul(after(k), 28931)) for k in range(n)]
    return [sat(s[k] + mul(before(k), 14533)) for k in range(n)], d

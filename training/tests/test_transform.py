"""The transform and the latents against what they must be."""

import torch

from tamis_train.bundle import Bundle, step_factor
from tamis_train.transform import packets_1d, packets_2d, pad_mirror


def test_mirrored_packets_are_the_golden_ones(golden):
    for n, levels in ((64, 3), (256, 7)):
        found = packets_1d(golden[f"mirror.audio{n}.input"][None], levels)
        assert torch.allclose(found, golden[f"mirror.audio{n}.bands"], atol=1e-9)
    # The matrices of the two axes are f32.
    found = packets_2d(golden["mirror.image.input"], 3)
    assert torch.allclose(found, golden["mirror.image.bands"], atol=1e-6)


def test_ends_apart_the_reference_package_agrees(golden):
    """Away from the edges it does not matter whether they mirror or wrap."""
    found, wanted = packets_1d(golden["audio.j8.input"], 2), packets_1d(golden["audio.j8.input"].roll(1000, 1), 2)
    assert torch.allclose(found[:, 20:100], wanted[:, 270:350], atol=1e-5)
    found = packets_2d(golden["image.j12.input"], 1)
    assert torch.allclose(found[:, 3:-3, 3:-3], golden["image.j1.bands"][:, 3:-3, 3:-3], atol=1e-5)


def test_padding_walks_to_and_fro():
    assert pad_mirror(torch.tensor([0.0, 1, 2]), 8).tolist() == [0, 1, 2, 1, 0, 1, 2, 1]
    assert pad_mirror(torch.tensor([5.0]), 4).tolist() == [5, 5, 5, 5]
    assert pad_mirror(torch.zeros(8), 4).shape == (8,)


def test_quality():
    assert step_factor(torch.tensor([75, 59, 83])).tolist() == [1, 2, 0.5]


def test_head_input_is_zero_beyond_the_prefix(mono):
    bundle = Bundle.load(mono)
    y = bundle.project(torch.rand(2, 1, 300) - 0.5)
    x = bundle.head_input(y, torch.tensor([75, 20]), torch.tensor([128, 32]))
    assert y.shape == x.shape == (2, 128, 3)
    assert x[1, 32:].abs().max() == 0 and x[1, :32].abs().max() > 0
    steps = x[0] * bundle.deviation[:, None] / bundle.steps[:, None]
    assert torch.allclose(steps, steps.round(), atol=1e-3)
    # Half a step and the dead zone: see `Bundle.quantize`.
    assert (x[0] * bundle.deviation[:, None] - y[0]).abs().max() <= (0.5 + 0.07 * 0.05 / 0.3) * 0.05 + 1e-5

"""Heads: training goes on where it stopped, exports say what torch says, cards say what the figures say."""

import json
import math

import onnx
import pytest
import torch

from tamis_train import card, digits, waste
from tamis_train.__main__ import main
from tamis_train.bundle import Bundle
from tamis_train.digits_head import frequency_order


def short(module, bundle, data, work, steps, **more):
    head, *_ = module.train(bundle, data, 10, 7, work, steps=steps, **more)
    return torch.cat([p.flatten() for p in head.parameters()])


@pytest.mark.parametrize("name", ["waste", "digits"])
def test_stopping_and_going_on_changes_nothing(name, rgb, mono, data, tmp_path, monkeypatch):
    module, folder, more = (waste, rgb, {"count": 1}) if name == "waste" else (digits, mono, {})
    bundle = Bundle.load(folder)
    once = short(module, bundle, data, tmp_path / "once", 6, **more)

    # The rate depends on the planned number of steps, so the clock, not the plan, has to stop it.
    run = module.Loop.run
    def stopped(loop, loss_of_batch, accuracy, deadline=math.inf):
        left = iter(range(3))
        def counted():
            if next(left, None) is None:
                raise KeyboardInterrupt
            loss = loss_of_batch()
            return loss
        try:
            return run(loop, counted, accuracy, deadline, marks=6)
        except KeyboardInterrupt:
            return False
    monkeypatch.setattr(module.Loop, "run", stopped)
    half = short(module, bundle, data, tmp_path / "twice", 6, **more)
    monkeypatch.setattr(module.Loop, "run", run)
    twice = short(module, bundle, data, tmp_path / "twice", 6, **more)
    assert not torch.equal(once, half)
    assert torch.equal(once, twice)


@pytest.mark.parametrize("name", ["waste", "digits"])
def test_the_command_writes_head_figures_and_card(name, rgb, mono, data, tmp_path):
    out = tmp_path / "head"
    folder = rgb if name == "waste" else mono
    words = ["--bundle", str(folder), "--data", str(data), "--steps", "2", "--minutes", "0.1"]
    main(["head", name, *words, "--out", str(out), "--work", str(tmp_path / "work")])
    properties = {p.key: p.value for p in onnx.load(out / "head.onnx").metadata_props}
    assert properties["tamis.codec"] == "0123456789abcdef" and properties["tamis.grid"] == "any mean"
    assert json.loads(properties["tamis.labels"]) == (waste if name == "waste" else digits).LABELS
    figures = json.loads((out / "figures.json").read_text())
    # The command has compared the export with torch on several grids and refuses a difference.
    assert figures["difference"] < 1e-3 and figures["bytes"] < 1_500_000
    page = (out / "README.md").read_text()
    (out / "README.md").unlink()
    main(["card", name, "--out", str(out)])
    assert (out / "README.md").read_text() == page


@pytest.mark.parametrize("name", ["waste", "digits"])
def test_shipped_cards_say_what_the_figures_say(name):
    folder = card.Path(__file__).parents[2] / "models" / name
    if not (folder / "figures.json").exists():
        pytest.skip("no such head is shipped")
    facts = json.loads((folder / "figures.json").read_text())
    assert (folder / "README.md").read_text() == card.readme({"waste": waste, "digits": digits}[name], facts)
    assert (folder / "curve.svg").read_text() == card.curve(facts)


def test_interval():
    low, high = card.interval(90, 100)
    assert round(low, 3) == 0.826 and round(high, 3) == 0.945


def test_channels_are_put_in_order_of_frequency(mono):
    """A slow tone lives in the first channels of the order, a fast one in the last."""
    bundle = Bundle.load(mono)
    order = frequency_order(bundle)
    assert sorted(order.tolist()) == list(range(128))
    for place in (10, 60, 120):
        tone = torch.sin(torch.arange(128 * 40) * (place + 0.5) / 128 * math.pi)
        energy = bundle.project(tone[None, None])[0, order].square().mean(1)
        assert abs(int(energy.argmax()) - place) <= 1

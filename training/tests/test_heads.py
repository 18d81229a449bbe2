"""Heads: training goes on where it stopped, exports say what torch says, cards say what the figures say."""

import itertools
import json
import math
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import onnx
import pytest
import torch

from tamis_train import card, digits, esc10, loop, mel, sound_train, waste
from tamis_train.__main__ import main
from tamis_train.bundle import Bundle
from tamis_train.loop import Loop
from tamis_train.sound_head import frequency_order
from tamis_train.sounds import Clips, Pool, disturb, mix

MODULES = {"waste": waste, "digits": digits, "esc10": esc10}


@pytest.fixture(autouse=True)
def small_sounds(monkeypatch):
    """Batches, frames and tables that take no seconds."""
    monkeypatch.setattr(sound_train, "SHOWN_QUALITIES", [50, 75])
    for module, frames in ((digits, [24, 30]), (esc10, [40, 60])):
        settings = replace(module.SETTINGS, frames=frames, versions=2, batch=8)
        monkeypatch.setattr(module, "train", partial(sound_train.train, settings))


def short(module, bundle, data, work, steps, **more):
    head, *_ = module.train(bundle, data, 10, 7, work, steps=steps, **more)
    return torch.cat([p.flatten() for p in head.parameters()])


@pytest.mark.parametrize("name", MODULES)
def test_stopping_and_going_on_changes_nothing(name, rgb, mono, data, tmp_path, monkeypatch):
    module, folder, more = MODULES[name], rgb if name == "waste" else mono, {"count": 1} if name == "waste" else {}
    bundle = Bundle.load(folder)
    once = short(module, bundle, data, tmp_path / "once", 6, **more)

    # The rate depends on the planned number of steps, so the clock, not the plan, has to stop it.
    run = Loop.run
    def stopped(self, loss_of_batch, accuracy, deadline=math.inf):
        left = iter(range(3))
        def counted():
            if next(left, None) is None:
                raise KeyboardInterrupt
            loss = loss_of_batch()
            return loss
        try:
            return run(self, counted, accuracy, deadline, marks=6)
        except KeyboardInterrupt:
            return False
    monkeypatch.setattr(Loop, "run", stopped)
    half = short(module, bundle, data, tmp_path / "twice", 6, **more)
    monkeypatch.setattr(Loop, "run", run)
    twice = short(module, bundle, data, tmp_path / "twice", 6, **more)
    assert not torch.equal(once, half)
    assert torch.equal(once, twice)


@pytest.mark.parametrize("name", MODULES)
def test_the_command_writes_head_figures_and_card(name, rgb, mono, data, tmp_path):
    out = tmp_path / "head"
    folder = rgb if name == "waste" else mono
    words = ["--bundle", str(folder), "--data", str(data), "--steps", "2", "--minutes", "0.1"]
    main(["head", name, *words, "--out", str(out), "--work", str(tmp_path / "work")])
    properties = {p.key: p.value for p in onnx.load(out / "head.onnx").metadata_props}
    assert properties["tamis.codec"] == "0123456789abcdef" and properties["tamis.grid"] == "any mean"
    assert json.loads(properties["tamis.labels"]) == MODULES[name].LABELS
    figures = json.loads((out / "figures.json").read_text())
    # The command has compared the export with torch on several grids and refuses a difference.
    assert figures["difference"] < 1e-3 and figures["bytes"] < 1_500_000
    page = (out / "README.md").read_text()
    (out / "README.md").unlink()
    main(["card", name, "--out", str(out)])
    assert (out / "README.md").read_text() == page


@pytest.mark.parametrize("name", MODULES)
def test_shipped_cards_say_what_the_figures_say(name):
    folder = card.Path(__file__).parents[2] / "models" / name
    if not (folder / "figures.json").exists():
        pytest.skip("no such head is shipped")
    facts = json.loads((folder / "figures.json").read_text())
    assert (folder / "README.md").read_text() == card.readme(MODULES[name], facts)
    assert (folder / "curve.svg").read_text() == card.curve(facts)


@pytest.mark.parametrize("name", ["digits", "esc10"])
def test_the_twin_on_mel_bands_only_gives_figures(name, mono, data, tmp_path):
    words = ["--bundle", str(mono), "--data", str(data), "--steps", "2", "--minutes", "0.1", "--view", "mel"]
    main(["head", name, *words, "--out", str(tmp_path / "twin"), "--work", str(tmp_path / "work")])
    figures = json.loads((tmp_path / "twin" / "figures.json").read_text())
    assert figures["view"] == "mel" and "--view mel" in figures["command"]
    assert [p.name for p in (tmp_path / "twin").iterdir()] == ["figures.json"]


def test_what_cannot_be_trained_so_is_refused(rgb, data):
    words = ["head", "waste", "--bundle", str(rgb), "--data", str(data)]
    with pytest.raises(SystemExit, match="--view: waste has no view mel; there are latent"):
        main([*words, "--view", "mel"])
    with pytest.raises(SystemExit, match="--device: waste is trained on the CPU"):
        main([*words, "--device", "cuda"])


def test_a_training_cut_short_by_the_clock_ends_with_a_small_rate(tmp_path, monkeypatch):
    model, clock = torch.nn.Linear(2, 2), itertools.count()
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    short = loop.Loop(model, 10**6, 1e-3, 0, tmp_path / "checkpoint.pt", ("a",))
    assert not short.run(lambda: model(torch.ones(1, 2)).square().sum(), lambda m: 0.0, 1000)
    assert 100 < short.step < 1000 and short.pace() < 0.01


def test_metadata_allow_no_rung_that_loses_much():
    right = {(128, q): n for q, n in ((20, 99), (35, 80), (50, 94), (75, 97), (90, 60))} | {(32, 50): 10}
    assert card.rungs(right, 100, 128) == {"prefixes": [128], "qualities": [50, 75]}
    right |= {(64, 75): 94, (32, 75): 93, (128, 90): 94, (128, 50): 93}
    assert card.rungs(right, 100, 128) == {"prefixes": [64, 128], "qualities": [75, 90]}


def test_decoding_undoes_the_projection(mono):
    bundle = Bundle.load(mono)
    sound = torch.randn(2, 1280)
    found = mel.Decoder(bundle)(bundle.project(sound[:, None]) / bundle.deviation[:, None])
    assert torch.allclose(found, sound, atol=1e-4)


def test_a_tone_is_loudest_in_its_mel_band():
    tone = torch.sin(torch.arange(8000) * 2 * math.pi * 1000 / 8000)
    found = mel.magnitudes(tone[None], 8000, 128, 256, 512)
    assert found.shape == (1, mel.BANDS, 63)
    high = lambda hertz: 2595 * math.log10(1 + hertz / 700)
    place = (high(1000) - high(40)) / (high(3920) - high(40)) * (mel.BANDS + 1) - 1
    assert abs(found[0].mean(1).argmax().item() - place) <= 1


def test_altered_clips_keep_their_pitch_or_move_it_with_the_speed():
    """A clip of 800 samples in a frame of 1000 stands whole and at the same samples; circular, it fills the frame."""
    clip = torch.sin(torch.arange(800) * 0.3) * 0.5
    clips, both = Clips([clip, clip]), torch.tensor([0, 1])
    placed = clips.alter(both, 1000, speeds=(1, 1))
    for row in placed:
        first = int((row != 0).nonzero()[0]) - 1  # the sine begins with a zero
        assert torch.allclose(row[first : first + 799], clip[:799], atol=1e-4)
        assert not row[:first].any() and not row[first + 800 :].any()
    filled = clips.alter(both, 1000, speeds=(1, 1), circular=True)
    assert torch.allclose(filled[:, :200], filled[:, 800:], atol=1e-3) and filled.square().mean() > 0.1
    slow = clips.alter(both, 800, speeds=(0.5, 0.5), circular=True)
    turns = lambda x: int((x[..., 1:].sign() != x[..., :-1].sign()).sum())
    assert abs(turns(slow[0]) - turns(clip) / 2) <= 2


def test_a_pool_gives_windows_of_its_latents(mono):
    bundle = Bundle.load(mono)
    clips, i = Clips([torch.randn(3000).clamp(-1, 1) * 0.3 for _ in range(3)]), torch.tensor([2, 0])
    for circular in (False, True):
        pool = Pool(clips, bundle, 2, 20, circular)
        assert pool.latents.shape == (6, 128, 20)
        for row, clip in zip(pool.draw(i, 8), i):
            own = pool.latents.view(2, 3, 128, 20)[:, clip].float()
            own = torch.cat([own, own], 2)
            starts = range(20 if circular else 13)
            assert sum(torch.equal(row, version[:, k : k + 8]) for version in own for k in starts) >= 1


def test_half_of_the_clips_get_a_level_of_their_own():
    torch.manual_seed(0)
    x = torch.randn(400, 500) * 10 ** -2
    level = 20 * torch.log10(disturb(x, (0, 0), (-20, -20), noise=(-9, -9)).square().mean(1).sqrt())
    near = lambda value: ((level - value).abs() < 1.5).float().mean()
    assert 0.4 < near(-40) < 0.6 and 0.4 < near(-20) < 0.6


def test_mixed_clips_are_as_loud_as_their_shares_say():
    torch.manual_seed(0)
    x = torch.randn(64, 4000) * torch.logspace(-2, 0, 64)[:, None]
    targets = torch.eye(64)
    mixed, shares = mix(x, targets, torch.full((64, 1), 0.7))
    assert torch.allclose(shares.sum(1), torch.ones(64)) and mixed.shape == x.shape
    k = next(k for k in range(64) if 0 < shares[k].max() < 1)
    part = (mixed[k] * x).mean(1) / x.square().mean(1) * x.square().mean(1).sqrt()
    first, second = part[k].abs(), part[shares[k] > 0.29].abs().sum() - part[k].abs()
    assert first / (first + second) == pytest.approx(0.7, abs=0.05)


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

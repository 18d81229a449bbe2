"""Transformers and their twins: what is drawn, seen, folded and exported; training goes on where it stopped."""

import json
import types

import onnx
import onnxruntime
import pytest
import torch

from tamis_train import glyphs, vit_card, vit_command, vit_sources, vit_train
from tamis_train.__main__ import main
from tamis_train.bundle import Bundle
from tamis_train.vit import Vit, patterns
from tamis_train.vit_views import alter, cosines, see, shape, shrink, spread_of_cosines

TINY = {"width": 24, "depth": 1, "heads": 2}


def test_a_seed_draws_the_same_marks_again():
    draw = lambda seed: glyphs.draw(8, torch.Generator().manual_seed(seed), side=96)
    x, kind, middle = draw(3)
    again, other = draw(3), draw(4)
    assert torch.equal(x, again[0]) and torch.equal(kind, again[1]) and not torch.equal(x, other[0])
    assert x.shape == (8, 3, 96, 96) and ((middle >= glyphs.MARGIN) & (middle <= 96 - glyphs.MARGIN)).all()


def test_pictures_are_written_with_their_labels(tmp_path, capfdbinary):
    main(["draw-glyphs", "--count", "3", "--seed", "9", "--labels", str(tmp_path / "labels.json")])
    x, kind, _ = glyphs.draw(3, torch.Generator().manual_seed(9))
    assert capfdbinary.readouterr().out == x.permute(0, 2, 3, 1).contiguous().numpy().tobytes()
    assert json.loads((tmp_path / "labels.json").read_text()) == [glyphs.LABELS[k] for k in kind]


def test_marks_are_small_and_differ_only_in_what_down_scaling_destroys():
    n = len(glyphs.LABELS)
    still = torch.zeros(n)
    cover = glyphs.marks(torch.arange(n), torch.full((n,), 10.0), still, torch.zeros(n, 2), still + 0.1, still + 1)
    assert cover[0].sum() == 0
    size = (cover.amax(2) > 0.2).sum(1)[1:]
    assert (size >= 7).all() and (size <= 12).all()
    differences = lambda v: min((a - b).norm() for i, a in enumerate(v[1:]) for b in v[1 : 1 + i])
    assert differences(cover) > 2.5
    assert differences(shrink(cover[:, None], 2)[:, 0]) < 0.2 * differences(cover)


def test_moving_by_whole_pixels_does_not_blur():
    torch.manual_seed(1)
    x = torch.randint(0, 256, (40, 3, 32, 48), dtype=torch.uint8)
    # Light and colour are changed too, so neighbours are compared: resampling makes them alike.
    rough = lambda v: (v[:, :, :, 1:].float() - v[:, :, :, :-1].float()).abs().mean((1, 2, 3))
    ratio = rough(alter(x, (32, 48))) / rough(x)
    assert 10 <= (ratio > 0.72).sum() <= 34


def test_the_cosines_are_a_basis_and_fold_into_the_embedding():
    basis = cosines("cpu").view(3, 64, 64)
    assert torch.allclose(basis[0] @ basis[0].T, torch.eye(64), atol=1e-5)
    x = torch.randint(0, 256, (2, 3, 128, 64), dtype=torch.uint8)
    for view, scale in (("small", 2), ("full", 1)):
        spreads = {view: spread_of_cosines(x, scale)}
        inputs, patch = shape(view)
        embed = torch.nn.Conv2d(inputs, 16, patch, patch)
        expected = embed(see(None, x, None, None, [view], spreads)[view])
        weight, bias = vit_command.folded(embed.weight, embed.bias, spreads[view])
        pixels = shrink(x.float() / 255 - 0.5, scale) + 0.5
        found = torch.nn.functional.conv2d(pixels, weight, bias, stride=8 * patch)
        assert torch.allclose(found, expected, atol=2e-3)


def test_a_head_of_energy_reads_plain_latents(rgb, tmp_path):
    torch.manual_seed(1)
    inputs, patch = shape("energy")
    vit = Vit(inputs, patch, vit_sources.grid_of(vit_train.TASKS["waste"]["size"]), 6, **TINY).eval()
    arm = types.SimpleNamespace(view="energy", vit=vit, averaged=vit.state_dict)
    bundle = Bundle.load(rgb)
    # Exporting compares it with torch.
    vit_command.export("waste", arm, bundle, {}, tmp_path / "energy.onnx")
    head = onnx.load(tmp_path / "energy.onnx")
    card = {p.key: p.value for p in head.metadata_props}
    assert card["tamis.channels"] == "48" and card["tamis.grid"] == "exact 36x48"
    x = torch.randint(0, 256, (1, 3, 288, 384), dtype=torch.uint8)
    seen = see(bundle, x, torch.tensor([75]), torch.tensor([24]), ["latent", "energy"], {})
    session = onnxruntime.InferenceSession(head.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"latent": seen["latent"].numpy()})
    with torch.no_grad():
        assert torch.allclose(torch.from_numpy(found), vit(seen["energy"]), atol=1e-4)


def test_a_part_at_its_places_is_a_part_of_the_whole():
    torch.manual_seed(1)
    vit = Vit(3, 4, (3, 5), 2, **TINY).eval()
    x = torch.randn(2, 3, 12, 20)
    everything = torch.arange(15).expand(2, -1)
    assert torch.allclose(vit.tokens(x), vit.tokens(x, places=everything), atol=1e-6)
    kept = torch.tensor([[1, 2, 6, 7]]).expand(2, -1)
    part = vit.tokens(x[:, :, :8, 4:12], places=kept)
    assert torch.allclose(vit.tokens(x, kept), part, atol=1e-5)


def test_patterns_hold_every_patch_once():
    order = patterns(4, (3, 5), "cpu")
    assert torch.equal(order.sort(1).values, torch.arange(15).expand(4, -1))


def test_what_is_asked_of_parts_fits_what_is_shown(monkeypatch):
    monkeypatch.setattr(vit_sources, "PART", 3)
    monkeypatch.setattr(vit_sources, "examples", lambda *_: None)
    source = vit_sources.Glyphs((128, 128), "cpu")
    for done, n in ((0.0, 9), (0.9, 16)):
        batch = source.batch(64, done)
        shown = batch.kept.shape[1]
        assert batch.spots.shape == batch.weights.shape == (len(batch.pictures), shown) and shown <= n
        # The mark is always shown, and told once.
        kinds = batch.targets.argmax(1)
        assert torch.equal((batch.spots > 0).sum(1), (kinds > 0).long())
        assert batch.places.max() < 16 and batch.places.shape[1] == n


def test_without_rounding_nearly_all_latents_are_the_same(rgb):
    bundle = Bundle.load(rgb)
    x = glyphs.draw(2, torch.Generator().manual_seed(5), side=96)[0].float() / 255 - 0.5
    one = lambda v: torch.full((2,), v)
    exact, smooth = (bundle.quantize(y, one(75)) for y in (bundle.project(x), bundle.project_smooth(x)))
    assert (exact - smooth).abs().max() <= 1 and (exact != smooth).float().mean() < 0.01


@pytest.mark.parametrize("task", ["waste", "pretrain"])
def test_training_goes_on_from_its_checkpoint(task, rgb, data, tmp_path):
    bundle = Bundle.load(rgb)
    make = lambda: vit_train.Training(task, bundle, data, ["latent", "small"], [1], tmp_path, "cpu", **TINY)
    first = make()
    first.run(0.001)
    again = make()
    assert again.steps == first.steps and again.seconds == first.seconds and again.curve == first.curve
    for a, b in zip(first.arms, again.arms):
        assert all(torch.equal(x, y) for x, y in zip(a.average, b.average))
    again.run(again.seconds / 60 + 0.02)
    assert again.steps > first.steps


def test_the_command_pretrains_trains_and_exports(rgb, data, tmp_path, monkeypatch):
    run = vit_command.run
    monkeypatch.setattr(vit_command, "run", lambda args: run(args, **TINY))
    words = ["--bundle", str(rgb), "--data", str(data), "--minutes", "0.001", "--device", "cpu", "--views", "latent,full"]
    main(["vit", "pretrain", *words, "--work", str(tmp_path)])
    main(["vit", "waste", *words, "--work", str(tmp_path), "--start", str(tmp_path / "pretrain.pt"), "--seeds", "1,2"])
    figures = json.loads((tmp_path / "waste" / "figures.json").read_text())
    assert figures["n"] == 6 and set(figures["right"]) == {"latent-1", "full-1", "latent-2", "full-2"}
    assert set(figures["only one right"]) == {"full-1 latent-1", "full-2 latent-2"}
    assert set(figures["cells"]["12 20"]) == {"latent-1", "latent-2"}
    head = onnx.load(tmp_path / "waste" / "latent-2.onnx")
    assert {p.key: p.value for p in head.metadata_props}["tamis.grid"] == "exact 36x48"
    twin = onnx.load(tmp_path / "waste" / "full-1.onnx")
    assert [d.dim_value for d in twin.graph.input[0].type.tensor_type.shape.dim] == [1, 3, 288, 384]
    monkeypatch.setitem(vit_card.TEXT, "waste", vit_card.TEXT["glyphs"])
    words = ["--trained", str(tmp_path / "waste"), "--arm", "latent-2", "--machine", "a test", "--out", str(tmp_path / "shipped")]
    main(["vit-ship", "waste", *words])
    shipped = onnx.load(tmp_path / "shipped" / "head.onnx")
    assert "48" in {p.key: p.value for p in shipped.metadata_props}["tamis.prefixes"].split(",")
    assert (tmp_path / "shipped" / "head.onnx").stat().st_size < 0.7 * (tmp_path / "waste" / "latent-2.onnx").stat().st_size
    x = {"latent": torch.randn(1, 48, 36, 48).numpy()}
    answers = [onnxruntime.InferenceSession(m.SerializeToString()).run(None, x)[0] for m in (head, shipped)]
    assert abs(answers[0] - answers[1]).max() < 1e-2
    assert "only this head right" in (tmp_path / "shipped" / "README.md").read_text()
    with pytest.raises(SystemExit, match="no such view as half"):
        main(["vit", "waste", "--views", "half", "--work", str(tmp_path)])

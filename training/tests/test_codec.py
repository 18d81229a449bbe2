"""Training of a codec: its mathematics, going on after a stop, and what is written."""

import json
import tomllib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file

from tamis_train import chroma, codec_export, crops, ids, inverse, joint, rates, residual_onnx
from tamis_train.__main__ import main
from tamis_train.bundle import read
from tamis_train.codec import Codec
from tamis_train.rate import Rate
from tamis_train.residual import Residual

MODELS = Path(__file__).parents[2] / "models"
SMALL = (8, 2)


def smooth_picture(h, w, seed=0):
    """Waves and some noise. Shape: u8 [h, w, 3]."""
    rng, y, x = np.random.default_rng(seed), np.arange(h)[:, None], np.arange(w)
    waves = [90 * np.sin(0.06 * (k + 1 + seed) * y + 0.04 * x) for k in range(3)]
    return (128 + np.stack(waves, -1) + rng.normal(0, 4, (h, w, 1))).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures") / "images" / "photos"
    folder.mkdir(parents=True)
    for k, (h, w) in enumerate([(130, 170), (160, 111)]):
        Image.fromarray(smooth_picture(h, w, k)).save(folder / f"{k}.png")
    return folder


@pytest.fixture
def codec():
    torch.manual_seed(3)
    return Codec(*read(MODELS / "rgb"), SMALL, SMALL)


def stirred(net):
    """A net as training leaves it: no weights of zero."""
    torch.manual_seed(4)
    for p in net.parameters():
        torch.nn.init.normal_(p, 0, 0.2)
    return net


@pytest.mark.parametrize("name", ["rgb", "mono", "stereo"])
def test_ids_are_those_of_tamis(name):
    card, weights = read(MODELS / name)
    assert ids.codec_id(card, weights) == card["codec_id"]
    assert ids.tables_id(weights) == card["tables_id"]


def test_bands_come_back_as_the_picture():
    picture = torch.from_numpy(smooth_picture(88, 64))[None]
    total, first, second = (p[0] / 8 for p in inverse.planes(crops.bands_of(picture)[:, :96].float()))
    red, green, blue = picture[0].float().unbind(2)
    halved = lambda x: F.avg_pool2d(x[None], 2)[0]
    assert (total + 3060 / 8 - (red + green + blue)).abs().max() / 3 < 1
    # Opponents are halved, and doubled again by a filter that, over pairs, takes an eighth of either side.
    for found, colour in ((first, red - blue), (second, 2 * green - red - blue)):
        padded = F.pad(halved(colour)[None], (1, 1, 1, 1), mode="replicate")
        kernel = torch.tensor([0.125, 0.75, 0.125])
        wanted = F.conv2d(padded[None], (kernel[:, None] * kernel)[None, None])[0, 0]
        assert (halved(found) - wanted).abs().max() < 2


def test_opponents_to_decode_are_the_best_there_are():
    planes = torch.randint(-800, 800, (2, 24, 40))
    up, across = inverse.doubled(12), inverse.doubled(20)
    wanted = torch.linalg.pinv(up) @ planes.double() @ torch.linalg.pinv(across).T
    assert (chroma.best(planes) - wanted).abs().max() < 2
    # And they come out of the target's bands as they went in.
    picture = torch.from_numpy(smooth_picture(48, 64))[None]
    target = crops.parted(crops.bands_of(picture).float())[1]
    rest = torch.stack(inverse.planes(target))[1:, 0] - chroma.opponents(crops.values(picture))[:, 0]
    square = (rest[0].square() / 2 + rest[1].square() / 6) / (3 * 64)
    assert torch.allclose(square.mean(), chroma.lost(crops.values(picture)).mean(), rtol=0.05)


def test_error_is_that_of_the_colours():
    error = torch.randn(2, 96, 5, 5)
    total, first, second = (p / 8 for p in inverse.planes(error))
    rb = (total - second / 2 * 1) / 3  # red + blue = 2 (total - second / 2) / 3
    colours = torch.stack([rb + first / 2, (total + second) / 3, rb - first / 2])
    wanted = colours.square().mean((0, 2, 3))
    assert torch.allclose(inverse.mean_square(error, torch.ones(2, 5, 5)), wanted, rtol=1e-3)


def test_rims_count_only_where_the_picture_ends(pictures):
    data = crops.prepare(sorted(pictures.iterdir()), 12, 8, "cpu", 1)
    # 0.67 of them is too small.
    assert len(data.start) == 2 * 8 and torch.isclose(data.chance.sum(), torch.tensor(1.0).double())
    # The last way to lay a picture: mirrored on both axes, then its axes exchanged.
    turned = crops.read_picture(pictures / "0.png").flip(0, 1).transpose(0, 1)
    assert (int(data.height[7]), int(data.width[7])) == (22, 17)
    assert torch.equal(data.cells[data.start[7] : data.start[8]].T.view(128, 22, 17).int(), crops.bands_of(turned[None])[0])
    bands, target, inside = data.draw(50, 12, torch.Generator().manual_seed(1))
    assert bands.shape == target.shape == (50, 96, 12, 12) and inside[:, 3:-3, 3:-3].min() == 1
    whole = crops.bands_of(crops.read_picture(pictures / "0.png")[None])[0, :96]
    cut = lambda x, y: whole[:, y : y + 12, x : x + 12].float()
    grid = [(x, y) for y in range(6) for x in range(11)]
    found = [(b, i, x, y) for b, i in zip(bands, inside) for x, y in grid if torch.equal(b, cut(x, y))]
    assert found and all((i[6, 0] == 1) == (x == 0) and (i[0, 6] == 1) == (y == 0) for _, i, x, y in found)


def test_the_stand_in_of_the_coder_is_a_distribution():
    torch.manual_seed(5)
    rate = Rate(12, [4, 12])
    for p in rate.parameters():
        p.data += 0.3 * torch.randn_like(p)
    seen = torch.randint(-3, 4, (1, 12, 4, 5)).float()
    values = torch.arange(-2000, 2001).float()[:, None, None, None].expand(-1, 12, 4, 5)
    with torch.no_grad():
        bits = rate(values, seen.expand(len(values), -1, -1, -1), torch.full((len(values),), 0.7))
        later = seen.clone()
        later[:, :, 2, 3] += 9
        changed = (rate(seen, later, torch.zeros(1)) != rate(seen, seen, torch.zeros(1)))[0]
    # Where a value is unlikely, the floor of 1e-9 adds up.
    assert torch.allclose(torch.exp2(-bits).sum(0), torch.tensor(1.0), atol=1e-3)
    # What comes later in its own channel is not known, nor a channel of the same block or another group.
    assert not changed[:, :2].any() and not changed[:, 2, :3].any()
    assert not changed[:8, 2, 3].any() and changed[8:, 2, 3].all()


def test_training_begins_at_the_linear_decoder(codec):
    bands = crops.bands_of(torch.from_numpy(smooth_picture(96, 96))[None])[:, :96].float()
    noise = torch.rand(1, 48, 12, 12) - 0.5
    coded = codec(bands, torch.ones(1), torch.tensor([48.0]), noise)
    assert coded.default.abs().max() == 0 and coded.edge.abs().max() == 0
    inside = torch.ones(1, 12, 12)
    loss = inverse.mean_square(coded.linear + coded.default - bands, inside).sum() + coded.bits.mean() + coded.hard.mean()
    loss = loss + inverse.mean_square(coded.linear.detach() + coded.edge - bands, inside).sum()
    loss.backward()
    learning = [*codec.core(), codec.log_steps, codec.rate.taps, codec.default.last.weight, codec.edge.last.weight]
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in learning)


def test_the_small_decoder_does_not_change_the_encoder(codec):
    stirred(codec.edge)
    bands = crops.bands_of(torch.from_numpy(smooth_picture(96, 96))[None])[:, :96].float()
    codec(bands, torch.ones(1), torch.tensor([12.0])).edge.sum().backward()
    assert all(p.grad is None or p.grad.abs().max() == 0 for p in [*codec.core(), codec.log_steps])


def test_tiles_give_what_the_whole_gives():
    net = stirred(Residual(48, 96, *SMALL))
    x, condition, r = torch.randn(1, 48, 20, 22), torch.tensor([[0.2, 1.0]]), net.reach
    with torch.no_grad():
        whole, tile = net(x, condition), net(x[:, :, 5 - r : 12 + r, 6 - r : 13 + r], condition)
    scale = whole.abs().max()
    assert r == 2 and (tile[:, :, r:-r, r:-r] - whole[:, :, 5:12, 6:13]).abs().max() < 1e-4 * scale
    # One cell less is not enough: the reach is no overstatement.
    r -= 1
    with torch.no_grad():
        tile = net(x[:, :, 5 - r : 12 + r, 6 - r : 13 + r], condition)
    assert (tile[:, :, r:-r, r:-r] - whole[:, :, 5:12, 6:13]).abs().max() > 1e-3 * scale


def test_onnx_says_what_torch_says(tmp_path):
    net = stirred(Residual(48, 96, *SMALL))
    net.scale.uniform_(0.5, 3)
    # Compares on its own, on grids down to one cell.
    assert residual_onnx.write(net, tmp_path / "net.onnx", {"role": "residual"}) < 1e-4
    session = onnxruntime.InferenceSession((tmp_path / "net.onnx").read_bytes())
    assert {i.name: i.shape for i in session.get_inputs()} == {"latent": [1, 48, "h", "w"], "condition": [1, 2]}
    assert {i.name: i.shape for i in session.get_outputs()} == {"residual": [1, 96, "h", "w"]}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Measures less, and leaves the number of threads as it was."""
    monkeypatch.setattr(rates, "shown", lambda groups: [(75, groups[-1])])
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def words(verb, pictures, folder, *more):
    sizes = ["--default", "8x2", "--edge", "8x1", "--batch", "4", "--window", "10"]
    places = ["--bundle", str(MODELS / "rgb"), "--data", str(pictures), "--out", str(folder / "out")]
    return [verb, *sizes, *places, "--work", str(folder), "--device", "cpu", "--threads", "1", "--steps", "6", "--marks", "1", *more]


def test_stopping_and_going_on_changes_nothing(pictures, tmp_path, monkeypatch):
    main(words("codec", pictures, tmp_path / "once"))
    save = joint.Joint.save

    def stop(self):
        save(self)
        self.stopped = self.stopped or self.step == 3

    monkeypatch.setattr(joint.Joint, "save", stop)
    monkeypatch.setattr(joint, "SAVE_EVERY", 0)
    main(words("codec", pictures, tmp_path / "twice", "--no-export"))
    monkeypatch.undo()
    half = torch.load(tmp_path / "twice" / "checkpoint.pt")
    assert half["step"] == 3 and not half["complete"]
    main(words("codec", pictures, tmp_path / "twice"))
    once, twice = (torch.load(tmp_path / name / "checkpoint.pt") for name in ("once", "twice"))
    for part in ("model", "average"):
        assert all(torch.equal(once[part][k], twice[part][k]) for k in once[part])
    assert not torch.equal(half["model"]["default.last.weight"], once["model"]["default.last.weight"])
    same = lambda name: [(tmp_path / run / "out" / name).read_bytes() for run in ("once", "twice")]
    assert len({*same("weights.safetensors")}) == len({*same("decoder.onnx")}) == 1


def test_a_codec_is_written_as_tamis_reads_it(pictures, tmp_path):
    main(words("codec", pictures, tmp_path, "--no-export"))
    out = tmp_path / "out"
    main(["export", str(tmp_path / "checkpoint.pt"), "--data", str(pictures), "--out", str(out)])
    (card, weights), (source, old) = read(out), read(MODELS / "rgb")
    assert card["codec_id"] == ids.codec_id(card, weights) != source["codec_id"]
    assert card["tables_id"] == source["tables_id"] == ids.tables_id(weights)
    assert {k: (v.shape, v.dtype) for k, v in weights.items()} == {k: (v.shape, v.dtype) for k, v in old.items()}
    assert all(torch.equal(weights[k], old[k]) for k in old if k.startswith(("contexts", "tables", "select")))
    assert torch.equal(weights["analysis.index"], old["analysis.index"])
    whole = lambda x, unit: bool((x.double() * unit == torch.round(x.double() * unit)).all())
    assert whole(weights["analysis.weight"], 32768) and weights["analysis.weight"].abs().max() < 1
    assert whole(weights["synthesis"], 16384) and weights["synthesis"].abs().max() < 2
    assert whole(weights["bias"], 1) and whole(weights["offset"], 0.5)
    figures = json.loads((out / "figures.json").read_text())
    assert figures["fixed_point_difference"] < 8 and figures["steps"] == 6
    assert (out / "curve.svg").read_text() == codec_export.plot(figures, 48)
    for which, name in codec_export.FILES.items():
        facts = {p.key: p.value for p in onnx.load(out / name).metadata_props}
        assert facts["tamis.decoder"] == card["codec_id"] and facts["tamis.size"] == which
        assert facts["tamis.reach"] == {"default": "2", "edge": "1"}[which] and facts["tamis.role"] == "residual"


def test_decoders_alone_leave_the_codec_as_it_is(pictures, tmp_path):
    main(words("decoder", pictures, tmp_path, "--only-whole"))
    for name in ("codec.toml", "weights.safetensors"):
        assert (tmp_path / "out" / name).read_bytes() == (MODELS / "rgb" / name).read_bytes()
    state = torch.load(tmp_path / "checkpoint.pt")["model"]
    weights = load_file(MODELS / "rgb" / "weights.safetensors")
    assert torch.equal(state["analysis.weight"], weights["analysis.weight"]) and state["edge.last.weight"].abs().max() > 0
    facts = {p.key: p.value for p in onnx.load(tmp_path / "out" / "decoder.onnx").metadata_props}
    assert facts["tamis.decoder"] == tomllib.loads((MODELS / "rgb" / "codec.toml").read_text())["codec_id"]

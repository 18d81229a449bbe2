"""WaLLoC checkpoints: latents and reconstruction are those of the reference package (`data/make_walloc.py`)."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from walloc_weights import CONFIGS, drawn, signal

from tamis_train import ids
from tamis_train.__main__ import main
from tamis_train.bundle import read

GOLDEN = Path(__file__).parents[2] / "tests" / "data" / "walloc.safetensors"
DEC_LO = [0, 0.03782845550726404, -0.023849465019556843, -0.11062440441843718, 0.37740285561283066,
          0.8526986790088938, 0.37740285561283066, -0.11062440441843718, -0.023849465019556843, 0.03782845550726404]  # fmt: skip
DEC_HI = [0, -0.06453888262869706, 0.04068941760916406, 0.41809227322161724, -0.7884856164055829,
          0.41809227322161724, 0.04068941760916406, -0.06453888262869706, 0, 0]  # fmt: skip


@pytest.fixture(scope="module")
def golden():
    with safe_open(GOLDEN, "pt") as file:
        return load_file(GOLDEN), json.loads(file.metadata()["shapes"])


def saved(folder, name, shapes, **change):
    """The two files of a published checkpoint."""
    state = drawn(shapes[name])
    torch.save({"model_state_dict": state}, folder / "x.pth")
    (folder / "x.json").write_text(json.dumps(CONFIGS[name] | change))
    return state


def imported(folder, name, shapes, **change):
    saved(folder, name, shapes, **change)
    main(["import-walloc", str(folder / "x.pth"), str(folder / "x.json"), "--out", str(folder / name)])
    return folder / name


def split(x, axis):
    """One level along an axis, periodic. Shape: [..., n, ...] -> low and high, [..., n / 2, ...]."""
    x = np.moveaxis(x, axis, -1)
    k, n = np.arange(x.shape[-1] // 2), x.shape[-1]
    both = [sum(taps[m] * x[..., (2 * k + 5 - m) % n] for m in range(10)) for taps in (DEC_LO, DEC_HI)]
    return [np.moveaxis(b, -1, axis) for b in both]


def packets(x, levels):
    """Shape: [c, h, w] or [c, n] -> [bands, ...]: channel by channel, the first split the slowest."""
    planes = list(x)
    for _ in range(levels):
        if x.ndim == 3:
            planes = [b for p in planes for half in split(p, 1) for b in split(half, 0)]
        else:
            planes = [b for p in planes for b in split(p, 0)]
    return np.stack(planes)


@pytest.mark.parametrize("name", CONFIGS)
def test_latents_and_reconstruction_are_the_reference_s(name, golden, tmp_path):
    tensors, shapes = golden
    folder = imported(tmp_path, name, shapes)
    card, weights = read(folder)
    told = CONFIGS[name]
    sound = "post_filter" in told
    assert card["codec_id"] == ids.codec_id(card, weights) and card["tables_id"] == ids.tables_id(weights)
    assert (card["ends"], card["padding"], card["quantizer"]) == ("periodic", int(sound), {"kind": "companding", "bits": 8})
    assert card["groups"][-1] == card["channels"] == told["latent_dim"] and card["levels"] == told["J"]

    # As tamis encodes: packets, projection with cells of pure bias around sounds, companding, rounding half to even.
    bands = packets(signal(told)[0].double().numpy(), told["J"])
    bands = np.pad(bands, [(0, 0), (1, 1)]) if sound else bands
    reals = np.einsum("cb,b...->c...", weights["analysis"].double().numpy(), bands)
    reals += weights["bias"].double().numpy().reshape(-1, *[1] * (reals.ndim - 1))
    scale, most = 127 / 1.85, 127.5 - 1e-3
    companded = most * torch.erf(torch.from_numpy(reals) / (scale * 2**0.5))
    wanted = tensors[f"{name}.latent"][0].double()
    off = (companded.round() - wanted).abs()
    tie = (companded - companded.floor() - 0.5).abs() < 1e-3
    assert wanted.shape == companded.shape and wanted.std() > 10
    assert ((off == 0) | ((off == 1) & tie)).all() and (off == 0).double().mean() > 0.999

    # What a decoder reads is over the deviation, which is 1 here; companding is undone by the bundle.
    real = scale * 2**0.5 * torch.erfinv(wanted / most)
    session = onnxruntime.InferenceSession((folder / "decoder.onnx").read_bytes())
    latent = real.float()[None] if not sound else real.float()[None, :, None]
    made = session.run(None, {"latent": latent.numpy()})[0]
    known = tensors[f"{name}.made"].numpy()
    assert (weights["deviation"] == 1).all() and made.reshape(known.shape).shape == known.shape
    assert np.abs(made.reshape(known.shape) - known).max() < 1e-3 * min(1, np.abs(known).max())
    facts = session.get_modelmeta().custom_metadata_map
    assert facts["tamis.role"] == ("samples" if sound else "bands") and facts["tamis.decoder"] == card["codec_id"]


def test_the_preview_inverts_what_it_can(golden, tmp_path):
    weights = read(imported(tmp_path, "RGB_16x", golden[1]))[1]
    latent = torch.randn(12)
    bands = weights["synthesis"] @ latent + weights["offset"]
    assert torch.allclose(weights["analysis"] @ bands + weights["bias"], latent, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"lightweight_encode": False}, "one linear layer"), ({"J": "3"}, "J is '3'"), ({"J": 10}, "needed is 1 to 9"),
     ({"latent_dim": 13}, "encoder.0.weight has shape"), ({"Nd": 48}, "multiple of 32"), ({"Nd": 64}, "conv_in"),
     ({"tuna": 1}, "tuna"), ({"latent_bits": 1}, "2 to 8")],
)  # fmt: skip
def test_what_does_not_fit_is_named(change, words, golden, tmp_path):
    with pytest.raises(SystemExit, match=words):
        imported(tmp_path, "RGB_16x", golden[1], **change)


def test_checkpoints_that_carry_code_are_not_loaded(golden, tmp_path):
    saved(tmp_path, "RGB_16x", golden[1])
    torch.save({"model_state_dict": {}, "config": Code()}, tmp_path / "x.pth")
    with pytest.raises(SystemExit, match="tensors alone"):
        main(["import-walloc", str(tmp_path / "x.pth"), str(tmp_path / "x.json"), "--out", str(tmp_path / "o")])
    (tmp_path / "x.pth").write_bytes(b"PK\x03\x04")
    with pytest.raises(SystemExit, match="cannot be loaded"):
        main(["import-walloc", str(tmp_path / "x.pth"), str(tmp_path / "x.json"), "--out", str(tmp_path / "o")])
    torch.save({"encoder.0.weight": torch.full((12, 192, 1, 1), torch.nan)}, tmp_path / "x.pth")
    with pytest.raises(SystemExit, match="no finite numbers"):
        main(["import-walloc", str(tmp_path / "x.pth"), str(tmp_path / "x.json"), "--out", str(tmp_path / "o")])


class Code:
    """Unpickling it runs a program."""

    def __reduce__(self):
        return print, ("this ran",)

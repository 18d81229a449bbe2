"""Bundles and data made on the spot: small, random, of the shape the recipes expect."""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

sys.path.insert(0, str(Path(__file__).parents[1]))
torch.set_num_threads(2)

from tamis_train.esc10 import LABELS as SOUNDS  # noqa: E402
from tamis_train.waste_head import LABELS  # noqa: E402


def bundle_folder(folder, kind, inputs, levels, channels, weights, arithmetic="float"):
    """Writes a bundle as tamis does."""
    folder.mkdir()
    (folder / "codec.toml").write_text(
        f'format = 2\nkind = "{kind}"\narithmetic = "{arithmetic}"\ninputs = {inputs}\nlevels = {levels}\nends = "mirror"\n'
        f'channels = {channels}\n'
        f'groups = [{channels}]\nrate = 8000\ncodec_id = "0123456789abcdef"\ntables_id = "0"\n'
        f'[quantizer]\nkind = "step"\n[card]\nname = "made"\n'
    )
    ones = torch.ones(channels)
    save_file({"bias": 0 * ones, "steps": 0.05 * ones, "deviation": 0.3 * ones} | weights, folder / "weights.safetensors")
    return folder


@pytest.fixture(scope="session")
def golden():
    """What the reference package computes, and the mirrored transform from the filter taps."""
    return load_file(Path(__file__).parents[2] / "tests" / "data" / "golden.safetensors")


@pytest.fixture(scope="session")
def rgb(tmp_path_factory):
    """A picture bundle of 48 channels."""
    torch.manual_seed(0)
    analysis = torch.linalg.qr(torch.randn(192, 48))[0].T.contiguous()
    return bundle_folder(tmp_path_factory.mktemp("b") / "rgb", "image", 3, 3, 48, {"analysis": analysis})


@pytest.fixture(scope="session")
def mono(tmp_path_factory):
    """A sound bundle of 128 channels, its projection sparse."""
    index = torch.arange(128, dtype=torch.int32).to(torch.uint16)[:, None]
    weights = {"analysis.index": index, "analysis.weight": torch.ones(128, 1)}
    return bundle_folder(tmp_path_factory.mktemp("b") / "mono", "audio", 1, 7, 128, weights)


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Twelve pictures and forty clips with their splits."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(1)
    lists = {name: [] for name in ("waste-train", "waste-val", "digits-train", "digits-val", "esc10-train", "esc10-val")}
    for part in ("train", "val"):
        for i, label in enumerate(LABELS):
            path = Path("images") / part / label / "a.png"
            (folder / path).parent.mkdir(parents=True)
            noise = rng.integers(0, 40, (288, 384, 3)) + 30 * i
            Image.fromarray(noise.astype(np.uint8)).save(folder / path)
            lists[f"waste-{part}"].append(str(path))
        for digit in range(10):
            path = Path("audio") / part / f"{digit}_a_1.flac"
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / path, 0.3 * np.sin(np.arange(2000 + 300 * digit) * (0.05 + 0.1 * digit)), 8000)
            lists[f"digits-{part}"].append(str(path))
        for place, label in enumerate(SOUNDS):
            path = Path("audio") / part / label / "1-1-A.flac"
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / path, 0.3 * np.sin(np.arange(5000 + 900 * place) * (0.05 + 0.1 * place)), 44100)
            lists[f"esc10-{part}"].append(str(path))
    lists["codec-images-train"] = lists["waste-train"]
    (folder / "splits").mkdir()
    for name, paths in lists.items():
        (folder / "splits" / f"{name}.txt").write_text("\n".join(paths) + "\n")
    return folder

"""BD-rates and plots."""

import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import torch

from tamis_train import peers_heads, peers_pictures, peers_sound, plot
from tamis_train.__main__ import main

CURVE = [(0.1 * 2**k, 24 + 3.0 * k + 0.2 * k * k) for k in range(5)]


def test_a_codec_that_always_needs_a_fifth_less():
    less = [(0.8 * r, p) for r, p in CURVE]
    assert peers_pictures.bd_rate(less, CURVE) == pytest.approx(-20)
    assert peers_pictures.bd_rate(CURVE, CURVE) == 0
    assert np.isnan(peers_pictures.bd_rate([(r, p + 50) for r, p in CURVE], CURVE))


def test_the_cubic_meets_its_points_and_does_not_overshoot():
    x, y = np.array([0.0, 1, 2, 4, 5]), np.array([0.0, 1, 1, 5, 5.1])
    at = np.linspace(0, 5, 501)
    values = peers_pictures.monotone(x, y, at)
    assert np.allclose(peers_pictures.monotone(x, y, x), y) and (np.diff(values) >= -1e-12).all()


def test_tables_come_from_what_eval_and_peers_write(tmp_path, capsys):
    lines = [{"path": str(n), "codec": "a", "quality": k, "bpp": r, "psnr_db": p + n} for k, (r, p) in enumerate(CURVE) for n in (0, 2)]
    lines.append({"files": 2, "codec": "a", "quality": 0, "bpp": 9, "psnr_db": 9})
    (tmp_path / "a.json").write_text("\n".join(map(json.dumps, lines)))
    rows = [f"other_q{k},{1.25 * r},{p + 1}" for k, (r, p) in enumerate(CURVE)]
    (tmp_path / "peers.csv").write_text("\n".join(["config,bpp,psnr_db", *rows, "few_q1,1,30", "seconds 1.0"]))
    main(["peers-pictures", str(tmp_path / "a.json"), "--peers", str(tmp_path / "peers.csv"), "--plot", str(tmp_path / "p.svg")])
    assert "| a linear | +0.0 | -20.0 |" in capsys.readouterr().out
    assert len(ElementTree.parse(tmp_path / "p.svg").findall(".//{*}polyline")) == 2


def test_ticks_are_round():
    assert plot.ticks(0, 2.81) == [0, 0.5, 1, 1.5, 2, 2.5] and plot.ticks(24.3, 35.2) == [26, 28, 30, 32, 34]


def test_curves_of_sound_are_means_over_files():
    row = lambda peer, bits, snr: {"peer": peer, "bits": bits, "our bits": bits / 2, "theirs": {"snr": snr}, "ours": {"snr": snr + 9}}
    rows = [row(name, bits, snr) for k, name in enumerate(peers_sound.PEERS) for bits, snr in ((k + 1, 5), (k + 2, 7))]
    curves = peers_sound.curves(rows, "stereo")
    assert curves["Opus"] == [(1.5, 6), (2.5, 6), (3.5, 6)] and len(curves["MP3"]) == 2
    assert curves["tamis stereo"][0] == (0.75, 15) and len(curves["tamis stereo"]) == 5


def test_transformers_for_the_comparison_are_what_they_are_called(tmp_path):
    for token, tokens in ((True, 13), (False, 12)):
        model = peers_heads.Vit((6, 8), 1, 12, 3, token).eval()
        assert model.positions.shape == (1, tokens, 12)
        x, path = torch.randn(1, 48, 6, 8), tmp_path / "vit.onnx"
        torch.onnx.export(model, (x,), path, opset_version=17, dynamo=False, input_names=["latent"])
        found = peers_heads.session(path).run(None, {"latent": x.numpy()})[0]
        with torch.no_grad():
            assert abs(found - model(x).numpy()).max() < 1e-4

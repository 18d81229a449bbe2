"""A trained codec as the files of a bundle, its decoders as ONNX, and what they reach as figures and a plot."""

import copy
import json
import re
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from . import ids, rates, residual_onnx
from .bundle import Bundle
from .joint import QUALITIES, line
from .plot import lines

ROOM = 30000  # largest real that leaves some room in 16 bits
LICENCE = "MIT OR Apache-2.0"
FILES = {"default": "decoder.onnx", "edge": "decoder-edge.onnx"}


def write(joint, card, weights, val, asked, out):
    """Writes the averaged weights of a training to the folder `out`. card, weights: the source bundle."""
    out, source = Path(out), Path(joint.options.bundle)
    out.mkdir(parents=True, exist_ok=True)
    codec = copy.deepcopy(joint.average).eval()
    if joint.frozen:
        for name in ("codec.toml", "weights.safetensors"):
            shutil.copyfile(source / name, out / name)
        name, difference = card["codec_id"], 0.0
    else:
        codec.round()
        name, difference = bundle(joint, codec, card, weights, val[0], (source / "codec.toml").read_text(), out)
    rows = rates.measure(codec, *val, asked)
    print(f"{joint.options.verb} {name}", *map(line, rows), sep="\n", flush=True)
    codec = codec.cpu()
    differences = {which: decoder(getattr(codec, which), which, name, codec, out) for which in FILES}
    o = joint.options
    figures = {
        "codec": name, "source": card["codec_id"], "verb": o.verb, "only_whole": o.only_whole, "seed": o.seed,
        "batch": o.batch, "window": o.window, "precision": o.precision, "device": o.device,
        "steps": joint.step, "minutes": round(joint.seconds / 60, 2), "finished": joint.complete,
        "largest_real": joint.largest, "fixed_point_difference": round(difference, 3),
        "onnx_difference": {k: float(f"{v:.1e}") for k, v in differences.items()},
        "parameters": {k: sum(p.numel() for p in getattr(codec, k).parameters()) for k in FILES},
        "reach": {k: getattr(codec, k).reach for k in FILES},
        "before": joint.before, "after": rows, "curve": joint.curve,
    }  # fmt: skip
    (out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    (out / "curve.svg").write_text(plot(figures, codec.channels))


def bundle(joint, codec, card, weights, bands, text, out):
    """Writes `weights.safetensors` and `codec.toml` of a rounded codec; the tables are those of the source.

    Gives the new codec id and the largest difference of the integers' reals from the trained ones, in reals.
    """
    mean, square = (x.to(codec.bias.device) for x in joint.statistics)
    analysis = codec.analysis.dense().detach().double()
    spread = analysis @ (square - mean[:, None] * mean) @ analysis.T
    trained = codec.deviation.clone()
    codec.deviation.copy_(spread.diagonal().clamp(min=1).sqrt().float())
    for net in (codec.default, codec.edge):
        # What decoders read is over the new deviations, but they were trained on the old.
        net.gain.mul_(codec.deviation / trained)
    changed = weights | codec.tensors() | {"deviation": codec.deviation.cpu()}
    for key, tensor in weights.items():
        if changed[key].shape != tensor.shape or changed[key].dtype != tensor.dtype:
            raise ValueError(f"{key} has become {changed[key].shape}, {changed[key].dtype}")
    save_file(changed, out / "weights.safetensors")
    name = ids.codec_id(card, changed)
    text = re.sub(r'^codec_id = ".*"$', f'codec_id = "{name}"', text, flags=re.M)
    text = re.sub(r'^tables_id = ".*"$', f'tables_id = "{ids.tables_id(changed)}"', text, flags=re.M)
    text = re.sub(r'^command = ".*"$', f'command = "{command(joint.options)}"', text, flags=re.M)
    (out / "codec.toml").write_text(text)

    whole = Bundle.load(out).project_bands(bands.cpu().int()).float()
    with torch.no_grad():
        real = codec.project(bands).cpu()
    if real.abs().max() > ROOM:
        raise ValueError(f"a real of {float(real.abs().max())}: too large for 16 bits")
    return name, float((whole - real).abs().max())


def decoder(net, which, codec_id, codec, out):
    """Writes one decoder. -> its largest difference from torch."""
    card = {
        "role": "residual", "decoder": codec_id, "size": which, "reach": net.reach, "channels": codec.channels,
        "qualities": f"{QUALITIES[0]},{QUALITIES[1]}", "licence": LICENCE,
    }  # fmt: skip
    return residual_onnx.write(net, out / FILES[which], card)


def command(options):
    """How to do it again."""
    size = lambda pair: "x".join(map(str, pair))
    end = f"--steps {options.steps}" if options.steps else f"--minutes {options.minutes:g}"
    return (
        f"python -m tamis_train {options.verb} {options.name} {end} --seed {options.seed} --batch {options.batch} "
        f"--window {options.window} --default {size(options.default)} --edge {size(options.edge)}"
        + (" --only-whole" if options.only_whole else "")
        + (f" --init {options.init}" if options.init else "")
    )


def plot(figures, channels):
    """PSNR over bits a pixel, all channels: the linear decoder before, and all three after, as SVG."""
    rows = lambda part, key: [(r["bits"], r[key]) for r in figures[part] if r["prefix"] == channels]
    curves = {k: rows("after", k) for k in ("default", "edge", "linear")} | {"before": rows("before", "linear")}
    return lines(curves, "bits a pixel, estimated", "PSNR, dB")

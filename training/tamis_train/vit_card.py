"""`python -m tamis_train vit-ship`: a trained transformer and its card become a folder of `models/`."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from . import glyphs
from .bundle import DEFAULT_QUALITY
from .card import LOST, interval, rungs
from .plot import lines as drawn
from .vit_views import CHANNELS

SMALL = 256  # numbers: tensors with fewer stay as they are
VIEW = {
    "energy": "the latent and its log-magnitudes", "latent": "the latent", "small": "pixels at half size",
    "full": "all pixels",
}  # fmt: skip
TEXT = {
    "glyphs": {
        "what": "One small mark, 8 to 12 pixels wide, on a textured surface of 448x448 pixels, or none: no hatching, or "
        "lines in one of four directions, 3.2 or 2.4 pixels apart.",
        "data": "drawn by the kit without limit (`tamis_train/glyphs.py`); what is measured on was drawn for this alone",
        "licence": "MIT",
        "limits": [
            "A synthetic task. It shows what a head on latents can and cannot see; it is no detector of real defects.",
            "Marks in the outer 16 pixels, larger or smaller ones, other hatchings and several at once were not trained.",
            "The twin on all pixels sees pictures that were not coded, so it pays nothing for their bytes.",
        ],
    },
}


def arguments(verbs):
    """Adds the command."""
    verb = verbs.add_parser("vit-ship", help="make a folder of models/ of a transformer that `vit` trained")
    verb.add_argument("task", choices=TEXT)
    verb.add_argument("--trained", type=Path, required=True, help="folder that `vit` wrote")
    verb.add_argument("--arm", default="energy-1", help="which of its models")
    verb.add_argument("--machine", required=True, help="what it was trained on, for the card")
    verb.add_argument("--out", type=Path, help="default: models/TASK")


def run(args):
    """Writes head.onnx, figures.json, README.md and curve.svg."""
    out = args.out or Path("models") / args.task
    out.mkdir(parents=True, exist_ok=True)
    figures = json.loads((args.trained / "figures.json").read_text()) | {"arm": args.arm, "machine": args.machine}
    share = {tuple(map(int, k.split())): v[args.arm] for k, v in figures["cells"].items()}
    allowed = rungs(share, 1, CHANNELS)
    model = halved(onnx.load(args.trained / f"{args.arm}.onnx"))
    properties = {p.key: p.value for p in model.metadata_props} | {
        "tamis.prefixes": ",".join(map(str, allowed["prefixes"])),
        "tamis.quality": "{},{}".format(*allowed["qualities"]), "tamis.licence": TEXT[args.task]["licence"],
        "tamis.data": TEXT[args.task]["data"],
    }  # fmt: skip
    del model.metadata_props[:]
    helper.set_model_props(model, properties)
    onnx.save(model, out / "head.onnx")
    figures |= {"allowed": allowed, "bytes": (out / "head.onnx").stat().st_size}
    (out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    (out / "README.md").write_text(readme(args.task, figures))
    (out / "curve.svg").write_text(curve(figures))
    print(f"{out}: prefixes {allowed['prefixes']}, qualities {allowed['qualities']}")


def halved(model):
    """The same model with its large weights in 16 bits, brought back to 32 by a cast. What is cast is a constant."""
    casts, graph = [], model.graph
    for i, tensor in enumerate(graph.initializer):
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < SMALL:
            continue
        name = tensor.name
        graph.initializer[i].CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.16"))
        casts.append(helper.make_node("Cast", [f"{name}.16"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model


def readme(task, figures):
    """The card."""
    text, arm, n = TEXT[task], figures["arm"], figures["n"]
    seed = arm.split("-")[1]
    right = {name: round(share * n) for name, share in figures["right"].items()}
    low, high = interval(right[arm], n)
    cells = {tuple(map(int, k.split())): v[arm] for k, v in figures["cells"].items()}
    prefixes, qualities = sorted({p for p, _ in cells}), sorted({q for _, q in cells})
    allowed = figures["allowed"]
    steps = figures["curve"][-1]["step"]
    rows = []
    beside = {tuple(pair.split()): counts for pair, counts in figures["only one right"].items()}
    beside |= {(b, a): counts[::-1] for (a, b), counts in beside.items()}
    for name in right:
        counts = beside.get((arm, name))
        words = f"{counts[0]} and {counts[1]}" if counts else ""
        view, number = name.split("-")
        rows.append(f"| {VIEW[view]}, seed {number} | {100 * figures['right'][name]:.1f} | {words} |")
    lines = [
        f"# Head `{task}`",
        "",
        text["what"],
        "",
        f"**{100 * right[arm] / n:.1f} %** right ({right[arm]} of {n}; 95 % interval {100 * low:.1f} to {100 * high:.1f}) with "
        f"all {CHANNELS} channels at quality {DEFAULT_QUALITY}. A vision transformer: 6 blocks, 192 wide, 3 heads, patches of "
        "32x32 pixels.",
        "",
        f"Reads latents of bundle `rgb`, codec `{figures['codec']}`, prefixes {', '.join(map(str, allowed['prefixes']))}, "
        f"quality {allowed['qualities'][0]} to {allowed['qualities'][1]}: what costs more than {100 * LOST:.0f} points is not "
        "allowed.",
        "",
        "## Beside pixels",
        "",
        "Same transformer, same number of tokens, same pictures in the same order, same number of steps. Pixels are not coded, "
        "latents are, at the default quality.",
        "",
        f"| what it sees | % right, n = {n} | only this head right, only that one right |",
        "|---|---|---|",
        *rows,
        "",
        f"## Accuracy, % right, by channels and quality (n = {figures['cells n']})",
        "",
        "| channels | " + " | ".join(f"q {q}" for q in qualities) + " |",
        "|---|" + "---|" * len(qualities),
        *(f"| {p} | " + " | ".join(f"{100 * cells[p, q]:.1f}" for q in qualities) + " |" for p in prefixes),
        "",
        "## How it was made",
        "",
        f"* Data: {text['data']}.",
        f"* Command: `python -m tamis_train vit {task} --views {views(right)} --seeds {seeds(right)} --minutes "
        f"{figures['minutes']:g} --final {n}`, then `vit-ship {task} --arm {arm}`",
        f"* {steps} steps of every model in {figures['minutes']:g} minutes, on {figures['machine']}; seed {seed}.",
        f"* {figures['bytes'] // 1000} kB: large weights are kept in 16 bits.",
        f"* Licence of the weights: {text['licence']}.",
        "",
        "![share of right answers over the steps](curve.svg)",
        "",
        "## Limits",
        "",
        *(f"* {limit}" for limit in text["limits"]),
        "",
        "This page is made from `figures.json` by `python -m tamis_train vit-ship`.",
        "",
    ]
    return "\n".join(lines)


def views(names):
    """Views among names of arms, in their order."""
    return ",".join(dict.fromkeys(name.split("-")[0] for name in names))


def seeds(names):
    """Seeds among names of arms, in their order."""
    return ",".join(dict.fromkeys(name.split("-")[1] for name in names))


def curve(figures):
    """Right answers of every model over the steps, as SVG."""
    arms = figures["right"]
    series = {name: [(p["step"], 100 * p[f"{name} val"]) for p in figures["curve"]] for name in arms}
    return drawn(series, "steps", "right answers, %")

"""`python -m tamis_train vit TASK`: transformers on latents, and their twins on pixels, for comparison."""

import json
from pathlib import Path

import onnx
import onnxruntime
import torch

from .bundle import DEFAULT_QUALITY, Bundle
from .vit import OfEnergy, Vit
from .vit_sources import grid_of
from .vit_train import TASKS, Training
from .vit_views import CELL, CHANNELS, PREFIXES, QUALITIES, SCALES, VIEWS, cosines, shape

SHOWN_QUALITIES = [20, 35, 50, 65, 75, 90]


def arguments(verbs):
    """Adds the command."""
    verb = verbs.add_parser("vit", help="train transformers on latents and their twins on pixels; run again to go on")
    verb.add_argument("task", choices=TASKS)
    verb.add_argument("--views", default="latent,small,full", help=f"what they see: of {','.join(VIEWS)}")
    verb.add_argument("--seeds", default="1", help="one model of every view for each")
    verb.add_argument("--start", type=Path, help="checkpoint of `vit pretrain` with the same views")
    verb.add_argument("--bundle", type=Path, default=Path("models/rgb"))
    verb.add_argument("--data", type=Path, default=Path("../shared/data"))
    verb.add_argument("--minutes", type=float, default=30, help="in all, those of earlier calls counted in")
    verb.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    verb.add_argument("--work", type=Path, default=Path("out/vit"), help="checkpoints")
    verb.add_argument("--out", type=Path, help="where models and figures.json go (default: out/vit/TASK)")


def run(args, **sizes):
    """Trains, exports what was asked for, measures. `sizes`: of the transformer, for tests."""
    views, seeds, out = args.views.split(","), [int(s) for s in args.seeds.split(",")], args.out or args.work / args.task
    unknown = set(views) - set(VIEWS)
    if unknown:
        raise SystemExit(f"--views: no such view as {', '.join(sorted(unknown))}; there are {', '.join(VIEWS)}")
    bundle = Bundle.load(args.bundle).to(args.device)
    if bundle.kind != "image" or bundle.channels < CHANNELS:
        raise SystemExit(f"{args.bundle}: a bundle for pictures with {CHANNELS} channels is needed")
    training = Training(args.task, bundle, args.data, views, seeds, args.work, args.device, starts(args, views), **sizes)
    training.run(args.minutes)
    out.mkdir(parents=True, exist_ok=True)
    figures = {"task": args.task, "codec": bundle.codec_id, "minutes": round(training.seconds / 60, 1), "curve": training.curve}
    if training.source.val:
        figures |= {"n": len(training.source.val[1]), "right": {}}
        for arm in training.arms:
            of_latent = arm.view not in SCALES
            cells = [(p, q) for p in PREFIXES for q in SHOWN_QUALITIES] if of_latent else [(CHANNELS, DEFAULT_QUALITY)]
            figures["right"][arm.name] = {f"{p} {q}": round(training.right(arm, q, p), 4) for p, q in cells}
            export(args.task, arm, bundle, training.spreads, out / f"{arm.name}.onnx")
    (out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    print(f"{out}: " + ", ".join(f"{k} {100 * v[f'{CHANNELS} {DEFAULT_QUALITY}']:.1f} %" for k, v in figures.get("right", {}).items()))


def starts(args, views):
    """Averaged weights of pretraining, {view: state of `Vit`}; None without."""
    if args.start is None:
        return None
    arms = torch.load(args.start, map_location=args.device)["arms"]
    found = {name.split("-")[0]: state for name, state in arms.items()}
    missing = set(views) - set(found)
    if missing:
        raise SystemExit(f"{args.start}: holds no model of {', '.join(sorted(missing))}")
    states = {}
    for view in views:
        names = [k.removeprefix("vit.") for k in found[view]["model"] if k.startswith("vit.")]
        states[view] = dict(zip(names, found[view]["average"], strict=True))
    return states


def export(task, arm, bundle, spreads, path):
    """Writes the model as ONNX and checks it against torch: heads with their metadata, twins with pixels of 0 to 1."""
    recipe, (inputs, patch) = TASKS[task], shape(arm.view)
    grid = grid_of(recipe["size"])
    plain = arm.vit
    state = arm.averaged()
    width, depth = plain.norm.normalized_shape[0], len(plain.blocks)
    sizes = dict(width=width, depth=depth, heads=plain.blocks[0].heads)
    if arm.view in SCALES:
        weight, bias = folded(state["embed.weight"], state["embed.bias"], spreads[arm.view].cpu())
        state |= {"embed.weight": weight, "embed.bias": bias}
        inputs, patch = 3, CELL * patch
    vit = Vit(inputs, patch, grid, len(recipe["labels"]), **sizes).eval()
    vit.load_state_dict(state)
    of_latent = arm.view not in SCALES
    if arm.view == "energy":
        vit, inputs = OfEnergy(vit), CHANNELS
    x = (torch.randn if of_latent else torch.rand)(1, inputs, grid[0] * patch, grid[1] * patch)
    names = ["latent" if of_latent else "pixels"]
    torch.onnx.export(vit, (x,), path, opset_version=17, dynamo=False, input_names=names, output_names=["logits"])
    model = onnx.load(path)
    if of_latent:
        card = {
            "task": task, "codec": bundle.codec_id, "bundle": bundle.name, "channels": CHANNELS,
            "prefixes": ",".join(map(str, PREFIXES)), "quality": ",".join(map(str, QUALITIES)),
            "grid": f"exact {grid[0] * patch}x{grid[1] * patch}", "labels": json.dumps(recipe["labels"]),
            "licence": "MIT", "data": task,
        }  # fmt: skip
        onnx.helper.set_model_props(model, {f"tamis.{key}": str(value) for key, value in card.items()})
    onnx.save(model, path)
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        difference = (torch.from_numpy(session.run(None, {names[0]: x.numpy()})[0]) - vit(x)).abs().max().item()
    if not difference < 1e-3:
        raise ValueError(f"{path}: differs from torch by {difference}")


def folded(weight, bias, spread):
    """The patch embedding of cosines as one of pixels from 0 to 1. Shape: [width, 192, p, p] -> [width, 3, 8 p, 8 p]."""
    basis = cosines("cpu").view(3, 64, 8, 8)
    weight = (weight / spread[:, None, None]).unflatten(1, (3, 64))
    pixels = torch.einsum("wckyx,ckij->wcyixj", weight, basis).flatten(4, 5).flatten(2, 3)
    return pixels, bias - 0.5 * pixels.sum((1, 2, 3))

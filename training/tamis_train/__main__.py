"""`python -m tamis_train head NAME` trains and exports a head; `python -m tamis_train card NAME` remakes its card;
`codec` and `decoder` train a codec with neural decoders, or these alone, `export` writes the files of their checkpoints;
`vit` trains transformers on latents beside their twins on pixels, `vit-ship` makes a head of one; `rebuild` remakes what is shipped."""

import argparse
import importlib
import json
from pathlib import Path

import torch

from . import card, codec_command, glyphs, peers_heads, peers_pictures, peers_sound, rebuild, vit_card, vit_command, walloc
from .bundle import Bundle

HEADS = ("waste", "digits", "esc10")
BUNDLES = {"image": "models/rgb", "audio": "models/mono"}


def main(words=None):
    """Parses `words`, does it."""
    parser = argparse.ArgumentParser(prog="python -m tamis_train", description="Trains heads, codecs and decoders for tamis.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("head", help="train and export a head; run again to go on after a stop")
    verb.add_argument("name", choices=HEADS)
    verb.add_argument("--bundle", type=Path, help="bundle folder (default: models/rgb or models/mono)")
    verb.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with splits/, images/, audio/")
    verb.add_argument("--minutes", type=float, default=10, help="stop after so long, finished or not")
    verb.add_argument("--seed", type=int, default=1)
    verb.add_argument("--threads", type=int, default=2)
    verb.add_argument("--device", default="cpu", help="cpu or cuda; sound only")
    verb.add_argument("--view", default="latent", help="mel: a twin on mel bands of the decoded sound, to compare with; sound only, no ONNX file")
    verb.add_argument("--steps", type=int, help="fewer or more steps than the recipe")
    verb.add_argument("--out", type=Path, help="where head.onnx, README.md, figures.json go (default: models/NAME)")
    verb.add_argument("--work", type=Path, help="checkpoint and prepared data (default: out/training-NAME)")
    verb.add_argument("--fresh", action="store_true", help="forget the checkpoint")
    verb = verbs.add_parser("card", help="remake README.md and curve.svg from figures.json")
    verb.add_argument("name", choices=HEADS)
    verb.add_argument("--out", type=Path)
    codec_command.arguments(verbs)
    vit_command.arguments(verbs)
    glyphs.arguments(verbs)
    vit_card.arguments(verbs)
    walloc.arguments(verbs)
    rebuild.arguments(verbs)
    peers_pictures.arguments(verbs)
    peers_sound.arguments(verbs)
    peers_heads.arguments(verbs)
    args = parser.parse_args(words)
    others = {
        "codec": codec_command.run, "decoder": codec_command.run, "export": codec_command.export,
        "import-walloc": walloc.run, "rebuild": rebuild.run, "peers-pictures": peers_pictures.run, "peers-sound": peers_sound.run,
        "peers-heads": peers_heads.run, "vit": vit_command.run,
        "vit-ship": vit_card.run, "draw-glyphs": glyphs.run,
    }  # fmt: skip
    if args.verb in others:
        others[args.verb](args)
        return
    # Only here: a recipe needs libraries that others do not.
    module, out = importlib.import_module(f".{args.name}", __package__), args.out or Path("models") / args.name
    if args.verb == "head":
        head(args, module, out)
    if args.verb == "card" or args.view == "latent":
        card.write(module, out)


def head(args, module, out):
    """Trains, exports, measures; writes `head.onnx` and `figures.json`."""
    from . import export

    torch.set_num_threads(args.threads)
    folder = args.bundle or Path(BUNDLES[module.KIND])
    bundle = Bundle.load(folder)
    if bundle.kind != module.KIND or bundle.channels < module.CHANNELS:
        raise SystemExit(f"{folder}: {args.name} needs a bundle of kind {module.KIND} with {module.CHANNELS} channels")
    work = args.work or Path("out") / f"training-{args.name}"
    if args.fresh:
        (work / "checkpoint.pt").unlink(missing_ok=True)
    views = getattr(module, "VIEWS", ("latent",))
    if args.view not in views:
        raise SystemExit(f"--view: {args.name} has no view {args.view}; there are {', '.join(views)}")
    if args.device != "cpu" and module.KIND != "audio":
        raise SystemExit(f"--device: {args.name} is trained on the CPU")
    more = {"device": args.device, "view": args.view} if module.KIND == "audio" else {}
    model, guesses, labels, facts = module.train(
        bundle, args.data, args.minutes, args.seed, work, args.steps or module.STEPS, **more
    )
    command = f"python -m tamis_train head {args.name} --minutes {args.minutes:g} --seed {args.seed}"
    command += "".join(f" --{k} {v}" for k, v in more.items() if v not in ("cpu", "latent"))
    facts |= {
        "command": command, "limit_minutes": args.minutes, "seed": args.seed, "view": args.view,
        "place": torch.cuda.get_device_name() if args.device.startswith("cuda") else "2 shared CPU cores",
        "parameters": sum(p.numel() for p in model.parameters()), "torch": torch.__version__,
    }  # fmt: skip
    measured = card.figures(module, bundle, guesses, labels, facts)
    out.mkdir(parents=True, exist_ok=True)
    if args.view == "latent":
        inputs = module.example(bundle, args.data)
        difference = export.write(model, module, bundle, inputs, measured["allowed"], out / "head.onnx")
        measured |= {"bytes": (out / "head.onnx").stat().st_size, "difference": float(f"{difference:.1e}")}
    (out / "figures.json").write_text(json.dumps(measured, indent=1) + "\n")
    at = measured["confusion"]
    right = sum(row[i] for i, row in enumerate(at))
    print(f"{args.name}: {right} of {len(labels)} right ({100 * right / len(labels):.1f} %), {facts['minutes']} minutes")


if __name__ == "__main__":
    main()

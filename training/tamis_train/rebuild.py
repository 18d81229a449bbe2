"""`python -m tamis_train rebuild`: makes shipped bundles, and all that binds to their codec ids, from nothing."""

import hashlib
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

NAMES = ("rgb", "stereo", "mono")
PICTURES = ("images/photos/train", "images/retail/train", "images/waste/train", "images/beans/train", "images/camera_trap")
SOUNDS = {
    "stereo": ("audio/loops/train", "audio/music"),
    "mono": ("audio/esc10/train", "audio/loops/train", "audio/music", "audio/soundscape/train"),
}
HEADS = {"rgb": ["waste"], "mono": ["digits", "esc10"]}
HEAD_MINUTES = 25
INSTALL = "install"
FILES = ("codec.toml", "weights.safetensors", "decoder.onnx", "decoder-edge.onnx", "figures.json")


def arguments(verbs):
    """Adds the verb to a parser."""
    verb = verbs.add_parser("rebuild", help="make shipped bundles and what depends on them from nothing")
    verb.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(NAMES)} (default: all)")
    verb.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with splits/, images/, audio/")
    verb.add_argument("--minutes", type=float, default=60, help="of the training of rgb")
    verb.add_argument("--tamis", default="target/release/tamis", help="the binary")
    verb.add_argument("--models", type=Path, default=Path("models"), help="where bundles and heads go")
    verb.add_argument("--work", type=Path, default=Path("out/rebuild"), help="what lies between; a later call goes on there")
    verb.add_argument("--fresh", action="store_true", help="begin anew")


def steps(name, args):
    """The commands of a bundle, in order. Before the head, which reads it, the bundle is put in its place."""
    kit = [sys.executable, "-m", "tamis_train"]
    work = args.work / name
    folders = [args.data / f for f in (PICTURES if name == "rgb" else SOUNDS[name])]
    if name == "rgb":
        yield [args.tamis, "fit", *folders, "-o", work / "fit"]
        training = ["--data", args.data, "--minutes", f"{args.minutes:g}", "--work", work / "training"]
        yield [*kit, "codec", "rgb", "--bundle", work / "fit", *training, "--out", work / "trained"]
        yield [args.tamis, "order", work / "trained", "--by", "natural", "--refit", *folders, "-o", work / "rgb"]
    else:
        yield [args.tamis, "fit", *folders, "--inputs-per-frame", "2" if name == "stereo" else "1", "-o", work / name]
    if name == "rgb":
        # For its figures and decoders; over it what was ordered.
        yield [INSTALL, work / "trained", args.models / name]
    yield [INSTALL, work / name, args.models / name]
    for head in HEADS.get(name, []):
        places = ["--data", args.data, "--work", work / head, "--out", args.models / head]
        yield [*kit, "head", head, "--bundle", args.models / name, "--minutes", HEAD_MINUTES, *places]


def do(words):
    """Runs a command; files of a bundle are copied here, over those of the codec before, which tamis itself refuses."""
    if words[0] != INSTALL:
        if code := subprocess.run(words, check=False).returncode:
            raise SystemExit(f"ended with {code}: {shlex.join(words)}")
        return
    source, target = map(Path, words[1:])
    target.mkdir(parents=True, exist_ok=True)
    for file in FILES:
        if (source / file).exists():
            shutil.copyfile(source / file, target / file)


def run(args):
    """Runs what is not done yet, and says what is left to do by hand."""
    names = args.names or NAMES
    if unknown := set(names) - set(NAMES):
        raise SystemExit(f"no shipped bundle is called {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    if shutil.which(args.tamis) is None:
        raise SystemExit(f"{args.tamis}: no such program; build it (cargo build --release) or name one with --tamis")
    if args.fresh:
        shutil.rmtree(args.work, ignore_errors=True)
    for name in names:
        # What follows a step that was done anew is done anew too.
        before = ""
        for words in steps(name, args):
            words = [str(w) for w in words]
            before = hashlib.sha256((before + shlex.join(words)).encode()).hexdigest()[:16]
            done = args.work / name / f"done-{before}"
            if done.exists():
                print(f"done before: {shlex.join(words)}", flush=True)
                continue
            print(f"$ {shlex.join(words)}", flush=True)
            since = time.monotonic()
            do(words)
            done.parent.mkdir(parents=True, exist_ok=True)
            done.write_text(f"{time.monotonic() - since:.0f} s\n")
    print("left to do: `cargo build --release`, `cargo test --test conformance -- --ignored` (streams that tests compare")
    print("with), `tamis eval` for the figures in the cards of the bundles, `cargo test`")

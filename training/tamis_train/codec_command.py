"""`python -m tamis_train codec` and `decoder`: a codec with its neural decoders, or these alone."""

import argparse
import pickle
import time
from pathlib import Path

import torch

from . import codec_export, crops, rates
from .bundle import read
from .codec import Codec
from .joint import Joint

def size(word):
    """`112x6` as width and number of blocks."""
    width, blocks = map(int, word.split("x"))
    return width, blocks


def arguments(verbs):
    """Adds both verbs to a parser."""
    for name, words in (("codec", "train a fixed-point codec with two neural decoders"),
                        ("decoder", "train two neural decoders for a codec that stays as it is")):  # fmt: skip
        verb = verbs.add_parser(name, help=f"{words}; run again to go on after a stop")
        verb.add_argument("name", nargs="?", default="rgb")
        verb.add_argument("--bundle", type=Path, help="bundle to begin with (default: models/NAME)")
        verb.add_argument("--init", type=Path, help="begin with the weights of this checkpoint of another training")
        verb.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with splits/ and images/")
        verb.add_argument("--pictures", type=Path, nargs="+", help="train on the pictures in these folders instead")
        verb.add_argument("--minutes", type=float, default=60, help="of the whole training, reading pictures included")
        verb.add_argument("--limit", type=float, help="minutes of this call, if it is to end before (default: none)")
        verb.add_argument("--steps", type=int, help="end after so many steps, instead of by the clock")
        verb.add_argument("--seed", type=int, default=1)
        verb.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
        verb.add_argument("--threads", type=int, help="of torch on CPU (default: its own choice)")
        verb.add_argument("--batch", type=int, help="windows a step (default: 128 on CUDA, 16 on CPU)")
        verb.add_argument("--window", type=int, help="cells a side (default: 32 on CUDA, 20 on CPU)")
        verb.add_argument("--precision", choices=("bf16", "f32"), help="of the decoders (default: bf16 on CUDA, f32 on CPU)")
        verb.add_argument("--default", type=size, default=(112, 6), help="width and blocks of the decoder (112x6)")
        verb.add_argument("--edge", type=size, default=(40, 4), help="those of the small one (40x4)")
        verb.add_argument("--only-whole", action="store_true", help="never cut channels off in training")
        verb.add_argument("--marks", type=int, default=10, help="how often to measure on the way")
        verb.add_argument("--out", type=Path, help="where the files go (default: out/VERB-NAME)")
        verb.add_argument("--work", type=Path, help="checkpoint and prepared data (default: out/training-VERB-NAME)")
        verb.add_argument("--checkpoint", type=Path, help="the checkpoint (default: in the folder of --work)")
        verb.add_argument("--fresh", action="store_true", help="forget the checkpoint")
        verb.add_argument("--no-export", action="store_true", help="train only")
    verb = verbs.add_parser("export", help="write the files of a checkpoint of codec or decoder")
    verb.add_argument("checkpoint", type=Path)
    verb.add_argument("--bundle", type=Path, help="bundle that it began with (default: where it was)")
    verb.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with splits/ and images/, to measure on")
    verb.add_argument("--out", type=Path, required=True, help="where the files go")


def complete(args):
    """Fills in what depends on other arguments."""
    cuda = args.device == "cuda" or (args.device == "auto" and torch.cuda.is_available())
    args.device = "cuda" if cuda else "cpu"
    args.batch = args.batch or (128 if cuda else 16)
    args.window = args.window or (32 if cuda else 20)
    args.precision = args.precision or ("bf16" if cuda else "f32")
    args.limit = args.limit or (float("inf") if args.steps else args.minutes)
    args.bundle = args.bundle or Path("models") / args.name
    args.out = args.out or Path("out") / f"{args.verb}-{args.name}"
    args.work = args.work or Path("out") / f"training-{args.verb}-{args.name}"
    args.checkpoint = args.checkpoint or args.work / "checkpoint.pt"
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.backends.cudnn.benchmark = cuda
    # What is measured in bands has to keep the precision of its sums.
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False


def begin(args, card, weights, data):
    """A training as it begins. data: the crops, or none for a training that only is exported."""
    torch.manual_seed(args.seed)
    codec = Codec(card, weights, args.default, args.edge)
    what = [args.verb, card["codec_id"], args.default, args.edge, args.seed, args.only_whole, args.steps, args.init]
    if data:
        # Decoders answer in the size of what the linear synthesis misses.
        generator = torch.Generator(data.cells.device).manual_seed(args.seed)
        bands, target, _ = (x.cpu() for x in data.draw(64, args.window, generator))
        with torch.no_grad():
            missed = target - torch.einsum("kc,bchw->bkhw", codec.synthesis.dense(), codec.project(bands))
        spread = missed.transpose(0, 1).flatten(1).std(1).clamp(min=1)
        for net in (codec.default, codec.edge):
            net.scale.copy_(spread)
    if args.init and data:
        codec.load_state_dict(torch.load(args.init, map_location="cpu")["average"])
    return Joint(codec.to(args.device), data, args, what)


def opened(folder):
    """A bundle that can be trained: its card and weights."""
    card, weights = read(folder)
    if card.get("arithmetic") != "fixed" or card["inputs"] != 3:
        raise SystemExit(f"{folder}: only codecs of 3 colours in fixed point are trained")
    return card, weights


def run(args):
    """Trains, exports."""
    since = time.monotonic()
    complete(args)
    card, weights = opened(args.bundle)
    if args.fresh:
        args.checkpoint.unlink(missing_ok=True)
    paths = crops.listed(args.data, args.pictures)
    asked = rates.shown(card["groups"])
    val = rates.windows(args.data, paths, args.device)
    joint = begin(args, card, weights, pictures(args, paths))
    joint.load()
    joint.run(since, asked, val)
    if not args.no_export:
        write(joint, card, weights, val, asked, args.out)


def export(args):
    """Writes the files of a checkpoint, on CPU."""
    try:
        told = torch.load(args.checkpoint, map_location="cpu")["options"]
        bundle, init = told["bundle"], told["init"]
    except (OSError, EOFError, LookupError, TypeError, RuntimeError, pickle.UnpicklingError) as error:
        raise SystemExit(f"{args.checkpoint}: no checkpoint of codec or decoder ({error})") from None
    options = argparse.Namespace(**told | {
        "checkpoint": args.checkpoint, "bundle": args.bundle or Path(bundle), "device": "cpu",
        "init": init and Path(init),
    })  # fmt: skip
    card, weights = opened(options.bundle)
    joint = begin(options, card, weights, None)
    if not joint.load():
        raise SystemExit(f"{options.bundle}: not the bundle that this training began with")
    options.device = told["device"]
    val = rates.windows(args.data, crops.listed(args.data), "cpu")
    write(joint, card, weights, val, rates.shown(card["groups"]), args.out)


def write(joint, card, weights, val, asked, out):
    """Writes the files and says so."""
    codec_export.write(joint, card, weights, val, asked, out)
    print(f"{out}: {joint.step} steps, {joint.seconds / 60:.1f} minutes", flush=True)


def pictures(args, paths):
    """The pictures to train on, on the device. On CPU kept on disk and photos only mirrored, since both take time."""
    since = time.monotonic()
    cuda = args.device == "cuda"
    data = crops.load(paths, args.window, 8 if cuda else 2, args.device, 16 if cuda else 2, None if cuda else args.work)
    words = f"{len(paths)} pictures in {len(data.start)} versions, {data.cells.numel() * 2 / 1e9:.2f} GB"
    print(f"{words}, {time.monotonic() - since:.0f} s", flush=True)
    return data

"""The training of a codec with its decoders: loss, pace, averaged weights, and a checkpoint to go on from."""

import copy
import math
import signal
import time
from pathlib import Path

import torch

from . import rates
from .inverse import mean_square

QUALITIES = (30, 92)
# Slope of distortion against rate at a step factor of 1: 0.0385 times the square of a step in thirds of a level.
SLOPE = 0.0385 * 25.5**2
WEIGHTS = {"linear": 0.3, "default": 1.0, "edge": 0.3}
# Of the samples, WHOLE keep all channels; the others end with one of the groups, PREFERRED channels (a 16-fold reduction,
# what is sent most often) three times as often as any other.
WHOLE, PREFERRED = 0.6, 12
NETS, CORE, STEPS, CODER, DECAY = 1e-3, 1e-4, 3e-4, 1e-2, 1e-4
RISE, CORE_FROM, CORE_RISE = 200, 100, 400  # steps; the core waits until the stand-in of the coder says something
AVERAGE = 0.999
SAVE_EVERY, TELL_EVERY = 20, 100  # seconds, steps
# Options that an export from a checkpoint needs, or tells of.
TOLD = ("verb", "name", "default", "edge", "seed", "only_whole", "steps", "minutes", "batch", "window", "precision", "device")


class Joint:
    """A codec under training. All randomness is one generator on the device, which the checkpoint keeps."""

    def __init__(self, codec, crops, options, what):
        """options: the command's; `what` names what is trained on what."""
        self.codec, self.crops, self.options, self.what = codec, crops, options, [str(w) for w in what]
        self.places = {"bundle": options.bundle, "init": options.init}
        self.device, self.checkpoint = codec.bias.device, Path(options.checkpoint)
        self.generator = torch.Generator(self.device).manual_seed(options.seed)
        self.statistics = crops and (crops.mean.cpu(), crops.square.cpu())
        self.average = copy.deepcopy(codec).eval()
        self.frozen = options.verb == "decoder"
        whole = 1 if options.only_whole else WHOLE
        share = torch.where(codec.rate.ends[:-1] == PREFERRED, 3.0, 1.0)
        self.shares = torch.cat([whole * share.new_ones(1), (1 - whole) * share.flip(0) / share.sum()]).cumsum(0)
        for p in [*codec.core(), codec.log_steps]:
            p.requires_grad_(not self.frozen)
        nets = [p for net in (codec.default, codec.edge) for p in net.parameters()]
        groups = [
            {"params": [p for p in nets if p.dim() > 1], "base": NETS, "weight_decay": DECAY},
            {"params": [p for p in nets if p.dim() < 2], "base": NETS},
            {"params": list(codec.rate.parameters()), "base": CODER},
        ]
        if not self.frozen:
            core = CORE if self.device.type == "cuda" else CORE / 2
            groups += [{"params": codec.core(), "base": core, "core": True}]
            groups += [{"params": [codec.log_steps], "base": STEPS, "core": True}]
        self.nets = nets
        fused = {"fused": True} if self.device.type == "cuda" else {}
        self.optimizer = torch.optim.AdamW(groups, lr=NETS, betas=(0.9, 0.98), weight_decay=0.0, **fused)
        self.step, self.seconds, self.curve, self.before, self.largest = 0, 0.0, [], None, 0.0
        self.complete, self.stopped = False, False

    def run_nets(self, which, latent, condition):
        """Runs a decoder in bfloat16 if so asked."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.precision == "bf16"):
            return getattr(self.codec, which)(latent, condition)

    def loss(self):
        """As `judge`, of a new batch."""
        o, rand = self.options, lambda *shape: torch.rand(shape, generator=self.generator, device=self.device)
        drawn = self.crops.draw(o.batch, o.window, self.generator)
        below = 75 - (QUALITIES[0] + (QUALITIES[1] - QUALITIES[0]) * rand(o.batch))
        factor = torch.exp2(torch.where(below >= 0, below / 16, below / 8))
        ends = self.codec.rate.ends
        prefix = ends.flip(0)[torch.searchsorted(self.shares, rand(o.batch)).clamp(max=len(ends) - 1)]
        noise = None if self.frozen else rand(o.batch, self.codec.channels, o.window, o.window) - 0.5
        return self.judge(*drawn, factor, prefix, noise)

    def judge(self, bands, target, inside, factor, prefix, noise):
        """What is minimised, what is told of it, [5], and the largest real. Shapes as `Crops.draw` and `Codec.forward`."""
        coded = self.codec(bands, factor, prefix, noise, self.run_nets)
        share = inside / inside.sum((1, 2), keepdim=True) / 64
        bits, hard = ((x * share).sum((1, 2)) for x in (coded.bits, coded.hard))
        missed = coded.linear - target
        linear = mean_square(missed, inside)
        default = mean_square(missed + coded.default, inside)
        edge = mean_square(missed.detach() + coded.edge, inside)
        slope = SLOPE * factor.square()
        # Each sample against its own size, or the coarse ones would be all that counts.
        size = (linear + slope * bits).detach()
        w = WEIGHTS
        both = w["linear"] + w["default"]
        total = w["default"] * default + w["linear"] * linear + w["edge"] * edge + both * slope * bits
        # The loss itself is near one number by its making; what falls is the cost of a sample.
        decibel = lambda x: 10 * torch.log10(x).mean()
        cost = decibel(default + slope * bits)
        told = torch.stack([cost, bits.mean(), hard.mean(), decibel(linear / edge), decibel(linear / default)]).detach()
        return (total / size).mean() + hard.mean(), told, coded.largest

    def progress(self):
        """Share of the training that is done, by steps if they are given, else by the clock."""
        o = self.options
        return min(1.0, self.step / o.steps if o.steps else self.elapsed() / (60 * o.minutes))

    def elapsed(self):
        """Seconds of training in this call and those before."""
        return self.seconds + time.monotonic() - self.begin

    def pace(self):
        """Share of the rate at this step, for the core and the rest: a short rise, then half a cosine."""
        fall = 0.5 + 0.5 * math.cos(math.pi * self.progress())
        rise = min(1, (self.step + 1) / RISE)
        core = min(1, max(0, self.step - CORE_FROM) / CORE_RISE)
        return fall * core, fall * rise

    def run(self, begin, asked, val):
        """Trains from `begin` (time.monotonic) to the end, the call's limit, or SIGTERM."""
        self.begin, o = begin, self.options
        until = begin + 60 * o.limit
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "stopped", True))
        if self.before is None:
            self.before = rates.measure(self.average, *val, asked)
            print("before", *map(line, self.before), sep="\n", flush=True)
        told, count, largest = None, 0, torch.zeros((), device=self.device)
        saved, marks = time.monotonic(), math.floor(o.marks * self.progress())
        self.codec.train()
        while not self.finished() and not self.stopped and time.monotonic() < until:
            core, rest = self.pace()
            for group in self.optimizer.param_groups:
                group["lr"] = group["base"] * (core if group.get("core") else rest)
            loss, more, most = self.loss()
            self.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.nets, 1.0)
            self.optimizer.step()
            if not self.frozen:
                self.codec.limit()
            self.step += 1
            self.follow()
            told, count, largest = more if told is None else told + more, count + 1, torch.maximum(largest, most)
            mark = math.floor(o.marks * self.progress())
            if count >= TELL_EVERY or mark > marks or self.finished():
                told = self.tell(told / count, float(largest))
                count = 0
            if time.monotonic() - saved > SAVE_EVERY or self.finished():
                self.save()
                saved = time.monotonic()
            if mark > marks and not self.finished():
                marks = mark
                self.look(asked, val)
        self.complete = self.finished()
        self.save()

    def finished(self):
        """Whether all is done."""
        return self.progress() >= 1

    def tell(self, told, largest):
        """Prints and keeps the means of the last steps; refuses to go on from what is no number."""
        values = [round(v, 4) for v in told.tolist()]
        self.largest = max(self.largest, largest)
        if not all(map(math.isfinite, values)):
            raise SystemExit(f"step {self.step}: {values}: the training has diverged; the checkpoint is from before")
        self.curve.append({"step": self.step, "seconds": round(self.elapsed()), "told": values})
        words = "cost {:.3f} dB  bits {:.3f} ({:.3f})  edge {:+.3f} dB  default {:+.3f} dB".format(*values)
        print(f"step {self.step}  {self.elapsed():.0f} s  {100 * self.progress():.0f} %  {words}", flush=True)

    def look(self, asked, val):
        """Measures the averaged weights. A failure is told and does no harm."""
        try:
            rows = rates.measure(self.average, *val, asked)
            self.curve[-1]["rows"] = rows
            print(*map(line, rows), sep="\n", flush=True)
        except RuntimeError as error:
            print(f"not measured: {error}"[:500], flush=True)

    @torch.no_grad()
    def follow(self):
        """Moves the averaged weights after the trained ones."""
        keep = min(AVERAGE, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.codec.parameters()), 1 - keep)

    def save(self):
        """Writes the checkpoint; a reader sees the old one or the new one whole."""
        self.seconds, self.begin = self.elapsed(), time.monotonic()
        state = {
            "what": self.what, "model": self.codec.state_dict(), "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(), "generator": self.generator.get_state(), "step": self.step,
            "seconds": self.seconds, "curve": self.curve, "before": self.before, "largest": self.largest,
            "statistics": self.statistics, "complete": self.complete,
            "options": {name: getattr(self.options, name) for name in TOLD}
            | {name: value and str(value) for name, value in self.places.items()},
        }  # fmt: skip
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        draft = self.checkpoint.with_suffix(".part")
        torch.save(state, draft)
        draft.replace(self.checkpoint)

    def load(self):
        """Goes on from the checkpoint, if there is one. True if so."""
        if not self.checkpoint.exists():
            return False
        state = torch.load(self.checkpoint, map_location="cpu")
        if state["what"] != self.what:
            print(f"{self.checkpoint} is of another training and will be replaced", flush=True)
            return False
        self.codec.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        if state["generator"].shape == self.generator.get_state().shape:  # That of another device does not fit.
            self.generator.set_state(state["generator"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name in ("step", "seconds", "curve", "before", "largest", "statistics", "complete"):
            setattr(self, name, state[name])
        print(f"going on from step {self.step}", flush=True)
        return True


def line(row):
    """A measured row as words."""
    words = "  quality {quality:3}  channels {prefix:3}  {bits:.3f} bits  linear {linear:.2f}  edge {edge:.2f}  "
    return (words + "default {default:.2f} dB").format(**row)

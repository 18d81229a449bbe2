"""Recipe of heads for sound: what `digits` and `esc10` do alike. Everything but the reading happens on one device."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F

from . import mel
from .bundle import draw_rate
from .loop import Loop
from .pictures import read_split
from .sound_head import SoundHead, frequency_order
from .sounds import Clips, Pool, disturb, mix, read_sounds

CHANNELS, PREFIXES, QUALITIES = 128, [32, 64, 128], (20, 90)
SHOWN_QUALITIES = [20, 35, 50, 60, 65, 70, 75, 90]
VIEWS = ("latent", "mel")
CELL = 128  # samples in a step
PACKET = 128  # steps that tamis codes, and shows to a head, at once
RATE, DECAY, SMOOTHING = 2e-3, 0.02, 0.1
FLOOR = 0.3  # of the step of the default quality: what is rounded to zero lies not far below the least that is not


@dataclass(frozen=True)
class Settings:
    """What is a task's own."""

    task: str
    labels: list[str]
    label_of: Callable[[str], int]  # of a path
    rate: int  # samples per second
    versions: int  # of every clip, altered in speed and place
    frames: Sequence[int]  # lengths of a batch, in steps; few, since libraries prepare for each anew
    circular: bool  # clips may begin anywhere, since they have no beginning or end of their own
    batch: int
    gains: tuple[float, float]  # dB
    levels: tuple[float, float] | None  # see `disturb`
    mixed: float  # share of the batches
    masks: tuple[int, int]  # widest band of channels and of views in time that is hidden
    mel: tuple[int, int, int]  # of the twin: samples from one spectrum to the next, of a window, and of its transform
    parts_of: Callable[[str], str] | None = None  # names the part of the validation clips that a path is of
    head: dict = field(default_factory=dict)  # sizes of the model


def mask(picture, masks):
    """One random band of channels and one of times set to the mean, for every clip; a sixth at most.

    Shape: [b, views, C, t].
    """
    device = picture.device
    for axis, most in zip((2, 3), masks):
        size = picture.shape[axis]
        index = torch.arange(size, device=device)
        width = torch.randint(min(most, size // 6) + 1, (len(picture), 1), device=device)
        start = torch.randint(size, (len(picture), 1), device=device)
        kept = ((index < start) | (index >= start + width)).float()
        picture = picture * (kept[:, None, :, None] if axis == 2 else kept[:, None, None, :])
    return picture


class Sight:
    """What a head sees of a latent: itself, or for its twin the mel bands of the decoded sound."""

    def __init__(self, view, settings, bundle):
        self.view, self.settings, self.bundle = view, settings, bundle
        self.decoder = mel.Decoder(bundle) if view == "mel" else None

    def __call__(self, x):
        """Shape: [b, C, t] -> the same, or [b, mel.BANDS, t * CELL / hop]."""
        if self.view == "latent":
            return x
        return mel.magnitudes(self.decoder(x), self.settings.rate, *self.settings.mel)

    def head(self, y):
        """A head for this sight. `y`, latents of some training clips, [b, C, t], only tell a twin how loud sound is."""
        sizes = self.settings.head
        if self.view == "latent":
            order = frequency_order(self.bundle)
            floor = FLOOR * (self.bundle.steps / self.bundle.deviation)[order]
        else:
            order = torch.arange(mel.BANDS, device=y.device)
            power = self(y / self.bundle.deviation[:, None]).square().mean((0, 2))
            floor = 0.1 * FLOOR * torch.sqrt(power)
            # What it reads stands further apart; what its convolutions see does not.
            steps = self.settings.mel[0] // CELL
            sizes = sizes | dict(windows=[w // steps for w in sizes["windows"]], hop=sizes["hop"] // steps)
        return SoundHead(order, floor, len(self.settings.labels), **sizes).to(y.device)


class Validation:
    """Latents of clips, those of equal length together."""

    def __init__(self, bundle, clips):
        """`clips`: a list of [n] on the device of the bundle."""
        latents = [bundle.project(clip[None, None] / 2)[0] for clip in clips]
        lengths = torch.tensor([y.shape[1] for y in latents])
        self.groups = [
            (i, torch.stack([latents[k] for k in i])) for i in ((lengths == n).nonzero()[:, 0] for n in lengths.unique())
        ]

    def chances(self, model, bundle, sight, prefix, quality, packet=None):
        """Probabilities for parts of `packet` steps or for whole clips. A list of clips [n] and [parts, n, labels]."""
        for i, y in self.groups:
            one = lambda v: torch.full((len(y),), v, device=y.device)
            x = bundle.head_input(y, one(quality), one(prefix))
            parts = x.split(packet or x.shape[2], 2)
            yield i, torch.stack([model(sight(part)).softmax(1).cpu() for part in parts])

    def guesses(self, *how, packet=None):
        """The likeliest label by the mean of all parts. -> [clips]"""
        found = torch.empty(sum(len(i) for i, _ in self.groups), dtype=torch.int64)
        for i, chances in self.chances(*how, packet):
            found[i] = chances.mean(0).argmax(1)
        return found

    def alone(self, labels, *how, packet):
        """How many parts are right, each by itself, and of how many."""
        right = torch.cat([(c.argmax(2) == labels[i]).flatten() for i, c in self.chances(*how, packet)])
        return [int(right.sum()), len(right)]


def train(settings, bundle, data, minutes, seed, work, steps, device="cpu", view="latent"):
    """The trained head, its answers on the validation clips, their labels, and figures."""
    begin = time.monotonic()
    torch.manual_seed(seed)
    bundle, s = bundle.to(device), settings
    paths, val_paths = (read_split(data, f"{s.task}-{part}") for part in ("train", "val"))
    labels, val_labels = (torch.tensor([s.label_of(p) for p in x]) for x in (paths, val_paths))
    clips = Clips(read_sounds(data, paths, s.rate), device)
    found = [clip.to(device) for clip in read_sounds(data, val_paths, s.rate)]
    val = Validation(bundle, found)
    targets = (F.one_hot(labels, len(s.labels)).float() * (1 - SMOOTHING) + SMOOTHING / len(s.labels)).to(device)
    sight = Sight(view, s, bundle)

    pool = Pool(clips, bundle, s.versions, max(s.frames), s.circular)

    def draw():
        """Latents of altered clips and what they are. Shape: [b, C, t], [b, labels]."""
        i = torch.randint(len(clips), (s.batch,), device=device)
        y = pool.draw(i, s.frames[int(torch.randint(len(s.frames), ()))])
        flat, t = y.flatten(1), targets[i]
        if torch.rand(()) < s.mixed:
            flat, t = mix(flat, t, torch.rand(s.batch, 1, device=device).clamp(0.01, 0.99))
        return disturb(flat, s.gains, s.levels).view_as(y) / 2, t

    def loss_of_batch():
        y, t = draw()
        seen = sight(bundle.head_input(y, *draw_rate(s.batch, PREFIXES, CHANNELS, QUALITIES, device)))
        logits = head.classify(mask(head.picture(seen), s.masks))
        return -(t * F.log_softmax(logits, 1)).sum(1).mean()

    head = sight.head(draw()[0])
    loop = Loop(head, steps, RATE, DECAY, Path(work) / "checkpoint.pt", (s.task, bundle.codec_id, seed, view))
    loop.load()
    guesses = lambda model, prefix, quality, of=val, **more: of.guesses(model, bundle, sight, prefix, quality, **more)
    accuracy = lambda m: (guesses(m, CHANNELS, 75) == val_labels).float().mean().item()
    finished = loop.run(loss_of_batch, accuracy, begin + 60 * minutes)
    head.load_state_dict(loop.average)
    head.eval()
    prefixes = PREFIXES if view == "latent" else [CHANNELS]
    with torch.no_grad():
        answers = {(p, q): guesses(head, p, q) for p in prefixes for q in SHOWN_QUALITIES}
        raised = guesses(head, CHANNELS, 50, Validation(bundle, [c / c.abs().max().clamp(min=1e-6) / 2 for c in found]))
        packets = guesses(head, CHANNELS, 75, packet=PACKET)
        alone = val.alone(val_labels, head, bundle, sight, CHANNELS, 75, packet=PACKET)
        first = guesses(head, CHANNELS, 75, Validation(bundle, [c[: len(c) // 2] for c in found]))
    count = lambda right: [int(right.sum()), len(right)]
    right = answers[CHANNELS, 75] == val_labels
    names = [s.parts_of(p) if s.parts_of else None for p in val_paths]
    parts = {name: count(right[[n == name for n in names]]) for name in sorted({*names} - {None})}
    parts["quality 50, as recorded"] = count(answers[CHANNELS, 50] == val_labels)
    parts["quality 50, every clip raised to a peak of 0.5"] = count(raised == val_labels)
    parts["first half of every clip alone"] = count(first == val_labels)
    if alone[1] > len(val_labels):
        parts[f"packets of {PACKET} steps, the mean of their answers"] = count(packets == val_labels)
        parts[f"packets of {PACKET} steps, each alone"] = alone
    facts = {
        "train": len(paths), "finished": finished, "steps": loop.step, "minutes": round(loop.seconds / 60, 1),
        "parts": parts, "curve": loop.curve,
    }  # fmt: skip
    return head.cpu(), answers, val_labels, facts


def example(settings, bundle, data, lengths):
    """Head inputs at the default, for the check of the export. `lengths` in samples or None. A list of [1, C, t]."""
    paths = read_split(data, f"{settings.task}-val")[: len(lengths)]
    clips = [clip[:n] for clip, n in zip(read_sounds(data, paths, settings.rate), lengths)]
    one = lambda v: torch.tensor([v])
    return [bundle.head_input(bundle.project(c[None, None] / 2), one(75), one(CHANNELS)) for c in clips]

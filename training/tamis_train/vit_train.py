"""Trains transformers on latents and their twins on pixels, all on the same pictures in the same order."""

import math
import time
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.nn.functional as F

from . import glyphs
from .bundle import DEFAULT_QUALITY, draw_rate
from .vit import Masked, Vit
from .vit_sources import VISIBLE, Glyphs, Labelled, Unlabelled, grid_of
from .vit_views import CHANNELS, SCALES, see, shape, spread_of_cosines

PRETRAINED = (288, 384)
# Prefixes and qualities that heads are trained for, and may be given.
ANY_RATE = dict(prefixes=(12, 24, 48), qualities=(20, 90))
TASKS = {
    "pretrain": dict(size=PRETRAINED, batch=512, rate=1.5e-3, **ANY_RATE),
    "glyphs": dict(size=(448, 448), batch=2048, rate=1.5e-3, labels=glyphs.LABELS,
                   # What tells marks apart is in the outer channels, and gone at low quality.
                   prefixes=(24, 48), qualities=(50, 90)),
    "waste": dict(size=(288, 384), batch=256, rate=7e-4,
                  labels=["cardboard", "glass", "metal", "paper", "plastic", "trash"], **ANY_RATE),
    "beans": dict(size=(448, 448), batch=128, rate=7e-4, labels=["angular_leaf_spot", "bean_rust", "healthy"],
                  **ANY_RATE),
}  # fmt: skip
DECAY = 0.05


def source(task, data, device):
    """Pictures of a task."""
    recipe = TASKS[task]
    if task == "pretrain":
        return Unlabelled(data, recipe["size"], device)
    if task == "glyphs":
        return Glyphs(recipe["size"], device)
    return Labelled(data, task, recipe["labels"], recipe["size"], device)


class Arm:
    """One model in training: what it sees, its seed, its averaged weights."""

    def __init__(self, task, view, seed, device, start=None, **sizes):
        torch.manual_seed(seed)
        self.name, self.view, recipe = f"{view}-{seed}", view, TASKS[task]
        inputs, patch = shape(view)
        labels = len(recipe.get("labels", [0]))
        self.vit = Vit(inputs, patch, grid_of(recipe["size"]), labels, **sizes)
        if start is not None:
            self.vit.begin_with(start, grid_of(PRETRAINED))
        self.model = Masked(self.vit, inputs, patch) if task == "pretrain" else self.vit
        # Tells of every token of `glyphs` what stands there: a mark is found much sooner so. Not part of the head.
        self.spot = torch.nn.Linear(self.vit.norm.normalized_shape[0], labels) if task == "glyphs" else torch.nn.Identity()
        self.model.to(device), self.spot.to(device)
        self.trained = [*self.model.parameters(), *self.spot.parameters()]
        wide, narrow = [p for p in self.trained if p.dim() > 1], [p for p in self.trained if p.dim() < 2]
        self.optimizer = torch.optim.AdamW(
            [{"params": wide, "weight_decay": DECAY}, {"params": narrow, "weight_decay": 0.0}],
            lr=recipe["rate"], betas=(0.9, 0.98), fused=device == "cuda",
        )  # fmt: skip
        self.average = [p.detach().clone() for p in self.vit.parameters()]

    def loss(self, x, batch):
        """Shape: x [b, inputs, ...]."""
        if isinstance(self.model, Masked):
            return self.model.loss(x, batch.kept, int(VISIBLE * batch.kept.shape[1]))
        tokens = self.vit.tokens(batch.mixed(x), batch.kept, batch.places)
        logits = self.vit.answer(tokens[:, 0]).float()
        loss = -(batch.targets * F.log_softmax(logits, 1)).sum(1).mean()
        if batch.spots is not None:
            spots = self.spot(tokens[:, 1:]).float().flatten(0, 1)
            each = F.cross_entropy(spots, batch.spots.flatten(), ignore_index=-100, reduction="none")
            loss = loss + (each * batch.weights.flatten()).sum() / len(x)
        return loss

    def step(self, loss, rate, keep):
        """One step down; the averaged weights follow."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.average, [p.detach() for p in self.vit.parameters()], 1 - keep)

    def averaged(self):
        """The averaged weights, as a state of `Vit`."""
        names = [name for name, _ in self.vit.named_parameters()]
        return {name: value.detach().cpu().clone() for name, value in zip(names, self.average)}

    @contextmanager
    def with_averages(self):
        """The model with its averaged weights, for a while."""
        trained = [p.detach().clone() for p in self.vit.parameters()]
        with torch.no_grad():
            torch._foreach_copy_(list(self.vit.parameters()), self.average)
            yield self.vit
            torch._foreach_copy_(list(self.vit.parameters()), trained)

    def state(self):
        parts = ("model", "spot", "optimizer")
        return {"average": self.average, **{part: getattr(self, part).state_dict() for part in parts}}

    def load(self, state):
        for part in ("model", "spot", "optimizer"):
            getattr(self, part).load_state_dict(state[part])
        torch._foreach_copy_(self.average, state["average"])


class Training:
    """All arms of a task. The rate follows the clock, so a faster machine trains longer, not hotter."""

    def __init__(self, task, bundle, data, views, seeds, work, device, starts=None, **sizes):
        """`starts`: {view: state} of pretraining."""
        self.task, self.bundle, self.device, self.views = task, bundle, device, views
        self.source = source(task, data, device)
        self.arms = [Arm(task, view, seed, device, starts and starts[view], **sizes) for seed in seeds for view in views]
        self.batch = TASKS[task]["batch"] if device == "cuda" else max(8, TASKS[task]["batch"] // 16)
        self.checkpoint = Path(work) / f"{task}.pt"
        torch.manual_seed(seeds[0])
        first = self.source.batch(self.batch, 0).pictures
        self.spreads = {view: spread_of_cosines(first, scale) for view, scale in SCALES.items()}
        self.steps, self.seconds, self.curve = 0, 0.0, []
        if self.checkpoint.exists():
            self.load()

    def run(self, minutes, marks=12):
        """Trains until so many minutes are over, those before the last stop counted in."""
        recipe, losses = TASKS[self.task], {}
        limit, before, since = 60 * minutes, self.seconds, time.monotonic()
        while self.seconds < limit or self.steps == 0:
            self.seconds = before + time.monotonic() - since
            done = min(1.0, self.seconds / limit)
            rate = recipe["rate"] * min(1, (self.steps + 1) / 100) * (0.5 + 0.5 * math.cos(math.pi * done)) + 1e-6
            batch = self.source.batch(self.batch, done)
            coded = draw_rate(len(batch.pictures), recipe["prefixes"], CHANNELS, recipe["qualities"], self.device)
            seen = see(self.bundle, batch.pictures, *coded, self.views, self.spreads, exact=False)
            for arm in self.arms:
                with torch.autocast(self.device, torch.bfloat16, enabled=self.device == "cuda"):
                    loss = arm.loss(seen[arm.view], batch)
                arm.step(loss, rate, min(0.998, (1 + self.steps) / (10 + self.steps)))
                losses.setdefault(arm.name, []).append(loss.detach())
            self.steps += 1
            if done * marks >= len(self.curve):
                self.mark(losses)
                losses = {}

    def mark(self, losses):
        """Tells how far it is, and keeps that."""
        point = {"step": self.steps, "seconds": round(self.seconds)}
        point |= {f"{name} loss": round(torch.stack(of).mean().item(), 4) for name, of in losses.items()}
        if self.source.val:
            point |= {f"{name} val": round(right.float().mean().item(), 4) for name, right in self.right().items()}
        self.curve.append(point)
        print(point, flush=True)
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        state = {"arms": {a.name: a.state() for a in self.arms}, "spreads": self.spreads}
        state |= {key: getattr(self, key) for key in ("steps", "seconds", "curve")}
        torch.save(state, self.checkpoint.with_suffix(".part"))
        self.checkpoint.with_suffix(".part").replace(self.checkpoint)

    def load(self):
        """Goes on from the checkpoint."""
        state = torch.load(self.checkpoint, map_location=self.device)
        for arm in self.arms:
            arm.load(state["arms"][arm.name])
        self.spreads = state["spreads"]
        self.steps, self.seconds, self.curve = (state[key] for key in ("steps", "seconds", "curve"))
        print(f"going on from step {self.steps}, second {self.seconds:.0f}", flush=True)

    def answers(self, pictures, quality=DEFAULT_QUALITY, prefix=CHANNELS):
        """What every arm says. Shape: [n, 3, h, w] u8 -> {arm: [n] int64}."""
        found = {arm.name: [] for arm in self.arms}
        for x in pictures.split(128):
            one = lambda v: torch.full((len(x),), v, device=x.device)
            seen = see(self.bundle, x, one(quality), one(prefix), self.views, self.spreads)
            for arm in self.arms:
                with arm.with_averages() as vit:
                    found[arm.name].append(vit(seen[arm.view]).argmax(1))
        return {name: torch.cat(parts) for name, parts in found.items()}

    def right(self, quality=DEFAULT_QUALITY, prefix=CHANNELS, of=None):
        """Which answers on the validation pictures, or on others, are right. -> {arm: bool [n]}."""
        pictures, labels = of or self.source.val
        return {name: said == labels for name, said in self.answers(pictures, quality, prefix).items()}

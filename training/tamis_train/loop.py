"""The training loop: one for every head, and it can be interrupted."""

import math
import time
from pathlib import Path

import torch


class Loop:
    """AdamW with a cosine rate and averaged weights.

    All randomness is torch's global generator, which the checkpoint keeps: stopping and going on gives the same
    weights as never stopping.
    """

    def __init__(self, model, steps, rate, decay, checkpoint, what):
        """`what` names what is trained on what: a checkpoint of anything else is not gone on from."""
        self.model, self.steps, self.rate, self.checkpoint = model, steps, rate, Path(checkpoint)
        self.what = [*map(str, what), str(steps)]
        grouped = [[p for p in model.parameters() if p.dim() > 1], [p for p in model.parameters() if p.dim() < 2]]
        self.optimizer = torch.optim.AdamW(
            [{"params": grouped[0], "weight_decay": decay}, {"params": grouped[1], "weight_decay": 0.0}], lr=rate
        )
        self.average = {k: v.clone() for k, v in model.state_dict().items()}
        self.step, self.seconds, self.curve = 0, 0.0, []

    def save(self):
        """Writes the checkpoint; a reader sees the old one or the new one whole."""
        state = {
            "model": self.model.state_dict(), "average": self.average, "optimizer": self.optimizer.state_dict(),
            "what": self.what, "random": torch.get_rng_state(), "step": self.step, "seconds": self.seconds, "curve": self.curve,
        }  # fmt: skip
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        draft = self.checkpoint.with_suffix(".part")
        torch.save(state, draft)
        draft.replace(self.checkpoint)

    def load(self):
        """Goes on from the checkpoint, if there is one."""
        if not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint)
        if state.get("what") != self.what:
            print(f"{self.checkpoint} is of another training and will be replaced", flush=True)
            return
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average, self.step, self.seconds, self.curve = (state[k] for k in ("average", "step", "seconds", "curve"))
        torch.set_rng_state(state["random"])
        print(f"going on from step {self.step}", flush=True)

    def run(self, loss_of_batch, accuracy, deadline=math.inf, marks=25):
        """Trains until `steps` or `deadline` (time.monotonic). True if it got to the end.

        `loss_of_batch()` gives a loss; `accuracy(model)` is asked `marks` times, on the averaged weights.
        """
        every = max(1, self.steps // marks)
        since, losses = time.monotonic(), []
        self.model.train()
        while self.step < self.steps and (time.monotonic() < deadline or self.step == 0):
            for group in self.optimizer.param_groups:
                group["lr"] = self.rate * self.pace()
            loss = loss_of_batch()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.step += 1
            self.follow()
            losses.append(loss.item())
            late = time.monotonic() >= deadline
            if self.step % every == 0 or self.step == self.steps or late:
                value = self.with_average(accuracy)
                self.seconds += time.monotonic() - since
                since = time.monotonic()
                point = {"step": self.step, "loss": round(sum(losses) / len(losses), 4), "val": round(value, 4)}
                self.curve.append(point)
                losses = []
                words = f"loss {point['loss']:.3f}  val {value:.3f}  {self.seconds:.0f} s"
                print(f"step {self.step}/{self.steps}  {words}", flush=True)
                self.save()
        return self.step >= self.steps

    def pace(self):
        """Share of the rate at this step: a short rise, then half a cosine."""
        return min(1, (self.step + 1) / 100) * (0.5 + 0.5 * math.cos(math.pi * self.step / self.steps))

    @torch.no_grad()
    def follow(self):
        """Moves the averaged weights after the trained ones."""
        keep = min(0.995, (1 + self.step) / (10 + self.step))
        for name, value in self.model.state_dict().items():
            if value.dtype.is_floating_point:
                self.average[name].lerp_(value, 1 - keep)
            else:
                self.average[name].copy_(value)

    def with_average(self, ask):
        """What `ask(model)` says of the averaged weights, in evaluation mode; the trained ones come back after."""
        trained = {k: v.clone() for k, v in self.model.state_dict().items()}
        self.model.load_state_dict(self.average)
        self.model.eval()
        with torch.no_grad():
            answer = ask(self.model)
        self.model.load_state_dict(trained)
        self.model.train()
        return answer

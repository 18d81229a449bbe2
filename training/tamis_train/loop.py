"""The training loop: one for every head, and it can be interrupted."""

import math
import time
from pathlib import Path

import torch


class Loop:
    """AdamW with a cosine rate and averaged weights.

    All randomness is torch's global generators, which the checkpoint keeps: stopping and going on gives the same
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
        self.step, self.seconds, self.curve, self.share = 0, 0.0, [], 0.0
        self.device = next(model.parameters()).device

    def save(self):
        """Writes the checkpoint; a reader sees the old one or the new one whole."""
        state = {
            "model": self.model.state_dict(), "average": self.average, "optimizer": self.optimizer.state_dict(),
            "what": self.what, "random": torch.get_rng_state(), "step": self.step, "seconds": self.seconds, "curve": self.curve,
        }  # fmt: skip
        if self.device.type == "cuda":
            state["random of the device"] = torch.cuda.get_rng_state(self.device)
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        draft = self.checkpoint.with_suffix(".part")
        torch.save(state, draft)
        draft.replace(self.checkpoint)

    def load(self):
        """Goes on from the checkpoint, if there is one."""
        if not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint, map_location="cpu")
        if state.get("what") != self.what:
            print(f"{self.checkpoint} is of another training and will be replaced", flush=True)
            return
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average = {k: v.to(self.device) for k, v in state["average"].items()}
        self.step, self.seconds, self.curve = (state[k] for k in ("step", "seconds", "curve"))
        torch.set_rng_state(state["random"])
        if self.device.type == "cuda" and "random of the device" in state:
            torch.cuda.set_rng_state(state["random of the device"], self.device)
        print(f"going on from step {self.step}", flush=True)

    def run(self, loss_of_batch, accuracy, deadline=math.inf, marks=25):
        """Trains until `steps` or `deadline` (time.monotonic). True if it got to the end.

        Where the steps would take longer, the rate follows the clock, so that what is given ends with a small rate too.
        `loss_of_batch()` gives a loss; `accuracy(model)` is asked `marks` times, on the averaged weights, or fewer, so that
        it takes no more than a tenth of the time.
        """
        since, losses, taken = time.monotonic(), [], 0.0
        begin = since - self.seconds
        self.model.train()
        while self.step < self.steps and (time.monotonic() < deadline or self.step == 0):
            # Where there is time for all steps, their number alone decides, from the first on.
            self.share = (time.monotonic() - begin) / max(deadline - begin, 1e-9) if self.step else 0.0
            for group in self.optimizer.param_groups:
                group["lr"] = self.rate * self.pace()
            loss = loss_of_batch()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.step += 1
            self.follow()
            losses.append(loss.detach())
            now = time.monotonic()
            due = self.done() * marks >= len(self.curve) + 1 and now - since >= 9 * taken
            if due or self.step == self.steps or now >= deadline:
                value = self.with_average(accuracy)
                taken = time.monotonic() - now
                self.seconds += time.monotonic() - since
                since = time.monotonic()
                point = {"step": self.step, "loss": round(torch.stack(losses).mean().item(), 4), "val": round(value, 4)}
                self.curve.append(point)
                losses = []
                words = f"loss {point['loss']:.3f}  val {value:.3f}  {self.seconds:.0f} s"
                print(f"step {self.step}/{self.steps}  {words}", flush=True)
                self.save()
        return self.step >= self.steps

    def done(self):
        """How much of the training is done, 0 to 1: by its steps or by the clock."""
        return min(1, max(self.step / self.steps, self.share))

    def pace(self):
        """Share of the rate at this step: a short rise, then half a cosine."""
        return min(1, (self.step + 1) / 100) * (0.5 + 0.5 * math.cos(math.pi * self.done()))

    @torch.no_grad()
    def follow(self):
        """Moves the averaged weights after the trained ones."""
        keep = min(0.995, (1 + self.step) / (10 + self.step))
        state = self.model.state_dict()
        real = [name for name, value in state.items() if value.dtype.is_floating_point]
        torch._foreach_lerp_([self.average[name] for name in real], [state[name] for name in real], 1 - keep)
        for name in state.keys() - real:
            self.average[name].copy_(state[name])

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

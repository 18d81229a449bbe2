"""Sound for training: reading, and altered versions of clips."""

from pathlib import Path

import soundfile
import torch


def read_sounds(data, paths, rate):
    """Clips as f32 in [-1, 1], mono, all at `rate`. A list of [n]."""
    clips = []
    for path in paths:
        samples, found = soundfile.read(Path(data) / path, dtype="float32", always_2d=True)
        if found != rate:
            raise ValueError(f"{path}: {found} Hz, not {rate}")
        clips.append(torch.from_numpy(samples[:, 0].copy()))
    return clips


class Clips:
    """Clips of a training set side by side on a device, as 16 bits. Shape: samples [n, longest], lengths [n]."""

    def __init__(self, clips, device="cpu"):
        self.samples = torch.zeros(len(clips), max(map(len, clips)), dtype=torch.int16)
        for row, clip in zip(self.samples, clips):
            row[: len(clip)] = (clip * 32768).round().clamp(-32768, 32767).short()
        self.samples = self.samples.to(device)
        self.lengths = torch.tensor([len(clip) for clip in clips], device=device)

    def __len__(self):
        return len(self.lengths)

    def alter(self, i, length, speeds=(0.85, 1.15), circular=False):
        """Clips `i` at random speed and place in a frame of `length` samples. Shape: i [b] -> [b, length].

        A clip that is too long loses a random part of both ends, a short one stands at a random place in silence;
        `circular`: one begins anywhere and starts again at its end.
        """
        b, device = len(i), i.device
        own, uniform = self.lengths[i, None], lambda low, high: low + (high - low) * torch.rand(b, 1, device=device)
        speed = uniform(*speeds)
        room = length - own / speed
        at = torch.arange(length, device=device) * speed
        if circular:
            at = torch.remainder(at + uniform(0, 1) * own, own)
            left, part = at.floor().long(), at.frac()
            right = torch.where(left + 1 < own, left + 1, 0)
            inside = 1.0
        else:
            at = at - (uniform(0, 1) * room).floor() * speed
            left, part = at.floor().long(), at.frac()
            inside = ((left >= 0) & (left + 1 < own)).float()
            left = torch.minimum(left.clamp(min=0), own - 1)
            right = torch.minimum(left + 1, own - 1)
        row = (i * self.samples.shape[1])[:, None]
        flat = self.samples.view(-1)
        a, c = (flat[(row + k).view(-1)].view(b, length).float() for k in (left, right))
        return torch.lerp(a, c, part) * inside / 32768


class Pool:
    """Latents of altered versions of all clips, made once: loudness, mixing and noise are the same on latents, and cheap.

    Shape: latents [versions * n, C, longest frame], of full scale 1, in 16 bits.
    """

    def __init__(self, clips, bundle, count, longest, circular):
        self.clips, self.circular, cell = len(clips), circular, 2**bundle.levels
        parts = torch.arange(len(clips), device=clips.lengths.device).split(32)
        make = lambda i: bundle.project(clips.alter(i, cell * longest, circular=circular)[:, None]).half()
        self.latents = torch.cat([make(i) for _ in range(count) for i in parts])

    def draw(self, i, frame):
        """A window of `frame` steps of some version of clips `i`. Shape: i [b] -> [b, C, frame]."""
        b, device = len(i), i.device
        longest = self.latents.shape[2]
        room = longest if self.circular else longest - frame + 1
        start = torch.randint(room, (b, 1), device=device)
        at = (start + torch.arange(frame, device=device)) % longest
        version = torch.randint(len(self.latents) // self.clips, (b,), device=device)
        y = self.latents[version * self.clips + i]
        return y.gather(2, at[:, None].expand(-1, y.shape[1], -1)).float()


def mix(x, targets, share):
    """Every sound and another one, as loud as their shares say whatever their own levels.

    Shape: x [b, n], samples or latents, which are linear in them, targets [b, labels], share [b, 1] of the first -> the same shapes.
    Source: Tokozume, Ushiku, Harada, "Learning from Between-class Examples for Deep Sound Recognition", eq. 2.
    """
    other = torch.randperm(len(x), device=x.device)
    level = x.square().mean(1, keepdim=True).sqrt() + 1e-5
    p = 1 / (1 + level / level[other] * (1 - share) / share)
    mixed = (p * x + (1 - p) * x[other]) / torch.sqrt(p * p + (1 - p) ** 2)
    return mixed, torch.lerp(targets[other], targets, share)


def disturb(x, gains, levels=None, noise=(-5, -2.5)):
    """At another loudness, half of them with noise. Shape: [b, n], samples or latents -> [b, n].

    `gains` in dB; `levels`: of half of the sounds the root mean square in dB below full scale instead, whatever it was.
    """
    uniform = lambda low, high: low + (high - low) * torch.rand(len(x), 1, device=x.device)
    coin = lambda: uniform(0, 1) < 0.5
    gain = 10 ** (uniform(*gains) / 20)
    if levels:
        own = x.square().mean(1, keepdim=True).sqrt() + 1e-5
        gain = torch.where(coin(), 10 ** (uniform(*levels) / 20) / own, gain)
    return x * gain + 10 ** uniform(*noise) * coin() * torch.randn_like(x)

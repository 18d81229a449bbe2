"""Sound for training: reading, and altered versions of clips."""

from pathlib import Path

import soundfile
import torch
import torch.nn.functional as F


def read_sounds(data, paths, rate):
    """Clips as f32 in [-1, 1], mono, all at `rate`. A list of [n]."""
    clips = []
    for path in paths:
        samples, found = soundfile.read(Path(data) / path, dtype="float32", always_2d=True)
        if found != rate:
            raise ValueError(f"{path}: {found} Hz, not {rate}")
        clips.append(torch.from_numpy(samples[:, 0].copy()))
    return clips


def alter(clips, length):
    """Clips at random speed, loudness and place in a frame of `length` samples, with noise. -> [b, 1, length]."""
    out = torch.zeros(len(clips), 1, length)
    for i, clip in enumerate(clips):
        speed = 0.85 + 0.3 * torch.rand(()).item()
        clip = F.interpolate(clip[None, None], size=max(1, int(len(clip) / speed)), mode="linear", align_corners=False)[0, 0]
        # A clip that is too long loses a random part of both ends, a short one stands at a random place.
        room = length - len(clip)
        at = int(torch.randint(abs(room) + 1, ()))
        if room >= 0:
            out[i, 0, at : at + len(clip)] = clip
        else:
            out[i, 0] = clip[at : at + length]
    b = len(clips)
    gain = 10 ** ((torch.rand(b, 1, 1) * 16 - 6) / 20)
    noise = 10 ** (torch.rand(b, 1, 1) * 2.5 - 5) * (torch.rand(b, 1, 1) < 0.5)
    return (out * gain).clamp(-1, 1) + noise * torch.randn(b, 1, length)
